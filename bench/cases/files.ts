// Files and volumes beside dockerd: one large and many small files in and out of a container, volumes made and removed, content
// copied up, a start with many mounts, diff and export of a Debian container; and what the daemon costs while a large file passes.
// Over the API, with tars that lie ready: the client's own part is as small as can be.

import { execFileSync } from "node:child_process";
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { drain } from "../api.ts";
import { debianRoot } from "../debian-image.ts";
import type { EngineUnderTest } from "../engines.ts";
import { interleaved, residentKiB } from "../measure.ts";
import { add, ms, ratio } from "../report.ts";

const quick = process.argv.includes("--quick");
const rounds = quick ? 1 : 3;
const largeMiB = quick ? 256 : 1024;
const smallFiles = quick ? 5000 : 20_000;
const copiedFiles = quick ? 2500 : 10_000;

type Work = (engine: EngineUnderTest) => Promise<unknown>;

/** Each engine in turn, after a round that is not counted. `factor` is how many times faster than the peer it shall be. */
async function compare(what: string, engines: readonly EngineUnderTest[], factor: number, work: Work): Promise<void> {
  const contenders = Object.fromEntries(engines.map((engine) => [engine.name, () => work(engine)] as const));
  const times = await interleaved(rounds, contenders);
  const [ours = 0, peer = 0] = [times["gantry"], times["dockerd"]];
  const budget = factor === 1 ? "≤ 1" : `≤ 1/${factor}`;
  add({ what, gantry: ms(ours), peer: ms(peer), ratio: ratio(ours, peer), budget, met: ours * factor <= peer });
}

async function create(engine: EngineUnderTest, body: Readonly<Record<string, unknown>>): Promise<string> {
  return (await engine.api.json<{ Id: string }>("POST", "/containers/create", { Cmd: ["sleep", "1000"], ...body })).Id;
}

const remove = ({ api }: EngineUnderTest, id: string): Promise<string> =>
  api.text("DELETE", `/containers/${id}?force=1&v=1`);

const put = ({ api }: EngineUnderTest, id: string, path: string, tar: Readable): Promise<string> =>
  api.text("PUT", `/containers/${id}/archive?path=${path}`, undefined, tar);

/** Reads an answer to its end. */
async function take({ api, name }: EngineUnderTest, path: string): Promise<number> {
  const response = await api.open("GET", path);
  const bytes = await drain(response);
  if ((response.statusCode ?? 0) >= 400) throw new Error(`${name}: ${path}: ${response.statusCode}`);
  return bytes;
}

/** A tar of a directory's content, under a name that tells nothing of the machine. */
function tarOf(directory: string, file: string): void {
  execFileSync("tar", ["-C", directory, "--numeric-owner", "--owner=0", "--group=0", "-cf", file, "."]);
}

function writeFiles(directory: string, count: number): void {
  for (let at = 0; at < count; at++) {
    const parent = join(directory, `d${Math.floor(at / 100)}`);
    if (at % 100 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `f${at}`), `${at} `.repeat(300));
  }
}

async function importImage({ api }: EngineUnderTest, tar: string, name: string): Promise<void> {
  await api.text("POST", `/images/create?fromSrc=-&repo=${name}&tag=latest`, undefined, createReadStream(tar));
}

/** The most that the daemon itself had resident meanwhile, beyond what it had before. */
async function growthMiB(engine: EngineUnderTest, work: () => Promise<unknown>): Promise<number> {
  const [daemon = 0] = engine.daemonPids();
  const before = residentKiB(daemon);
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, residentKiB(daemon))), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return (peak - before) / 1024;
}

