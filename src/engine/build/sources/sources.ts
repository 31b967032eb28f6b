import type { ImageResolver } from "../index.ts";
import type { Sources, SourcesDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createSources(_deps: SourcesDeps): Promise<Sources & { readonly resolver: ImageResolver }> {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
