// What a stage is before it is lowered: a node of the DAG, its instructions, and where its tree comes from.

import type { Platform } from "../../../spec/oci/image.ts";
import type { Instruction, Range } from "../dockerfile/index.ts";
import type { KnownImage, NamedContext, WantedImage } from "./index.ts";

/** An instruction with the trees that it reads. */
export interface Command {
  readonly instruction: Instruction;
  readonly isOnBuild: boolean;
  /** COPY: one; RUN: one per mount; undefined is the main context. */
  readonly sources: readonly (StageNode | undefined)[];
  readonly range: Range;
}

/** Where a tree comes from that is no stage. */
export type NodeOrigin =
  | { readonly kind: "scratch" }
  | { readonly kind: "image"; readonly wanted: WantedImage; readonly known: KnownImage | undefined }
  | { readonly kind: "context"; readonly name: string; readonly context: NamedContext };

/** A stage, or an image that is read without being one. */
export interface StageNode {
  /** Place in the file; undefined for what only `--from` names. */
  readonly index: number | undefined;
  readonly name: string;
  /** In names of vertices; "" where the file has one stage only. */
  displayName: string;
  readonly baseName: string;
  readonly range: Range;
  readonly original: string;
  readonly base: StageNode | undefined;
  /** A named context stands in for the whole stage. */
  readonly replacedBy: NamedContext | undefined;
  readonly declaredPlatform: Platform | undefined;
  readonly ignoreCache: boolean;
  commands: Command[];
  /** Undefined with a base stage, and while it is not needed. */
  origin: NodeOrigin | undefined;
  triggersDone: boolean;
}

export interface StagePlan {
  /** Stages in order; behind them what is only named by `--from`. */
  readonly nodes: readonly StageNode[];
  readonly target: StageNode;
  readonly reachable: ReadonlySet<StageNode>;
  readonly globalArgs: ReadonlyMap<string, string>;
  /** Images that must be known before the plan is complete. */
  readonly missing: readonly WantedImage[];
}
