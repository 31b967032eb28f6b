import assert from "node:assert/strict";
import { test } from "node:test";
import { stepFailed } from "./step-error.ts";

test("a failed step says its command and its exit code as BuildKit does", () => {
  const error = stepFailed(["/bin/sh", "-c", 'echo "x"\tfalse'], 3, false, undefined);
  assert.equal(error.message, 'process "/bin/sh -c echo \\"x\\"\\tfalse" did not complete successfully: exit code: 3');
  assert.equal(error.exitCode, 3);
});

test("a step that ran out of memory says so", () => {
  const error = stepFailed(["eat"], 137, true, "abc");
  assert.equal(error.message, 'process "eat" did not complete successfully: cannot allocate memory');
  assert.equal(error.stepId, "abc");
});
