import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import { fakeHost, v1Facts, v2Facts } from "./fixture.ts";
import { validate } from "./validate.ts";
import type { Validation } from "./validate.ts";

const check = (hostConfig: HostConfig, config: ContainerConfig = {}): Validation =>
  validate(config, hostConfig, v1Facts, fakeHost);
const consent = { invalid: [], unsupported: [], warnings: [] };

/** What docker 28.2 sends for `docker run busybox`. */
const cliDefaults: { readonly config: ContainerConfig; readonly hostConfig: HostConfig } = {
  config: {
    Hostname: "",
    Domainname: "",
    User: "",
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: "busybox",
    Volumes: {},
    WorkingDir: "",
    Entrypoint: null,
    OnBuild: null,
    Labels: {},
  },
  hostConfig: {
    Binds: null,
    ContainerIDFile: "",
    LogConfig: { Type: "" as "none", Config: {} },
    NetworkMode: "default",
    PortBindings: {},
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    AutoRemove: false,
    VolumesFrom: null,
    ConsoleSize: [0, 0],
    CapAdd: null,
    CapDrop: null,
    CgroupnsMode: "" as "host",
    Dns: [],
    DnsOptions: [],
    DnsSearch: [],
    ExtraHosts: null,
    GroupAdd: null,
    IpcMode: "",
    Cgroup: "",
    Links: null,
    OomScoreAdj: 0,
    PidMode: "",
    Privileged: false,
    PublishAllPorts: false,
    ReadonlyRootfs: false,
    SecurityOpt: null,
    UTSMode: "",
    UsernsMode: "",
    ShmSize: 0,
    Isolation: "",
    CpuShares: 0,
    Memory: 0,
    NanoCpus: 0,
    CgroupParent: "",
    BlkioWeight: 0,
    BlkioWeightDevice: [],
    BlkioDeviceReadBps: [],
    BlkioDeviceWriteBps: [],
    BlkioDeviceReadIOps: [],
    BlkioDeviceWriteIOps: [],
    CpuPeriod: 0,
    CpuQuota: 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: "",
    CpusetMems: "",
    Devices: [],
    DeviceCgroupRules: null,
    DeviceRequests: null,
    MemoryReservation: 0,
    MemorySwap: 0,
    MemorySwappiness: -1,
    OomKillDisable: false,
    PidsLimit: 0,
    Ulimits: [],
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    MaskedPaths: null,
    ReadonlyPaths: null,
  },
};

test("what the docker CLI sends by default passes on cgroup v1 and v2", () => {
  for (const facts of [v1Facts, v2Facts]) {
    assert.deepEqual(validate(cliDefaults.config, cliDefaults.hostConfig, facts, fakeHost), consent);
  }
});

test("what the docker CLI sends with options passes", () => {
  assert.deepEqual(
    check({
      ...cliDefaults.hostConfig,
      Binds: ["/a:/b:ro"],
      NetworkMode: "host",
      SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}', "no-new-privileges"],
      Tmpfs: { "/q": "size=1m" },
      Memory: 104857600,
      NanoCpus: 1500000000,
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/foo", CgroupPermissions: "rwm" }],
      DeviceCgroupRules: ["c 1:3 rwm"],
      Ulimits: [{ Name: "nofile", Hard: 20, Soft: 10 }],
      Mounts: [
        { Type: "bind", Source: "/x", Target: "/y" },
        { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 10485760 } },
      ],
      MaskedPaths: [],
      ReadonlyPaths: [],
      Init: true,
    }),
    consent,
  );
});

test("every field that is not built yet is named when it is set", () => {
  const device = [{ Path: "/dev/x", Rate: 1 }];
  const hostConfig: HostConfig = {
    Cgroup: "x",
    BlkioWeight: 500,
    BlkioWeightDevice: [{ Path: "/dev/x", Weight: 1 }],
    BlkioDeviceReadBps: device,
    BlkioDeviceWriteBps: device,
    BlkioDeviceReadIOps: device,
    BlkioDeviceWriteIOps: device,
    CpuRealtimePeriod: 1,
    CpuRealtimeRuntime: 1,
    DeviceRequests: [{ Count: 1 }],
    KernelMemoryTCP: 1,
    CpuCount: 1,
    CpuPercent: 1,
    IOMaximumIOps: 1,
    IOMaximumBandwidth: 1,
  };
  const config: ContainerConfig = {
    Healthcheck: { Test: ["CMD", "true"] },
  };
  assert.deepEqual(check(hostConfig, config), {
    invalid: [],
    unsupported: ["Config.Healthcheck", ...Object.keys(hostConfig).map((name) => `HostConfig.${name}`)],
    warnings: [],
  });
  assert.deepEqual(check({}, { Healthcheck: { Test: ["NONE"], Interval: 5 } }), consent);
});

