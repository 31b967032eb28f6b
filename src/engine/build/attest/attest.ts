import type { Attest, AttestDeps } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createAttest(_deps: AttestDeps): Attest {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
