// `npm run bench`: every budget of ARCHITECTURE.md beside dockerd and bare crun in one run. Prints ratios and, with
// --write, keeps them in bench/RESULTS.md together with the commit; --only=CASE runs one of idle, memory, lifecycle, output,
// lists, commandLine, images, network, builds and files (--quick shortens the last three). As root; $DOCKERD names the peer.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createIdle, exec, life, remove, startAll } from "./cases/lifecycle.ts";
import { attachAndRead, createWriter, readLogs } from "./cases/output.ts";
import { type EngineUnderTest, findDockerd, makeBundle, startDockerd, startGantry } from "./engines.ts";
import { builds } from "./cases/build.ts";
import { files } from "./cases/files.ts";
import { images } from "./cases/images.ts";
import { network } from "./cases/network.ts";
import { interleaved, median, processes, proportionalKiB, residentKiB, timed } from "./measure.ts";
import { add, ms, ratio, rows } from "./report.ts";

/** crun in a mount namespace where it does not see a v2 hierarchy beside v1 ones, and forty runs in one shell. */
function bareCrun(bundle: string): number {
  const rounds = 20;
  const script = `umount /sys/fs/cgroup/unified 2>/dev/null; cd ${bundle}; s=$(date +%s%N); i=0; while [ $i -lt ${rounds} ]; do crun run bench-$$-$i </dev/null >/dev/null; i=$((i+1)); done; e=$(date +%s%N); echo $(( (e-s)/1000 ))`;
  const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as {
    process: { args: string[]; terminal: boolean };
  };
  config.process.args = ["true"];
  config.process.terminal = false;
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  const us = execFileSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8" });
  return Number(us) / 1000 / rounds;
}

async function lifecycle(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const bundle = mkdtempSync(join(tmpdir(), "bench-bundle-"));
  makeBundle(bundle);
  const crun = bareCrun(bundle);
  rmSync(bundle, { recursive: true });
  const lives = await interleaved(20, { gantry: () => life(gantry.api), dockerd: () => life(dockerd.api) });
  const [ours = 0, peer = 0] = [lives["gantry"], lives["dockerd"]];
  const what = "create + start + wait + remove, bridge";
  add({ what, gantry: ms(ours), peer: ms(peer), ratio: ratio(ours, peer), budget: "≤ 1/8", met: ours * 8 <= peer });
  add({
    what,
    gantry: ms(ours),
    peer: `${ms(crun)} (bare crun run)`,
    ratio: (ours / crun).toFixed(2),
    budget: "≤ 3",
    met: ours <= crun * 3,
  });

  const containers = { gantry: await createIdle(gantry.api), dockerd: await createIdle(dockerd.api) };
  await Promise.all([startAll(gantry.api, [containers.gantry]), startAll(dockerd.api, [containers.dockerd])]);
  const execs = await interleaved(20, {
    gantry: () => exec(gantry.api, containers.gantry),
    dockerd: () => exec(dockerd.api, containers.dockerd),
  });
  const [oursExec = 0, peerExec = 0] = [execs["gantry"], execs["dockerd"]];
  add({
    what: "exec, attached, with exit code",
    gantry: ms(oursExec),
    peer: ms(peerExec),
    ratio: ratio(oursExec, peerExec),
    budget: "≤ 1/5",
    met: oursExec * 5 <= peerExec,
  });
  await Promise.all([remove(gantry.api, containers.gantry), remove(dockerd.api, containers.dockerd)]);

  const burst = async (engine: EngineUnderTest): Promise<number> => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => createIdle(engine.api)));
    const took = await timed(() => startAll(engine.api, ids));
    await Promise.all(ids.map((id) => remove(engine.api, id)));
    return took;
  };
  const bursts: Record<string, number[]> = { gantry: [], dockerd: [] };
  for (let round = 0; round < 3; round++) {
    for (const engine of [gantry, dockerd]) bursts[engine.name]?.push(await burst(engine));
  }
  const [oursBurst, peerBurst] = [median(bursts["gantry"] ?? []), median(bursts["dockerd"] ?? [])];
  add({
    what: "20 starts at once",
    gantry: ms(oursBurst),
    peer: ms(peerBurst),
    ratio: ratio(oursBurst, peerBurst),
    budget: "≤ 1/8",
    met: oursBurst * 8 <= peerBurst,
  });
}

