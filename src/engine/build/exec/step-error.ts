// What a step that did not succeed says, in BuildKit's words. Pure.

import { StepFailed } from "./step-failed.ts";

/** As Go's %q writes it. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/\\u00([0-9a-f]{2})/g, "\\x$1");
}

/** @param oomKilled the kernel ended it for want of memory */
export function stepFailed(
  args: readonly string[],
  exitCode: number,
  oomKilled: boolean,
  stepId: string | undefined,
): StepFailed {
  const why = oomKilled ? "cannot allocate memory" : `exit code: ${exitCode}`;
  const message = `process ${quote(args.join(" "))} did not complete successfully: ${why}`;
  return new StepFailed(message, exitCode, stepId);
}
