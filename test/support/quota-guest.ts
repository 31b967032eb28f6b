// Runs in a virtual machine whose kernel has project quotas, as one process because starting one is slow there: limits directories
// of file systems, then starts the shipped daemon with its data on the last, and prints what happened as `fact=value`. The asserts are in
// quota.test.ts.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statfsSync, writeSync } from "node:fs";
import { request } from "node:http";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, messageOf } from "../../src/base/errors.ts";
import { createProjectQuotas } from "../../src/engine/kernel/project-quota.ts";

const socketPath = "/run/gantry/gantry.sock";
const mebibyte = 1 << 20;

function fact(name: string, value: string | number): void {
  process.stdout.write(`${name}=${String(value).trim().replaceAll("\n", " ")}\n`);
}

/** Node has no name for the one that quotas give. */
function nameOf(error: unknown): string {
  const code = errnoOf(error) ?? "?";
  return code === "UNKNOWN" && (error as { readonly errno?: number }).errno === -constants.errno.EDQUOT
    ? "EDQUOT"
    : code;
}

/**
 * Writes until it is refused, 32 MiB at most, as somebody who is not root: to root ext4 does not hold the limit.
 *
 * @returns MiB, and why it ended
 */
function fill(file: string): string {
  const fd = openSync(file, "w");
  const block = Buffer.alloc(mebibyte / 2);
  let bytes = 0;
  process.seteuid?.(1000);
  try {
    while (bytes < 32 * mebibyte) bytes += writeSync(fd, block);
    return "32 end";
  } catch (error) {
    return `${Math.round(bytes / mebibyte)} ${nameOf(error)}`;
  } finally {
    process.seteuid?.(0);
    closeSync(fd);
  }
}

function rename(from: string, to: string): string {
  try {
    renameSync(from, to);
    return "moved";
  } catch (error) {
    return errnoOf(error) ?? "?";
  }
}

