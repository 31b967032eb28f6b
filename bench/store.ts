// Commit latency and throughput of the store against the smallest durable thing that could stand in for it: an append
// to a file and fdatasync, one record at a time. Usage: node bench/store.ts [DIRECTORY]; the file system matters.

import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../src/base/log.ts";
import { openStore } from "../src/engine/store/index.ts";

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), "gantry-bench-store-"));

function record(n: number): string {
  return JSON.stringify({ n, text: `${n}.`.repeat(4000 / (String(n).length + 1)) });
}

/** Milliseconds of each call, sorted, and calls per second over all. */
async function measure(callers: number, total: number, act: (n: number) => Promise<void>) {
  const latencies: number[] = [];
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < total) {
        const n = next++;
        const start = performance.now();
        await act(n);
        latencies.push(performance.now() - start);
      }
    }),
  );
  const perSecond = (total * 1000) / (performance.now() - begun);
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => Number(latencies[Math.floor(latencies.length * share)]?.toFixed(3));
  return { callers, p50Ms: at(0.5), p99Ms: at(0.99), perSecond: Math.round(perSecond) };
}

try {
  const rssBefore = process.memoryUsage.rss();
  const store = await openStore({ directory, logger: silentLogger, ballastBytes: 0 });
  const rssMiB = Math.round((process.memoryUsage.rss() - rssBefore) / (1 << 20));
  const journal = await open(join(directory, "journal"), "a");
  const append = async (n: number): Promise<void> => {
    await journal.write(record(n));
    await journal.datasync();
  };
  const commit = (n: number): Promise<void> =>
    store.commit([{ put: "containers", row: { id: `c${n % 200}`, name: `n${n % 200}`, doc: record(n) } }]);
  await measure(1, 100, commit);
  const one = await measure(1, 500, commit);
  const peer = await measure(1, 500, append);
  const many = await measure(32, 5000, commit);
  process.stdout.write(
    `${JSON.stringify({ one, peer, many, latencyRatio: Number((one.p50Ms / peer.p50Ms).toFixed(2)), rssMiB })}\n`,
  );
  await journal.close();
  await store.close();
} finally {
  rmSync(directory, { recursive: true });
}