async function output(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const write: Record<string, number[]> = { gantry: [], dockerd: [] };
  const read: Record<string, number[]> = { gantry: [], dockerd: [] };
  for (let round = 0; round < 3; round++) {
    for (const engine of [gantry, dockerd]) {
      // One round of the peer takes most of a minute; the medians of its figures do not move.
      if (engine === dockerd && round > 0) continue;
      const id = await createWriter(engine.api);
      write[engine.name]?.push(await timed(() => attachAndRead(engine.api, id)));
      read[engine.name]?.push(await timed(() => readLogs(engine.api, id)));
      await remove(engine.api, id);
    }
  }
  const pair = (figures: Record<string, number[]>): [number, number] => [
    median(figures["gantry"] ?? []),
    median(figures["dockerd"] ?? []),
  ];
  const [oursWrite, peerWrite] = pair(write);
  add({
    what: "200 MB of lines, attached and logged",
    gantry: ms(oursWrite),
    peer: ms(peerWrite),
    ratio: ratio(oursWrite, peerWrite),
    budget: "≤ 1/10",
    met: oursWrite * 10 <= peerWrite,
  });
  const [oursRead, peerRead] = pair(read);
  add({
    what: "… read back by logs",
    gantry: ms(oursRead),
    peer: ms(peerRead),
    ratio: ratio(oursRead, peerRead),
    budget: "≤ 1/10",
    met: oursRead * 10 <= peerRead,
  });
}

/** PSS of what stands beside the container's own processes, per container. */
function besideKiB(engine: EngineUnderTest, containers: number, before: ReadonlySet<number>): number {
  const marks = engine.name === "gantry" ? ["gantry-shim"] : ["containerd-shim", "docker-proxy"];
  const pids = processes().filter((p) => !before.has(p.pid) && marks.some((mark) => p.command.includes(mark)));
  return pids.reduce((sum, p) => sum + proportionalKiB(p.pid), 0) / containers;
}

/** A daemon that has started over an image and no containers, and has had time to settle. */
async function idle(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const starts: Record<string, number[]> = { gantry: [], dockerd: [] };
  for (let round = 0; round < 3; round++) {
    starts["gantry"]?.push(await gantry.killAndRestart());
    if (round === 0) starts["dockerd"]?.push(await dockerd.killAndRestart());
  }
  const [oursStart, peerStart] = [median(starts["gantry"] ?? []), median(starts["dockerd"] ?? [])];
  add({
    what: "start to first answer, nothing running",
    gantry: ms(oursStart),
    peer: ms(peerStart),
    ratio: ratio(oursStart, peerStart),
    budget: "≤ 0.5 s",
    met: oursStart <= 500,
  });
  await sleep(3000);
  const idleMiB = (engine: EngineUnderTest): number =>
    engine.daemonPids().reduce((sum, pid) => sum + residentKiB(pid), 0) / 1024;
  const [ours, peer] = [idleMiB(gantry), idleMiB(dockerd)];
  add({
    what: "daemon idle, resident, with its helpers",
    gantry: `${ours.toFixed(0)} MiB`,
    peer: `${peer.toFixed(0)} MiB`,
    ratio: ratio(ours, peer),
    budget: "≤ 90 MiB",
    met: ours <= 90,
  });
}

async function memory(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const perContainer: Record<string, number> = {};
  const restart: Record<string, number> = {};
  for (const engine of [gantry, dockerd]) {
    const before = new Set(processes().map((p) => p.pid));
    const ids: string[] = [];
    for (let i = 0; i < 100; i++) {
      const id = await createIdle(engine.api);
      await startAll(engine.api, [id]);
      ids.push(id);
    }
    perContainer[engine.name] = besideKiB(engine, ids.length, before);
    restart[engine.name] = await engine.killAndRestart();
    const running = await engine.api.json<unknown[]>("GET", "/containers/json");
    if (running.length !== ids.length)
      throw new Error(`${engine.name} runs ${running.length} of ${ids.length} after the restart`);
    for (const id of ids) await remove(engine.api, id);
  }
  const [oursPss = 0, peerPss = 0] = [perContainer["gantry"], perContainer["dockerd"]];
  add({
    what: "memory beside an idle container (PSS)",
    gantry: `${oursPss.toFixed(0)} KiB`,
    peer: `${peerPss.toFixed(0)} KiB`,
    ratio: ratio(oursPss, peerPss),
    budget: "≤ 300 KiB",
    met: oursPss <= 300,
  });
  const [oursRestart = 0, peerRestart = 0] = [restart["gantry"], restart["dockerd"]];
  add({
    what: "first answer after kill -9, 100 running",
    gantry: ms(oursRestart),
    peer: ms(peerRestart),
    ratio: ratio(oursRestart, peerRestart),
    budget: "≤ 1 s",
    met: oursRestart <= 1000,
  });
}

