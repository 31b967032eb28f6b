// The contenders: gantryd (the bundle) and a dockerd, each in a network namespace of its own from which nothing leaves the
// machine, with data directories of their own.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Api } from "./api.ts";

export interface EngineUnderTest {
  readonly name: "gantry" | "dockerd";
  readonly version: string;
  readonly api: Api;
  /** Pids of the daemon itself and of what it needs while idle (dockerd: containerd as well). */
  daemonPids(): number[];
  /** SIGKILL to the daemon, a new one; resolves with the ms from its spawn to the first answer. */
  killAndRestart(): Promise<number>;
  stop(): Promise<void>;
}

const root = join(import.meta.dirname, "..");
export const busyboxArchive = join(root, "dist/images/busybox.tar");

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

function makeNamespace(name: string): void {
  ip("netns", "add", name);
  ip("-n", name, "link", "set", "lo", "up");
  // A packet for a container that is gone must not leave the machine.
  for (const range of ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]) {
    ip("-n", name, "route", "add", "unreachable", range, "metric", "4096");
  }
}

async function answers(api: Api, deadlineMs: number): Promise<void> {
  const started = performance.now();
  for (;;) {
    try {
      await api.text("GET", "/_ping");
      return;
    } catch (error) {
      if (performance.now() - started > deadlineMs) throw error;
      await sleep(2);
    }
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

interface Plan {
  readonly name: EngineUnderTest["name"];
  readonly argv: (dir: string, socket: string) => readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

async function startEngine(plan: Plan): Promise<EngineUnderTest> {
  const dir = mkdtempSync(join(tmpdir(), `bench-${plan.name}-`));
  const namespace = `bench-${plan.name}-${process.pid}`;
  const socket = join(dir, "engine.sock");
  makeNamespace(namespace);
  const log = openSync(join(dir, "log"), "a");
  const launch = (): ChildProcess =>
    spawn("nsenter", [`--net=/run/netns/${namespace}`, ...plan.argv(dir, socket)], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...plan.environment },
      detached: true,
    });
  let child = launch();
  const api = new Api(socket);
  try {
    await answers(api, 30_000);
  } catch (error) {
    throw new Error(`${plan.name} does not answer:\n${readFileSync(join(dir, "log"), "utf8").slice(-2000)}`, {
      cause: error,
    });
  }
  const { Version } = await api.json<{ Version: string }>("GET", "/version");
  await api.text("POST", "/images/load?quiet=1", undefined, createReadStream(busyboxArchive));
  const stopProcess = async (signal: NodeJS.Signals): Promise<void> => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  };
  return {
    name: plan.name,
    version: Version,
    api,
    daemonPids() {
      const pid = child.pid ?? 0;
      return [pid, ...childrenOf(pid)];
    },
    async killAndRestart() {
      await stopProcess("SIGKILL");
      // dockerd leaves its containerd behind; the next one adopts it.
      const started = performance.now();
      child = launch();
      await answers(api, 120_000);
      return performance.now() - started;
    },
    async stop() {
      const ids = await api.json<{ Id: string }[]>("GET", "/containers/json?all=1");
      for (const { Id } of ids) await api.text("DELETE", `/containers/${Id}?force=1`);
      const rest = childrenOf(child.pid ?? 0);
      await stopProcess("SIGTERM");
      for (const pid of rest) {
        try {
          process.kill(pid, "SIGTERM");
        } catch {
          // It went with its parent.
        }
      }
      api.close();
      await sleep(500);
      ip("netns", "del", namespace);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function startGantry(): Promise<EngineUnderTest> {
  return startEngine({
    name: "gantry",
    environment: {},
    argv: (dir, socket) => [
      join(root, "bin/gantryd"),
      `--data-root=${dir}/data`,
      `--exec-root=${dir}/exec`,
      `--pidfile=${dir}/pid`,
      `--cgroup-parent=/gantry-bench-${process.pid}`,
      `--host=unix://${socket}`,
    ],
  });
}

/** @param binary dockerd; its directory is put first on PATH, for containerd and docker-init beside it */
export function startDockerd(binary: string): Promise<EngineUnderTest> {
  return startEngine({
    name: "dockerd",
    environment: { PATH: `${dirname(binary)}:${process.env["PATH"] ?? ""}` },
    argv: (dir, socket) => [
      binary,
      `--data-root=${dir}/data`,
      `--exec-root=${dir}/exec`,
      `--pidfile=${dir}/pid`,
      `--host=unix://${socket}`,
      "--live-restore",
      "--feature=containerd-snapshotter=false",
    ],
  });
}

/** The dockerd to compare with: $DOCKERD, or the one on PATH; undefined when there is none. */
export function findDockerd(): string | undefined {
  const named = process.env["DOCKERD"];
  if (named !== undefined) return named;
  for (const dir of (process.env["PATH"] ?? "").split(":")) {
    if (existsSync(join(dir, "dockerd"))) return join(dir, "dockerd");
  }
  return undefined;
}

/** A root file system of busybox for bare runtime runs; the caller removes `dir`. */
export function makeBundle(dir: string): void {
  const rootfs = join(dir, "rootfs");
  mkdirSync(join(rootfs, "bin"), { recursive: true });
  execFileSync("cp", ["/bin/busybox", join(rootfs, "bin/busybox")]);
  execFileSync("ln", ["-s", "busybox", join(rootfs, "bin/true")]);
  execFileSync("crun", ["spec"], { cwd: dir });
}
