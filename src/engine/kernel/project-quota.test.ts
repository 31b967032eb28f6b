import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMountinfo } from "./mountinfo.ts";
import { explainState, mountOf } from "./project-quota.ts";

const mounts = parseMountinfo(
  [
    "20 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "21 20 8:2 / /var rw - xfs /dev/sda2 rw",
    "22 21 0:30 / /var/lib rw - tmpfs none rw",
    "23 22 0:31 / /var/lib rw - btrfs /dev/sdb rw",
  ].join("\n"),
);

test("the mount of a path is the deepest one, and of several at one place the last", () => {
  const fsTypeOf = (path: string): string | undefined => mountOf(path, mounts)?.fsType;
  assert.equal(fsTypeOf("/"), "ext4");
  assert.equal(fsTypeOf("/variable"), "ext4");
  assert.equal(fsTypeOf("/var"), "xfs");
  assert.equal(fsTypeOf("/var/lib/gantry"), "btrfs");
  assert.equal(mountOf("/x", []), undefined);
});

test("why there are no quotas names the file system, where it is, and what to do", () => {
  const explain = (state: string, path: string): string | undefined => explainState(state, path, mountOf(path, mounts));
  assert.equal(explain("ok", "/var/x"), undefined);
  assert.equal(
    explain("off", "/home"),
    "/home is on ext4 (/dev/sda1 at /), which limits no projects: unmount it, run tune2fs -O project,quota -Q prjquota on it and mount it with the option prjquota, on a kernel with quotas",
  );
  assert.equal(
    explain("off", "/var/x"),
    "/var/x is on xfs (/dev/sda2 at /var), which is mounted without the option prjquota, or its kernel has no quotas: mount it anew with it (for / the kernel needs rootflags=prjquota)",
  );
  assert.equal(
    explain("attributes", "/var/lib/g"),
    "/var/lib/g is on btrfs (/dev/sdb at /var/lib), which has no project quotas: xfs and ext4 have them, mounted with the option prjquota",
  );
  assert.match(explain("project 7", "/var/x") ?? "", /^\/var\/x belongs to project 7,/);
});
