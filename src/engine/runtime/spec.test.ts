import assert from "node:assert/strict";
import { test } from "node:test";
import { isEngineError } from "../../base/errors.ts";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import type { OciSpec } from "../../spec/oci/runtime.ts";
import { defaultCapabilities } from "./capabilities.ts";
import type { SpecInput } from "./index.ts";
import { buildExecProcess } from "./exec-process.ts";
import { fakeHost, specInput, v2Facts } from "./fixture.ts";
import { planMounts } from "./mounts.ts";
import { createSeccompPlanner } from "./seccomp/plan.ts";
import { buildSpec, renderSpec } from "./spec.ts";

const seccomp = createSeccompPlanner();

function build(hostConfig: HostConfig = {}, config: ContainerConfig = {}, changes: Partial<SpecInput> = {}): OciSpec {
  return buildSpec(specInput(hostConfig, config, changes), fakeHost, seccomp);
}

test("an ordinary container on cgroup v1, whole", () => {
  const bind = (destination: string, source: string): object => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", "rprivate"],
  });
  const { linux, ...rest } = build({}, { Env: ["A=b"] });
  assert.deepEqual(rest, {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0, additionalGids: [0] },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "A=b", "HOME=/root"],
      cwd: "/",
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: false,
      oomScoreAdj: 0,
    },
    root: { path: "/run/gantry/rootfs", readonly: false },
    hostname: "box",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid", "noexec", "nodev"] },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"],
      },
      bind("/etc/resolv.conf", "/data/resolv.conf"),
      bind("/etc/hostname", "/data/hostname"),
      bind("/etc/hosts", "/data/hosts"),
    ],
  });
  const { resources, ...others } = linux;
  assert.equal(resources?.devices?.length, 10);
  assert.deepEqual(others, {
    namespaces: [
      { type: "mount" },
      { type: "network", path: "/proc/7/ns/net" },
      { type: "uts" },
      { type: "pid" },
      { type: "ipc" },
    ],
    cgroupsPath: "/gantry/5a5a",
    maskedPaths: [
      "/proc/acpi",
      "/proc/asound",
      "/proc/interrupts",
      "/proc/kcore",
      "/proc/keys",
      "/proc/latency_stats",
      "/proc/sched_debug",
      "/proc/scsi",
      "/proc/timer_list",
      "/proc/timer_stats",
      "/sys/devices/virtual/powercap",
      "/sys/firmware",
      "/sys/devices/system/cpu/cpu0/thermal_throttle",
      "/sys/devices/system/cpu/cpu1/thermal_throttle",
    ],
    readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    sysctl: { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" },
  });
});

test("namespaces follow the modes; cgroup is private on v2 unless privileged", () => {
  const kinds = (hostConfig: HostConfig, changes: Partial<SpecInput> = {}): string =>
    build(hostConfig, {}, changes)
      .linux.namespaces.map(({ type, path }) => (path === undefined ? type : `${type}=${path}`))
      .join(" ");
  const host = { network: "host", pid: "host", ipc: "host", uts: "host", cgroup: "host" };
  assert.equal(kinds({}, { namespaces: host, facts: v2Facts }), "mount");
  assert.equal(kinds({}, { facts: v2Facts }), "mount network=/proc/7/ns/net uts pid ipc cgroup");
  assert.equal(kinds({ Privileged: true }, { facts: v2Facts }), "mount network=/proc/7/ns/net uts pid ipc");
  assert.equal(kinds({ CgroupnsMode: "private" }), "mount network=/proc/7/ns/net uts pid ipc cgroup");
  assert.equal(
    kinds({}, { namespaces: { network: "/n", pid: "/p", ipc: "/i", uts: undefined, cgroup: undefined } }),
    "mount network=/n uts pid=/p ipc=/i",
  );
});

test("the host's UTS namespace keeps its names; the host's network keeps its sysctls", () => {
  const namespaces = { network: "host", pid: undefined, ipc: undefined, uts: "host", cgroup: undefined };
  const spec = build({ NetworkMode: "host", UTSMode: "host" }, { Domainname: "d" }, { namespaces });
  assert.equal(Object.hasOwn(spec, "hostname"), false);
  assert.deepEqual(spec.linux.sysctl, {});
  assert.deepEqual(build({ NetworkMode: "container:x" }, { Domainname: "d" }).linux.sysctl, {
    "kernel.domainname": "d",
  });
});

