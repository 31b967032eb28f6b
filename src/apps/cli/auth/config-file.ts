// Docker's client configuration file, `config.json`: the members that commands read, and changes that keep everything else in
// its place. A change is atomic (temporary file, fsync, rename) and the file is its owner's alone (0600).
// Source: the docker CLI 28, cli/config; docs.docker.com/reference/cli/docker, "config.json properties".

import {
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CliError } from "../command.ts";

type Members = Record<string, unknown>;

/** An entry of `auths`. */
export interface AuthEntry {
  /** base64 of "user:password". */
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** The configuration as it was read; reading never fails. */
export interface ConfigFile {
  readonly path: string;
  /** The members; {} where there is no file, or a bad one. */
  readonly members: Readonly<Members>;
  /** Why the file could not be read or parsed. */
  readonly problem: string | undefined;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads the file in `directory`. */
export function readConfigFile(directory: string): ConfigFile {
  const path = join(directory, "config.json");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return { path, members: {}, problem: isMissing ? undefined : (error as Error).message };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (!isMembers(value)) throw new Error("it is not an object");
    return { path, members: value, problem: undefined };
  } catch {
    // The parser's own message quotes the text, and with it credentials.
    return { path, members: {}, problem: "it is not a JSON object" };
  }
}

/** The file with a note on stderr when it is bad, as docker does. */
export function loadConfigFile(directory: string, err: (text: string) => void): ConfigFile {
  const file = readConfigFile(directory);
  if (file.problem !== undefined) err(`WARNING: Error parsing config file (${file.path}): ${file.problem}\n`);
  return file;
}

/** A member that is an object; {} otherwise. */
export function objectMember(file: ConfigFile, name: string): Readonly<Members> {
  const value = file.members[name];
  return isMembers(value) ? value : {};
}

/** A member that is a text; "" otherwise. */
export function textMember(file: ConfigFile, name: string): string {
  const value = file.members[name];
  return typeof value === "string" ? value : "";
}

function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function writeWhole(path: string, text: string): void {
  const target = targetOf(path);
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const temporary = `${target}.${process.pid}.tmp`;
  const owner = statSync(target, { throwIfNoEntry: false });
  const fd = openSync(temporary, "wx", 0o600);
  try {
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (owner !== undefined && owner.uid !== process.getuid?.()) chownSync(temporary, owner.uid, owner.gid);
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Reads the file anew, lets `change` edit its members, writes it back. Members that are not touched keep their place.
 *
 * @throws CliError the file is there and bad: it is not overwritten; or it cannot be written
 */
export function changeConfigFile(directory: string, change: (members: Members) => void): void {
  const file = readConfigFile(directory);
  if (file.problem !== undefined)
    throw new CliError(`not overwriting ${file.path}: ${file.problem}; repair it or move it away`);
  const members: Members = structuredClone(file.members);
  change(members);
  try {
    writeWhole(file.path, `${JSON.stringify(members, undefined, "\t")}\n`);
  } catch (error) {
    throw new CliError(`cannot write ${file.path}: ${(error as Error).message}`);
  }
}
