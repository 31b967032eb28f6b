// --mount type=…,source=…,target=…, --volume and --tmpfs. Relative host paths are made absolute here, by the client's
// directory, as the docker CLI 28 does.

import { resolve } from "node:path";
import { parseRamBytes } from "../../../base/units.ts";
import type { Mount } from "../../../spec/docker/container.ts";
import { parseCsvRecord } from "./csv.ts";
import { parseBoolOption, ValueError } from "./values.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface MountParts {
  readonly mount: Mutable<Mount>;
  readonly bind: Mutable<NonNullable<Mount["BindOptions"]>>;
  readonly volume: Mutable<NonNullable<Mount["VolumeOptions"]>>;
  readonly tmpfs: Mutable<NonNullable<Mount["TmpfsOptions"]>>;
  readonly image: Mutable<NonNullable<Mount["ImageOptions"]>>;
}

function setKeyValue(map: Readonly<Record<string, string>> | null | undefined, value: string): Record<string, string> {
  const at = value.indexOf("=");
  return { ...map, [at < 0 ? value : value.slice(0, at)]: at < 0 ? "" : value.slice(at + 1) };
}

function setBindRecursive({ bind }: MountParts, value: string): void {
  if (value === "enabled") return;
  if (value === "disabled") bind.NonRecursive = true;
  else if (value === "writable") bind.ReadOnlyNonRecursive = true;
  else if (value === "readonly") bind.ReadOnlyForceRecursive = true;
  else
    throw new ValueError(
      `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    );
}

function setOption(parts: MountParts, key: string, value: string, field: string): void {
  const { mount, bind, volume, tmpfs, image } = parts;
  const withDriver = (): Mutable<NonNullable<NonNullable<Mount["VolumeOptions"]>["DriverConfig"]>> => {
    const driver = { ...volume.DriverConfig };
    volume.DriverConfig = driver;
    return driver;
  };
  switch (key) {
    case "type":
      mount.Type = value.toLowerCase() as NonNullable<Mount["Type"]>;
      return;
    case "source":
    case "src":
      mount.Source = value.startsWith(".") ? resolve(value) : value;
      return;
    case "target":
    case "dst":
    case "destination":
      mount.Target = value;
      return;
    case "readonly":
    case "ro":
      mount.ReadOnly = parseBoolOption(key, value);
      return;
    case "consistency":
      mount.Consistency = value.toLowerCase();
      return;
    case "bind-propagation":
      bind.Propagation = value.toLowerCase() as NonNullable<typeof bind.Propagation>;
      return;
    case "bind-nonrecursive":
      bind.NonRecursive = parseBoolOption(key, value);
      return;
    case "bind-recursive":
      return setBindRecursive(parts, value);
    case "bind-create-src":
      bind.CreateMountpoint = parseBoolOption(key, value);
      return;
    case "volume-subpath":
      volume.Subpath = value;
      return;
    case "volume-nocopy":
      volume.NoCopy = parseBoolOption(key, value);
      return;
    case "volume-label":
      volume.Labels = setKeyValue(volume.Labels, value);
      return;
    case "volume-driver":
      withDriver().Name = value;
      return;
    case "volume-opt": {
      const driver = withDriver();
      driver.Options = setKeyValue(driver.Options, value);
      return;
    }
    case "image-subpath":
      image.Subpath = value;
      return;
    case "tmpfs-size":
      try {
        tmpfs.SizeBytes = parseRamBytes(value);
      } catch {
        throw new ValueError(`invalid value for ${key}: ${value}`);
      }
      return;
    case "tmpfs-mode":
      if (!/^[0-7]+$/.test(value)) throw new ValueError(`invalid value for ${key}: ${value}`);
      tmpfs.Mode = Number.parseInt(value, 8);
      return;
    default:
      throw new ValueError(`unexpected key '${key}' in '${field}'`);
  }
}

const standAlone: ReadonlySet<string> = new Set([
  "readonly",
  "ro",
  "volume-nocopy",
  "bind-nonrecursive",
  "bind-create-src",
]);

/** @throws Error the complaint */
export function parseMount(text: string): Mount {
  const parts: MountParts = { mount: { Type: "volume" }, bind: {}, volume: {}, tmpfs: {}, image: {} };
  for (const field of parseCsvRecord(text)) {
    const at = field.indexOf("=");
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    if (at < 0 && !standAlone.has(key)) throw new ValueError(`invalid field '${field}' must be a key=value pair`);
    setOption(parts, key, at < 0 ? "true" : field.slice(at + 1), field);
  }
  const { mount, bind, volume, tmpfs, image } = parts;
  if (mount.Type === undefined) throw new ValueError("type is required");
  if (mount.Target === undefined || mount.Target === "") throw new ValueError("target is required");
  const isSet = (options: object): boolean => Object.keys(options).length > 0;
  for (const [prefix, type, options] of [
    ["volume", "volume", volume],
    ["bind", "bind", bind],
    ["tmpfs", "tmpfs", tmpfs],
    ["image", "image", image],
  ] as const)
    if (isSet(options) && mount.Type !== type)
      throw new ValueError(`cannot mix '${prefix}-*' options with mount type '${mount.Type}'`);
  if (bind.ReadOnlyForceRecursive === true && mount.ReadOnly !== true)
    throw new ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
  if (bind.ReadOnlyNonRecursive === true && mount.ReadOnly !== true)
    throw new ValueError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  if (bind.ReadOnlyForceRecursive === true && bind.Propagation !== "rprivate")
    throw new ValueError(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
  return {
    ...mount,
    ...(isSet(bind) ? { BindOptions: bind } : {}),
    ...(isSet(volume) ? { VolumeOptions: { DriverConfig: {}, ...volume } } : {}),
    ...(isSet(tmpfs) ? { TmpfsOptions: tmpfs } : {}),
    ...(isSet(image) ? { ImageOptions: image } : {}),
  };
}

/** What -v asked for: binds as the API takes them, and anonymous volumes by container path. */
export interface ParsedVolumes {
  readonly binds: readonly string[];
  readonly anonymous: readonly string[];
}

/** @throws Error an empty specification or section */
export function parseVolumes(texts: readonly string[]): ParsedVolumes {
  const binds: string[] = [];
  const anonymous: string[] = [];
  for (const text of texts) {
    if (text === "") throw new ValueError("invalid empty volume spec");
    const parts = text.split(":");
    if (parts.some((part) => part === "")) throw new ValueError(`invalid spec: ${text}: empty section between colons`);
    const [source = ""] = parts;
    if (parts.length === 1) anonymous.push(text);
    else binds.push(source.startsWith(".") ? [resolve(source), ...parts.slice(1)].join(":") : text);
  }
  return { binds, anonymous };
}