async function copies(engines: readonly EngineUnderTest[], dir: string): Promise<void> {
  const large = join(dir, "large");
  mkdirSync(large);
  execFileSync(
    "sh",
    ["-c", `head -c 16M /dev/urandom >part; for n in $(seq ${largeMiB / 16}); do cat part; done >large/file; rm part`],
    { cwd: dir },
  );
  tarOf(large, join(dir, "large.tar"));
  rmSync(large, { recursive: true });
  writeFiles(join(dir, "small"), smallFiles);
  tarOf(join(dir, "small"), join(dir, "small.tar"));
  const boxes = new Map<EngineUnderTest, string>();
  for (const engine of engines) {
    const id = await create(engine, { Image: "busybox" });
    await engine.api.text("POST", `/containers/${id}/start`);
    boxes.set(engine, id);
  }
  const box = (engine: EngineUnderTest): string => boxes.get(engine) ?? "";
  const copyIn =
    (tar: string): Work =>
    (engine) =>
      put(engine, box(engine), "/tmp", createReadStream(join(dir, tar), { highWaterMark: 1 << 20 }));
  const grown: Record<string, number> = {};
  for (const engine of engines) grown[engine.name] = await growthMiB(engine, () => copyIn("large.tar")(engine));
  const [ours = 0, peer = 0] = [grown["gantry"], grown["dockerd"]];
  add({
    what: `memory of the daemon during cp of ${largeMiB} MiB`,
    gantry: `+${ours.toFixed(0)} MiB`,
    peer: `+${peer.toFixed(0)} MiB`,
    ratio: "–",
    budget: "≤ 32 MiB",
    met: ours <= 32,
  });
  await compare(`cp of ${largeMiB} MiB in`, engines, 1, copyIn("large.tar"));
  await compare("… out", engines, 1, (engine) => take(engine, `/containers/${box(engine)}/archive?path=/tmp/file`));
  await compare(`cp of ${smallFiles} files in`, engines, 2, copyIn("small.tar"));
  await compare("… out", engines, 2, (engine) => take(engine, `/containers/${box(engine)}/archive?path=/tmp`));
  for (const engine of engines) await remove(engine, box(engine));
}

async function volumes(engines: readonly EngineUnderTest[], dir: string): Promise<void> {
  await compare("volume create + rm", engines, 1, async ({ api }) => {
    for (let n = 0; n < 10; n++) {
      await api.text("POST", "/volumes/create", { Name: `bench-${n}` });
      await api.text("DELETE", `/volumes/bench-${n}`);
    }
  });
  writeFiles(join(dir, "content/data"), copiedFiles);
  tarOf(join(dir, "content"), join(dir, "content.tar"));
  for (const engine of engines) await importImage(engine, join(dir, "content.tar"), "bench-content");
  await compare(`create with copy-up of ${copiedFiles} files, and rm -v`, engines, 1, async (engine) => {
    await remove(engine, await create(engine, { Image: "bench-content", Volumes: { "/data": {} } }));
  });
  await compare("start with 20 mounts, and rm", engines, 1, async (engine) => {
    const paths = Array.from({ length: 10 }, (_, n) => n);
    const binds = [...paths.map((n) => `many-${n}:/v${n}`), ...paths.map((n) => `${dir}:/b${n}:ro`)];
    const id = await create(engine, { Image: "busybox", HostConfig: { Binds: binds } });
    await engine.api.text("POST", `/containers/${id}/start`);
    await remove(engine, id);
  });
  for (const { api } of engines) await api.text("POST", "/volumes/prune");
}

async function debian(engines: readonly EngineUnderTest[], dir: string): Promise<void> {
  tarOf(debianRoot(), join(dir, "debian.tar"));
  const made = new Map<EngineUnderTest, string>();
  const script =
    "chmod -R g+w /usr/share/doc; rm -r /usr/share/locale; mkdir /new; for n in $(seq 500); do echo $n >/new/$n; done";
  for (const engine of engines) {
    await importImage(engine, join(dir, "debian.tar"), "bench-debian");
    const id = await create(engine, { Image: "bench-debian", Cmd: ["sh", "-c", script] });
    await engine.api.text("POST", `/containers/${id}/start`);
    await engine.api.text("POST", `/containers/${id}/wait`);
    made.set(engine, id);
  }
  const path = (engine: EngineUnderTest, what: string): string => `/containers/${made.get(engine) ?? ""}/${what}`;
  await compare("diff of a Debian container", engines, 1, (engine) => take(engine, path(engine, "changes")));
  await compare("export of a Debian container", engines, 1, (engine) => take(engine, path(engine, "export")));
  for (const engine of engines) await remove(engine, made.get(engine) ?? "");
}

export async function files(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "bench-files-"));
  try {
    await copies([gantry, dockerd], dir);
    await volumes([gantry, dockerd], dir);
    await debian([gantry, dockerd], dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
