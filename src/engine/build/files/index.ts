// The face of file ops: COPY, ADD, WORKDIR, heredocs. Done by gantry-copy (shim/), which sees the trees as a container would and
// nothing of the host: links are resolved inside the tree that they are in.

import type { BuildLayers } from "../layers/index.ts";
import type { ContentDigester, OpRunner, Snapshot } from "../solver/index.ts";

export interface FilesDeps {
  readonly layers: BuildLayers;
  /** Path of gantry-copy. */
  readonly copyPath: string;
  /** Path of gantry-unpack, for archives in ADD. */
  readonly unpackPath: string;
  readonly packPath: string;
  readonly dataRoot: string;
  /** Of the files that one ADD unpacks; without it, what the disk has. */
  readonly maxLayerBytes?: number | undefined;
}

export interface Files {
  readonly runner: OpRunner;
  readonly mergeRunner: OpRunner;
  readonly contentDigest: ContentDigester;
  /** Copies what is at `source` of a snapshot (a directory: what is in it) into an empty directory. @throws NotFound */
  readonly copyTree: (from: Snapshot, source: string, directory: string, signal: AbortSignal) => Promise<void>;
}

export { createFiles } from "./files.ts";