test("a privileged container has all capabilities and devices, nothing masked, /sys and cgroups writable, no filter", () => {
  const spec = build({ Privileged: true }, {}, { seccomp: undefined });
  assert.equal(spec.process.capabilities?.effective.length, 41);
  assert.deepEqual(
    [spec.linux.maskedPaths, spec.linux.readonlyPaths, spec.linux.seccomp, spec.annotations],
    [[], [], undefined, undefined],
  );
  assert.equal(spec.linux.devices?.length, 4);
  for (const path of ["/sys", "/sys/fs/cgroup"]) {
    assert.equal(spec.mounts.find(({ destination }) => destination === path)?.options?.includes("ro"), false);
  }
});

test("privileges are withheld from inheritable and ambient even there (S07)", () => {
  const { capabilities } = build({ Privileged: true }).process;
  assert.deepEqual([capabilities?.inheritable, capabilities?.ambient], [[], []]);
});

test("paths that the client names replace the masks; systempaths=unconfined removes them (K01)", () => {
  const paths = (hostConfig: HostConfig): unknown => {
    const { linux } = build(hostConfig);
    return [linux.maskedPaths, linux.readonlyPaths];
  };
  assert.deepEqual(paths({ MaskedPaths: ["/proc/kcore"], ReadonlyPaths: [] }), [["/proc/kcore"], []]);
  assert.deepEqual(paths({ MaskedPaths: [], ReadonlyPaths: [] }), [[], []]);
  assert.deepEqual(paths({ SecurityOpt: ["systempaths=unconfined"] }), [[], []]);
});

