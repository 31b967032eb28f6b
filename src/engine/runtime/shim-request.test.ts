import assert from "node:assert/strict";
import { test } from "node:test";
import { parseContainerId } from "../../base/ids.ts";
import { parseFrame, renderFrame } from "./shim-frames.ts";
import { spawnFields } from "./shim-request.ts";
import type { ShimOptions } from "./shim.ts";

const options: ShimOptions = {
  id: parseContainerId("ab".repeat(32)),
  runDir: "/run/g",
  exitFile: "/var/g/exit",
  rootfs: { lower: ["/l/2", "/l/1"], upper: "/u", work: "/w", readonly: false },
  network: {
    kind: "bridge",
    hostInterface: "veth1",
    bridge: "docker0",
    interface: "eth0",
    mac: "02:42:ac:11:00:02",
    address: "172.17.0.2/16",
    gateway: "172.17.0.1",
    mtu: 1500,
  },
  runtime: { path: "/usr/bin/crun", args: ["--cgroup-manager", "cgroupfs"], stateRoot: "/s", hidesUnifiedCgroup: true },
  tty: true,
  stdin: true,
  stdinOnce: false,
  consoleSize: [24, 80],
  log: { path: "/var/g/log", maxSizeBytes: 1000, maxFiles: 3 },
  cgroups: ["/c/1", "/c/2"],
};

test("every option is in the request, lists in order", () => {
  const frame = parseFrame(renderFrame(spawnFields(options)).subarray(4));
  assert.deepEqual(frame.all("lower"), ["/l/2", "/l/1"]);
  assert.deepEqual(frame.all("cgroup"), ["/c/1", "/c/2"]);
  assert.deepEqual(frame.all("runtime.arg"), ["--cgroup-manager", "cgroupfs"]);
  const single = Object.fromEntries(
    "id run exit upper work ro net net.host net.bridge net.name net.mac net.address net.gateway net.mtu runtime runtime.root hide tty stdin once rows columns log log.max log.files"
      .split(" ")
      .map((key) => [key, frame.get(key)]),
  );
  assert.deepEqual(single, {
    id: options.id,
    run: "/run/g",
    exit: "/var/g/exit",
    upper: "/u",
    work: "/w",
    ro: "0",
    net: "bridge",
    "net.host": "veth1",
    "net.bridge": "docker0",
    "net.name": "eth0",
    "net.mac": "02:42:ac:11:00:02",
    "net.address": "172.17.0.2/16",
    "net.gateway": "172.17.0.1",
    "net.mtu": "1500",
    runtime: "/usr/bin/crun",
    "runtime.root": "/s",
    hide: "1",
    tty: "1",
    stdin: "1",
    once: "0",
    rows: "24",
    columns: "80",
    log: "/var/g/log",
    "log.max": "1000",
    "log.files": "3",
  });
});

test("what is not wanted is not asked for", () => {
  const frame = parseFrame(
    renderFrame(
      spawnFields({ ...options, network: { kind: "none" }, log: undefined, consoleSize: undefined, tty: false }),
    ).subarray(4),
  );
  for (const key of ["net.host", "log", "log.max", "log.files", "rows", "columns"])
    assert.equal(frame.get(key), undefined, key);
  assert.equal(frame.get("net"), "none");
});
