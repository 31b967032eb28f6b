// What plugins answer, read with care: every member has its type, every path and name is one that can be used. Members are
// found in any case, as dockerd finds them. Source: docs.docker.com, "Docker volume plugins".

import { isAbsolute } from "node:path";
import { EngineError } from "../../base/errors.ts";
import type { DriverVolume } from "../volumes/index.ts";

const maxStatusDepth = 20;
const maxPathBytes = 4095;

function bad(method: string, what: string): EngineError {
  return new EngineError("System", `${method}: the plugin's answer cannot be used: ${what}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member by its name, exact before any case; undefined where there is none, or null. */
export function readMember(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined;
  const key = Object.hasOwn(value, name)
    ? name
    : Object.keys(value).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : (value[key] ?? undefined);
}

function readString(method: string, value: unknown, name: string): string {
  const text = readMember(value, name) ?? "";
  if (typeof text !== "string") throw bad(method, `${name} is no string`);
  return text;
}

/**
 * What the plugin says no with, "" where it does not.
 *
 * @throws System the answer is no object, Err no string
 */
export function readErr(method: string, answer: unknown): string {
  if (!isObject(answer)) throw bad(method, "it is no object");
  return readString(method, answer, "Err").slice(0, 1000);
}

/** Interfaces that the plugin implements. @throws System */
export function parseManifest(answer: unknown): readonly string[] {
  const method = "Plugin.Activate";
  if (!isObject(answer)) throw bad(method, "it is no object");
  const list = readMember(answer, "Implements") ?? [];
  if (!Array.isArray(list) || !list.every((entry): entry is string => typeof entry === "string"))
    throw bad(method, "Implements is no list of strings");
  return list;
}

/** Scope of the driver's volumes; undefined where it says neither. @throws System */
export function parseScope(answer: unknown): "local" | "global" | undefined {
  const method = "VolumeDriver.Capabilities";
  const scope = readString(method, readMember(answer, "Capabilities"), "Scope").toLowerCase();
  return scope === "local" || scope === "global" ? scope : undefined;
}

/**
 * A mountpoint: "" where it says none.
 *
 * @throws System not absolute, "/", with "..", too long
 */
export function parseMountpoint(method: string, value: unknown): string {
  const path = readString(method, value, "Mountpoint");
  if (path === "") return "";
  const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
  if (!isAbsolute(path)) throw bad(method, `the mountpoint ${shown} is no absolute path`);
  if (path.includes("\0") || Buffer.byteLength(path) > maxPathBytes)
    throw bad(method, `the mountpoint ${shown} is no path`);
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0) throw bad(method, "the mountpoint is the root of the host");
  if (parts.includes("..")) throw bad(method, `the mountpoint ${shown} has ".." in it`);
  return `/${parts.join("/")}`;
}

/** A plugin may have names with slashes in them ("pool/volume"), but none that would lead somewhere as a path. */
function isVolumeName(name: string): boolean {
  if (name === "" || Buffer.byteLength(name) > 255 || /\p{Cc}/u.test(name)) return false;
  return name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** One volume of Get or List. @throws System naming what cannot be used */
export function parseVolume(method: string, value: unknown): DriverVolume {
  if (!isObject(value)) throw bad(method, "a volume is no object");
  const name = readString(method, value, "Name");
  if (!isVolumeName(name)) throw bad(method, `${JSON.stringify(name.slice(0, 200))} is no name for a volume`);
  const createdAt = readString(method, value, "CreatedAt");
  if (createdAt !== "" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(createdAt))
    throw bad(method, `${JSON.stringify(createdAt.slice(0, 100))} is no time of RFC 3339`);
  const status = readMember(value, "Status");
  if (status !== undefined && !isObject(status)) throw bad(method, "Status is no object");
  if (!isShallow(status, maxStatusDepth)) throw bad(method, `Status is nested more than ${maxStatusDepth} deep`);
  return {
    name,
    mountpoint: parseMountpoint(method, value),
    ...(createdAt === "" ? {} : { createdAt }),
    ...(status === undefined ? {} : { status }),
  };
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((member) => isShallow(member, depth - 1));
}
