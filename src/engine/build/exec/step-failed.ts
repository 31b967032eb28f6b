// The end of a step that did not succeed.

import { EngineError } from "../../../base/errors.ts";

/** A step that ended with a status other than 0. */
export class StepFailed extends EngineError {
  readonly exitCode: number;
  /** The kept state before the step, to open a shell in; undefined when it is not kept. */
  readonly stepId: string | undefined;

  constructor(message: string, exitCode: number, stepId: string | undefined) {
    super("Unknown", message);
    this.exitCode = exitCode;
    this.stepId = stepId;
  }
}
