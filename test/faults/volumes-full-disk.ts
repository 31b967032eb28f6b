// A daemon whose disk is full while volumes are filled, kept, restored, imported and copied into. Runs as root in a mount namespace of its own,
// which volumes-full-disk.test.ts makes. Usage: volumes-full-disk.ts WORKDIR BUNDLE; prints one JSON object.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";
import { file, tarOf } from "../support/tar.ts";

export interface FullDiskReport {
  /** Status and text of each while the disk was full, by name. */
  readonly full: Readonly<Record<string, string>>;
  /** What was left of each failure. */
  readonly left: readonly string[];
  /** Statuses of deletions without a free block. */
  readonly deleted: Readonly<Record<string, number>>;
  /** The same as `full` when there was space again. */
  readonly free: Readonly<Record<string, number>>;
  readonly findings: unknown;
}

const oneMiB = 1 << 20;
const contentBytes = 8 * oneMiB;
const [workdir = "", bundle = ""] = process.argv.slice(2);
const mountPoint = join(workdir, "mnt");
const disk = join(workdir, "disk.img");
const filler = join(mountPoint, "filler");

mkdirSync(mountPoint);
execFileSync("truncate", ["-s", "320M", disk]);
execFileSync("mkfs.ext4", ["-q", "-F", "-m", "0", disk]);
execFileSync("mount", ["-o", "loop", disk, mountPoint]);
// All that the daemon has is on that disk.
process.env["TMPDIR"] = mountPoint;

const large = Buffer.alloc(contentBytes, "a");
const archive = tarOf(file("large", large));

interface Operation {
  readonly run: (daemon: TestDaemon) => ReturnType<TestDaemon["api"]>;
  /** Makes room for the next one when it has succeeded. */
  readonly undo: readonly [method: string, path: string];
}

function create(name: string, binds: readonly string[]): Operation {
  const body = { Image: "large", Cmd: ["true"], HostConfig: { Binds: binds } };
  return {
    run: (daemon) => daemon.api("POST", `/containers/create?name=${name}`, body),
    undo: ["DELETE", `/containers/${name}?v=1`],
  };
}

function copy(container: string): Operation {
  return {
    run: (daemon) => daemon.api("PUT", `/containers/${container}/archive?path=/volume`, archive),
    undo: ["GET", `/containers/${container}/json`],
  };
}

const operations: Readonly<Record<string, Operation>> = {
  "fill a new volume": create("new", ["/data"]),
  "fill an empty volume": create("old", ["empty:/data"]),
  snapshot: {
    run: (daemon) => daemon.api("POST", "/volumes/kept/snapshots", { Name: "another" }),
    undo: ["DELETE", "/volumes/kept/snapshots/another"],
  },
  restore: {
    run: (daemon) => daemon.api("POST", "/volumes/kept/restore?snapshot=first&discard=1"),
    undo: ["GET", "/volumes/kept"],
  },
  import: {
    run: (daemon) => daemon.api("POST", "/volumes/import?name=imported", archive),
    undo: ["DELETE", "/volumes/imported"],
  },
  "cp into a running container": copy("running"),
  "cp into a stopped container": copy("stopped"),
};

const report = await withDaemon();
execFileSync("umount", [mountPoint]);
process.stdout.write(JSON.stringify(report satisfies FullDiskReport));

async function withDaemon(): Promise<FullDiskReport> {
  await using daemon = await startDaemon({ bundle });
  const ok = async (method: string, path: string, body?: unknown): Promise<void> => {
    const { status, text } = await daemon.api(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  };
  await importImage(daemon, "large", (root) => {
    mkdirSync(join(root, "data"));
    for (const name of ["one", "two"]) writeFileSync(join(root, "data", name), large.subarray(0, contentBytes / 2));
  });
  for (const name of ["kept", "empty", "running", "stopped", "spare"])
    await ok("POST", "/volumes/create", { Name: name });
  for (const name of ["running", "stopped"])
    await ok("POST", `/containers/create?name=${name}`, {
      Image: "busybox",
      Cmd: ["sleep", "100000"],
      StopSignal: "SIGKILL",
      HostConfig: { NetworkMode: "none", Binds: [`${name}:/volume`] },
    });
  await ok("POST", "/containers/running/start");
  writeFileSync(join(daemon.dataRoot, "volumes/kept/_data/large"), large);
  await ok("POST", "/volumes/kept/snapshots", { Name: "first" });

  const full: Record<string, string> = {};
  const left: string[] = [];
  const before = remains(daemon);
  for (const [name, { run }] of Object.entries(operations)) {
    fill(3);
    const blocks = statfsSync(mountPoint).bavail;
    const { status, text } = await run(daemon);
    full[name] = `${status} ${text}`;
    const after = remains(daemon);
    if (after !== before) left.push(`${name}: ${after}, was ${before}`);
    // Its own log and its journal grow.
    const lost = blocks - statfsSync(mountPoint).bavail;
    if (lost * statfsSync(mountPoint).bsize > oneMiB) left.push(`${name}: ${lost} blocks`);
  }
  fill(0);
  const deleted: Record<string, number> = {};
  for (const [method, path] of [
    ["DELETE", "/volumes/spare"],
    ["DELETE", "/containers/stopped"],
    ["DELETE", "/volumes/stopped"],
    ["DELETE", "/volumes/kept/snapshots/first"],
  ] as const)
    deleted[path] = (await daemon.api(method, path)).status;
  rmSync(filler);
  await ok("POST", "/containers/create?name=stopped", {
    Image: "busybox",
    Cmd: ["true"],
    HostConfig: { Binds: ["stopped:/volume"] },
  });
  await ok("POST", "/volumes/kept/snapshots", { Name: "first" });
  const free: Record<string, number> = {};
  for (const [name, { run, undo }] of Object.entries(operations)) {
    free[name] = (await run(daemon)).status;
    await ok(...undo);
  }
  return { full, left, deleted, free, findings: (await daemon.api("GET", "/gantry/check")).json };
}

/** What is there of volumes and containers, as a text. */
function remains({ dataRoot }: TestDaemon): string {
  const volumes = join(dataRoot, "volumes");
  const inVolumes = readdirSync(volumes)
    .toSorted()
    .map((name) => {
      const snapshots = join(volumes, name, "snapshots");
      return [name, readdirSync(join(volumes, name)), readdirSync(join(volumes, name, "_data")), listing(snapshots)];
    });
  return JSON.stringify([inVolumes, listing(join(dataRoot, "containers")), listing(join(dataRoot, "snapshots"))]);
}

function listing(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch {
    return [];
  }
}

/** Takes the disk but for so many MiB. */
function fill(freeMiB: number): void {
  rmSync(filler, { force: true });
  const { bavail, bsize } = statfsSync(mountPoint);
  const bytes = bavail * bsize - freeMiB * oneMiB;
  // What describes the file needs some blocks as well: without any to spare it says no, and has taken them all.
  const { status } = spawnSync("fallocate", ["-l", String(bytes), filler]);
  if (freeMiB > 0 && status !== 0) throw new Error("fallocate failed");
  if (freeMiB === 0 && statfsSync(mountPoint).bavail * bsize > oneMiB) throw new Error("the disk is not full");
}
