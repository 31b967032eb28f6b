// Binds, Mounts and Tmpfs of HostConfig, parsed once into a plan of mounts: what goes where, in which order, and which
// host paths must exist first. Texts as dockerd 28.5 gives them. Source: Engine API 1.51, HostConfig.{Binds,Mounts,Tmpfs}.

import { posix } from "node:path";
import type { HostConfig, Mount } from "../../spec/docker/container.ts";
import type { OciMount } from "../../spec/oci/runtime.ts";
import { parseTmpfsOptions, renderTmpfsSize } from "./tmpfs-options.ts";

/** A mount that the client asked for. */
export interface PlannedMount {
  readonly kind: "bind" | "tmpfs";
  readonly origin: "Binds" | "Mounts" | "Tmpfs";
  /** Clean absolute path in the container. */
  readonly destination: string;
  /** Clean absolute host path of a bind; "" for tmpfs. */
  readonly source: string;
  readonly readOnly: boolean;
  /** "" where the client named none: rprivate. */
  readonly propagation: string;
  /** Mode as inspect shows it: the part of a bind after the second colon. */
  readonly mode: string;
  /** A missing source is made as a directory; otherwise it is an error. */
  readonly createSource: boolean;
  readonly oci: OciMount;
}

export interface MountPlan {
  /** Outer mounts before the ones inside them; otherwise in the order asked for. */
  readonly mounts: readonly PlannedMount[];
  /** In dockerd's words. */
  readonly errors: readonly string[];
  /** Asked for, valid, and not built yet: field names. */
  readonly unsupported: readonly string[];
}

/** A host path that a container needs; what to do with it is the caller's effect. */
export interface HostPath {
  readonly path: string;
  /** true: make a directory where nothing is (Binds). false: "bind source path does not exist: <path>" (Mounts). */
  readonly create: boolean;
}

const propagations: ReadonlySet<string> = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);
const consistencies: ReadonlySet<string> = new Set(["consistent", "cached", "delegated", "default"]);

/** Files that lxcfs provides. */
const replaceableInProc: ReadonlySet<string> = new Set(
  ["cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime"].map((name) => `/proc/${name}`),
);

class MountError extends Error {}

/** Absolute, without ".", ".." and repeated or trailing slashes. */
function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}

