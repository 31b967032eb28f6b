// An archive of the daemon's → local files, below the one name that was asked for. A directory is never replaced by a file, nor a
// file by a directory; a file that is there is replaced, not written into. Source: the docker CLI 28's behaviour.

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { errnoOf } from "../../../base/errors.ts";
import { CliError } from "../command.ts";
import { ByteReader, tarEntries, type TarEntry } from "../image-diff/tar-entries.ts";
import { Destination, lookAt, type Place } from "./destination.ts";
import { bytesOf, pathOfBytes } from "./pack.ts";

export interface UnpackOptions {
  /** A directory that is there. */
  readonly directory: string;
  /** What the archive calls the thing; "." or "/" where its members are the content of a directory. */
  readonly archiveName: string;
  /** What it is called here; "." for `directory` itself. */
  readonly name: string;
  /** Whether owners are those of the archive; needs root. */
  readonly keepOwners: boolean;
  /** Told what could not be done. */
  readonly warn: (text: string) => void;
}

/** The parts of a path: none for ".", "./" and "/". */
function partsOf(name: string): readonly string[] {
  return name.split("/").filter((part) => part !== "" && part !== ".");
}

const zeros = Buffer.alloc(64 * 1024);
const holeBytes = 4096;

class Unpacker {
  readonly #options: UnpackOptions;
  readonly #destination: Destination;
  readonly #from: readonly string[];
  readonly #to: readonly string[];
  /** Directories whose content is not complete yet, outermost first. */
  readonly #open: { readonly parts: readonly string[]; readonly entry: TarEntry }[] = [];
  #attributed: string[] = [];

  constructor(options: UnpackOptions, destination: Destination) {
    this.#options = options;
    this.#destination = destination;
    this.#from = partsOf(bytesOf(options.archiveName));
    this.#to = partsOf(bytesOf(options.name));
  }

  /** A member's name → where it is here. @throws CliError it is none of what was asked for */
  #rename(name: string): readonly string[] {
    const parts = partsOf(name);
    const isBelow = !parts.includes("..") && this.#from.every((part, index) => parts[index] === part);
    if (!isBelow) {
      const shown = JSON.stringify(Buffer.from(name, "latin1").toString("utf8"));
      throw new CliError(
        `the daemon's archive has ${shown}, which is outside of ${JSON.stringify(this.#options.archiveName)}`,
      );
    }
    return [...this.#to, ...parts.slice(this.#from.length)];
  }

  async add(entry: TarEntry): Promise<void> {
    const parts = this.#rename(entry.name);
    this.#finishOutside(parts);
    // The directory that everything goes into is the user's own: it keeps its mode and time.
    if (parts.length === 0) return;
    if (entry.xattrs.size > 0) this.#attributed.push(this.#destination.show(parts));
    const place = this.#destination.place(parts);
    if (entry.type === "5") this.#addDirectory(parts, place, entry);
    else if (entry.type === "0") await this.#addFile(parts, place, entry);
    else if (entry.type === "1") this.#addLink(parts, entry);
    else this.#addOther(parts, place, entry);
  }

