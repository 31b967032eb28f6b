// Power cuts under a process that writes to the store. Runs as root in a mount namespace of its own, which
// store-power-cut.test.ts makes (private propagation): nobody else sees the mount, so nobody keeps it busy, and when
// this program dies the kernel takes the mount and the loop device away. Nothing but the writers is started from here.
//
// The writer is stopped before the cut, and the cut waits until every thread of it stands (state T): the kernel may
// answer success to an fsync that is in flight while the file system is shut down, and such an answer proves nothing.
// Not modelled: a disk that loses or reorders what it has confirmed.
//
// Usage: store-power-cut.ts SCENARIO KIND CYCLES SEED WORKDIR SHUTDOWN-PROGRAM; prints one JSON object.

import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Logger, silentLogger } from "../../src/base/log.ts";
import { messageOf } from "../../src/base/errors.ts";
import { parseProcessStat } from "../../src/engine/kernel/process-identity.ts";
import { run } from "../../src/engine/kernel/run.ts";
import { openStore } from "../../src/engine/store/index.ts";
import {
  changesOf,
  type Counts,
  inspect,
  latest,
  seededRandom,
  sleep,
  startWriter,
  type WriterKind,
} from "./store-model.ts";

/** What happened, for the test to judge. */
export interface PowerCutReport {
  readonly acks: number;
  /** Of each cycle; a control ends at its first loss. */
  readonly findings: readonly { readonly lost: number; readonly torn: readonly string[] }[];
}

export interface IoErrorReport {
  readonly outcomes: readonly string[];
  readonly logged: readonly string[];
  readonly lost: number;
}

const [scenario = "", kind = "store", cycles = "0", seed = "0", workdir = "", shutdown = ""] = process.argv.slice(2);
const image = join(workdir, "disk.img");
const mountPoint = join(workdir, "mnt");
const directory = join(mountPoint, "data");

await run(["truncate", "-s", "64M", image]);
await run(["mkfs.ext4", "-q", "-F", image]);
mkdirSync(mountPoint);
const loop = (await run(["losetup", "--find", "--show", image])).trim();
// Held open and detached at once: the kernel frees it when this process ends, however it ends.
const held = openSync(loop, "r");
await run(["losetup", "--detach", loop]);
await mount();
const report = scenario === "io-error" ? await failUnderStore() : await cutPower(kind as WriterKind);
await run(["umount", mountPoint]);
closeSync(held);
process.stdout.write(`${JSON.stringify(report)}\n`);

function mount(): Promise<string> {
  return run(["mount", "-t", "ext4", loop, mountPoint]);
}

async function cutPower(kind: WriterKind): Promise<PowerCutReport> {
  const random = seededRandom(Number(seed));
  const findings: { lost: number; torn: readonly string[] }[] = [];
  let acknowledged: Counts = {};
  let acks = 0;
  for (let cycle = 0; cycle < Number(cycles); cycle++) {
    const writer = startWriter(kind, directory);
    await writer.firstAck;
    await sleep(random() * 150);
    await stop(writer.child.pid ?? 0);
    await run([shutdown, mountPoint]);
    writer.child.kill("SIGKILL");
    const result = await writer.acknowledged;
    acknowledged = latest(acknowledged, result.counts);
    acks += result.acks;
    await run(["umount", mountPoint]);
    await mount();
    findings.push(await look(acknowledged));
    if (kind !== "store" && findings.at(-1)?.lost !== 0) break;
  }
  return { acks, findings };
}

async function look(acknowledged: Counts): Promise<{ readonly lost: number; readonly torn: readonly string[] }> {
  try {
    const store = await openStore({ directory, logger: silentLogger, ballastBytes: 0 });
    try {
      return await inspect(store, acknowledged);
    } finally {
      await store.close();
    }
  } catch (error) {
    return { lost: Object.values(acknowledged).reduce((sum, n) => sum + n + 1, 0), torn: [messageOf(error)] };
  }
}

/** Stops a process and waits until each of its threads stands. */
async function stop(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  const states = (): readonly string[] =>
    readdirSync(`/proc/${pid}/task`).map(
      (thread) => parseProcessStat(readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")).state,
    );
  while (states().some((state) => state !== "T")) await sleep(1);
}

/** The disk fails while the store is open, and stays so. */
async function failUnderStore(): Promise<IoErrorReport> {
  const logged: string[] = [];
  const logger: Logger = { ...silentLogger, error: (message) => logged.push(message) };
  const store = await openStore({ directory, logger, ballastBytes: 0 });
  await store.commit(changesOf("a", 0));
  await run([shutdown, mountPoint]);
  const outcomes: string[] = [];
  for (let n = 1; n <= 3; n++) {
    outcomes.push(
      await store.commit(changesOf("a", n)).then(
        () => "done",
        (error: unknown) => String(error),
      ),
    );
  }
  const group = await Promise.allSettled(["b", "c"].map((caller) => store.commit(changesOf(caller, 0))));
  outcomes.push(...group.map((outcome) => (outcome.status === "fulfilled" ? "done" : String(outcome.reason))));
  await store.close().catch(() => {});
  await run(["umount", mountPoint]);
  await mount();
  return { outcomes, logged, lost: (await look({ a: 0 })).lost };
}
