// While 4 GiB come in: how large the daemon gets, and how long other requests wait.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineUnderTest } from "../engines.ts";
import { add, ms } from "../report.ts";

const bigImage = "127.0.0.1:5001/big";

function peakKiB(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN);
}

/** The daemon's own process among what the engine runs. */
function daemonPid(engine: EngineUnderTest): number {
  return Math.min(...engine.daemonPids());
}

export async function whilePulling(gantry: EngineUnderTest): Promise<void> {
  const script = join(import.meta.dirname, "../big-registry.ts");
  const argv = [`--net=/run/netns/${gantry.namespace}`, process.execPath, script];
  const registry = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(registry.stdout, "data");
    const waits: number[] = [];
    const progress = { ended: false };
    const pull = gantry.api.text("POST", `/images/create?fromImage=${bigImage}&tag=latest`).finally(() => {
      progress.ended = true;
    });
    pull.catch(() => undefined);
    while (!progress.ended) {
      const begun = performance.now();
      await gantry.api.text("GET", "/containers/json?all=1");
      waits.push(performance.now() - begun);
      await sleep(10);
    }
    const text = await pull;
    if (text.includes('"errorDetail"')) throw new Error(`pull of 4 GiB: ${text.slice(-500)}`);
    const peakMiB = peakKiB(daemonPid(gantry)) / 1024;
    const longest = Math.max(...waits);
    add({
      what: "memory of the daemon while it pulls 4 GiB, at most",
      gantry: `${peakMiB.toFixed(0)} MiB`,
      peer: "–",
      ratio: "–",
      budget: "≤ 200 MiB",
      met: peakMiB <= 200,
    });
    add({
      what: `longest wait of ${waits.length} other requests meanwhile`,
      gantry: ms(longest),
      peer: "–",
      ratio: "–",
      budget: "≤ 50 ms",
      met: longest <= 50,
    });
    await gantry.api.text("DELETE", `/images/${bigImage}:latest`);
  } finally {
    registry.kill("SIGTERM");
  }
}
