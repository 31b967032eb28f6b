import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { cgroupDirectories, discoverCgroups, isFrozen, listCgroups, processesIn, thawCgroup } from "./cgroups.ts";
import { parseMountinfo } from "./mountinfo.ts";

const v1 = [
  "1 0 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw",
  "2 1 0:2 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
  "3 1 0:3 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer",
  "4 1 0:4 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd",
  "5 1 0:3 / /elsewhere/freezer rw - cgroup cgroup rw,freezer",
];
const v2 = "6 1 0:6 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate";

const v1Mounts = {
  cpu: "/sys/fs/cgroup/cpu,cpuacct",
  cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
  freezer: "/sys/fs/cgroup/freezer",
  "name=systemd": "/sys/fs/cgroup/systemd",
};

test("v1 has a mount point per controller, the first where it is mounted twice", () => {
  assert.deepEqual(discoverCgroups(parseMountinfo(v1.join("\n"))), { version: 1, mounts: v1Mounts, hybrid: false });
});

test("v1 beside v2 is hybrid, and v1 is what is used", () => {
  assert.deepEqual(discoverCgroups(parseMountinfo([...v1, v2].join("\n"))), {
    version: 1,
    mounts: v1Mounts,
    hybrid: true,
  });
});

test("v2 alone has one mount point", () => {
  assert.deepEqual(discoverCgroups(parseMountinfo(v2)), {
    version: 2,
    mounts: { "": "/sys/fs/cgroup/unified" },
    hybrid: false,
  });
});

test("no hierarchy at all is said", () => {
  assert.throws(() => discoverCgroups([]), { kind: "System", message: /no cgroup hierarchy is mounted/ });
});

test("controllers mounted together give one directory", () => {
  assert.deepEqual(cgroupDirectories({ version: 1, mounts: v1Mounts, hybrid: false }, "/gantry/x"), [
    "/sys/fs/cgroup/cpu,cpuacct/gantry/x",
    "/sys/fs/cgroup/freezer/gantry/x",
    "/sys/fs/cgroup/systemd/gantry/x",
  ]);
});

test("the root cgroup and paths that lead out are refused", () => {
  const hierarchies = { version: 1, mounts: v1Mounts, hybrid: false } as const;
  for (const path of ["", "/", "gantry", "/gantry/", "//", "/gantry/..", "/./x"]) {
    assert.throws(() => cgroupDirectories(hierarchies, path), { kind: "InvalidParameter" }, JSON.stringify(path));
  }
});

test("names and processes are collected over all hierarchies and levels; pid 0 is nobody", () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-cgroups-"));
  try {
    const mounts = { pids: join(root, "pids"), freezer: join(root, "freezer") };
    const files: Readonly<Record<string, string>> = {
      "pids/g/b/cgroup.procs": "30\n4\n",
      "pids/g/b/inner/cgroup.procs": "5\n",
      "freezer/g/a/cgroup.procs": "4\n0\n",
      "freezer/g/cgroup.procs": "",
      "freezer/g/a/freezer.state": "FROZEN\n",
      "freezer/g/freezer.state": "FREEZING\n",
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const hierarchies = { version: 1, mounts, hybrid: false } as const;
    assert.deepEqual(listCgroups(hierarchies, "/g"), ["a", "b"]);
    assert.deepEqual(processesIn(hierarchies, "/g"), [4, 5, 30]);
    assert.deepEqual(processesIn(hierarchies, "/none"), []);
    assert.deepEqual(
      ["/g/a", "/g", "/none"].map((path) => isFrozen(hierarchies, path)),
      [true, false, false],
    );
    thawCgroup(hierarchies, "/g/a");
    assert.equal(readFileSync(join(mounts.freezer, "g/a/freezer.state"), "utf8"), "THAWED\n");
    assert.throws(() => thawCgroup(hierarchies, "/none"), { kind: "NotFound" });
  } finally {
    rmSync(root, { recursive: true });
  }
});