async function limitDirectories(name: string, top: string): Promise<void> {
  const quotas = createProjectQuotas("/gantry/shim/build/gantry-copy");
  const directory = (each: string): string => {
    const path = join(top, each);
    mkdirSync(path);
    return path;
  };
  fact(`${name}_state`, (await quotas.unsupported(top)) ?? "ok");
  const [a, b, plain] = [directory("a"), directory("b"), directory("plain")];
  await quotas.limit(a, 8 * mebibyte);
  await quotas.limit(b, 8 * mebibyte);
  mkdirSync(join(a, "deep"));
  fact(`${name}_first`, fill(join(a, "deep/file")));
  // Ids differ: the first is full.
  fact(`${name}_second`, fill(join(b, "file")));
  const { blocks, bsize } = statfsSync(a);
  fact(`${name}_size`, (blocks * bsize) / mebibyte);
  fact(`${name}_plain`, fill(join(plain, "file")));
  // Another daemon finds the id on the directory.
  await createProjectQuotas("/gantry/shim/build/gantry-copy").limit(a, 12 * mebibyte);
  fact(`${name}_raised`, fill(join(a, "more")));
  rmSync(join(a, "more"));
  rmSync(join(a, "deep/file"));
  const shared = directory("shared");
  mkdirSync(join(plain, "tree"));
  fact(`${name}_foreign`, rename(join(plain, "tree"), join(a, "tree")));
  await quotas.share(shared, a);
  mkdirSync(join(shared, "tree"));
  fact(`${name}_shared`, rename(join(shared, "tree"), join(a, "tree")));
  const alone = directory("alone");
  await quotas.share(alone, plain);
  mkdirSync(join(alone, "tree"));
  fact(`${name}_alone`, rename(join(alone, "tree"), join(plain, "alone")));
  fact(`${name}_full`, await quotas.limit(plain, mebibyte).then(() => "limited", messageOf));
  fact(`${name}_out`, rename(b, join(plain, "b")));
  await quotas.release(join(plain, "b"));
  await quotas.release(join(top, "missing"));
  fact(`${name}_released`, fill(join(plain, "b/file")));
  for (const each of ["a", "plain", "shared", "alone"]) rmSync(join(top, each), { recursive: true });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function call(method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json" };
    const sent = request({ socketPath, method, path: `/v1.51${path}`, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function must(method: string, path: string, body?: unknown): Promise<string> {
  const { status, text } = await call(method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  return text;
}

async function startDaemon(dataRoot: string): Promise<ChildProcess> {
  const log = openSync("/var/log/gantryd.log", "a");
  const roots = ["--data-root", dataRoot, "--bridge", "none", "--cgroup-parent", "/gantry-vm"];
  const child = spawn("gantryd", roots, { stdio: ["ignore", log, log] });
  for (let tries = 0; tries < 400; tries += 1) {
    if (child.exitCode !== null) throw new Error(`gantryd ended with ${child.exitCode}`);
    const answered = await call("GET", "/version").catch(() => undefined);
    if (answered?.status === 200) return child;
    await sleep(100);
  }
  throw new Error("gantryd does not answer");
}

/** Runs `script` in a container named so, to its end; the last line of what it printed. */
async function runContainer(name: string, script: string, hostConfig: object, image = "busybox"): Promise<string> {
  const settings = { NetworkMode: "none", ...hostConfig };
  const body = { Image: image, Cmd: ["sh", "-c", script], Tty: true, HostConfig: settings };
  await must("POST", `/containers/create?name=${name}`, body);
  return startContainer(name);
}

async function startContainer(name: string): Promise<string> {
  await must("POST", `/containers/${name}/start`);
  await must("POST", `/containers/${name}/wait`);
  return (await must("GET", `/containers/${name}/logs?stdout=1&tail=1`)).trim();
}

const fillRoot =
  "dd if=/dev/zero of=/big bs=1M count=40 2>/dev/null; wc -c </big; df -m / | tail -1 | awk '{print $2}'";
const lines = (script: string): string => `echo $(${script})`;
const small = { StorageOpt: { size: "16m" } };

async function limitContainers(dataRoot: string): Promise<void> {
  const daemon = await startDaemon(dataRoot);
  fact("written", await runContainer("limited", lines(fillRoot), small));
  fact("inspected", /"StorageOpt":\{[^}]*\}/.exec(await must("GET", "/containers/limited/json"))?.[0] ?? "");
  // What is copied up counts as well: the image's program is larger than what is left.
  const copyUp =
    "dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null; chmod 700 /bin/busybox && echo copied || echo refused";
  fact("copied", await runContainer("copied", copyUp, { StorageOpt: { size: "4m" } }));
  await must("POST", "/commit?container=limited&repo=committed");
  const more = lines("dd if=/dev/zero of=/more bs=1M count=20 2>/dev/null; wc -c </big; wc -c </more");
  fact("committed", await runContainer("child", more, {}, "committed"));
  await must("POST", "/volumes/create", { Name: "sized", DriverOpts: { size: "8m" } });
  const inVolume = "dd if=/dev/zero of=/v/big bs=1M count=40 2>/dev/null; wc -c </v/big";
  fact("in_volume", await runContainer("user", inVolume, { Binds: ["sized:/v"] }));
  const refused = { Image: "busybox", Cmd: ["true"], HostConfig: { StorageOpt: { size: "x", other: "1" } } };
  fact("refused", (await call("POST", "/containers/create", refused)).text);

  daemon.kill("SIGKILL");
  await once(daemon, "close");
  const second = await startDaemon(dataRoot);
  fact("restarted", await startContainer("limited"));
  for (const each of ["limited", "copied", "child", "user"]) await must("DELETE", `/containers/${each}?force=1&v=1`);
  const { status, text } = await call("DELETE", "/volumes/sized");
  fact("removed", `${status} ${text}`);
  second.kill("SIGTERM");
  await once(second, "close");
}

await limitDirectories("ext4", "/mnt/ext4");
await limitDirectories("xfs", "/mnt/xfs");
await limitContainers("/mnt/xfs/gantry");
