import type { ExportDeps, Exporters } from "./index.ts";
import { EngineError } from "../../../base/errors.ts";
export function createExporters(_deps: ExportDeps): Exporters {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
