import { EngineError } from "../../../base/errors.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Graph } from "./index.ts";
export interface BuildPlan {
  readonly graph: Graph;
  /** What is known of the cache: vertex → whether a record is there, undefined where only content decides. */
  readonly cached: ReadonlyMap<Digest, boolean | undefined>;
}
/** A line per vertex, for `gantry build --plan`. */
export function renderPlan(_plan: BuildPlan): string {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
