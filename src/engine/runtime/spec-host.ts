// What a spec needs to know of the host at the moment it is built: device nodes, the propagation of mounts and the
// engine's own capabilities. The only part of the spec builder that reads the host; tests hand in their own.

import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../base/errors.ts";
import { parseCapabilityMask } from "./capabilities.ts";
import { parseProcessLimits } from "./rlimits.ts";
import type { Rlimits } from "./rlimits.ts";

/** A device node of the host. `mode` holds the permission bits only. */
export interface HostDevice {
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The mount that holds a path. Source: proc_pid_mountinfo(5), optional fields. */
export interface MountPropagation {
  readonly mountPoint: string;
  readonly shared: boolean;
  readonly slave: boolean;
}

export interface SpecHost {
  /** Capabilities that the engine can hand on. */
  readonly capabilities: readonly string[];
  /** The engine's own hard limits, which its children inherit. */
  readonly rlimits: Rlimits;
  /** The device at a path (symbolic links followed), "missing", or "other" for anything else. */
  deviceAt(path: string): HostDevice | "missing" | "other";
  /** Device nodes below a directory, links not followed; an unreadable directory counts as empty. */
  devicesUnder(directory: string): readonly HostDevice[];
  propagationOf(path: string): MountPropagation;
  /** Symbolic links followed; false where nothing is, or nothing that can be looked at. */
  isDirectory(path: string): boolean;
  /** A small text file of /proc or /sys; undefined when it cannot be read. */
  readText(path: string): string | undefined;
}

/** Directories of /dev that a container gets anew instead of the host's nodes. */
const ownDirectories: ReadonlySet<string> = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);

/** dev_t as the kernel hands it to user space (glibc's gnu_dev_major and gnu_dev_minor). */
function splitDeviceNumber(rdev: number): { readonly major: number; readonly minor: number } {
  const n = BigInt(rdev);
  const major = ((n >> 8n) & 0xfffn) | ((n >> 32n) & ~0xfffn);
  const minor = (n & 0xffn) | ((n >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}

function deviceOf(path: string, stat: ReturnType<typeof lstatSync>): HostDevice | undefined {
  if (stat === undefined || (!stat.isCharacterDevice() && !stat.isBlockDevice())) return undefined;
  return {
    path,
    type: stat.isBlockDevice() ? "b" : "c",
    ...splitDeviceNumber(Number(stat.rdev)),
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
  };
}

function deviceAt(path: string): HostDevice | "missing" | "other" {
  try {
    return deviceOf(path, statSync(path)) ?? "other";
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return "missing";
  }
}

function devicesUnder(directory: string, depth = 0): readonly HostDevice[] {
  if (depth > 8) return [];
  const found: HostDevice[] = [];
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (!ownDirectories.has(entry.name)) found.push(...devicesUnder(path, depth + 1));
      continue;
    }
    if (entry.name === "console" || (!entry.isCharacterDevice() && !entry.isBlockDevice())) continue;
    const device = deviceOf(path, lstatSync(path, { throwIfNoEntry: false }));
    if (device !== undefined) found.push(device);
  }
  return found;
}

/** Parses /proc/self/mountinfo for the innermost mount at or above `path`; the last of those mounted there wins. */
export function parsePropagation(mountInfo: string, path: string): MountPropagation {
  let best: MountPropagation = { mountPoint: "/", shared: false, slave: false };
  for (const line of mountInfo.split("\n")) {
    const fields = line.split(" ");
    const mountPoint = fields[4]?.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (mountPoint === undefined || mountPoint.length < best.mountPoint.length) continue;
    if (mountPoint !== "/" && path !== mountPoint && !path.startsWith(`${mountPoint}/`)) continue;
    const optional = fields.slice(6, fields.indexOf("-", 6));
    best = {
      mountPoint,
      shared: optional.some((field) => field.startsWith("shared:")),
      slave: optional.some((field) => field.startsWith("master:")),
    };
  }
  return best;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** The running host. Reads /proc/self/status and limits once, everything else when asked. */
export function createSpecHost(): SpecHost {
  const status = readFileSync("/proc/self/status", "utf8");
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return {
    capabilities: parseCapabilityMask(mask),
    rlimits: parseProcessLimits(readFileSync("/proc/self/limits", "utf8")),
    deviceAt,
    devicesUnder,
    readText,
    isDirectory,
    propagationOf: (path) => parsePropagation(readFileSync("/proc/self/mountinfo", "utf8"), path),
  };
}
