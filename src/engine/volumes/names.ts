// Names of volumes: what is one, and those that the engine invents. Texts are dockerd's. Pure but for the invention.

import { randomBytes } from "node:crypto";
import { EngineError } from "../../base/errors.ts";

/** The label of a volume whose name the engine invented, as dockerd has it. */
export const anonymousLabel = "com.docker.volume.anonymous";

/** A directory's name cannot be longer. */
const maxNameBytes = 255;

export function newVolumeName(): string {
  return randomBytes(32).toString("hex");
}

/**
 * A name that becomes a directory's name: it has neither a slash nor a leading dot.
 *
 * @throws InvalidParameter
 */
export function checkLocalName(name: string): void {
  const refuse = (text: string): EngineError => new EngineError("InvalidParameter", `create ${name}: ${text}`);
  if (/^[a-zA-Z0-9_.-]$/.test(name))
    throw refuse("volume name is too short, names should be at least two alphanumeric characters");
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw refuse(
      `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  if (name.length > maxNameBytes)
    throw refuse(`volume name is too long, names should have at most ${maxNameBytes} characters`);
}

/** A name that only a plugin makes something of. @throws InvalidParameter */
export function checkForeignName(name: string): void {
  if (name === "" || Buffer.byteLength(name) > maxNameBytes || /\p{Cc}/u.test(name))
    throw new EngineError(
      "InvalidParameter",
      `create ${JSON.stringify(name.slice(0, maxNameBytes))}: a volume's name has 1 to ${maxNameBytes} bytes and no control characters`,
    );
}
