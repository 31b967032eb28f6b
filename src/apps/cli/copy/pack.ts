// A local file or directory as a tar stream: owners, modes, times in seconds, hard and symbolic links, devices. Small files share a
// buffer with their headers, so that a tree costs a few calls of the kernel for each file. Names are bytes (latin1) throughout.

import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { constants } from "node:fs";
import { maxMemberBytes, tarEnd, type TarMember, writeMember } from "../tar-headers.ts";

const block = 512;
const bufferBytes = 1024 * 1024;

// oxlint-disable-next-line no-control-regex
const ascii = /^[\x00-\x7f]*$/;

/** A byte string as the file system takes it. */
export function pathOfBytes(bytes: string): string | Buffer {
  return ascii.test(bytes) ? bytes : Buffer.from(bytes, "latin1");
}

/** A text's bytes as a byte string. */
export function bytesOf(text: string): string {
  return ascii.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

function typeOf(stat: Stats): TarMember["type"] | undefined {
  if (stat.isFile()) return "0";
  if (stat.isDirectory()) return "5";
  if (stat.isSymbolicLink()) return "2";
  if (stat.isCharacterDevice()) return "3";
  if (stat.isBlockDevice()) return "4";
  return stat.isFIFO() ? "6" : undefined;
}

function majorOf(device: number): number {
  return (Math.floor(device / 2 ** 8) & 0xfff) + (Math.floor(device / 2 ** 44) << 12);
}

function minorOf(device: number): number {
  return (device & 0xff) + ((Math.floor(device / 2 ** 20) & 0xfffff) << 8);
}

interface Visit {
  readonly path: string;
  readonly name: string;
}

/** One archive in the making; what it yields is written over when the next piece is asked for. */
class Packer {
  /** Two, so that one is filled while the other one is sent. */
  #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #other = Buffer.allocUnsafeSlow(bufferBytes);
  #used = 0;
  /** "device:inode" → the name that was packed first. */
  readonly #seen = new Map<string, string>();

  *take(): Generator<Buffer> {
    if (this.#used === 0) return;
    const full = this.#buffer.subarray(0, this.#used);
    [this.#buffer, this.#other] = [this.#other, this.#buffer];
    this.#used = 0;
    yield full;
  }

  *#makeRoom(bytes: number): Generator<Buffer> {
    if (bufferBytes - this.#used < bytes) yield* this.take();
  }

  #header(stat: Stats, member: Pick<TarMember, "name" | "type" | "size" | "linkName">): void {
    const device = member.type === "3" || member.type === "4" ? stat.rdev : 0;
    this.#used = writeMember(this.#buffer, this.#used, {
      ...member,
      mode: stat.mode & 0o7777,
      time: Math.floor(stat.mtimeMs / 1000),
      uid: stat.uid,
      gid: stat.gid,
      major: majorOf(device),
      minor: minorOf(device),
    });
  }

  /** @returns whether it is a directory, to be looked into */
  *add({ path, name }: Visit): Generator<Buffer, boolean> {
    yield* this.#makeRoom(maxMemberBytes);
    const stat = lstatSync(pathOfBytes(path));
    const type = typeOf(stat);
    // A socket is where a process listens: there is nothing of it to copy.
    if (type === undefined) return false;
    if (type === "5") {
      this.#header(stat, { name: `${name}/`, type, size: 0, linkName: "" });
      return true;
    }
    if (stat.nlink > 1) {
      const key = `${stat.dev}:${stat.ino}`;
      const first = this.#seen.get(key);
      if (first !== undefined) {
        this.#header(stat, { name, type: "1", size: 0, linkName: first });
        return false;
      }
      this.#seen.set(key, name);
    }
    if (type === "0") yield* this.#addFile(path, name);
    else {
      const linkName = type === "2" ? readlinkSync(pathOfBytes(path), "latin1") : "";
      this.#header(stat, { name, type, size: 0, linkName });
    }
    return false;
  }

  *#addFile(path: string, name: string): Generator<Buffer> {
    const fd = openSync(pathOfBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new Error(`${path}: changed while it was copied`);
      const { size } = stat;
      this.#header(stat, { name, type: "0", size, linkName: "" });
      let left = size;
      while (left > 0) {
        yield* this.#makeRoom(Math.min(left, 64 * 1024));
        const count = readSync(fd, this.#buffer, this.#used, Math.min(left, bufferBytes - this.#used), null);
        if (count === 0) throw new Error(`${path}: became shorter while it was copied`);
        this.#used += count;
        left -= count;
      }
      const padding = (block - (size % block)) % block;
      yield* this.#makeRoom(padding);
      this.#buffer.fill(0, this.#used, this.#used + padding);
      this.#used += padding;
    } finally {
      closeSync(fd);
    }
  }

  *end(): Generator<Buffer> {
    yield* this.#makeRoom(tarEnd.length);
    tarEnd.copy(this.#buffer, this.#used);
    this.#used += tarEnd.length;
    yield* this.take();
  }
}

/**
 * Packs what is at a path; a directory before what is in it, names in order.
 *
 * @param name  of it in the archive; "." for what a directory holds
 * @returns     pieces that are good until the next but one is asked for
 * @throws Error of the file system; a file that changes its kind or shrinks meanwhile
 */
export async function* packTree(path: string, name: string): AsyncGenerator<Buffer, void, undefined> {
  const packer = new Packer();
  const waiting: Visit[] = [{ path: bytesOf(path), name: bytesOf(name) }];
  for (let visit = waiting.pop(); visit !== undefined; visit = waiting.pop()) {
    if (!(yield* packer.add(visit))) continue;
    const { path: parent, name: prefix } = visit;
    const names = readdirSync(pathOfBytes(parent), { encoding: "latin1" }).sort().toReversed();
    for (const child of names)
      waiting.push({ path: parent === "/" ? `/${child}` : `${parent}/${child}`, name: `${prefix}/${child}` });
  }
  yield* packer.end();
}
