// Stub until the room is built.
import { EngineError } from "../../base/errors.ts";
import type { Files } from "./index.ts";

const missing = (what: string) => () =>
  Promise.reject(new EngineError("NotImplemented", `${what} is not supported yet`));

/** @param deps paths of the engine's own programs */
export function createFiles(_deps: { readonly archivePath: string; readonly unpackPath: string }): Files {
  return { stat: missing("cp"), pack: missing("cp"), extract: missing("cp"), changes: missing("diff") };
}