async function lists(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  for (const engine of [gantry, dockerd]) {
    for (let i = 0; i < 50; i++) await Promise.all(Array.from({ length: 20 }, () => createIdle(engine.api)));
  }
  const all = (engine: EngineUnderTest) => async (): Promise<void> => {
    const list = await engine.api.json<unknown[]>("GET", "/containers/json?all=1");
    if (list.length !== 1000) throw new Error(`${engine.name} lists ${list.length} containers`);
  };
  const times = await interleaved(10, { gantry: all(gantry), dockerd: all(dockerd) });
  const [ours = 0, peer = 0] = [times["gantry"], times["dockerd"]];
  add({
    what: "list of 1,000 containers",
    gantry: ms(ours),
    peer: ms(peer),
    ratio: ratio(ours, peer),
    budget: "≤ 15 ms",
    met: ours <= 15,
  });
}

/** `gantry version` beside `docker version`, each asking its own daemon. */
async function commandLine(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const run = (command: string, engine: EngineUnderTest) => async (): Promise<void> => {
    const env = { ...process.env, DOCKER_HOST: `unix://${engine.api.socketPath}` };
    const { error, status } = spawnSync(command, ["version"], { stdio: "ignore", env });
    if (error !== undefined || status !== 0) throw new Error(`${command} version failed`, { cause: error });
  };
  const hasPeer = spawnSync("docker", ["--version"], { stdio: "ignore" }).error === undefined;
  const times = await interleaved(10, {
    gantry: run(join(import.meta.dirname, "../bin/gantry"), gantry),
    ...(hasPeer ? { docker: run("docker", dockerd) } : {}),
  });
  const [ours = 0, peer] = [times["gantry"], times["docker"]];
  add({
    what: "`gantry version`",
    gantry: ms(ours),
    peer: peer === undefined ? "no docker" : `${ms(peer)} (docker)`,
    ratio: peer === undefined ? "–" : ratio(ours, peer),
    budget: "≤ 60 ms",
    met: ours <= 60,
  });
}

const dockerdBinary = findDockerd();
if (dockerdBinary === undefined) {
  process.stderr.write("bench: no dockerd on PATH and none named by $DOCKERD: there is nothing to compare with\n");
  process.exit(1);
}
const load = loadavg()[0] ?? 0;
const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice("--only=".length);
const cases: Readonly<Record<string, (gantry: EngineUnderTest, dockerd: EngineUnderTest) => Promise<void>>> = {
  idle,
  memory,
  lifecycle,
  output,
  lists,
  commandLine,
  images,
  network,
  builds,
  files,
};
const engines: EngineUnderTest[] = [];
const stopAll = async (): Promise<void> => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
};
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stopAll().finally(() => process.exit(1)));
}
let peerVersion = "";
try {
  const gantry = await startGantry();
  engines.push(gantry);
  const dockerd = await startDockerd(dockerdBinary);
  engines.push(dockerd);
  peerVersion = dockerd.version;
  for (const [name, run] of Object.entries(cases)) if (only === undefined || only === name) await run(gantry, dockerd);
} finally {
  await stopAll();
}
if (process.argv.includes("--write")) {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const table = rows.map(
    (r) => `| ${r.what} | ${r.gantry} | ${r.peer} | ${r.ratio} | ${r.budget} | ${r.met ? "met" : "**missed**"} |`,
  );
  const text = [
    "# Results of the last run",
    "",
    `Written by \`npm run bench -- --write\` on ${new Date().toISOString().slice(0, 10)} at commit ${commit}, beside dockerd ${peerVersion}, on a shared 2-core machine with a load average of ${load.toFixed(1)} at the start. Medians of interleaved rounds; read the ratios, not the times.`,
    "",
    "| what | gantry | peer | ratio | budget | |",
    "| --- | --- | --- | --- | --- | --- |",
    ...table,
    "",
  ].join("\n");
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), text);
}
