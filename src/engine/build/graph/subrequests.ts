import { EngineError } from "../../../base/errors.ts";
import type { Dockerfile, LintWarning } from "../dockerfile/index.ts";
/** Answer of --call=outline: JSON as buildx reads it. */
export function outlineOf(_dockerfile: Dockerfile, _target: string, _buildArgs: ReadonlyMap<string, string>): unknown {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
export function targetsOf(_dockerfile: Dockerfile): unknown {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
export function renderOutline(_outline: unknown): string {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
export function renderTargets(_targets: unknown): string {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
/** JSON and text of --check. */
export function renderLint(
  _dockerfile: Dockerfile,
  _warnings: readonly LintWarning[],
): { readonly json: unknown; readonly text: string } {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
