import assert from "node:assert/strict";
import { test } from "node:test";
import { cleanTarget, planViews, snapshotTree } from "./step-views.ts";

const tmpfs = { kind: "tmpfs", sizeBytes: 0 } as const;

test("a target is clean and inside; the root and /proc are refused", () => {
  assert.equal(cleanTarget("x/../y", "/work"), "/work/y");
  assert.equal(cleanTarget("../../../etc", "/a"), "/etc");
  for (const bad of ["/", "/..", "/proc", "/proc/self/x", "/x/../proc/1", "/a\0b"])
    assert.throws(() => cleanTarget(bad, "/"), { kind: "InvalidParameter" }, bad);
});

test("outer targets come first, and those below /dev are the runtime's", () => {
  const { views, mounts } = planViews(
    [
      { target: "/a/b/c", tree: tmpfs, readonly: false },
      { target: "/dev/pipes/x", tree: tmpfs, readonly: true },
      { target: "/a", tree: tmpfs, source: "/", readonly: false },
    ],
    "/run/s",
  );
  assert.deepEqual(
    views.map(({ name, target, source }) => [name, target, source]),
    [
      ["0", "/a", undefined],
      ["1", "/a/b/c", undefined],
      ["2", undefined, undefined],
    ],
  );
  assert.deepEqual(mounts, [
    { destination: "/dev/pipes/x", type: "bind", source: "/run/s/views/2", options: ["bind", "rprivate", "ro"] },
  ]);
});

test("one layer alone is shown through an overlay, so that its whiteouts are hidden", () => {
  const layers = { directories: () => ["/l1"] };
  const one = { kind: "layers", layers: ["sha256:a" as never] } as const;
  assert.deepEqual(snapshotTree(one, layers, "/empty", undefined), {
    kind: "layers",
    lower: ["/l1", "/empty"],
    writable: undefined,
  });
  const none = { kind: "layers", layers: [] } as const;
  assert.deepEqual(snapshotTree(none, layers, "/empty", undefined), { kind: "path", path: "/empty", isSocket: false });
  const writable = { upper: "/u", work: "/w" };
  assert.deepEqual(
    snapshotTree(one, layers, "/empty", () => writable),
    { kind: "layers", lower: ["/l1"], writable },
  );
});
