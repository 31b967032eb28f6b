// The receiving end. Whatever the sender says is checked: order, indexes, that content was asked for. Requests are limited by number
// and by bytes, so that what a sender can make us hold is limited too.

import { EngineError, messageOf } from "../base/errors.ts";
import type { MessageOf } from "../grpc/index.ts";
import { type Packet, packetTypes, type Stat } from "../spec/buildkit/fsutil.ts";
import { parseGoMode } from "./file-mode.ts";
import type { PacketStream, TreeEntry, TreeSink } from "./index.ts";
import { comparePaths } from "./path-order.ts";

const maxOpenFiles = 256;
const maxOpenBytes = 16 * 1024 * 1024;

type Received = MessageOf<typeof Packet>;

/**
 * Takes a tree; resolves when the sender has taken leave. Nothing is finished in the sink.
 *
 * @param map changes an entry before the sink sees it, or leaves it out
 * @param progress bytes and files of content so far
 * @throws InvalidParameter the sender breaks the protocol
 * @throws Unavailable      it ended early
 * @throws System           it says that it cannot go on
 */
export async function receiveTree(
  stream: PacketStream,
  sink: TreeSink,
  map: (entry: TreeEntry) => TreeEntry | undefined,
  progress: (bytes: number, files: number) => void,
): Promise<void> {
  const receiver = new Receiver(stream, sink, map, progress);
  try {
    for await (const packet of stream.packets) {
      if (receiver.isOver) continue;
      const more = receiver.take(packet);
      if (more !== undefined) await more;
    }
  } catch (error) {
    if (!receiver.isOver)
      await stream.send({ type: packetTypes.error, data: Buffer.from(messageOf(error)) }).catch(() => {});
    throw error;
  }
  if (!receiver.isOver) throw new EngineError("Unavailable", "the client left in the middle of a transfer");
}

class Receiver {
  isOver = false;
  readonly #stream: PacketStream;
  readonly #sink: TreeSink;
  readonly #map: (entry: TreeEntry) => TreeEntry | undefined;
  readonly #progress: (bytes: number, files: number) => void;
  #last = "";
  #count = 0;
  /** By path, of files that may be wanted. */
  readonly #files = new Map<string, { readonly id: number; readonly size: number }>();
  #wanted: readonly string[] | undefined;
  #next = 0;
  readonly #open = new Map<number, { readonly path: string; readonly size: number }>();
  #openBytes = 0;
  #isFinSent = false;
  #bytes = 0;
  #done = 0;

  constructor(
    stream: PacketStream,
    sink: TreeSink,
    map: (entry: TreeEntry) => TreeEntry | undefined,
    progress: (bytes: number, files: number) => void,
  ) {
    this.#stream = stream;
    this.#sink = sink;
    this.#map = map;
    this.#progress = progress;
  }

  take(packet: Received): Promise<void> | undefined {
    switch (packet.type) {
      case packetTypes.stat:
        if (this.#wanted !== undefined) throw broken("an entry after the last one");
        if (packet.stat === undefined) return this.#settle();
        this.#entry(packet.stat);
        return undefined;
      case packetTypes.data:
        return this.#data(packet);
      case packetTypes.fin:
        if (!this.#isFinSent) throw broken("it takes leave before it has sent everything");
        this.isOver = true;
        return undefined;
      case packetTypes.error:
        throw new EngineError("System", Buffer.from(packet.data).toString("utf8").slice(0, 4096));
      default:
        throw broken(`a packet of type ${packet.type}`);
    }
  }

  #entry(stat: MessageOf<typeof Stat>): void {
    const { path } = stat;
    if (comparePaths(path, this.#last) <= 0) throw broken(`${shown(path)} out of order`);
    this.#last = path;
    const id = this.#count++;
    const entry = this.#map(entryOf(stat));
    if (entry === undefined) return;
    this.#sink.entry(entry);
    if (entry.type === "file" && entry.linkName === "") this.#files.set(path, { id, size: entry.size });
  }

  async #settle(): Promise<void> {
    this.#wanted = [];
    this.#wanted = await this.#sink.settle();
    await this.#request();
  }

  /** Asks for as much as may be open. */
  async #request(): Promise<void> {
    const wanted = this.#wanted ?? [];
    while (
      this.#next < wanted.length &&
      this.#open.size < maxOpenFiles &&
      (this.#open.size === 0 || this.#openBytes < maxOpenBytes)
    ) {
      const path = wanted[this.#next++] as string;
      const file = this.#files.get(path);
      if (file === undefined) throw broken(`no file ${shown(path)}`);
      this.#open.set(file.id, { path, size: file.size });
      this.#openBytes += file.size;
      await this.#stream.send({ type: packetTypes.request, ID: file.id });
    }
    if (this.#open.size > 0 || this.#isFinSent) return;
    this.#isFinSent = true;
    this.#progress(this.#bytes, this.#done);
    await this.#stream.send({ type: packetTypes.fin });
  }

  #data({ ID, data }: Received): Promise<void> | undefined {
    const file = this.#open.get(ID);
    if (file === undefined) throw broken(`content of entry ${ID}, which nobody asked for`);
    if (data.length === 0) return this.#end(ID, file);
    this.#bytes += data.length;
    this.#progress(this.#bytes, this.#done);
    return this.#sink.write(file.path, data);
  }

  async #end(id: number, { path, size }: { readonly path: string; readonly size: number }): Promise<void> {
    await this.#sink.end(path);
    this.#done++;
    this.#open.delete(id);
    this.#openBytes -= size;
    await this.#request();
  }
}

function entryOf(stat: MessageOf<typeof Stat>): TreeEntry {
  const kind = parseGoMode(stat.mode);
  if (kind === undefined) throw broken(`${shown(stat.path)} of an unknown kind`);
  const { type, mode } = kind;
  const isDevice = type === "char" || type === "block";
  return {
    path: stat.path,
    type,
    mode,
    uid: stat.uid,
    gid: stat.gid,
    size: type === "file" && stat.linkname === "" ? stat.size : 0,
    mtimeNs: stat.modTime,
    linkName: stat.linkname,
    xattrs: stat.xattrs.size === 0 ? {} : Object.fromEntries([...stat.xattrs].map(([k, v]) => [k, Buffer.from(v)])),
    ...(isDevice ? { device: { major: stat.devmajor, minor: stat.devminor } } : {}),
  };
}

function broken(what: string): EngineError {
  return new EngineError("InvalidParameter", `the sender of files breaks the protocol: ${what}`);
}

function shown(path: string): string {
  return JSON.stringify(path.length <= 100 ? path : `${path.slice(0, 100)}…`);
}
