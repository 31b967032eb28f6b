// Images: pull, push, load, save, rmi beside dockerd (and podman), from registries on loopback; and what the daemon costs
// and how it answers while 4 GB come in.

import { execFileSync } from "node:child_process";
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { drain } from "../api.ts";
import { makeBenchImages } from "../debian-image.ts";
import type { EngineUnderTest } from "../engines.ts";
import { median, timed } from "../measure.ts";
import { type BenchRegistry, fillRegistry, registryAddress, startRegistry } from "../registry.ts";
import { add, ms, ratio } from "../report.ts";
import { whilePulling } from "./big-pull.ts";

const rounds = 3;

/** The last line of a progress stream must not be an error. */
async function progress(engine: EngineUnderTest, path: string, headers: Record<string, string> = {}): Promise<void> {
  const text = await engine.api.text("POST", path, undefined, undefined, headers);
  if (text.includes('"errorDetail"')) throw new Error(`${engine.name}: ${path}: ${text.slice(-500)}`);
}

const pull = (engine: EngineUnderTest, name: string): Promise<void> =>
  progress(engine, `/images/create?fromImage=${registryAddress}/${name}&tag=latest`);

const push = (engine: EngineUnderTest, name: string): Promise<void> =>
  progress(engine, `/images/${registryAddress}/${name}/push?tag=latest`, { "X-Registry-Auth": "e30=" });

async function remove(engine: EngineUnderTest, name: string): Promise<void> {
  await engine.api.text("DELETE", `/images/${registryAddress}/${name}:latest`);
}

type Times = Record<string, number[]>;

function compare(what: string, times: Times, factor: number, budget: string): void {
  const [ours, peer] = [median(times["gantry"] ?? []), median(times["dockerd"] ?? [])];
  add({ what, gantry: ms(ours), peer: ms(peer), ratio: ratio(ours, peer), budget, met: ours <= peer * factor });
}

function beside(what: string, ours: number, peer: number, peerName: string): void {
  add({ what, gantry: ms(ours), peer: `${ms(peer)} (${peerName})`, ratio: ratio(ours, peer), budget: "–", met: true });
}

/** Measures each contender in turn, after a round that warms registries and page cache. */
async function eachInTurn(
  engines: readonly EngineUnderTest[],
  work: (engine: EngineUnderTest, note: (name: string, took: number) => void) => Promise<void>,
): Promise<Record<string, Times>> {
  const figures: Record<string, Times> = {};
  for (let round = -1; round < rounds; round++) {
    for (const engine of engines) {
      await work(engine, (name, took) => {
        process.stdout.write(`       ${engine.name} ${name} ${ms(took)}\n`);
        if (round >= 0) ((figures[name] ??= {})[engine.name] ??= []).push(took);
      });
    }
  }
  return figures;
}

/** podman with storage of its own, in the namespace of an engine whose registry it uses. */
function podmanPull(namespace: string, name: string): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "bench-podman-"));
  const podman = ["podman", "--root", join(dir, "root"), "--runroot", join(dir, "run"), "--storage-driver", "overlay"];
  const argv = [`--net=/run/netns/${namespace}`, ...podman];
  try {
    return timed(async () => {
      execFileSync("nsenter", [...argv, "pull", "-q", "--tls-verify=false", `${registryAddress}/${name}`], {
        stdio: ["ignore", "ignore", "inherit"],
      });
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function hasProgram(name: string): boolean {
  try {
    execFileSync("which", [name], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Pushes to an empty registry of the contender's own. */
async function pushToEmpty(engine: EngineUnderTest, source: BenchRegistry | undefined, name: string): Promise<number> {
  await source?.stop();
  const dir = mkdtempSync(join(tmpdir(), "bench-registry-"));
  const registry = await startRegistry(dir, engine.namespace);
  try {
    return await timed(() => push(engine, name));
  } finally {
    await registry.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

export async function images(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const engines = [gantry, dockerd];
  const dir = mkdtempSync(join(tmpdir(), "bench-images-"));
  const registries = new Map<string, BenchRegistry>();
  const serve = async (): Promise<void> => {
    for (const engine of engines) registries.set(engine.name, await startRegistry(dir, engine.namespace));
  };
  const stop = async (): Promise<void> => {
    for (const registry of registries.values()) await registry.stop();
    registries.clear();
  };
  try {
    const fixture = makeBenchImages();
    await fillRegistry(dir, fixture.images);
    await serve();
    const size = `${Math.round(fixture.unpackedBytes / 1e6)} MB`;

    const pulls = await eachInTurn(engines, async (engine, note) => {
      note("eight", await timed(() => pull(engine, "debian8")));
      note("rmi", await timed(() => remove(engine, "debian8")));
      note("one", await timed(() => pull(engine, "debian1")));
      await remove(engine, "debian1");
      const four = [0, 1, 2, 3].map((n) => `shared${n}`);
      note("four", await timed(() => Promise.all(four.map((name) => pull(engine, name)))));
      for (const name of four) await remove(engine, name);
    });
    compare(`pull and unpack Debian, ${size} in 8 layers`, pulls["eight"] ?? {}, 0.5, "≤ 1/2");
    compare("… in one layer", pulls["one"] ?? {}, 0.5, "≤ 1/2");
    compare("4 pulls at once that share 8 layers", pulls["four"] ?? {}, 0.5, "≤ 1/2");
    compare("rmi of 8 layers", pulls["rmi"] ?? {}, 1, "≤ 1");
    if (hasProgram("podman")) {
      const took = await podmanPull(dockerd.namespace, "debian8");
      beside(`pull and unpack Debian, ${size} in 8 layers`, median(pulls["eight"]?.["gantry"] ?? []), took, "podman");
    }

    for (const engine of engines) await pull(engine, "debian8");
    const archive = join(dir, "debian.tar");
    await pipeline(
      await dockerd.api.open("GET", `/images/${registryAddress}/debian8:latest/get`),
      createWriteStream(archive),
    );
    const archives = await eachInTurn(engines, async (engine, note) => {
      const path = `/images/${registryAddress}/debian8:latest/get`;
      note("save", await timed(async () => drain(await engine.api.open("GET", path))));
      await remove(engine, "debian8");
      note(
        "load",
        await timed(() => engine.api.text("POST", "/images/load?quiet=1", undefined, createReadStream(archive))),
      );
    });
    compare("save", archives["save"] ?? {}, 0.5, "≤ 1/2");
    compare("load", archives["load"] ?? {}, 0.5, "≤ 1/2");

    await stop();
    const pushes: Times = {};
    for (const engine of engines) {
      // Loaded, not pulled: both have to compress.
      (pushes[engine.name] ??= []).push(await pushToEmpty(engine, undefined, "debian8"));
      await remove(engine, "debian8");
    }
    compare("push of a loaded image, to an empty registry", pushes, 1, "≤ 1");
    await serve();
    for (const engine of engines) await pull(engine, "debian8");
    await stop();
    const again: Times = {};
    for (let round = 0; round < rounds; round++) {
      for (const engine of engines) (again[engine.name] ??= []).push(await pushToEmpty(engine, undefined, "debian8"));
    }
    compare("push of a pulled image, to an empty registry", again, 1, "≤ 1");
    for (const engine of engines) await remove(engine, "debian8");
    await whilePulling(gantry);
  } finally {
    await stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
