// Builds beside dockerd with buildx, with its classic builder, and buildah: a copy of a large context, steps, stages, many builds
// at once. The client is docker's own for both engines, so that its cost is the same; where buildx is not installed only the
// classic endpoint is measured. $DOCKER_CONFIG may name a directory with the plugin.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianRoot } from "../debian-image.ts";
import type { EngineUnderTest } from "../engines.ts";
import { median, proportionalKiB, residentKiB, timed } from "../measure.ts";
import { add, ms, ratio } from "../report.ts";

const quick = process.argv.includes("--quick");
const rounds = quick ? 1 : 3;

type Door = "buildx" | "classic";

function hasBuildx(): boolean {
  return spawnSync("docker", ["buildx", "version"], { stdio: "ignore" }).status === 0;
}

/** `docker build` of a directory. */
async function build(engine: EngineUnderTest, door: Door, dir: string, more: readonly string[] = []): Promise<void> {
  const env = {
    ...process.env,
    DOCKER_HOST: `unix://${engine.api.socketPath}`,
    DOCKER_BUILDKIT: door === "buildx" ? "1" : "0",
  };
  const words = door === "buildx" ? ["buildx", "build", "--progress=plain", "--provenance=false"] : ["build"];
  const child = spawn("docker", [...words, ...more, dir], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on("error", reject).on("close", resolve);
  const code = await promise;
  if (code !== 0) throw new Error(`${engine.name} ${door} ${more.join(" ")}: ${said}`);
}

interface Contender {
  readonly name: string;
  readonly engine: EngineUnderTest;
  readonly door: Door;
}

/** Times of one piece of work for each contender in turn; `prepare` is not counted. */
async function measure(
  contenders: readonly Contender[],
  work: (contender: Contender) => Promise<unknown>,
  prepare: (contender: Contender, round: number) => Promise<unknown> = () => Promise.resolve(),
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++)
    for (const contender of contenders) {
      await prepare(contender, round);
      const took = await timed(() => work(contender));
      process.stdout.write(`       ${contender.name} ${ms(took)}\n`);
      times.set(contender.name, [...(times.get(contender.name) ?? []), took]);
    }
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}

function compare(
  what: string,
  times: ReadonlyMap<string, number>,
  ours: string,
  peer: string,
  budget: { readonly text: string; readonly met: (ours: number, peer: number) => boolean },
): void {
  const [a, b] = [times.get(ours), times.get(peer)];
  if (a === undefined || b === undefined) return;
  add({
    what,
    gantry: ms(a),
    peer: `${ms(b)} (${peer})`,
    ratio: ratio(a, b),
    budget: budget.text,
    met: budget.met(a, b),
  });
}

const seconds = (limit: number): { readonly text: string; readonly met: (ours: number) => boolean } => ({
  text: `≤ ${limit} s`,
  met: (ours) => ours <= limit * 1000,
});
const fraction = (part: number): { readonly text: string; readonly met: (ours: number, peer: number) => boolean } => ({
  text: `≤ 1/${part}`,
  met: (ours, peer) => ours * part <= peer,
});

/** Everything that builds have kept. */
async function pruneAll({ engine }: Contender): Promise<void> {
  await engine.api.text("POST", "/build/prune?all=1");
  await engine.api.text("DELETE", "/images/copy?force=1").catch(() => "");
  await engine.api.text("POST", "/images/prune");
  await engine.api.text("POST", "/build/prune?all=1");
}

/** busybox under a name that both engines have. */
const steps = (count: number): string =>
  `FROM busybox\n${Array.from({ length: count }, (_, n) => `RUN echo ${n} > /f${n}\n`).join("")}`;

/** What a Debian has beyond 165 MB in 8,500 files, and what is no file. */
const leftOut = ["dev", "proc", "sys", "usr/share/man", "usr/share/locale", "usr/lib/udev"];

async function contexts(contenders: readonly Contender[], dir: string): Promise<void> {
  const tree = join(dir, "context");
  cpSync(debianRoot(), tree, { recursive: true, verbatimSymlinks: true });
  for (const part of leftOut) rmSync(join(tree, part), { recursive: true, force: true });
  writeFileSync(join(tree, "Dockerfile"), "FROM scratch\nCOPY . /\n");
  const changing = join(tree, "etc/changes");
  const what = "FROM scratch; COPY . / of a Debian";
  const [cold, same, changed] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  // One contender after the other: two of them share an engine, and what one prunes the other would miss.
  for (const contender of contenders) {
    const work = (): Promise<void> => build(contender.engine, contender.door, tree, ["-t", "copy"]);
    const change = async (): Promise<void> => appendFileSync(changing, "x");
    for (const [name, took] of await measure([contender], work, pruneAll)) cold.set(name, took);
    for (const [name, took] of await measure([contender], work)) same.set(name, took);
    for (const [name, took] of await measure([contender], work, change)) changed.set(name, took);
  }
  for (const door of ["buildx", "classic"] as const) {
    const [ours, peer] = [`gantry ${door}`, `dockerd ${door}`];
    compare(`${what}, cold`, cold, ours, peer, seconds(5));
    compare("… unchanged", same, ours, peer, seconds(0.8));
    compare("… one file changed", changed, ours, peer, seconds(2));
  }
  buildah(tree, dir);
}

