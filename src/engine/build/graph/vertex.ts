import { EngineError } from "../../../base/errors.ts";
import type { Digest } from "../../../base/digest.ts";
import type { Op } from "./index.ts";
/** JSON with sorted members and without those that are undefined. */
export function canonicalJson(_value: unknown): string {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
export function vertexDigest(_op: Op, _inputs: readonly Digest[]): Digest {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
