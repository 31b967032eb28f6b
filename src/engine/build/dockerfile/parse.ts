import { EngineError } from "../../../base/errors.ts";
import type { Dockerfile, Instruction } from "./index.ts";
/** @throws DockerfileError with ranges, everything that is wrong with the language */
export function parseDockerfile(_source: string, _filename: string): Dockerfile {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
/** An ONBUILD trigger of a base image. */
export function parseTrigger(_text: string): Instruction {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