/** With storage of its own; only how long it takes. */
function buildah(tree: string, dir: string): void {
  if (spawnSync("buildah", ["--version"], { stdio: "ignore" }).status !== 0) return;
  const storage = [
    "--root",
    join(dir, "buildah"),
    "--runroot",
    join(dir, "buildah-run"),
    "--storage-driver",
    "overlay",
  ];
  const argv = [...storage, "bud", "--layers", "--isolation", "chroot", "-q", tree];
  const started = performance.now();
  execFileSync("buildah", argv, { stdio: ["ignore", "ignore", "inherit"] });
  const took = performance.now() - started;
  add({ what: "the same by buildah, cold", gantry: "–", peer: ms(took), ratio: "–", budget: "–", met: true });
}

async function manySteps(contenders: readonly Contender[], dir: string): Promise<void> {
  const tree = join(dir, "steps");
  mkdirSync(tree);
  writeFileSync(join(tree, "Dockerfile"), steps(10));
  const cold = await measure(contenders, ({ engine, door }) => build(engine, door, tree, ["--no-cache"]));
  const cached = await measure(contenders, ({ engine, door }) => build(engine, door, tree));
  for (const door of ["buildx", "classic"] as const) {
    compare(
      "10 RUN steps, cold",
      cold,
      `gantry ${door}`,
      `dockerd ${door}`,
      door === "classic" ? fraction(8) : fraction(1),
    );
    compare("… cached", cached, `gantry ${door}`, `dockerd ${door}`, door === "classic" ? fraction(2) : fraction(1));
  }
}

async function parallelStages(contenders: readonly Contender[], dir: string): Promise<void> {
  const tree = join(dir, "stages");
  mkdirSync(tree);
  const stage = (name: string): string => `FROM busybox AS ${name}\nRUN sleep 1 && echo ${name} > /${name}\n`;
  const copies = ["a", "b", "c"].map((name) => `COPY --from=${name} /${name} /\n`).join("");
  writeFileSync(join(tree, "Dockerfile"), `${["a", "b", "c"].map(stage).join("")}FROM busybox\n${copies}`);
  const times = await measure(contenders, ({ engine, door }) => build(engine, door, tree, ["--no-cache"]));
  for (const door of ["buildx", "classic"] as const)
    compare("three stages that each sleep 1 s", times, `gantry ${door}`, `dockerd ${door}`, fraction(1));
}

/** Thirty students and one Dockerfile. */
async function identical(contenders: readonly Contender[], dir: string): Promise<void> {
  const tree = join(dir, "identical");
  mkdirSync(tree);
  for (const contender of contenders) {
    const { engine, door, name } = contender;
    const write = (mark: string): void =>
      writeFileSync(
        join(tree, "Dockerfile"),
        `FROM busybox\nRUN echo ${mark}; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done\n`,
      );
    write(`one-${name}-${Date.now()}`);
    const one = await timed(() => build(engine, door, tree));
    write(`all-${name}-${Date.now()}`);
    const all = await timed(() => Promise.all(Array.from({ length: 30 }, () => build(engine, door, tree))));
    const what = `30 identical builds at once beside one, ${name}`;
    add({ what, gantry: ms(all), peer: ms(one), ratio: ratio(all, one), budget: "≤ 1.5", met: all <= one * 1.5 });
  }
}

export async function builds(gantry: EngineUnderTest, dockerd: EngineUnderTest): Promise<void> {
  const doors: readonly Door[] = hasBuildx() ? ["buildx", "classic"] : ["classic"];
  const contenders = doors.flatMap((door) =>
    [gantry, dockerd].map((engine) => ({ name: `${engine.name} ${door}`, engine, door })),
  );
  const dir = mkdtempSync(join(tmpdir(), "bench-build-"));
  try {
    await manySteps(contenders, dir);
    await parallelStages(contenders, dir);
    await identical(contenders, dir);
    await contexts(contenders, dir);
    const [daemon = 0] = gantry.daemonPids();
    const memory = `${Math.round(residentKiB(daemon) / 1024)} MiB resident, ${Math.round(proportionalKiB(daemon) / 1024)} PSS`;
    add({ what: "gantryd after all of it", gantry: memory, peer: "–", ratio: "–", budget: "–", met: true });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
