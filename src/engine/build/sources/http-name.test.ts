import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../../base/errors.ts";
import { fileNameOf } from "./http-name.ts";

const url = new URL("https://h/a/b%20c.tar?x=y");

test("the build's name counts, then the server's, then the address's", () => {
  assert.equal(fileNameOf("x", 'attachment; filename="y"', url), "x");
  assert.equal(fileNameOf("", 'attachment; filename="y z"', url), "y z");
  assert.equal(fileNameOf("", "attachment; filename=y", url), "y");
  assert.equal(fileNameOf("", "attachment; filename=y; filename*=UTF-8''%e2%82%ac", url), "€");
  assert.equal(fileNameOf("", "inline", url), "b c.tar");
  assert.equal(fileNameOf("", undefined, new URL("https://h/a/")), "download");
});

test("B06: a name with a path in it is refused, wherever it comes from", () => {
  for (const name of ["../x", "/x", "a/b", "..", ".", "a\\b", "a\0b", "x".repeat(256)]) {
    assert.throws(() => fileNameOf(name, undefined, url), { kind: "InvalidParameter" }, name);
    const quoted = `attachment; filename="${name.replaceAll("\\", "\\\\")}"`;
    assert.throws(() => fileNameOf("", quoted, url), { kind: "InvalidParameter" }, name);
    assert.throws(
      () => fileNameOf("", `attachment; filename*=UTF-8''${encodeURIComponent(name)}`, url),
      { kind: "InvalidParameter" },
      name,
    );
  }
  assert.throws(() => fileNameOf("", undefined, new URL("https://h/a/..%2fx")), { kind: "InvalidParameter" });
});

test("whatever a server says, the name is one component or an error", () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      try {
        const name = fileNameOf("", header, url);
        assert.ok(name !== "" && name !== "." && name !== ".." && !/[/\0\\]/.test(name));
      } catch (error) {
        assert.ok(isEngineError(error, "InvalidParameter"));
      }
    }),
  );
});
