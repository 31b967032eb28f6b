// Trees of files over a stream of packets, both ends: what a builder asks of its client's directories, and what it writes into them.
//
//   sender                                   receiver
//   STAT per entry, in walk order, empty ──►
//                                        ◄── REQ by index, for the files that it wants
//   DATA by index, empty at its end      ──►
//                                        ◄── FIN, when it has all
//   FIN                                  ──►
//
// Source: BuildKit's moby.filesync.v1, fsutil's package types.

import type { BidiCall } from "../grpc/index.ts";
import type { Packet } from "../spec/buildkit/fsutil.ts";
import type { MessageInit, MessageOf } from "../grpc/index.ts";

export type EntryType = "file" | "directory" | "symlink" | "fifo" | "socket" | "char" | "block";

/** An entry as it is told. */
export interface TreeEntry {
  /** Relative, "/" between. */
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file; 0 for everything else. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Target of a symlink; path of the first name of a hard link. */
  readonly linkName: string;
  readonly xattrs: Readonly<Record<string, Uint8Array>>;
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Where a received tree goes. */
export interface TreeSink {
  /** @returns whether the content is wanted, as far as is known yet */
  entry(entry: TreeEntry): boolean;
  /** All entries are told. @returns paths of the files whose content is wanted */
  settle(): Promise<readonly string[]>;
  write(path: string, chunk: Uint8Array): Promise<void>;
  end(path: string): Promise<void>;
}

/** Packets both ways: a call of ours, or one that is made to us. */
export interface PacketStream {
  readonly packets: AsyncIterable<MessageOf<typeof Packet>>;
  /** @returns false when the stream is over */
  send(packet: MessageInit<typeof Packet>): Promise<boolean>;
}

/** What of a directory is sent. Patterns as those of .dockerignore. */
export interface WalkOptions {
  /** Empty: everything. */
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
  /** Paths, patterns too, that are included together with what their symlinks lead to. Empty: no restriction by them. */
  readonly followPaths: readonly string[];
}

export type { BidiCall };
export { receiveTree } from "./receive.ts";
export { sendTree } from "./send.ts";
export { walkTree } from "./walk.ts";
export { comparePaths } from "./path-order.ts";
export { checkTreePath, parentOf } from "./tree-path.ts";
