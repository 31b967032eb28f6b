// Where volumes are on disk: `<dataRoot>/volumes/<name>/{_data,snapshots}`, and beside them what is half made (`.new-`) or half
// removed (`.old-`): names that no volume can have. What becomes a volume is durable when the call resolves; a removal is when `sync`
// does. Nothing is ever deleted through a mount: where one is, the deletion is refused.

import { randomUUID } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { mountsUnder, readMounts } from "../kernel/mountinfo.ts";
import { run } from "../kernel/run.ts";
import { removeSmallTree } from "../kernel/small-tree.ts";
import { syncDirectory } from "../kernel/sync-directory.ts";

const staged = /^\.(?:new|old)-/;
/** Beside a volume's data until its record is committed; it holds the volume's options. */
const markName = "uncommitted";
/** A large volume takes its time. */
const removeTimeoutMs = 3_600_000;

async function deleteTree(directory: string): Promise<void> {
  if (removeSmallTree(directory)) return;
  await run(["rm", "-rf", "--one-file-system", "--", directory], { timeoutMs: removeTimeoutMs });
}

export class Layout {
  /** Absolute path of `volumes`. */
  readonly root: string;

  constructor(dataRoot: string) {
    this.root = join(dataRoot, "volumes");
  }

  async setUp(): Promise<void> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    await chmod(this.root, 0o700);
  }

  /** The directory of a volume of the driver local, whose name was checked. */
  directory(name: string): string {
    return join(this.root, name);
  }

  data(name: string): string {
    return join(this.root, name, "_data");
  }

  has(name: string): boolean {
    return lstatSync(this.directory(name), { throwIfNoEntry: false }) !== undefined;
  }

  /** A new directory, 0700, that a start of the daemon sweeps away. */
  stage(): string {
    const directory = join(this.root, `.new-${randomUUID()}`);
    mkdirSync(directory, { mode: 0o700 });
    return directory;
  }

  /**
   * A staged directory becomes the volume's, marked until `unmark`: a start of the daemon removes what has a mark and no record. The
   * file system keeps the order: where the directory is found, the mark is too.
   *
   * @throws Conflict something of that name is there
   */
  async place(directory: string, name: string, options: Readonly<Record<string, string>>): Promise<void> {
    this.refuseOccupied(name);
    writeFileSync(join(directory, markName), JSON.stringify(options), { mode: 0o600 });
    renameSync(directory, this.directory(name));
    await syncDirectory(this.root);
  }

  /** For a volume whose record is committed. */
  unmark(name: string): void {
    rmSync(join(this.directory(name), markName), { force: true });
  }

  /** The options of a volume that is marked as not committed; undefined where there is no mark. */
  readMark(name: string): Readonly<Record<string, string>> | undefined {
    const path = join(this.directory(name), markName);
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
    const text = readFileSync(path, "utf8");
    // A loss of power may have taken its content.
    return text === "" ? {} : (JSON.parse(text) as Readonly<Record<string, string>>);
  }

  /** @throws Conflict something is there under the name of a volume to come */
  refuseOccupied(name: string): void {
    if (this.has(name))
      throw new EngineError(
        "Conflict",
        `create ${name}: ${this.directory(name)} is there already, but no volume of that name: move it away`,
      );
  }

  /**
   * Deletes a volume's directory; nothing happens where there is none. A large one is moved aside first, so that the name is free at once.
   *
   * @throws Conflict something is mounted in it
   */
  async remove(name: string): Promise<void> {
    if (!this.has(name)) return;
    const directory = this.directory(name);
    this.refuseMounts(name, directory);
    // A mark must not go before the rest does: whole under another name, it is swept.
    if (this.readMark(name) === undefined && removeSmallTree(directory)) return;
    const aside = join(this.root, `.old-${randomUUID()}`);
    await rename(directory, aside);
    await deleteTree(aside);
  }

  /** @throws Conflict something is mounted in a directory */
  refuseMounts(name: string, directory: string): void {
    const [mount] = mountsUnder(readMounts(), directory);
    if (mount !== undefined)
      throw new EngineError(
        "Conflict",
        `remove ${name}: something is mounted on ${mount.mountPoint}: unmount it first, nothing was deleted`,
      );
  }

  /** Deletes what was staged or put aside. @throws Conflict something is mounted in it */
  async erase(directory: string): Promise<void> {
    this.refuseMounts(directory, directory);
    await deleteTree(directory);
  }

  /** Makes what was renamed and deleted durable. */
  sync(): Promise<void> {
    return syncDirectory(this.root);
  }

  /** Names of directories that should be volumes'. */
  async names(): Promise<readonly string[]> {
    return (await readdir(this.root)).filter((name) => !staged.test(name));
  }

  /** Absolute paths of what is half made or half removed. */
  async leftovers(): Promise<readonly string[]> {
    return (await readdir(this.root)).filter((name) => staged.test(name)).map((name) => join(this.root, name));
  }
}
