// Load for the network benches, by net-load.c: built once per run, run in whichever network namespace it is to measure.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A namespace as nsenter(1) takes it: "/proc/123/ns/net", "/run/netns/x". */
export type NamespacePath = string;

export interface NetLoad extends Disposable {
  /** Resolves when it listens; it ends with `NetLoad`. */
  serve(where: NamespacePath, mode: "sink" | "accept" | "echo", port: number): Promise<void>;
  /** Bytes per second of one connection. */
  send(where: NamespacePath, host: string, port: number, ms: number): Promise<number>;
  /** Connections per second, one after the other. */
  connect(where: NamespacePath, host: string, port: number, ms: number): Promise<number>;
  /** Median of a datagram's way there and back, microseconds. */
  ping(where: NamespacePath, host: string, port: number, count: number): Promise<number>;
  /** A queries for the names in turn, `width` of them under way at any time. */
  lookup(
    where: NamespacePath,
    names: readonly string[],
    ms: number,
    width: number,
  ): Promise<{ readonly perSecond: number; readonly medianUs: number }>;
}

/** Where containers find their name server. */
const nameServer = "127.0.0.11";

/** @throws Error there is no C compiler */
export function buildNetLoad(): NetLoad {
  const dir = mkdtempSync(join(tmpdir(), "bench-net-load-"));
  const program = join(dir, "net-load");
  execFileSync("gcc", ["-O2", "-static", "-o", program, join(import.meta.dirname, "net-load.c")]);
  const servers: ChildProcess[] = [];

  function launch(where: NamespacePath, args: readonly (string | number)[]): ChildProcess {
    return spawn("nsenter", [`--net=${where}`, program, ...args.map(String)], { stdio: ["ignore", "pipe", "pipe"] });
  }

  async function measure(where: NamespacePath, args: readonly (string | number)[]): Promise<readonly number[]> {
    const child = launch(where, args);
    let out = "";
    let err = "";
    child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`net-load ${args.join(" ")}: ${err.trim() || `ended with ${code}`}`);
    return out.trim().split(" ").map(Number);
  }

  async function one(where: NamespacePath, args: readonly (string | number)[]): Promise<number> {
    const [value = Number.NaN] = await measure(where, args);
    return value;
  }

  return {
    async serve(where, mode, port) {
      const child = launch(where, [mode, port]);
      servers.push(child);
      const started = Promise.race([
        once(child.stdout ?? child, "data"),
        once(child, "close").then(() => Promise.reject(new Error(`net-load ${mode} ${port} does not listen`))),
      ]);
      await started;
    },
    send: (where, host, port, ms) => one(where, ["send", host, port, ms]),
    connect: (where, host, port, ms) => one(where, ["connect", host, port, ms]),
    ping: (where, host, port, count) => one(where, ["ping", host, port, count]),
    async lookup(where, names, ms, width) {
      const [perSecond = Number.NaN, medianUs = Number.NaN] = await measure(where, [
        "lookup",
        nameServer,
        53,
        ms,
        width,
        ...names,
      ]);
      return { perSecond, medianUs };
    },
    [Symbol.dispose]() {
      for (const server of servers) server.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
