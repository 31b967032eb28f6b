import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  parseAnyReference,
  parseNamed,
  renderFamiliar,
  renderReference,
  repositoryOf,
  withDefaultTag,
  withTag,
} from "./reference.ts";

const hex = "0123456789abcdef".repeat(4);

describe("parseNamed", () => {
  for (const [text, normalised, familiar] of [
    ["busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
    ["library/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["team/app:v1", "docker.io/team/app:v1", "team/app:v1"],
    ["docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"],
    ["localhost/x", "localhost/x:latest", "localhost/x:latest"],
    ["localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"],
    [
      "registry.example/a/b-c/d__e.f:T_1.-",
      "registry.example/a/b-c/d__e.f:T_1.-",
      "registry.example/a/b-c/d__e.f:T_1.-",
    ],
    ["[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x:latest", "[2001:db8::1]:5000/x:latest"],
    ["Upper.example/x", "Upper.example/x:latest", "Upper.example/x:latest"],
    ["UPPER/x", "UPPER/x:latest", "UPPER/x:latest"],
    [`busybox@sha256:${hex}`, `docker.io/library/busybox@sha256:${hex}`, `busybox@sha256:${hex}`],
    ["a---b", "docker.io/library/a---b:latest", "a---b:latest"],
  ] as const)
    it(`reads ${text}`, () => {
      const named = withDefaultTag(parseNamed(text));
      assert.deepEqual([renderReference(named), renderFamiliar(named)], [normalised, familiar]);
    });

  it("lets a digest decide where there is a tag too", () => {
    const named = parseNamed(`busybox:1@sha256:${hex}`);
    assert.deepEqual(
      [renderReference(named), renderFamiliar(named)],
      [`docker.io/library/busybox@sha256:${hex}`, `busybox:1@sha256:${hex}`],
    );
  });

  for (const [text, message] of [
    ["", "invalid reference format"],
    ["Foo", "invalid reference format: repository name (library/Foo) must be lowercase"],
    ["foo/Bar:x", "invalid reference format: repository name (foo/Bar) must be lowercase"],
    ["registry.example/Foo", "invalid reference format: repository name (Foo) must be lowercase"],
    ["foo//bar", "invalid reference format"],
    ["foo/", "invalid reference format"],
    ["/foo", "invalid reference format"],
    ["foo:", "invalid reference format"],
    ["foo:.x", "invalid reference format"],
    [`foo:${"t".repeat(129)}`, "invalid reference format"],
    ["foo bar", "invalid reference format"],
    ["foo\nbar", "invalid reference format"],
    ["foo\n", "invalid reference format"],
    ["-foo", "invalid reference format"],
    ["foo-", "invalid reference format"],
    ["foo..bar", "invalid reference format"],
    ["foo___bar", "invalid reference format"],
    ["../foo", "invalid reference format"],
    ["foo@sha256:12", "invalid reference format"],
    [`foo@sha256:${hex.slice(1)}`, "invalid checksum digest length"],
    [`foo@md5:${hex}`, "unsupported digest algorithm"],
    [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
    ["a".repeat(256), "repository name must not be more than 255 characters"],
    ["a".repeat(5000), "repository name must not be more than 255 characters"],
    [`${"a/".repeat(100_000)}:x`, "invalid reference format"],
  ] as const)
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(() => parseNamed(text), { kind: "InvalidParameter", message });
    });
});

describe("parseAnyReference", () => {
  it("takes whole ids, with and without the algorithm, and names otherwise", () => {
    assert.deepEqual(
      [parseAnyReference(hex), parseAnyReference(`sha256:${hex}`)],
      [{ id: `sha256:${hex}` }, { id: `sha256:${hex}` }],
    );
    assert.equal(repositoryOf(parseAnyReference("sha256:12").named ?? assert.fail()), "docker.io/library/sha256");
  });
});

describe("withTag", () => {
  it("replaces tag and digest", () => {
    assert.equal(renderFamiliar(withTag(parseNamed(`a:b@sha256:${hex}`), "c")), "a:c");
  });
  it("refuses what is no tag", () => {
    for (const tag of ["", "a b", ".a", "a:b", "t".repeat(129)])
      assert.throws(() => withTag(parseNamed("a"), tag), { message: "invalid tag format" });
  });
});
