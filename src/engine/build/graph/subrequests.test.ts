// Answers as the reference gives them, but for blanks at ends of lines.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDockerfile } from "../dockerfile/index.ts";
import { outlineOf, renderLint, renderOutline, renderTargets, targetsOf } from "./index.ts";

const text = `ARG BASE=bb:1
ARG UNUSED
# build compiles
FROM $BASE AS build
ARG V=1
# W how much
ARG W
RUN --mount=type=secret,id=tok,required=true --mount=type=ssh true
FROM bb:1
ARG V
COPY --from=build /x /x
`;
const dockerfile = parseDockerfile(text, "Dockerfile");
const data = Buffer.from(text).toString("base64");
const at = (line: number): unknown => ({ ranges: [{ start: { line }, end: { line } }] });

test("outline: arguments that the target takes, where they are, and what must be given", () => {
  const outline = outlineOf(dockerfile, "", new Map([["W", "9"]]));
  assert.deepEqual(outline, {
    args: [
      { name: "BASE", value: "bb:1", location: at(1) },
      { name: "W", description: "how much", value: "9", location: at(7) },
      { name: "V", location: at(10) },
    ],
    secrets: [{ name: "tok", required: true, location: at(8) }],
    ssh: [{ name: "default", location: at(8) }],
    sources: [data],
  });
  assert.equal(
    renderOutline(outline),
    "BUILD ARG   VALUE   DESCRIPTION\nBASE        bb:1    \nW           9       how much\nV                   \n\n" +
      "SECRET   REQUIRED\ntok      true\n\nSSH       REQUIRED\ndefault   \n\n",
  );
});

test("targets: names, bases, the default", () => {
  const targets = targetsOf(dockerfile);
  assert.deepEqual(targets, {
    targets: [
      { name: "build", description: "compiles", base: "$BASE", location: at(4) },
      { default: true, base: "bb:1", location: at(9) },
    ],
    sources: [data],
  });
  assert.equal(renderTargets(targets), "TARGET    DESCRIPTION\nbuild     compiles\n(default) \n");
});

test("lint: warnings with their lines", () => {
  const range = { start: { line: 2, column: 0 }, end: { line: 2, column: 0 } };
  const warning = { rule: "R", description: "d", url: "https://u/", detail: "what", range };
  const { json, text: shown } = renderLint(dockerfile, [warning]);
  assert.deepEqual(json, {
    warnings: [{ ruleName: "R", description: "d", url: "https://u/", detail: "what", location: at(2) }],
    sources: [{ filename: "Dockerfile", language: "Dockerfile", data }],
  });
  assert.match(shown, /^WARNING: R - https:\/\/u\/\nwhat\nDockerfile:2\n/);
});
