// Stub until trees are built.
import { EngineError } from "../../base/errors.ts";
import type { Trees } from "./index.ts";

const missing = (what: string) => () =>
  Promise.reject(new EngineError("NotImplemented", `${what} is not supported yet`));

/** @param deps paths of the engine's own programs */
export function createTrees(_deps: { readonly copyPath: string; readonly unpackPath: string }): Trees {
  return {
    clone: missing("clone"),
    fill: missing("fill"),
    exchange: missing("exchange"),
    size: missing("size"),
    isEmpty: missing("isEmpty"),
    remove: missing("remove"),
  };
}
