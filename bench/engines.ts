// The contenders: gantryd (the bundle) and a dockerd, each in a network namespace of its own from which nothing leaves the
// machine, with data directories of their own.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Api } from "./api.ts";
import { processes } from "./measure.ts";
import { makeSandbox } from "./sandbox.ts";

export interface EngineUnderTest {
  readonly name: "gantry" | "dockerd";
  readonly version: string;
  readonly api: Api;
  /** Network namespace; what the engine shall reach must be in it. */
  readonly namespace: string;
  /** Pids of the daemon itself and of what it needs while idle (dockerd: containerd as well). */
  daemonPids(): number[];
  /** SIGKILL to the daemon, a new one; resolves with the ms from its spawn to the first answer. */
  killAndRestart(): Promise<number>;
  stop(): Promise<void>;
}

const root = join(import.meta.dirname, "..");
export const busyboxArchive = join(root, "dist/images/busybox.tar");

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

/** A daemon and what it has started for itself or left behind for its successor; not the shims of containers. */
function daemonProcesses(daemon: number, dir: string): number[] {
  const all = processes();
  const found = new Set([daemon]);
  for (const { pid, command } of all) if (/^\S*containerd /.test(command) && command.includes(dir)) found.add(pid);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent, command } of all) {
      const isShim = /^\S*containerd-shim/.test(command) || /^gantry-shim [0-9a-f]{12}$/.test(command);
      if (isShim || !found.has(parent) || found.has(pid)) continue;
      found.add(pid);
      grown = true;
    }
  }
  return [...found];
}

interface Plan {
  readonly name: EngineUnderTest["name"];
  readonly argv: (dir: string, socket: string) => readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cgroupParent?: string;
}

async function startEngine(plan: Plan): Promise<EngineUnderTest> {
  const sandbox = makeSandbox(plan.name, plan.cgroupParent);
  const { dir, namespace } = sandbox;
  const socket = join(dir, "engine.sock");
  const log = openSync(join(dir, "log"), "a");
  const launch = (): ChildProcess =>
    spawn("nsenter", [`--net=/run/netns/${namespace}`, ...plan.argv(dir, socket)], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...plan.environment },
      detached: true,
    });
  let child = launch();
  const api = new Api(socket);
  let version: string;
  try {
    await answers(api, 30_000);
    version = (await api.json<{ Version: string }>("GET", "/version")).Version;
    await api.text("POST", "/images/load?quiet=1", undefined, createReadStream(busyboxArchive));
  } catch (error) {
    const text = readFileSync(join(dir, "log"), "utf8").slice(-2000);
    await sandbox.remove();
    throw new Error(`${plan.name} does not come up:\n${text}`, { cause: error });
  }
  const stopProcess = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  };
  return {
    name: plan.name,
    version,
    api,
    namespace,
    daemonPids: () => daemonProcesses(child.pid ?? 0, dir),
    async killAndRestart() {
      await stopProcess("SIGKILL");
      // dockerd leaves its containerd behind; the next one adopts it.
      const started = performance.now();
      child = launch();
      await answers(api, 120_000);
      return performance.now() - started;
    },
    async stop() {
      try {
        const ids = await api.json<{ Id: string }[]>("GET", "/containers/json?all=1");
        for (const { Id } of ids) await api.text("DELETE", `/containers/${Id}?force=1`);
        await stopProcess("SIGTERM");
      } catch (error) {
        process.stderr.write(`bench: ${plan.name}: ${error instanceof Error ? error.message : String(error)}\n`);
      }
      api.close();
      await sandbox.remove();
    },
  };
}

export function startGantry(): Promise<EngineUnderTest> {
  return startEngine({
    name: "gantry",
    environment: {},
    cgroupParent: `gantry-bench-${process.pid}`,
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
