import assert from "node:assert/strict";
import { test } from "node:test";
import type { BuildFailure } from "../index.ts";
import { locatedMessage, stepOfFailure, wordsOfFailure } from "./failure-words.ts";

function failure(over: Partial<BuildFailure>): BuildFailure {
  return {
    message: "no",
    source: undefined,
    vertex: undefined,
    exitCode: undefined,
    stepId: undefined,
    lastOutput: "",
    command: undefined,
    ...over,
  };
}

test("what failed is said as the classic builder says it", () => {
  const missing = failure({ message: 'failed to calculate checksum of ref sha256:ab: "/d/x": not found' });
  assert.equal(
    wordsOfFailure(missing, "COPY d/x /"),
    "COPY failed: file not found in build context or excluded by .dockerignore: stat d/x: file does not exist",
  );
  assert.equal(wordsOfFailure(missing, "COPY --from=a d/x /"), "COPY failed: stat d/x: file does not exist");
  assert.equal(wordsOfFailure(missing, undefined), missing.message);
  assert.equal(
    wordsOfFailure(failure({ exitCode: 3, command: "/bin/sh -c x" }), "RUN x"),
    "The command '/bin/sh -c x' returned a non-zero code: 3",
  );
});

test("a base image that cannot be had is the step that names it", () => {
  const at = (line: number) => ({ line, column: 0 });
  const source = {
    filename: "Dockerfile",
    source: "ARG V=1\nFROM a AS one\nRUN x\nFROM b\n",
    ranges: [{ start: at(4), end: at(4) }],
  };
  const message = "b: failed to resolve source metadata for docker.io/library/b:latest: no";
  assert.deepEqual(stepOfFailure(failure({ message, source })), {
    number: 4,
    total: 4,
    instruction: "FROM b",
  });
  assert.equal(stepOfFailure(failure({ source })), undefined);
});

test("what is no step's fault is said with its line, once", () => {
  const at = { line: 3, column: 0 };
  const source = { filename: "Dockerfile", source: "", ranges: [{ start: at, end: at }] };
  const located = source as unknown as BuildFailure["source"];
  assert.equal(locatedMessage("no", failure({ source: located }), "line"), "line 3: no");
  assert.equal(locatedMessage("no: line 3", failure({ source: located }), "line"), "no: line 3");
  assert.equal(locatedMessage("no", failure({}), "line"), "no");
});