function checkDestination(path: string): string {
  if (path.includes("\0")) throw new MountError("invalid specification: destination contains a NUL byte");
  if (!path.startsWith("/")) throw new MountError(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = cleanPath(path);
  if (clean === "/") throw new MountError("invalid specification: destination can't be '/'");
  // What is mounted over /proc hides the masked and read-only paths (CVE-2019-19921, CVE-2023-27561).
  if ((clean === "/proc" || clean.startsWith("/proc/")) && !replaceableInProc.has(clean)) {
    throw new MountError(`${JSON.stringify(clean)} cannot be mounted because it is inside /proc`);
  }
  return clean;
}

function checkSource(path: string): string {
  if (path.includes("\0")) throw new MountError("invalid specification: source contains a NUL byte");
  if (!path.startsWith("/")) throw new MountError(`invalid mount path: '${path}' mount path must be absolute`);
  return cleanPath(path);
}

/** The mode of a bind, "ro,rslave": each kind of word at most once. */
function parseBindMode(mode: string): {
  readonly readOnly: boolean;
  readonly propagation: string;
  readonly words: readonly string[];
} {
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

function bindOptions(recursive: boolean, readOnly: "no" | "top" | "all", propagation: string): readonly string[] {
  const options = [recursive ? "rbind" : "bind"];
  if (readOnly !== "no") options.push(readOnly === "all" ? "rro" : "ro");
  options.push(propagation || "rprivate");
  return options;
}

function parseBind(text: string, recursiveReadOnly: boolean): PlannedMount | "volume" {
  const invalid = `invalid volume specification: '${text}'`;
  const parts = text.split(":");
  // A bare path is an anonymous volume.
  if (parts.length === 1 && text.startsWith("/")) return "volume";
  const [source = "", destination = "", mode = ""] = parts;
  if (parts.length < 2 || parts.length > 3 || source === "" || destination === "") throw new MountError(invalid);
  const { readOnly, propagation, words } = parseBindMode(mode);
  if (!source.startsWith("/")) {
    if (source.length < 2) {
      throw new MountError(
        `create ${source}: volume name is too short, names should be at least two alphanumeric characters`,
      );
    }
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(source)) {
      throw new MountError(
        `create ${source}: ${JSON.stringify(source)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      );
    }
    return "volume";
  }
  const within = (reason: string): string => `${invalid}: invalid mount config for type "bind": ${reason}`;
  if (words.includes("nocopy")) throw new MountError(within("field VolumeOptions must not be specified"));
  try {
    const target = checkDestination(destination);
    const from = checkSource(source);
    return {
      kind: "bind",
      origin: "Binds",
      destination: target,
      source: from,
      readOnly,
      propagation,
      mode,
      createSource: true,
      oci: {
        destination: target,
        type: "bind",
        source: from,
        options: bindOptions(true, readOnly ? (recursiveReadOnly ? "all" : "top") : "no", propagation),
      },
    };
  } catch (error) {
    if (error instanceof MountError) throw new MountError(within(error.message));
    throw error;
  }
}

function parseBindMount(mount: Mount, recursiveReadOnly: boolean): PlannedMount {
  const { BindOptions: options = {}, Target: target = "", Source: source = "" } = mount;
  const readOnly = mount.ReadOnly === true;
  if (target === "") throw new MountError("field Target must not be empty");
  const destination = checkDestination(target);
  if (source === "") throw new MountError("field Source must not be empty");
  const from = checkSource(source);
  const propagation = options.Propagation ?? "";
  if (propagation !== "" && !propagations.has(propagation))
    throw new MountError(`invalid propagation mode: ${propagation}`);
  const top = options.ReadOnlyNonRecursive === true;
  const force = options.ReadOnlyForceRecursive === true;
  const conflict = (fields: string): MountError => new MountError(`mount options conflict: ${fields}`);
  if (top && !readOnly) throw conflict("!ReadOnly && BindOptions.ReadOnlyNonRecursive");
  if (force && !readOnly) throw conflict("!ReadOnly && BindOptions.ReadOnlyForceRecursive");
  if (top && force) throw conflict("ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive");
  if (force && !recursiveReadOnly) throw new MountError("recursive read-only mounts need kernel 5.12 or newer");
  const recursive = options.NonRecursive !== true;
  return {
    kind: "bind",
    origin: "Mounts",
    destination,
    source: from,
    readOnly,
    propagation,
    mode: "",
    createSource: options.CreateMountpoint === true,
    oci: {
      destination,
      type: "bind",
      source: from,
      options: bindOptions(recursive, readOnly ? (!top && recursiveReadOnly ? "all" : "top") : "no", propagation),
    },
  };
}

function parseTmpfsMount(mount: Mount): PlannedMount {
  const { TmpfsOptions: options = {}, Target: target = "", Source: source = "" } = mount;
  if (target === "") throw new MountError("field Target must not be empty");
  const destination = checkDestination(target);
  if (source !== "") throw new MountError("field Source must not be specified");
  const extra: string[] = [];
  for (const pair of options.Options ?? []) {
    const [name = "", value] = pair;
    if (pair.length === 0 || pair.length > 2) throw new MountError("invalid option array length");
    if (name !== "exec" && name !== "noexec") throw new MountError(`invalid option: ${name}`);
    if (value !== undefined) throw new MountError(`invalid tmpfs option ${JSON.stringify(name)}`);
    extra.push(name);
  }
  if (mount.ReadOnly === true) extra.push("ro");
  const mode = options.Mode ?? 0;
  if (!Number.isSafeInteger(mode) || mode < 0 || mode > 0o7777) throw new MountError("invalid tmpfs mode");
  if (mode !== 0) extra.push(`mode=${mode.toString(8)}`);
  const size = options.SizeBytes ?? 0;
  if (!Number.isSafeInteger(size) || size < 0) throw new MountError("invalid tmpfs size");
  if (size !== 0) extra.push(renderTmpfsSize(size));
  return planTmpfs("Mounts", destination, extra, mount.ReadOnly === true);
}

function planTmpfs(
  origin: "Mounts" | "Tmpfs",
  destination: string,
  words: readonly string[],
  readOnly: boolean,
): PlannedMount {
  const { options, errors } = parseTmpfsOptions(words);
  if (errors[0] !== undefined) throw new MountError(errors[0]);
  return {
    kind: "tmpfs",
    origin,
    destination,
    source: "",
    readOnly,
    propagation: "",
    mode: words.join(","),
    createSource: false,
    oci: { destination, type: "tmpfs", source: "tmpfs", options },
  };
}

const typeOptions = [
  ["BindOptions", "bind"],
  ["VolumeOptions", "volume"],
  ["ImageOptions", "image"],
  ["TmpfsOptions", "tmpfs"],
] as const;

function parseMount(mount: Mount, recursiveReadOnly: boolean): PlannedMount | "unsupported" {
  const type = mount.Type ?? "";
  const invalid = (reason: string): MountError =>
    new MountError(`invalid mount config for type ${JSON.stringify(type)}: ${reason}`);
  if (!["bind", "volume", "image", "tmpfs"].includes(type)) throw invalid("mount type unknown");
  for (const [field, owner] of typeOptions) {
    if (owner !== type && mount[field] !== undefined && mount[field] !== null) {
      throw new MountError(`${field} must not be specified on mount type ${JSON.stringify(type)}`);
    }
  }
  if (type === "volume" || type === "image") return "unsupported";
  try {
    return type === "bind" ? parseBindMount(mount, recursiveReadOnly) : parseTmpfsMount(mount);
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    throw error.message.startsWith("mount options conflict") ? error : invalid(error.message);
  }
}

/** Parents first; equal depth keeps the order given. */
function sortByDepth(mounts: readonly PlannedMount[]): readonly PlannedMount[] {
  const depth = (mount: PlannedMount): number => mount.destination.split("/").length;
  return mounts
    .map((mount, order) => ({ mount, order }))
    .sort((a, b) => depth(a.mount) - depth(b.mount) || a.order - b.order)
    .map(({ mount }) => mount);
}

/**
 * Works out every mount that HostConfig asks for. Never throws; what is wrong stands in `errors`.
 *
 * @param recursiveReadOnly the kernel knows mount_setattr (5.12): a read-only bind covers the mounts below it
 */
export function planMounts(hostConfig: HostConfig, recursiveReadOnly: boolean): MountPlan {
  const mounts: PlannedMount[] = [];
  const errors: string[] = [];
  const unsupported: string[] = [];
  const add = (plan: () => PlannedMount | undefined): void => {
    try {
      const mount = plan();
      if (mount === undefined) return;
      if (mounts.some((other) => other.destination === mount.destination)) {
        errors.push(`Duplicate mount point: ${mount.destination}`);
      } else mounts.push(mount);
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      errors.push(error.message);
    }
  };
  for (const text of hostConfig.Binds ?? []) {
    add(() => {
      const bind = parseBind(text, recursiveReadOnly);
      if (bind !== "volume") return bind;
      unsupported.push(`HostConfig.Binds with a volume (${JSON.stringify(text)})`);
      return undefined;
    });
  }
  for (const mount of hostConfig.Mounts ?? []) {
    add(() => {
      const planned = parseMount(mount, recursiveReadOnly);
      if (planned !== "unsupported") return planned;
      unsupported.push(`HostConfig.Mounts of type ${mount.Type ?? ""}`);
      return undefined;
    });
  }
  for (const [path, text] of Object.entries(hostConfig.Tmpfs ?? {})) {
    const words = text === "" ? [] : text.split(",");
    add(() => planTmpfs("Tmpfs", checkDestination(path), words, words.lastIndexOf("ro") > words.lastIndexOf("rw")));
  }
  return { mounts: sortByDepth(mounts), errors, unsupported };
}

/** The host paths that must exist before the container starts, in the order of the mounts. */
export function hostPathsOf(plan: MountPlan): readonly HostPath[] {
  return plan.mounts
    .filter((mount) => mount.kind === "bind")
    .map((mount) => ({ path: mount.source, create: mount.createSource }));
}
