import { EngineError } from "../../../base/errors.ts";
import type { Lookup } from "./index.ts";
export interface Expansion {
  readonly text: string;
  /** Names that were looked up and were not set. */
  readonly unset: readonly string[];
  /** Names that were looked up. */
  readonly used: readonly string[];
}
/** Quotes taken away, variables put in. @throws InvalidParameter a bad substitution, `${v:?message}` */
export function expandWord(_word: string, _lookup: Lookup, _escape: "\\" | "`"): Expansion {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
/** The same, split at spaces outside of quotes. */
export function expandWords(_word: string, _lookup: Lookup, _escape: "\\" | "`"): readonly string[] {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
