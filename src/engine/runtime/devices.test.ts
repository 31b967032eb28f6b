import assert from "node:assert/strict";
import { test } from "node:test";
import { isEngineError } from "../../base/errors.ts";
import { checkDevices, parseDeviceCgroupRule, planDevices } from "./devices.ts";
import { fakeHost } from "./fixture.ts";
import { parsePropagation } from "./spec-host.ts";

test("the device cgroup denies all but the ten that every program expects; no tun", () => {
  assert.deepEqual(
    planDevices({}, fakeHost).rules.map(({ allow, type, major, minor, access }) =>
      [allow ? "allow" : "deny", type ?? "a", `${major ?? "*"}:${minor ?? "*"}`, access].join(" "),
    ),
    [
      "deny a *:* rwm",
      "allow c 1:3 rwm",
      "allow c 1:5 rwm",
      "allow c 1:7 rwm",
      "allow c 1:8 rwm",
      "allow c 1:9 rwm",
      "allow c 5:0 rwm",
      "allow c 5:1 rwm",
      "allow c 5:2 rwm",
      "allow c 136:* rwm",
    ],
  );
  assert.deepEqual(planDevices({}, fakeHost).nodes, []);
});

test("a device is made and allowed with the access asked for; a directory brings what is in it", () => {
  const plan = planDevices(
    {
      Devices: [
        { PathOnHost: "/dev/vda", PathInContainer: "/dev/disk", CgroupPermissions: "r" },
        { PathOnHost: "/dev/snd", PathInContainer: "/dev/sound", CgroupPermissions: "rw" },
      ],
      DeviceCgroupRules: ["c 42:* rmw"],
    },
    fakeHost,
  );
  assert.deepEqual(
    plan.nodes.map(({ path, type, major, minor }) => [path, type, major, minor]),
    [
      ["/dev/disk", "b", 254, 0],
      ["/dev/sound/timer", "c", 116, 33],
      ["/dev/sound/seq", "c", 116, 1],
    ],
  );
  assert.deepEqual(plan.rules.slice(10), [
    { allow: true, type: "b", major: 254, minor: 0, access: "r" },
    { allow: true, type: "c", major: 116, minor: 33, access: "rw" },
    { allow: true, type: "c", major: 116, minor: 1, access: "rw" },
    { allow: true, type: "c", major: 42, access: "rmw" },
  ]);
});

test("a privileged container gets every device", () => {
  const plan = planDevices({ Privileged: true }, fakeHost);
  assert.deepEqual(plan.rules, [{ allow: true, access: "rwm" }]);
  assert.equal(plan.nodes.length, 4);
});

test("missing devices and files that are none fail as in dockerd", () => {
  const message = (path: string): string => {
    try {
      planDevices({ Devices: [{ PathOnHost: path, CgroupPermissions: "rwm" }] }, fakeHost);
      return "";
    } catch (error) {
      assert.ok(isEngineError(error, "System"));
      return error.message;
    }
  };
  const text = "error gathering device information while adding custom device";
  assert.equal(message("/dev/nope"), `${text} "/dev/nope": no such file or directory`);
  assert.equal(message("/etc"), `${text} "/etc": not a device node`);
});

test("device cgroup rules have one form", () => {
  assert.deepEqual(parseDeviceCgroupRule("c 1:3 rr"), { allow: true, type: "c", major: 1, minor: 3, access: "r" });
  assert.deepEqual(parseDeviceCgroupRule("a *:* rwm"), { allow: true, type: "a", access: "rwm" });
  for (const text of [
    "foo",
    "c 1:3",
    "c  1:3 r",
    "c 1:3 rwx",
    "c 1:3 rwmr",
    "c 99999999999:3 r",
    "c -1:3 r",
    "c 1:3 r\n",
  ]) {
    assert.equal(parseDeviceCgroupRule(text), undefined, text);
    assert.deepEqual(checkDevices({ DeviceCgroupRules: [text] }), [`invalid device cgroup rule format: '${text}'`]);
  }
});

test("device mappings with impossible paths or access are refused", () => {
  assert.deepEqual(checkDevices({ Devices: [{ PathOnHost: "/dev/x", CgroupPermissions: "rwm" }] }), []);
  for (const device of [
    { PathOnHost: "/dev/x", CgroupPermissions: "" },
    { PathOnHost: "/dev/x", CgroupPermissions: "x" },
    { PathOnHost: "dev/x", PathInContainer: "/dev/x", CgroupPermissions: "r" },
    { PathOnHost: "/dev/x", PathInContainer: "/dev", CgroupPermissions: "r" },
    { PathOnHost: "/dev/x", PathInContainer: "x", CgroupPermissions: "r" },
  ]) {
    assert.equal(checkDevices({ Devices: [device] }).length, 1, JSON.stringify(device));
  }
});

test("the propagation of a path is that of the innermost mount above it, the newest if there are several", () => {
  const info = [
    "22 1 0:20 / / rw - ext4 /dev/vda rw",
    "23 22 0:21 / /mnt rw shared:5 - tmpfs tmpfs rw",
    "24 23 0:22 / /mnt/a\\040b rw shared:6 master:2 - tmpfs tmpfs rw",
    "25 22 0:23 / /mnt rw master:9 - tmpfs tmpfs rw",
  ].join("\n");
  assert.deepEqual(parsePropagation(info, "/mnt/x"), { mountPoint: "/mnt", shared: false, slave: true });
  assert.deepEqual(parsePropagation(info, "/mnt/a b/c"), { mountPoint: "/mnt/a b", shared: true, slave: true });
  assert.deepEqual(parsePropagation(info, "/mntx"), { mountPoint: "/", shared: false, slave: false });
});
