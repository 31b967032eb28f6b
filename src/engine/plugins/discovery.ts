// Finds plugins by name in the plugin directories, and lists the names that are there. The order is dockerd's: sockets first,
// then specifications, directory by directory; the first hit counts. A name never leads out of the directories.

import { type Dirent, readdirSync, type Stats, statSync } from "node:fs";
import { constants, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import { type PluginAddress, parseJsonFile, parseSpecFile } from "./address.ts";
import type { PluginDirectories } from "./index.ts";

const maxSpecBytes = 65_536;
const maxNames = 1000;

/** True for what can be a plugin's name: it becomes a part of paths. */
export function isPluginName(name: string): boolean {
  return name.length <= 128 && /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name);
}

/**
 * @returns undefined where no directory has the name
 * @throws System a specification that is there cannot be read, or says nothing that can be used
 */
export async function findPlugin(name: string, directories: PluginDirectories): Promise<PluginAddress | undefined> {
  if (!isPluginName(name)) return undefined;
  const places = (base: string, extension: string): readonly string[] => [
    join(base, `${name}${extension}`),
    join(base, name, `${name}${extension}`),
  ];
  for (const path of directories.sockets.flatMap((base) => places(base, ".sock"))) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isSocket() === true) return { kind: "unix", path };
  }
  for (const base of directories.specs) {
    for (const [extension, parse] of [
      [".spec", parseSpecFile],
      [".json", parseJsonFile],
    ] as const) {
      for (const path of places(base, extension)) {
        const text = await readSpecification(path);
        if (text !== undefined) return parse(text, path);
      }
    }
  }
  return undefined;
}

/** undefined where it is not there. What is no regular file is not opened for long: a FIFO would never end. */
async function readSpecification(path: string): Promise<string | undefined> {
  const fail = (what: string, cause?: unknown): EngineError =>
    new EngineError("System", `plugin specification ${path}: ${what}`, { cause });
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
    (error: unknown) => {
      if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
      throw fail(messageOf(error), error);
    },
  );
  if (handle === undefined) return undefined;
  try {
    if (!(await handle.stat()).isFile()) throw fail("not a regular file");
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxSpecBytes + 1), 0, maxSpecBytes + 1, 0);
    if (bytesRead > maxSpecBytes) throw fail("larger than 64 KiB");
    return buffer.subarray(0, bytesRead).toString("utf8");
  } finally {
    await handle.close();
  }
}

/** Names in the order in which they are found, each once. Directories that are not there have none. */
export function listPluginNames(directories: PluginDirectories): readonly string[] {
  const names = new Set<string>();
  for (const [bases, extensions] of [
    [directories.sockets, [".sock"]],
    [directories.specs, [".spec", ".json"]],
  ] as const) {
    for (const base of bases) {
      for (const name of namesIn(base, extensions)) names.add(name);
    }
  }
  return [...names].slice(0, maxNames);
}

function entriesOf(base: string): Dirent[] {
  try {
    return readdirSync(base, { withFileTypes: true });
  } catch {
    return [];
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** A few small directories of the host: a thread for each of these calls would cost ten times what the call does. */
function namesIn(base: string, extensions: readonly string[]): readonly string[] {
  const entries = entriesOf(base);
  const names: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, 10 * maxNames)) {
    const extension = extensions.find((candidate) => entry.name.endsWith(candidate));
    const name = entry.isDirectory() || extension === undefined ? entry.name : entry.name.slice(0, -extension.length);
    if (!isPluginName(name)) continue;
    const candidates =
      entry.isDirectory() || extension === undefined
        ? extensions.map((candidate) => join(base, name, `${name}${candidate}`))
        : [join(base, entry.name)];
    for (const path of candidates) {
      const found = statOf(path);
      const fits = path.endsWith(".sock") ? found?.isSocket() : found?.isFile();
      if (fits === true) {
        names.push(name);
        break;
      }
    }
  }
  return names;
}
