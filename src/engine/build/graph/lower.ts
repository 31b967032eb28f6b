import { EngineError } from "../../../base/errors.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import type { Dockerfile } from "../dockerfile/index.ts";
import type { ImageKey, KnownImage, LowerOptions, Lowered, WantedImage } from "./index.ts";
export function imageKey(_reference: string, _platform: Platform): ImageKey {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
/** Images whose configs must be known before lowering; asked again with those that are known, as ONBUILD may want more. */
export function wantedImages(
  _dockerfile: Dockerfile,
  _options: LowerOptions,
  _known: ReadonlyMap<ImageKey, KnownImage>,
): readonly WantedImage[] {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
/** @throws DockerfileError */
export function lowerDockerfile(
  _dockerfile: Dockerfile,
  _options: LowerOptions,
  _known: ReadonlyMap<ImageKey, KnownImage>,
): Lowered {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
