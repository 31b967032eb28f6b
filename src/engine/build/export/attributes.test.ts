import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { renderReference } from "../../../base/reference.ts";
import { parseOutput } from "./attributes.ts";
import type { OutputRequest } from "./index.ts";

function parse(type: string, attributes: Readonly<Record<string, string>> = {}) {
  return parseOutput({ type: type as OutputRequest["type"], attributes, index: 3 });
}

function imageOf(type: string, attributes: Readonly<Record<string, string>>) {
  const parsed = parse(type, attributes);
  assert.ok(parsed.type === "image");
  return parsed;
}

describe("attributes of outputs", () => {
  it("image, moby and registry are the image store; registry pushes", () => {
    const flags = ["image", "moby", "registry"].map((type) => {
      const { push, pushByDigest, store, wantsManifest, index } = imageOf(type, { name: "a" });
      return [push, pushByDigest, store, wantsManifest, index];
    });
    assert.deepEqual(flags, [
      [false, false, true, false, 3],
      [false, false, true, false, 3],
      [true, false, true, true, 3],
    ]);
    assert.equal(imageOf("registry", { name: "a", push: "false" }).push, false);
  });

  it("names are a list, whole and with a tag", () => {
    const { form } = imageOf("image", { name: "a,r.example/b:2,," });
    assert.deepEqual(form.names.map(renderReference), ["docker.io/library/a:latest", "r.example/b:2"]);
    assert.throws(() => parse("image", { name: `a@sha256:${"0".repeat(64)}` }), /it has a digest/);
  });

  it("what only a manifest can say makes one", () => {
    const wants: readonly Readonly<Record<string, string>>[] = [
      { compression: "gzip" },
      { "oci-mediatypes": "true" },
      { "annotation.a": "b" },
      { unpack: "true" },
      {},
    ];
    assert.deepEqual(
      wants.map((attributes) => imageOf("image", { name: "a", ...attributes }).wantsManifest),
      [true, true, true, false, false],
    );
  });

  it("compressions have levels of their own", () => {
    const encodingOf = (attributes: Record<string, string>) => imageOf("image", attributes).form.encoding;
    assert.deepEqual(encodingOf({}), { compression: undefined, level: undefined, force: false });
    assert.deepEqual(encodingOf({ compression: "zstd", "compression-level": "19", "force-compression": "1" }), {
      compression: "zstd",
      level: 19,
      force: true,
    });
    assert.throws(
      () => encodingOf({ "compression-level": "10" }),
      /compression-level 10 is out of range: 0 to 9 for gzip/,
    );
    assert.throws(
      () => encodingOf({ "compression-level": "x" }),
      /non-integer value "x" specified for compression-level/,
    );
    assert.throws(() => encodingOf({ compression: "zstd", "oci-mediatypes": "false" }), /needs oci-mediatypes=true/);
  });

  it("flags are Go's, and an empty one is true", () => {
    assert.deepEqual(
      ["", "1", "t", "TRUE", "0", "False"].map((push) => imageOf("image", { name: "a", push }).push),
      [true, true, true, true, false, false],
    );
  });

  it("directories and tars have attributes of their own", () => {
    assert.deepEqual(parse("local", { "platform-split": "false", "attestation-prefix": "x", mode: "copy" }), {
      type: "local",
      index: 3,
      platformSplit: false,
      attestationPrefix: "x",
      epoch: undefined,
    });
    assert.throws(() => parse("local", { mode: "delete" }), /mode "delete" of exporter local is not supported/);
    assert.throws(() => parse("cacheonly", { a: "b" }), /unknown attribute "a" of exporter cacheonly/);
  });
});
