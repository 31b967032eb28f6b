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
    kind: "own",
    interfaces: [
      {
        kind: "veth",
        hostInterface: "veth1",
        parent: "docker0",
        mode: "",
        flag: "",
        name: "eth0",
        mac: "02:42:ac:11:00:02",
        addresses: ["172.17.0.2/16"],
        mtu: 1500,
        sysctls: {},
      },
    ],
    gateway4: { via: "172.17.0.1", interface: "eth0" },
    gateway6: undefined,
    firewall: [],
    ports: [],
    dnsSocket: undefined,
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
    "id run exit upper work ro net if if.kind if.host if.parent if.mac if.address if.mtu gateway4 runtime runtime.root hide tty stdin once rows columns log log.max log.files"
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
    net: "own",
    if: "eth0",
    "if.kind": "veth",
    "if.host": "veth1",
    "if.parent": "docker0",
    "if.mac": "02:42:ac:11:00:02",
    "if.address": "172.17.0.2/16",
    "if.mtu": "1500",
    gateway4: "eth0 172.17.0.1",
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
  for (const key of ["if", "log", "log.max", "log.files", "rows", "columns"])
    assert.equal(frame.get(key), undefined, key);
  assert.equal(frame.get("net"), "none");
});

test("an own network: fields of an interface follow its name, lists are one field each and the last", () => {
  const link = { mode: "", flag: "", hostInterface: "", mac: "", mtu: 0, sysctls: {}, addresses: [] };
  const body = renderFrame(
    spawnFields({
      ...options,
      network: {
        kind: "own",
        interfaces: [
          {
            ...link,
            kind: "veth",
            name: "eth0",
            hostInterface: "gveth1",
            parent: "gantry0",
            addresses: ["10.0.0.2/16", "fd00::2/64"],
            sysctls: { "net/ipv4/conf/eth0/log_martians": "1" },
          },
          { ...link, kind: "ipvlan", name: "eth1", parent: "ens3", mode: "l3", flag: "vepa", mtu: 1400 },
        ],
        gateway4: { interface: "eth1", via: "" },
        gateway6: { interface: "eth0", via: "fd00::1" },
        firewall: ["inet a 01", "bridge b 02 03"],
        ports: [{ protocol: "tcp", hostIp: "::", hostPort: 8080, address: "fd00::2", containerPort: 80 }],
        dnsSocket: "/run/dns.sock",
      },
    }),
  );
  const fields = body.subarray(4, -1).toString().split("\0");
  assert.deepEqual(fields.slice(fields.indexOf("net=own")), [
    "net=own",
    "if=eth0",
    "if.kind=veth",
    "if.parent=gantry0",
    "if.host=gveth1",
    "if.address=10.0.0.2/16",
    "if.address=fd00::2/64",
    "if.sysctl=net/ipv4/conf/eth0/log_martians 1",
    "if=eth1",
    "if.kind=ipvlan",
    "if.parent=ens3",
    "if.mode=l3",
    "if.flag=vepa",
    "if.mtu=1400",
    "gateway4=eth1",
    "gateway6=eth0 fd00::1",
    "dns=/run/dns.sock",
    "firewall=inet a 01\nbridge b 02 03\n",
    "ports=tcp :: 8080 fd00::2 80\n",
  ]);
});

test("a container's views come without a step, before its network", () => {
  const views = [
    {
      name: "0",
      tree: { kind: "path", path: "/volumes/v/_data", isSocket: false },
      source: "a/b",
      target: undefined,
      readonly: false,
    },
    {
      name: "1",
      tree: { kind: "layers", lower: ["/l/1"], writable: undefined },
      source: undefined,
      target: undefined,
      readonly: true,
    },
  ] as const;
  const fields = spawnFields({ ...options, views })
    .filter(([key, value]) => value !== undefined && /^view|^net$|^stubs$/.test(key))
    .map(([key, value]) => `${key}=${value}`);
  assert.deepEqual(fields, [
    "view=0",
    "view.source=a/b",
    "view.path=/volumes/v/_data",
    "view=1",
    "view.ro=1",
    "view.lower=/l/1",
    "net=own",
  ]);
});

test("a step's views are groups of fields, each beginning with its name", () => {
  const step = {
    stubs: "/stubs",
    cwd: "/work",
    views: [
      {
        name: "0",
        tree: { kind: "layers", lower: ["/l/2", "/l/1"], writable: { upper: "/u0", work: "/w0" } },
        source: "a/b",
        target: "/t",
        readonly: false,
      },
      {
        name: "1",
        tree: { kind: "path", path: "/sock", isSocket: true },
        source: undefined,
        target: undefined,
        readonly: true,
      },
      { name: "2", tree: { kind: "tmpfs", sizeBytes: 0 }, source: undefined, target: "/tmp", readonly: false },
    ],
  } as const;
  const wanted = new Set(["stubs", "cwd"]);
  const fields = spawnFields({ ...options, step })
    .filter(([key, value]) => value !== undefined && (key.startsWith("view") || wanted.has(key)))
    .map(([key, value]) => `${key}=${value}`);
  assert.deepEqual(fields, [
    "stubs=/stubs",
    "cwd=/work",
    "view=0",
    "view.source=a/b",
    "view.target=/t",
    "view.lower=/l/2",
    "view.lower=/l/1",
    "view.upper=/u0",
    "view.work=/w0",
    "view=1",
    "view.ro=1",
    "view.path=/sock",
    "view.socket=1",
    "view=2",
    "view.target=/tmp",
    "view.tmpfs=0",
  ]);
});
