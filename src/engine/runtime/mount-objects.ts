// HostConfig.Mounts: one object per mount, by type. Pure; texts of dockerd 28.5. Source: Engine API 1.51, Mount. Consistency is a hint
// that means nothing on Linux.

import type { Mount } from "../../spec/docker/container.ts";
import { isPropagation, MountError, parseDestination, parseSource, parseSubpath } from "./mount-fields.ts";
import type { PlannedBind, PlannedImage, PlannedMount, PlannedTmpfs, PlannedVolume } from "./planned-mount.ts";
import { parseTmpfsOptions, renderTmpfsSize } from "./tmpfs-options.ts";

const typeOptions = [
  ["BindOptions", "bind"],
  ["VolumeOptions", "volume"],
  ["TmpfsOptions", "tmpfs"],
] as const;

const parsers = { bind: parseBindMount, volume: parseVolumeMount, image: parseImageMount, tmpfs: parseTmpfsMount };

/** @param recursiveReadOnly as planMounts @throws MountError */
export function parseMount(mount: Mount, recursiveReadOnly: boolean): PlannedMount {
  const type = mount.Type ?? "";
  const invalid = (reason: string): MountError =>
    new MountError(`invalid mount config for type ${JSON.stringify(type)}: ${reason}`);
  if (!Object.hasOwn(parsers, type)) throw invalid("mount type unknown");
  for (const [field, owner] of typeOptions) {
    if (owner !== type && mount[field] !== undefined && mount[field] !== null) {
      throw new MountError(`${field} must not be specified on mount type ${JSON.stringify(type)}`);
    }
  }
  try {
    if ((mount.Target ?? "") === "") throw new MountError("field Target must not be empty");
    const destination = parseDestination(mount.Target ?? "");
    if (type !== "image" && mount.ImageOptions !== undefined && mount.ImageOptions !== null)
      throw new MountError("field ImageOptions must not be specified");
    return parsers[type as keyof typeof parsers](mount, destination, recursiveReadOnly);
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    throw error.message.startsWith("mount options conflict") ? error : invalid(error.message);
  }
}

function parseBindMount(mount: Mount, destination: string, recursiveReadOnly: boolean): PlannedBind {
  const options = mount.BindOptions ?? {};
  const readOnly = mount.ReadOnly === true;
  if ((mount.Source ?? "") === "") throw new MountError("field Source must not be empty");
  const source = parseSource(mount.Source ?? "");
  const propagation = options.Propagation ?? "";
  if (propagation !== "" && !isPropagation(propagation))
    throw new MountError(`invalid propagation mode: ${propagation}`);
  const top = options.ReadOnlyNonRecursive === true;
  const force = options.ReadOnlyForceRecursive === true;
  const conflict = (fields: string): MountError => new MountError(`mount options conflict: ${fields}`);
  if (top && !readOnly) throw conflict("!ReadOnly && BindOptions.ReadOnlyNonRecursive");
  if (force && !readOnly) throw conflict("!ReadOnly && BindOptions.ReadOnlyForceRecursive");
  if (top && force) throw conflict("ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive");
  // What is mounted below the source later would come in, and could be written to.
  if (force && propagation !== "" && !propagation.endsWith("private"))
    throw conflict(`BindOptions.ReadOnlyForceRecursive && BindOptions.Propagation ${propagation}`);
  if (force && !recursiveReadOnly) throw new MountError("recursive read-only mounts need kernel 5.12 or newer");
  return {
    kind: "bind",
    origin: "Mounts",
    destination,
    source,
    readOnly,
    mode: "",
    propagation,
    recursive: options.NonRecursive !== true,
    readOnlyDepth: top ? "top" : force ? "all" : "possible",
    createSource: options.CreateMountpoint === true,
  };
}

function parseVolumeMount(mount: Mount, destination: string): PlannedVolume {
  const options = mount.VolumeOptions ?? {};
  const name = mount.Source ?? "";
  const readOnly = mount.ReadOnly === true;
  if (name === "" && readOnly) throw new MountError("must not set ReadOnly mode when using anonymous volumes");
  const subpath = parseSubpath(options.Subpath ?? "");
  if (name === "" && (options.Subpath ?? "") !== "")
    throw new MountError("must not set Subpath when using anonymous volumes");
  return {
    kind: "volume",
    origin: "Mounts",
    destination,
    readOnly,
    mode: "",
    name,
    anonymous: name === "",
    driver: options.DriverConfig?.Name ?? "",
    options: options.DriverConfig?.Options ?? {},
    labels: options.Labels ?? {},
    copy: options.NoCopy !== true,
    subpath,
  };
}

function parseImageMount(mount: Mount, destination: string): PlannedImage {
  const image = mount.Source ?? "";
  if (image === "") throw new MountError("field Source must not be empty");
  const subpath = parseSubpath(mount.ImageOptions?.Subpath ?? "");
  return { kind: "image", origin: "Mounts", destination, readOnly: true, mode: "", image, imageId: "", subpath };
}

function parseTmpfsMount(mount: Mount, destination: string): PlannedTmpfs {
  const options = mount.TmpfsOptions ?? {};
  if ((mount.Source ?? "") !== "") throw new MountError("field Source must not be specified");
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

/** @param words options as in HostConfig.Tmpfs @throws MountError */
export function planTmpfs(
  origin: "Mounts" | "Tmpfs",
  destination: string,
  words: readonly string[],
  readOnly: boolean,
): PlannedTmpfs {
  const { options, errors } = parseTmpfsOptions(words);
  if (errors[0] !== undefined) throw new MountError(errors[0]);
  return { kind: "tmpfs", origin, destination, readOnly, mode: words.join(","), options };
}