test("relabelling is refused without SELinux, by name, and is not built yet with it", () => {
  const reason = "relabelling (z, Z) needs SELinux, which is not enabled on this host; leave the letter out";
  assert.deepEqual(check({ Binds: ["/a:/b:z", "data:/d:ro,Z", "/e:/f:ro"], VolumesFrom: ["x:z", "y:ro"] }).invalid, [
    `invalid volume specification: '/a:/b:z': ${reason}`,
    `invalid volume specification: 'data:/d:ro,Z': ${reason}`,
    `invalid volumes-from: 'x:z': ${reason}`,
  ]);
  assert.deepEqual(validate({}, { Binds: ["/a:/b:z"] }, { ...v1Facts, seLinux: true }, fakeHost).unsupported, [
    "HostConfig.Binds with z or Z",
  ]);
});

test("requests that dockerd refuses are refused with its texts", () => {
  const cases: readonly (readonly [HostConfig, string])[] = [
    [{ PidMode: "foo" }, "invalid PID mode: foo"],
    [{ PidMode: "container:" }, "invalid PID mode: container:"],
    [{ IpcMode: "foo" }, "invalid IPC mode: foo"],
    [{ UTSMode: "foo" }, "invalid UTS mode: foo"],
    [{ CgroupnsMode: "foo" as "host" }, "invalid cgroup namespace mode: foo"],
    [{ UsernsMode: "foo" }, "invalid USER mode: foo"],
    [
      { RestartPolicy: { Name: "foo" as "no" } },
      "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
    ],
    [
      { RestartPolicy: { Name: "always", MaximumRetryCount: 3 } },
      "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ],
    [
      { RestartPolicy: { Name: "on-failure", MaximumRetryCount: -1 } },
      "invalid restart policy: maximum retry count cannot be negative",
    ],
    [
      { RestartPolicy: { Name: "always" }, AutoRemove: true },
      "can't create 'AutoRemove' container with restart policy",
    ],
    [{ Isolation: "hyperv" }, "invalid isolation (hyperv): linux only supports 'default'"],
    [{ Annotations: { "": "x" } }, "invalid Annotations: the empty string is not permitted as an annotation key"],
    [{ MaskedPaths: ["x"] }, 'invalid MaskedPaths: "x" must be absolute'],
    [{ CgroupParent: "../x" }, 'invalid CgroupParent: "../x"'],
    [{ SecurityOpt: ["apparmor=x"] }, 'AppArmor is not enabled in your kernel, cannot use the profile "x"'],
    [
      { SecurityOpt: ["label=type:x"] },
      "SELinux is not enabled in your kernel, cannot use labels; only label=disable is possible",
    ],
    [
      { SecurityOpt: ['seccomp={"defaultAction":"X"}'] },
      "Decoding seccomp profile failed: string X is not a valid action for seccomp",
    ],
  ];
  for (const [hostConfig, text] of cases) assert.deepEqual(check(hostConfig), { ...consent, invalid: [text] });
});

test("orders to the runtime cannot be given by annotation", () => {
  assert.deepEqual(check({ Annotations: { "run.oci.seccomp_bpf_data": "x" } }).invalid, [
    'invalid Annotations: "run.oci.seccomp_bpf_data" is reserved for the engine',
  ]);
});

test("hostnames conflict with namespaces that have their own", () => {
  assert.deepEqual(check({ UTSMode: "host" }, { Hostname: "x" }).invalid, [
    "conflicting options: hostname and the UTS mode",
  ]);
  assert.deepEqual(check({ NetworkMode: "container:y" }, { Hostname: "x" }).invalid, [
    "conflicting options: hostname and the network mode",
  ]);
  assert.deepEqual(check({ NetworkMode: "host" }, { Hostname: "x" }), consent);
});

test("what would break a generated file is refused: line breaks, NUL, escapes (S19)", () => {
  for (const evil of ["a\nb", "a\rb", "a\0b", "a\u001bb", "a\u0085b"]) {
    for (const config of [
      { User: evil },
      { WorkingDir: `/${evil}` },
      { Env: [`${evil}=x`] },
      { Labels: { [evil]: "x" } },
    ] satisfies ContainerConfig[]) {
      assert.equal(check({}, config).invalid.length, 1, JSON.stringify(config));
    }
    for (const hostConfig of [
      { Annotations: { [evil]: "x" } },
      { CgroupParent: evil },
      { Sysctls: { "net.x": evil } },
    ] satisfies HostConfig[]) {
      assert.equal(check(hostConfig).invalid.length, 1, JSON.stringify(hostConfig));
    }
  }
  for (const config of [
    { Env: ["A=x\0"] },
    { Cmd: ["\0"] },
    { Entrypoint: ["\0"] },
    { Labels: { a: "\0" } },
    { Env: [""] },
    { Env: ["=x"] },
  ] satisfies ContainerConfig[]) {
    assert.equal(check({}, config).invalid.length, 1, JSON.stringify(config));
  }
  assert.equal(check({ Binds: ["/a\0:/b"] }).invalid.length, 1);
  assert.deepEqual(check({}, { Env: ["A=line\nline"], Labels: { a: "line\nline" }, Hostname: "a_b.c" }), consent);
});

test("a working directory behind a descriptor is refused before anything is made (S02)", () => {
  assert.deepEqual(check({}, { WorkingDir: "/proc/self/fd/8" }).invalid, [
    "the working directory '/proc/self/fd/8' is invalid, it leads through a file descriptor",
  ]);
});

test("all complaints come at once", () => {
  assert.equal(check({ Memory: 1, PidMode: "x", Binds: [""] }, { Env: [""] }).invalid.length, 4);
});

test("validate answers whatever the texts and numbers are", () => {
  const nasty = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom(
      "",
      "host",
      "container:",
      "/proc",
      "/a:/b:ro",
      "/a",
      "seccomp={",
      "ALL",
      "\0",
      "..",
      "x=y",
      "0-1,",
      "__proto__",
      "constructor",
    ),
  );
  const list = fc.array(nasty, { maxLength: 4 });
  const map = fc.dictionary(nasty, nasty, { maxKeys: 4 });
  const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-1, 0, 1, 2 ** 53, Number.MAX_VALUE));
  const pick = (shape: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Record<string, unknown>> =>
    fc.record(shape, { requiredKeys: [] });
  const hostConfig = pick({
    Binds: list,
    CapAdd: list,
    CapDrop: list,
    SecurityOpt: list,
    Tmpfs: map,
    Sysctls: map,
    Annotations: map,
    PidMode: nasty,
    IpcMode: nasty,
    UTSMode: nasty,
    UsernsMode: nasty,
    CgroupnsMode: nasty,
    NetworkMode: nasty,
    CgroupParent: nasty,
    CpusetCpus: nasty,
    CpusetMems: nasty,
    DeviceCgroupRules: list,
    MaskedPaths: list,
    Memory: number,
    MemorySwap: number,
    NanoCpus: number,
    PidsLimit: number,
    OomScoreAdj: number,
    ShmSize: number,
    LogConfig: pick({ Type: nasty, Config: map }),
    RestartPolicy: pick({ Name: nasty, MaximumRetryCount: number }),
    Devices: fc.array(pick({ PathOnHost: nasty, PathInContainer: nasty, CgroupPermissions: nasty }), { maxLength: 3 }),
    Ulimits: fc.array(pick({ Name: nasty, Soft: number, Hard: number }), { maxLength: 3 }),
    Mounts: fc.array(
      pick({
        Type: fc.constantFrom("bind", "tmpfs", "volume", "x"),
        Source: nasty,
        Target: nasty,
        ReadOnly: fc.boolean(),
        BindOptions: pick({ Propagation: nasty, ReadOnlyForceRecursive: fc.boolean() }),
        TmpfsOptions: pick({ SizeBytes: number, Mode: number, Options: fc.array(list, { maxLength: 3 }) }),
      }),
      { maxLength: 3 },
    ),
  });
  const config = pick({
    Hostname: nasty,
    Domainname: nasty,
    User: nasty,
    WorkingDir: nasty,
    Env: list,
    Cmd: list,
    Labels: map,
  });
  fc.assert(
    fc.property(config, hostConfig, fc.constantFrom(v1Facts, v2Facts), (c, h, facts) => {
      const { invalid, unsupported, warnings } = validate(c, h, facts, fakeHost);
      for (const text of [...invalid, ...unsupported, ...warnings]) assert.equal(typeof text, "string");
    }),
    { numRuns: 1500 },
  );
});
