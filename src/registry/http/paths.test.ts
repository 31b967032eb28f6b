import assert from "node:assert/strict";
import { test } from "node:test";
import { RegistryError } from "../errors.ts";
import { allowsRange, parseChunkRange, parseRange } from "./ranges.ts";
import { parseRoute } from "./routes.ts";

const digest = `sha256:${"a".repeat(64)}`;

function code(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
  return "no error";
}

test("paths are read from their end, so that repositories may be called like the API's words", () => {
  const routes: [string, unknown][] = [
    ["/v2/", { kind: "base" }],
    ["/v2", { kind: "base" }],
    ["/v2/_catalog", { kind: "catalog" }],
    ["/v2/a/tags/list", { kind: "tags", repository: "a" }],
    ["/v2/tags/list/tags/list", { kind: "tags", repository: "tags/list" }],
    ["/v2/a/b/manifests/v1", { kind: "manifest", repository: "a/b", reference: "v1" }],
    ["/v2/manifests/manifests/manifests/v1", { kind: "manifest", repository: "manifests/manifests", reference: "v1" }],
    [`/v2/a/blobs/${encodeURIComponent(digest)}`, { kind: "blob", repository: "a", digest }],
    ["/v2/a/blobs/uploads/", { kind: "uploads", repository: "a" }],
    ["/v2/a/blobs/uploads", { kind: "uploads", repository: "a" }],
    ["/v2/a/blobs/uploads/x", { kind: "upload", repository: "a", id: "x" }],
    [`/v2/a/referrers/${digest}`, { kind: "referrers", repository: "a", digest }],
    ["/v2/a", undefined],
    ["/v2/a/tags/other", undefined],
    ["/v1/search", undefined],
    ["/", undefined],
  ];
  for (const [path, route] of routes) assert.deepEqual(parseRoute(path), route, path);
});

test("a repository's name that is none is refused, however it is written", () => {
  for (const name of [
    "A",
    "..",
    "a/../b",
    "a//b",
    "-a",
    "a/",
    "a%2F..%2Fb",
    "_a",
    "a%00",
    "a".repeat(256),
    "a b",
    "%zz",
  ])
    assert.equal(
      code(() => parseRoute(`/v2/${name}/tags/list`)),
      "NAME_INVALID",
      name,
    );
});

test("ranges are single, and within the blob", () => {
  const cases: [string | undefined, unknown][] = [
    [undefined, undefined],
    ["bytes=0-3", { first: 0, last: 3 }],
    ["bytes=4-", { first: 4, last: 9 }],
    ["bytes=4-400", { first: 4, last: 9 }],
    ["bytes=-3", { first: 7, last: 9 }],
    ["bytes=-30", { first: 0, last: 9 }],
    ["bytes=0-1,4-5", undefined],
    ["bytes=5-2", undefined],
    ["bytes=-", undefined],
    ["items=0-1", undefined],
    ["bytes=a-b", undefined],
  ];
  for (const [header, range] of cases) assert.deepEqual(parseRange(header, 10), range, String(header));
  for (const header of ["bytes=10-", "bytes=10-20", "bytes=-0"])
    assert.equal(
      code(() => parseRange(header, 10)),
      "RANGE_INVALID",
      header,
    );
  assert.equal(
    code(() => parseRange("bytes=0-", 0)),
    "RANGE_INVALID",
  );
});

test("If-Range with another validator gives the whole blob", () => {
  assert.equal(allowsRange(undefined, '"x"'), true);
  assert.equal(allowsRange('"x"', '"x"'), true);
  assert.equal(allowsRange('W/"x"', '"x"'), false);
  assert.equal(allowsRange("Sat, 01 Jan 2022 00:00:00 GMT", '"x"'), false);
});

test("a chunk's range must be one, and as long as its body", () => {
  assert.deepEqual(parseChunkRange("0-9", 10), { first: 0, last: 9 });
  assert.deepEqual(parseChunkRange("bytes 5-9/10", undefined), { first: 5, last: 9 });
  assert.equal(parseChunkRange(undefined, 10), undefined);
  for (const header of ["5-4", "-5", "-5-4", "0-", "a-b", "0-9,11-12", "1e3-1e4", ""])
    assert.equal(
      code(() => parseChunkRange(header, undefined)),
      "RANGE_INVALID",
      header,
    );
  assert.equal(
    code(() => parseChunkRange("0-9", 11)),
    "RANGE_INVALID",
  );
});
