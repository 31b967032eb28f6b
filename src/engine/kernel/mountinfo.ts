// The mount table of a process. Source: proc_pid_mountinfo(5).

import { readFileSync } from "node:fs";
import { EngineError } from "../../base/errors.ts";

export interface Mount {
  readonly id: number;
  readonly parentId: number;
  /** "major:minor" */
  readonly device: string;
  /** The directory of the file system that is mounted: "/" unless a bind mount or a namespace. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** Propagation: "shared:1", "master:2", "propagate_from:3", "unbindable"; empty for a private mount. */
  readonly propagation: readonly string[];
  readonly fsType: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/**
 * @param text the content of /proc/<pid>/mountinfo, in the kernel's order: parents first
 * @throws InvalidParameter a line is not one of a mountinfo
 */
export function parseMountinfo(text: string): readonly Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map(parseLine);
}

/** @param pid whose mount namespace; this process's own without it */
export function readMounts(pid: number | "self" = "self"): readonly Mount[] {
  return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
}

/** The mounts at `directory` or below it, top-most last, as they have to be unmounted in reverse. */
export function mountsUnder(mounts: readonly Mount[], directory: string): readonly Mount[] {
  const base = directory.replace(/\/+$/, "");
  return mounts.filter((mount) => mount.mountPoint === (base || "/") || mount.mountPoint.startsWith(`${base}/`));
}

function parseLine(line: string): Mount {
  const fields = line.split(" ");
  const separator = fields.indexOf("-", 6);
  const [id, parentId, device, root, mountPoint, options] = fields;
  const [fsType, source, superOptions] = separator < 0 ? [] : fields.slice(separator + 1);
  if (
    id === undefined ||
    parentId === undefined ||
    device === undefined ||
    root === undefined ||
    mountPoint === undefined ||
    options === undefined ||
    fsType === undefined ||
    source === undefined ||
    superOptions === undefined
  ) {
    throw new EngineError("InvalidParameter", `not a line of mountinfo: ${JSON.stringify(line.slice(0, 200))}`);
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    device,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options: options.split(","),
    propagation: fields.slice(6, separator),
    fsType,
    source: unescapeOctal(source),
    superOptions: superOptions.split(",").map(unescapeOctal),
  };
}

/** The kernel writes space, tab, newline, backslash and # as \ooo; other bytes stand for themselves. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
