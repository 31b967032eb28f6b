// The face of the sources: where files of a build come from. Directories that clients send are kept, by key, so that the next build
// sends what changed; downloads and git checkouts are kept by what identifies them.

import type { Digest } from "../../../base/digest.ts";
import type { Logger } from "../../../base/log.ts";
import type { Distribution } from "../../../distribution/index.ts";
import type { Images } from "../../images/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { ReclaimableStore } from "../solver/index.ts";
import type { OpRunner, SourceOpKind } from "../solver/index.ts";

/** Kinds of entries, as lstat has them. */
export type EntryType = "file" | "directory" | "symlink" | "fifo" | "socket" | "char" | "block";

/** An entry of a directory, with what a build sees of it. */
export interface SourceEntry {
  /** Relative, "/" between, no "." or ".."; "" never. */
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Target of a symlink; path of the first name of a hard link. */
  readonly linkName: string;
  readonly xattrs: Readonly<Record<string, Uint8Array>>;
  /** sha256 of a file's content; undefined for the others. */
  readonly digest: Digest | undefined;
  /** Of "char" and "block". */
  readonly device?: { readonly major: number; readonly minor: number };
}

/**
 * A tree of files that does not change while it is held: a client's context, a checkout, a download. Plain files under
 * `path`, owned and moded as a build shall see them (root's, unless the source says otherwise).
 */
export interface SourceDirectory extends AsyncDisposable {
  readonly path: string;
  /** As a walk of the tree gives them: sorted by path with "/" before every other character, parents before children. */
  readonly entries: readonly SourceEntry[];
}

/** Receives what a client sends into a kept directory; buildkit/session and classic.ts use it. */
export interface SourceDirectories extends ReclaimableStore {
  /**
   * Begins a transfer into the directory kept for `key`; what an earlier transfer left is offered for comparison. Transfers with
   * one key wait for each other; a directory that a build holds is never changed, a new one (hard-linked) is made.
   *
   * @param key names the client's directory; "" keeps nothing after the build
   */
  begin(key: string, signal: AbortSignal): Promise<DirectoryTransfer>;
}

export interface DirectoryTransfer extends AsyncDisposable {
  /** The entry kept from before; undefined when there is none. Same size, mtime, mode and type: its content need not be sent. */
  known(path: string): SourceEntry | undefined;
  /**
   * Takes an entry, parents before children. A file that differs from what is known waits for its content.
   *
   * @returns whether the content is wanted
   * @throws InvalidParameter a path or type that a context cannot have
   */
  entry(entry: Omit<SourceEntry, "digest">): boolean;
  /**
   * All entries are told: the paths that are still wanted. When something differs from what is known, it waits for other
   * transfers of the key; what they brought counts as known. Whoever writes content before, need not call it.
   */
  settle(): Promise<readonly string[]>;
  /** Content of a wanted file, in order; several files may be open at once. */
  write(path: string, chunk: Uint8Array): Promise<void>;
  /** The file is complete. */
  end(path: string): Promise<void>;
  /** What was not told any more is deleted; the directory is complete and held. */
  finish(): Promise<SourceDirectory>;
}

export interface Sources {
  readonly directories: SourceDirectories;
  /** One per kind of source op: image, local, http, git, oci-layout. */
  readonly runners: Readonly<Record<SourceOpKind, OpRunner>>;
  readonly reclaimable: readonly ReclaimableStore[];
}

export interface SourcesDeps {
  readonly images: Images;
  readonly layers: BuildLayers;
  readonly distribution: Distribution;
  readonly dataRoot: string;
  /** Path of gantry-copy, which deletes and clones trees, and of gantry-unpack. */
  readonly copyPath: string;
  readonly unpackPath: string;
  readonly logger: Logger;
}

export { createSources } from "./sources.ts";
