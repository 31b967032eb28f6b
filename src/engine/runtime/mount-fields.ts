// What the forms of a mount have in common: paths in the container and on the host, names of volumes, subpaths, the words of a
// mode. Texts as dockerd 28.5 gives them. Pure.

import { posix } from "node:path";

/** Something wrong with one mount; its message is for the client. */
export class MountError extends Error {}

const propagations: ReadonlySet<string> = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);
const consistencies: ReadonlySet<string> = new Set(["consistent", "cached", "delegated", "default"]);

/** Files that lxcfs provides. */
const replaceableInProc: ReadonlySet<string> = new Set(
  ["cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime"].map((name) => `/proc/${name}`),
);

/** NAME_MAX and PATH_MAX without its final NUL: the kernel takes no longer ones. */
const maxNameBytes = 255;
const maxPathBytes = 4095;

export function isPropagation(word: string): boolean {
  return propagations.has(word);
}

/** Absolute, without ".", ".." and repeated or trailing slashes. */
function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}

/** What is mounted over /proc hides the masked and read-only paths (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561). */
export function isInsideProc(clean: string): boolean {
  return (clean === "/proc" || clean.startsWith("/proc/")) && !replaceableInProc.has(clean);
}

function checkLength(path: string): void {
  const tooLong =
    Buffer.byteLength(path) > maxPathBytes || path.split("/").some((name) => Buffer.byteLength(name) > maxNameBytes);
  if (tooLong) throw new MountError(`invalid mount path: '${path.slice(0, 60)}…': file name too long`);
}

/** A path in the container, clean. @throws MountError */
export function parseDestination(path: string): string {
  if (path.includes("\0")) throw new MountError("invalid specification: destination contains a NUL byte");
  if (!path.startsWith("/")) throw new MountError(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = cleanPath(path);
  if (clean === "/") throw new MountError("invalid specification: destination can't be '/'");
  if (isInsideProc(clean)) {
    throw new MountError(`${JSON.stringify(clean)} cannot be mounted because it is inside /proc`);
  }
  checkLength(clean);
  return clean;
}

/** A path on the host, clean. @throws MountError */
export function parseSource(path: string): string {
  if (path.includes("\0")) throw new MountError("invalid specification: source contains a NUL byte");
  if (!path.startsWith("/")) throw new MountError(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = cleanPath(path);
  checkLength(clean);
  return clean;
}

/** Why a name is none of a local volume. */
export function volumeNameError(name: string): string | undefined {
  if (name === "" || /^[a-zA-Z0-9_.-]$/.test(name))
    return `create ${name}: volume name is too short, names should be at least two alphanumeric characters`;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    return `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
  return name.length > maxNameBytes ? `create ${name.slice(0, 60)}…: file name too long` : undefined;
}

/** A path inside of a volume or image, clean; "" for all of it. Links in it are the kernel's to resolve, inside. @throws MountError */
export function parseSubpath(path: string): string {
  if (path === "") return "";
  if (path.includes("\0")) throw new MountError("invalid specification: subpath contains a NUL byte");
  const clean = cleanPath(path);
  if (path.startsWith("/") || clean === ".." || clean.startsWith("../"))
    throw new MountError("subpath must be a relative path within the volume");
  checkLength(clean);
  return clean === "." || clean === "./" ? "" : clean;
}

export interface BindMode {
  readonly readOnly: boolean;
  /** "" where none is named. */
  readonly propagation: string;
  readonly words: readonly string[];
}

/** The mode of a bind, "ro,rslave": each kind of word at most once. @throws MountError "invalid mode: x" */
export function parseBindMode(mode: string): BindMode {
  const words = mode === "" ? [] : mode.split(",");
  const seen = new Set<string>();
  let readOnly = false;
  let propagation = "";
  for (const word of words) {
    let kind: string;
    if (word === "ro" || word === "rw") {
      kind = "access";
      readOnly = word === "ro";
    } else if (word === "z" || word === "Z") kind = "label";
    else if (word === "nocopy") kind = "copy";
    else if (propagations.has(word)) {
      kind = "propagation";
      propagation = word;
    } else if (consistencies.has(word)) kind = "consistency";
    else throw new MountError(`invalid mode: ${mode}`);
    if (seen.has(kind)) throw new MountError(`invalid mode: ${mode}`);
    seen.add(kind);
  }
  return { readOnly, propagation, words };
}

/** The words of a mode that ask for another label of SELinux. */
export function isRelabelled(words: readonly string[]): boolean {
  return words.some((word) => word === "z" || word === "Z");
}
