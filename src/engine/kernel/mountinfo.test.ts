import assert from "node:assert/strict";
import { test } from "node:test";
import { mountsUnder, parseMountinfo, readMounts } from "./mountinfo.ts";

test("a line with optional fields and escapes is read whole", () => {
  assert.deepEqual(
    parseMountinfo(
      "36 35 98:0 /mnt1 /mnt\\0402\\134 rw,noatime master:1 propagate_from:2 - ext3 /dev/ro\\011ot rw,errors=x\n",
    ),
    [
      {
        id: 36,
        parentId: 35,
        device: "98:0",
        root: "/mnt1",
        mountPoint: "/mnt 2\\",
        options: ["rw", "noatime"],
        propagation: ["master:1", "propagate_from:2"],
        fsType: "ext3",
        source: "/dev/ro\tot",
        superOptions: ["rw", "errors=x"],
      },
    ],
  );
});

test("a line without optional fields, and a mount point called -", () => {
  const [mount] = parseMountinfo("22 27 0:21 / - rw - proc proc rw");
  assert.equal(mount?.mountPoint, "-");
  assert.deepEqual(mount?.propagation, []);
  assert.equal(mount?.fsType, "proc");
});

test("an empty source is empty", () => {
  assert.equal(parseMountinfo("22 27 0:21 / /x rw - tmpfs  rw")[0]?.source, "");
});

test("what is no mountinfo is refused", () => {
  assert.throws(() => parseMountinfo("22 27 0:21 / /x rw"), { kind: "InvalidParameter" });
});

test("mounts under a directory are those at it and below it, not those beside it", () => {
  const mounts = parseMountinfo(
    ["/", "/a", "/a/b", "/ab", "/c"].map((point, i) => `${i} 0 0:1 / ${point} rw - tmpfs t rw`).join("\n"),
  );
  const points = (directory: string): readonly string[] =>
    mountsUnder(mounts, directory).map((mount) => mount.mountPoint);
  assert.deepEqual(points("/a/"), ["/a", "/a/b"]);
  assert.deepEqual(points("/"), ["/", "/a", "/a/b", "/ab", "/c"]);
});

test("this process has a root mount and a /proc", () => {
  const points = readMounts().map((mount) => mount.mountPoint);
  assert.ok(points.includes("/"));
  assert.ok(points.includes("/proc"));
});
