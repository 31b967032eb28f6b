// The face of the files room: files of a container or of a volume in and out as tars, by gantry-archive. Every path is resolved by
// the kernel inside of the root that it is given (openat2, RESOLVE_IN_ROOT, no magic links) and held by descriptors: no link that
// anybody makes or swaps at any moment leads out of it. Nothing of the root is ever executed or loaded. CVE-2018-15664, -2019-14271,
// CVE-2026-41567, -41568, -42306.

import type { Readable } from "node:stream";
import type { OverlayDirs } from "../snapshots/index.ts";

/** A tree of files, as a process in it sees it. */
export type FileRoot =
  /** A container that runs or is paused: /proc/<pid>/root, with all of its mounts. The start time (field 22 of /proc/pid/stat) tells it from a later process of that number. */
  | { readonly kind: "live"; readonly pid: number; readonly startTime: string }
  /**
   * A container that does not run: its layers with its volumes and binds, mounted where nobody else sees it. What is written goes through an overlay
   * mount on `dirs`: nobody else may have that mounted; with `readOnly` the upper directory is a lower one.
   */
  | {
      readonly kind: "stopped";
      readonly dirs: OverlayDirs;
      readonly mounts: readonly RootMount[];
      readonly readOnly: boolean;
    }
  | { readonly kind: "directory"; readonly path: string };

/** Something mounted in a stopped container's tree, outer targets first. */
export interface RootMount {
  /** A directory or file of the host. */
  readonly source: string;
  /** In it, resolved inside of it; "" for all of it. */
  readonly subpath: string;
  /** Clean absolute path in the container; what is missing is made as a start makes it, with `readOnly` where nobody sees it. */
  readonly target: string;
  readonly readOnly: boolean;
}

/** What X-Docker-Container-Path-Stat tells, before it is put into Go's words. */
export interface PathStat {
  /** Base name of the path that was asked for; "/" for the root. */
  readonly name: string;
  readonly sizeBytes: number;
  /** st_mode, with the type. */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
  /** Of a link at the end of the path (no trailing slash): where it leads, as an absolute path in the container; "" otherwise. */
  readonly linkTarget: string;
}

export type ChangeKind = "modified" | "added" | "deleted";

export interface PathChange {
  readonly path: string;
  readonly kind: ChangeKind;
}

export interface Files {
  /** @throws NotFound nothing is there; InvalidParameter `/etc/passwd/` is no directory; Conflict a live root's process has ended */
  stat(root: FileRoot, path: string, signal: AbortSignal): Promise<PathStat>;
  /**
   * The file or directory as a tar whose entries begin with its base name, as dockerd names them. A link at the end is not followed, but with a trailing
   * slash or "/." it is. File systems that the kernel makes up (proc, sysfs, cgroup, devpts, mqueue) are empty directories; sockets are left out.
   *
   * @throws as stat, before the stream exists
   */
  pack(root: FileRoot, path: string, signal: AbortSignal): Promise<{ readonly stat: PathStat; readonly tar: Readable }>;
  /**
   * Unpacks a plain tar into a directory of the tree.
   *
   * @param options keepTypes: an existing directory is not replaced by something else, nor the other way round (noOverwriteDirNonDir); owner: all files get
   *        this uid and gid instead of those in the tar; whole: the member "./" tells what the directory itself shall be (without it: left as it is)
   * @throws NotFound the directory; InvalidParameter a hostile or malformed entry, it is on a read-only mount, "extraction point is
   *         not a directory"; System a clash of types (dockerd's 500); Conflict a live root's process has ended, nothing was taken of the tar then;
   *         Unavailable the disk is full (told with ENOSPC's text)
   */
  extract(
    root: FileRoot,
    path: string,
    tar: Readable,
    options: {
      readonly keepTypes: boolean;
      readonly owner: { readonly uid: number; readonly gid: number } | undefined;
      readonly whole?: boolean;
    },
    signal: AbortSignal,
  ): Promise<void>;
  /** What a writable layer changes of the layers under it, as `docker diff`: sorted by path, parents of changes as modified. */
  changes(dirs: OverlayDirs, signal: AbortSignal): Promise<readonly PathChange[]>;
}

export { createFiles } from "./files.ts";
