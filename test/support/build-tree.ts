// Trees for file ops of builds: a directory as a source has it, and what a chain of layers shows, as lines that can be compared.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../../src/base/digest.ts";
import type { EntryType, SourceDirectory, SourceEntry } from "../../src/engine/build/sources/index.ts";

const types: readonly (readonly [(path: ReturnType<typeof lstatSync>) => boolean, EntryType])[] = [
  [(stat) => stat?.isFile() === true, "file"],
  [(stat) => stat?.isDirectory() === true, "directory"],
  [(stat) => stat?.isSymbolicLink() === true, "symlink"],
  [(stat) => stat?.isFIFO() === true, "fifo"],
  [(stat) => stat?.isSocket() === true, "socket"],
  [(stat) => stat?.isCharacterDevice() === true, "char"],
  [(stat) => stat?.isBlockDevice() === true, "block"],
];

/** A directory on disk as a source would hand it over, with digests of its files. */
export function sourceDirectory(path: string): SourceDirectory {
  const entries: SourceEntry[] = [];
  const add = (below: string): void => {
    for (const name of readdirSync(join(path, below)).sort()) {
      const relative = below === "" ? name : `${below}/${name}`;
      const stat = lstatSync(join(path, relative));
      const type = types.find(([is]) => is(stat))?.[1] ?? "file";
      entries.push({
        path: relative,
        type,
        mode: stat.mode & 0o7777,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        mtimeNs: BigInt(Math.round(stat.mtimeMs)) * 1_000_000n,
        linkName: type === "symlink" ? readlinkSync(join(path, relative)) : "",
        xattrs: {},
        digest:
          type === "file"
            ? (`sha256:${createHash("sha256")
                .update(readFileSync(join(path, relative)))
                .digest("hex")}` as Digest)
            : undefined,
      });
      if (type === "directory") add(relative);
    }
  };
  add("");
  return { path, entries, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** "drwxr-xr-x 0/0 0 d/" for each member of a tar, sorted by path; `now` in place of times that are not set by the build. */
export function listTar(tar: Uint8Array, since: number): readonly string[] {
  const { stdout } = spawnSync("tar", ["-tvf", "-", "--numeric-owner", "--full-time", "--quoting-style=literal"], {
    input: tar,
    encoding: "utf8",
    env: { TZ: "UTC", LC_ALL: "C", PATH: process.env["PATH"] },
    maxBuffer: 1 << 28,
  });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [, mode, owner, size, day, time, path] = /^(\S+) (\S+) +(\S+) (\S+) (\S+) +(.*)$/.exec(line) ?? [];
      const at = Date.parse(`${day}T${time}Z`);
      return `${mode} ${owner} ${size} ${at >= since - 2000 ? "now" : `${day}`} ${path}`;
    })
    .sort(byPath);
}

/** In order of the paths' bytes. */
export function byPath(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a.split(" ")[4] as string), Buffer.from(b.split(" ")[4] as string));
}