  /** Modes and times of directories come last: to write in one changes its time. */
  #finishOutside(parts: readonly string[] | undefined): void {
    for (let last = this.#open.at(-1); last !== undefined; last = this.#open.at(-1)) {
      if (parts !== undefined && last.parts.every((part, index) => parts[index] === part)) return;
      this.#open.pop();
      this.#finish(this.#destination.enter(last.parts), last.entry);
    }
  }

  #finish(fd: number, { mode, uid, gid, mtime }: TarEntry, isNew = false): void {
    if (this.#options.keepOwners) fchownSync(fd, uid, gid);
    // What was made just now has its mode, but for the bits that a change of its content or owner takes away.
    if (!isNew || (mode & 0o7000) !== 0) fchmodSync(fd, mode);
    futimesSync(fd, Number(mtime), Number(mtime));
  }

  #addDirectory(parts: readonly string[], place: Place, entry: TarEntry): void {
    try {
      mkdirSync(place.path, 0o700);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      if (lookAt(place) !== "directory")
        throw new CliError(
          `cannot overwrite non-directory ${JSON.stringify(this.#destination.show(parts))} with directory ${JSON.stringify(this.#options.directory)}`,
        );
    }
    this.#open.push({ parts, entry });
  }

  /** Takes away what is at a place. @throws CliError it is a directory */
  #clear(parts: readonly string[], place: Place): void {
    if (lookAt(place) === "directory")
      throw new CliError(
        `cannot overwrite directory ${JSON.stringify(this.#destination.show(parts))} with non-directory ${JSON.stringify(this.#options.directory)}`,
      );
    unlinkSync(place.path);
  }

  /** Does what makes something new, once more when what is there was taken away. */
  #make(parts: readonly string[], place: Place, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      this.#clear(parts, place);
      act();
    }
  }

  async #addFile(parts: readonly string[], place: Place, entry: TarEntry): Promise<void> {
    let fd = -1;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    this.#make(parts, place, () => {
      fd = openSync(place.path, flags, entry.mode & 0o777);
    });
    try {
      await this.#write(fd, entry);
      this.#finish(fd, entry, true);
    } catch (error) {
      // Half a file is worse than none.
      unlinkSync(place.path);
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Runs of zeros become holes. */
  async #write(fd: number, entry: TarEntry): Promise<void> {
    let at = 0;
    let written = 0;
    if (entry.size === 0) return;
    for await (const piece of entry.body()) {
      const isHole =
        piece.length >= holeBytes && piece.length <= zeros.length && piece.compare(zeros, 0, piece.length) === 0;
      for (let from = isHole ? piece.length : 0; from < piece.length; )
        from += writeSync(fd, piece, from, piece.length - from, at + from);
      at += piece.length;
      if (!isHole) written = at;
    }
    if (written < at) ftruncateSync(fd, at);
  }

  #addLink(parts: readonly string[], entry: TarEntry): void {
    const target = this.#rename(entry.linkName);
    if (target.length === 0) throw new CliError(`invalid hardlink ${JSON.stringify(this.#destination.show(parts))}`);
    const parent = this.#destination.openParent(target);
    try {
      const from = pathOfBytes(`/proc/self/fd/${parent}/${target.at(-1) ?? ""}`);
      const place = this.#destination.place(parts);
      this.#make(parts, place, () => linkSync(from, place.path));
    } finally {
      closeSync(parent);
    }
  }

  #addOther(parts: readonly string[], place: Place, entry: TarEntry): void {
    const { type, uid, gid, mtime } = entry;
    if (type === "2") this.#make(parts, place, () => symlinkSync(pathOfBytes(entry.linkName), place.path));
    else if ("346".includes(type)) this.#makeNode(parts, place, entry);
    else throw new CliError(`unhandled tar header type ${JSON.stringify(type)}`);
    if (this.#options.keepOwners) lchownSync(place.path, uid, gid);
    lutimesSync(place.path, Number(mtime), Number(mtime));
  }

  /** Node has no mknod: coreutils' does it, below the directory that is handed over as descriptor 3. */
  #makeNode(parts: readonly string[], place: Place, { type, mode, major, minor }: TarEntry): void {
    if (lookAt(place) !== "nothing") this.#clear(parts, place);
    const kind = { "3": "c", "4": "b", "6": "p" }[type] ?? "p";
    const numbers = kind === "p" ? [] : [String(major), String(minor)];
    const name = Buffer.from(place.name, "latin1").toString("utf8");
    const { status, stderr, error } = spawnSync(
      "mknod",
      ["-m", (mode & 0o7777).toString(8), "--", `/proc/self/fd/3/${name}`, kind, ...numbers],
      {
        stdio: ["ignore", "ignore", "pipe", place.directoryFd],
        encoding: "utf8",
        env: { ...process.env, LC_ALL: "C" },
      },
    );
    if (status !== 0)
      throw new CliError(
        `mknod ${this.#destination.show(parts)}: ${error?.message ?? stderr.trim().replace(/^.*: /, "").toLowerCase()}`,
      );
  }

  end(): void {
    this.#finishOutside(undefined);
    const [first, ...others] = this.#attributed;
    if (first === undefined) return;
    const more = others.length === 0 ? "" : ` and of ${others.length} more`;
    this.#options.warn(`WARNING: extended attributes of ${first}${more} were not copied\n`);
  }
}

/**
 * Writes the members of an archive.
 *
 * @throws CliError what stands in the way, a member outside; Error of the file system or the stream
 */
export async function unpackArchive(tar: AsyncIterable<Buffer>, options: UnpackOptions): Promise<void> {
  using destination = new Destination(options.directory);
  const unpacker = new Unpacker(options, destination);
  const before = process.umask(0);
  try {
    for await (const entry of tarEntries(new ByteReader(tar), "latin1")) await unpacker.add(entry);
    unpacker.end();
  } finally {
    process.umask(before);
  }
}
