// HostConfig.Binds: "/host:/path[:mode]", "volume:/path[:mode]" and "/path" for an anonymous volume. Pure; texts of dockerd 28.5.

import {
  type BindMode,
  isRelabelled,
  MountError,
  parseBindMode,
  parseDestination,
  parseSource,
} from "./mount-fields.ts";
import type { PlannedBind, PlannedMount, PlannedVolume } from "./planned-mount.ts";

/** @param volumeDriver HostConfig.VolumeDriver @throws MountError */
export function parseBind(text: string, volumeDriver: string): PlannedMount {
  const invalid = `invalid volume specification: '${text}'`;
  const parts = text.split(":");
  const [source = "", destination = "", mode = ""] = parts;
  if (text === "" || parts.length > 3) throw new MountError(invalid);
  if (parts.length === 1) return parseNamed(text, "", text, "", parseBindMode(""), volumeDriver);
  // "/path:ro" has a mode and nothing to mount.
  if (source === "" || destination === "" || (parts.length === 2 && isMode(destination))) throw new MountError(invalid);
  const parsed = parseBindMode(mode);
  if (!source.startsWith("/")) return parseNamed(text, source, destination, mode, parsed, volumeDriver);
  return parseHostPath(text, source, destination, mode, parsed);
}

function isMode(text: string): boolean {
  try {
    parseBindMode(text);
    return true;
  } catch {
    return false;
  }
}

function within<T>(text: string, type: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    throw new MountError(
      `invalid volume specification: '${text}': invalid mount config for type "${type}": ${error.message}`,
    );
  }
}

function parseHostPath(text: string, source: string, destination: string, mode: string, parsed: BindMode): PlannedBind {
  return within(text, "bind", () => {
    if (parsed.words.includes("nocopy")) throw new MountError("field VolumeOptions must not be specified");
    return {
      kind: "bind",
      origin: "Binds",
      destination: parseDestination(destination),
      source: parseSource(source),
      readOnly: parsed.readOnly,
      mode,
      propagation: parsed.propagation,
      recursive: true,
      readOnlyDepth: "possible",
      createSource: true,
    };
  });
}

/** @param name "" for an anonymous one */
function parseNamed(
  text: string,
  name: string,
  destination: string,
  mode: string,
  parsed: BindMode,
  driver: string,
): PlannedVolume {
  return within(text, "volume", () => {
    if (parsed.propagation !== "") throw new MountError("field BindOptions must not be specified");
    return {
      kind: "volume",
      origin: "Binds",
      destination: parseDestination(destination),
      readOnly: parsed.readOnly,
      mode,
      name,
      anonymous: name === "",
      driver,
      options: {},
      labels: {},
      copy: !parsed.words.includes("nocopy"),
      subpath: "",
    };
  });
}

/** Whether a bind that is read all right asks for another label of SELinux. */
export function isRelabelledBind(text: string): boolean {
  return isRelabelled((text.split(":")[2] ?? "").split(","));
}
