// Numbered directories under <dataRoot>/snapshots and unnumbered ones under <dataRoot>/tmp. A directory that has no row is
// garbage by definition: a start sweeps it away, so that kill -9 at any moment leaves nothing partial.
// Everything here is 0700 and root's: setuid files in layers are out of reach for the host's users.

import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { errnoOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { run, tryRun } from "../kernel/run.ts";
import { removeSmallTree } from "../kernel/small-tree.ts";

/** So many trees are deleted by one process; the kernel bounds a command line. */
const treesAtOnce = 256;
const removeTimeoutMs = 600_000;
const spreadTimeoutMs = 10_000;
/** Beside fs/ and work/. */
const limitFile = "limit";

/** The directories of one data root. */
export class SnapshotDirectories {
  readonly root: string;
  readonly #tmp: string;
  readonly #helper: string;
  #next = 1;

  /**
   * Makes both directories.
   *
   * @param helper path of gantry-unpack, which deletes
   */
  constructor(dataRoot: string, helper: string) {
    this.#helper = helper;
    this.root = resolve(dataRoot, "snapshots");
    this.#tmp = resolve(dataRoot, "tmp");
    for (const directory of [this.root, this.#tmp]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      chmodSync(directory, 0o700);
    }
  }

  of(number: number): string {
    return join(this.root, String(number));
  }

  fs(number: number): string {
    return join(this.root, String(number), "fs");
  }

  /** How the layer's tar is put together again; beside it may be aside/, with content that fs/ lacks. */
  recipe(number: number): string {
    return join(this.root, String(number), "recipe");
  }

  /** A number that no directory has. */
  take(): number {
    return this.#next++;
  }

  /** Numbers up to this one are in use. */
  taken(number: number): void {
    if (number >= this.#next) this.#next = number + 1;
  }

  /** Makes tmp/<uuid>/fs and returns tmp/<uuid>. */
  async makeStaging(): Promise<string> {
    const directory = join(this.#tmp, randomUUID());
    await mkdir(join(directory, "fs"), { recursive: true, mode: 0o755 });
    // What mkdir makes depends on the umask, and a layer's root is what containers see as "/".
    chmodSync(join(directory, "fs"), 0o755);
    return directory;
  }

  /** An empty directory of that number. */
  make(number: number): void {
    mkdirSync(this.of(number), { mode: 0o700 });
  }

  /** Remembers beside a writable layer that its size is limited, so that the limit is forgotten with it. */
  markLimited(number: number, sizeBytes: number): void {
    writeFileSync(join(this.of(number), limitFile), `${sizeBytes}\n`, { mode: 0o600 });
  }

  /** Also one whose making was cut off before anything was made in it. */
  isLimited(number: number): boolean {
    const directory = this.of(number);
    return existsSync(join(directory, limitFile)) || (existsSync(directory) && !existsSync(join(directory, "fs")));
  }

  /** Makes a writable layer's directories in its own; its root looks like the root of what it covers. */
  makeWritable(number: number, parent: number | undefined): void {
    const directory = this.of(number);
    mkdirSync(join(directory, "fs"), { mode: 0o755 });
    mkdirSync(join(directory, "work"), { mode: 0o700 });
    const { uid, gid, mode } = parent === undefined ? { uid: 0, gid: 0, mode: 0o755 } : lstatSync(this.fs(parent));
    chownSync(join(directory, "fs"), uid, gid);
    chmodSync(join(directory, "fs"), mode & 0o7777);
  }

  /**
   * Deletes every directory but those with these numbers, which are in use from now on; tmp/ is emptied.
   *
   * @param forget takes back the limit of one that has, or may have, one
   */
  async sweep(
    known: ReadonlySet<number>,
    logger: Logger,
    forget: (directory: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    for (const number of known) this.taken(number);
    const left: string[] = [];
    for (const name of await this.list()) {
      if (/^[1-9][0-9]*$/.test(name) && known.has(Number(name))) continue;
      logger.warn("snapshots: removing what was left half made", { directory: name });
      if (/^[1-9][0-9]*$/.test(name)) {
        this.taken(Number(name));
        if (this.isLimited(Number(name))) await forget(this.of(Number(name)));
      }
      left.push(join(this.root, name));
    }
    await this.removeTrees([...left, ...(await this.listStaging())]);
    // Inodes of new trees are not looked for among those of deleted ones: see gantry-unpack. Without it all is as well, slower.
    await tryRun([this.#helper, "spread", this.root], { timeoutMs: spreadTimeoutMs }).catch(() => undefined);
  }

  /** Deletes numbered directories: out of sight at once, then file by file. */
  async remove(...numbers: readonly number[]): Promise<void> {
    const aside: string[] = [];
    for (const number of numbers) {
      const path = join(this.#tmp, randomUUID());
      try {
        renameSync(this.of(number), path);
      } catch (error) {
        if (errnoOf(error) === "ENOENT") continue;
        throw error;
      }
      aside.push(path);
    }
    await this.removeTrees(aside);
  }

  /**
   * Deletes trees that a container may have filled: also those whose paths are longer than the kernel takes. By programs: Node
   * makes several trips to its few threads for each file, which everybody else's reads and writes need as well.
   *
   * @throws System something resists
   */
  async removeTrees(paths: readonly string[]): Promise<void> {
    const large = paths.filter((path) => !removeSmallTree(path));
    for (let at = 0; at < large.length; at += treesAtOnce) {
      const some = large.slice(at, at + treesAtOnce);
      const options = { timeoutMs: removeTimeoutMs };
      const { exitCode } = await tryRun([this.#helper, "remove", ...some], options);
      // The slow way is good for every tree, and says what is the matter.
      if (exitCode !== 0) await run(["rm", "-rf", "--one-file-system", "--", ...some], options);
    }
  }

  /** Moves a staged directory to its number, in place of what is left there. */
  async settle(staging: string, number: number): Promise<void> {
    await this.remove(number);
    await rename(staging, this.of(number));
  }

  /** Moves a numbered directory to tmp/; the other way round than `settle`. @returns where it is */
  async unsettle(number: number): Promise<string> {
    const path = join(this.#tmp, randomUUID());
    await rename(this.of(number), path);
    return path;
  }

  /** Entries of snapshots/. */
  async list(): Promise<readonly string[]> {
    return readdir(this.root);
  }

  /** Entries of tmp/, as paths. */
  async listStaging(): Promise<readonly string[]> {
    return (await readdir(this.#tmp)).map((name) => join(this.#tmp, name));
  }
}
