// References and times as users type them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseReference, withDefaultTag } from "./reference.ts";
import { renderTimestamp } from "./timestamp.ts";

test("references get docker's host, library and tag", () => {
  assert.deepEqual(parseReference("busybox"), {
    repository: "docker.io/library/busybox",
    tag: "",
    digest: "",
    familiarName: "busybox",
  });
  assert.equal(parseReference("localhost/a:1").repository, "localhost/a");
  assert.equal(parseReference("reg:5000/a/b:1").repository, "reg:5000/a/b");
  assert.equal(parseReference("user/app").familiarName, "user/app");
  assert.equal(withDefaultTag("user/app"), "user/app:latest");
  assert.equal(withDefaultTag(`a@sha256:${"0".repeat(64)}`), `a@sha256:${"0".repeat(64)}`);
  assert.throws(() => parseReference("UPPER"), { message: /repository name \(library\/UPPER\) must be lowercase/ });
  for (const text of ["", "a//b", "a:", "a:b c", "-x", "a@sha256:1"])
    assert.throws(() => parseReference(text), /invalid reference/, text);
});

test("times are points or durations before now", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(renderTimestamp("10s", now), String(now / 1000 - 10));
  assert.equal(renderTimestamp("2020-01-02T03:04:05.5Z", now), "1577934245.500000000");
  assert.equal(renderTimestamp("2020-01-02T03:04:05+01:00", now), "1577930645.000000000");
  assert.equal(renderTimestamp("1600000000.25", now), "1600000000.25");
  assert.throws(() => renderTimestamp("x", now), { message: 'failed to parse value as time or duration: "x"' });
});