test("mounts of the client replace the engine's, and inner ones come after outer ones", () => {
  const destinations = (hostConfig: HostConfig): readonly string[] =>
    build(hostConfig).mounts.map((mount) => mount.destination);
  const shown = destinations({ Binds: ["/x:/etc/hosts", "/y:/etc", "/z:/dev/shm"] });
  assert.deepEqual(shown.slice(-5), ["/etc", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/dev/shm"]);
  assert.equal(new Set(shown).size, shown.length);
  const dev = destinations({ Binds: ["/dev:/dev"] });
  assert.deepEqual(
    dev.filter((path) => path.startsWith("/dev")),
    ["/dev"],
  );
});

test("read-only covers the mounts below a directory; of a file, and of what the shim shows, only itself", () => {
  const options = (changes: Partial<SpecInput>, hostConfig: HostConfig = {}): unknown =>
    build(hostConfig, {}, changes).mounts.find(({ destination }) => destination === "/y")?.options;
  assert.deepEqual(options({}, { Binds: ["/srv:/y:ro"] }), ["rbind", "rro", "rprivate"]);
  assert.deepEqual(options({}, { Binds: ["/file:/y:ro"] }), ["rbind", "ro", "rprivate"]);
  const { mounts } = planMounts({
    hostConfig: { Mounts: [{ Type: "image", Source: "tools", Target: "/y" }] },
    recursiveReadOnly: true,
  });
  const shown = mounts.map((mount) => ({ mount, source: "/run/views/0", isView: true }));
  assert.deepEqual(options({ mounts: shown }), ["rbind", "ro", "rprivate"]);
});

test("ipc modes decide about /dev/shm", () => {
  const shm = (hostConfig: HostConfig, shmPath?: string): unknown => {
    const mount = build(hostConfig, {}, { shmPath }).mounts.find(({ destination }) => destination === "/dev/shm");
    return mount === undefined ? undefined : [mount.type, mount.source, mount.options?.at(-1)];
  };
  assert.deepEqual(shm({ ShmSize: 1024 }), ["tmpfs", "shm", "size=1024"]);
  assert.equal(shm({ IpcMode: "none" }), undefined);
  assert.deepEqual(shm({ IpcMode: "host" }), ["bind", "/dev/shm", "nodev"]);
  assert.deepEqual(shm({ IpcMode: "container:x" }, "/data/shm"), ["bind", "/data/shm", "nodev"]);
});

test("a read-only root makes the engine's files read-only too", () => {
  const spec = build({ ReadonlyRootfs: true });
  assert.equal(spec.root.readonly, true);
  assert.deepEqual(spec.mounts.find(({ destination }) => destination === "/etc/hosts")?.options, [
    "rbind",
    "rprivate",
    "ro",
  ]);
});

test("Init puts docker-init before the command", () => {
  const spec = build({ Init: true });
  assert.deepEqual(spec.process.args, ["/sbin/docker-init", "--", "sh"]);
  assert.deepEqual(
    spec.mounts.find(({ destination }) => destination === "/sbin/docker-init"),
    {
      destination: "/sbin/docker-init",
      type: "bind",
      source: "/usr/bin/tini-static",
      options: ["bind", "rprivate", "ro"],
    },
  );
  assert.deepEqual(build({}).process.args, ["sh"]);
});

test("the environment: defaults below, bare names remove, TERM with a terminal", () => {
  const env = (config: ContainerConfig): readonly string[] => build({}, config).process.env;
  assert.deepEqual(env({ Env: ["PATH=/p", "HOME=/h", "X=1", "X=2", "HOSTNAME"], Tty: true }), [
    "PATH=/p",
    "TERM=xterm",
    "HOME=/h",
    "X=2",
  ]);
  assert.equal(build({}, { Tty: true }).process.terminal, true);
  assert.deepEqual(build({ ConsoleSize: [24, 80] }, { Tty: true }).process.consoleSize, { height: 24, width: 80 });
  assert.equal(build({ ConsoleSize: [0, 0] }, { Tty: true }).process.consoleSize, undefined);
});

test("working directories that lead through descriptors are refused (S02)", () => {
  for (const cwd of [
    "/proc/self/fd/7",
    "/proc/self/fd/7/../..",
    "//proc/./self//fd/7",
    "/proc/1/root",
    "/proc/1/cwd/etc",
    "/dev/fd/7",
    "/x/../proc/self/fd/3",
    "/proc/self/task/1/fd/3",
    "relative",
    "/a\nb",
  ]) {
    assert.throws(
      () => build({}, { WorkingDir: cwd }),
      (error) => isEngineError(error, "InvalidParameter"),
      cwd,
    );
  }
  assert.equal(build({}, { WorkingDir: "/a/../b/" }).process.cwd, "/b");
  assert.equal(build({}, { WorkingDir: "/proc/self" }).process.cwd, "/proc/self");
});

test("shared and slave binds need a host mount that propagates", () => {
  assert.equal(build({ Binds: ["/shared/x:/y:rshared", "/slave/x:/z:slave"] }).linux.rootfsPropagation, "shared");
  assert.equal(build({ Binds: ["/slave/x:/y:rslave"] }).linux.rootfsPropagation, "rslave");
  const fails = (bind: string, text: string): void =>
    assert.throws(
      () => build({ Binds: [bind] }),
      (error) => isEngineError(error, "System") && error.message === text,
    );
  fails("/slave/x:/y:shared", "path /slave/x is mounted on / but it is not a shared mount");
  fails("/x:/y:rslave", "path /x is mounted on / but it is not a shared or slave mount");
});

test("options of security reach the process", () => {
  assert.equal(build({ SecurityOpt: ["no-new-privileges"] }).process.noNewPrivileges, true);
  assert.equal(build({ SecurityOpt: ["apparmor=x"] }).process.apparmorProfile, undefined);
  const facts = { ...v2Facts, appArmor: true };
  assert.equal(build({ SecurityOpt: ["apparmor=x"] }, {}, { facts }).process.apparmorProfile, "x");
});

test("infinite limits are written as 2^64 - 1 exactly", () => {
  const text = renderSpec(build({ Ulimits: [{ Name: "core", Soft: 0, Hard: -1 }] }));
  assert.match(text, /"rlimits":\[\{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615\}\]/);
});

test("an exec is confined like the container; privileged it has what the engine has (S07)", () => {
  const spec = build(
    { CapDrop: ["ALL"], CapAdd: ["KILL"], SecurityOpt: ["no-new-privileges"] },
    { Env: ["A=1", "HOME=/root"] },
  );
  const exec = {
    args: ["id"],
    env: ["B=2"],
    user: { uid: 1000, gid: 5, additionalGids: [5, 6], home: "/home/alice" },
    cwd: "",
    tty: false,
    privileged: false,
    consoleSize: undefined,
  };
  assert.deepEqual(buildExecProcess(spec, exec, fakeHost.capabilities), {
    terminal: false,
    user: { uid: 1000, gid: 5, additionalGids: [5, 6] },
    args: ["id"],
    env: [spec.process.env[0], "HOSTNAME=box", "A=1", "B=2", "HOME=/home/alice"],
    cwd: "/",
    capabilities: {
      bounding: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      inheritable: [],
      ambient: [],
    },
    noNewPrivileges: true,
    oomScoreAdj: 0,
  });
  const privileged = buildExecProcess(
    spec,
    { ...exec, privileged: true, tty: true, consoleSize: [10, 20] },
    fakeHost.capabilities,
  );
  assert.equal(privileged.capabilities?.effective.length, 41);
  assert.deepEqual([privileged.capabilities?.inheritable, privileged.capabilities?.ambient], [[], []]);
  assert.deepEqual([privileged.terminal, privileged.consoleSize], [true, { height: 10, width: 20 }]);
  assert.ok(privileged.env.includes("TERM=xterm"));
  for (const bad of [{ cwd: "/proc/self/fd/9" }, { env: ["A\nB=c"] }, { env: ["=x"] }, { args: ["a\0b"] }]) {
    assert.throws(
      () => buildExecProcess(spec, { ...exec, ...bad }, []),
      (error) => isEngineError(error, "InvalidParameter"),
    );
  }
});
