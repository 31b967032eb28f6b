// A tree on this host, which this process alone writes, brought into the kept directories of builds.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { SourceDirectories, SourceDirectory } from "./index.ts";

export interface ImportOptions {
  /** Of the kept directory. */
  readonly key: string;
  /** Of every entry. */
  readonly mtimeNs: bigint;
  /** Names left out, wherever they stand. */
  readonly without: ReadonlySet<string>;
  readonly modeOf: (mode: number) => number;
}

/**
 * The key of a kept directory that these parts make up wholly: it shares no file with any other, for size and time say nothing of
 * what a checkout or a download has in it.
 */
export function keptKey(parts: readonly string[], name: string): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([...parts, name]))
    .digest("hex");
  return `${hash}\0${name.replaceAll("\0", "")}`;
}

/** Root owns all of it; links are kept as links. */
export async function importTree(
  directories: SourceDirectories,
  root: string,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<SourceDirectory> {
  await using transfer = await directories.begin(options.key, signal);
  const walk = async (below: string): Promise<void> => {
    for (const name of (await readdir(join(root, below))).toSorted()) {
      if (options.without.has(name)) continue;
      signal.throwIfAborted();
      const path = below === "" ? name : `${below}/${name}`;
      const status = await lstat(join(root, path));
      const type = status.isDirectory() ? "directory" : status.isSymbolicLink() ? "symlink" : "file";
      if (type === "file" && !status.isFile()) continue;
      transfer.entry({
        path,
        type,
        mode: type === "symlink" ? 0o777 : options.modeOf(status.mode & 0o777),
        uid: 0,
        gid: 0,
        size: type === "file" ? status.size : 0,
        mtimeNs: options.mtimeNs,
        linkName: type === "symlink" ? await readlink(join(root, path)) : "",
        xattrs: {},
      });
      if (type === "directory") await walk(path);
    }
  };
  await walk("");
  for (const path of await transfer.settle()) {
    for await (const chunk of createReadStream(join(root, path), { highWaterMark: 1 << 18, signal }))
      await transfer.write(path, chunk as Buffer);
    await transfer.end(path);
  }
  return transfer.finish();
}
