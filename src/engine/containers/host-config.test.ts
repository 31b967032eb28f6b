import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostConfig } from "../../spec/docker/container.ts";
import { type HostFacts, planMounts } from "../runtime/index.ts";
import { fillHostConfig } from "./host-config.ts";
import { mountPointsOf } from "./mount-points.ts";
import { renderConfig, renderHostConfig } from "./render-config.ts";

const config = {
  defaultRuntime: "crun",
  logDriver: "json-file",
  logOptions: { "max-size": "10m" },
  shmSizeBytes: 64 << 20,
  init: false,
  ulimits: [],
} as const;
const facts = { cgroupVersion: 2 } as HostFacts;
const asIs = (mode: string | undefined): string | undefined => mode;

test("defaults are dockerd's", () => {
  assert.deepEqual(fillHostConfig({}, config, facts, asIs), {
    LogConfig: { Type: "json-file", Config: { "max-size": "10m" } },
    NetworkMode: "bridge",
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    CgroupnsMode: "private",
    IpcMode: "private",
    PidMode: "",
    ShmSize: 67_108_864,
    Runtime: "crun",
    MemorySwap: 0,
    Init: null,
    Ulimits: null,
    OomKillDisable: false,
    PidsLimit: null,
  });
});

test("swap is twice the memory where it is not given, and no limit of pids is null", () => {
  const filled = fillHostConfig({ Memory: 10, PidsLimit: -1 }, config, facts, asIs);
  assert.deepEqual([filled.MemorySwap, filled.PidsLimit], [20, null]);
  assert.equal(fillHostConfig({ Memory: 10, MemorySwap: -1 }, config, facts, asIs).MemorySwap, -1);
});

test("the daemon's log options belong to its own driver", () => {
  assert.deepEqual(fillHostConfig({ LogConfig: { Type: "none" } }, config, facts, asIs).LogConfig, {
    Type: "none",
    Config: {},
  });
  assert.deepEqual(fillHostConfig({ LogConfig: { Config: { "max-size": "1m" } } }, config, facts, asIs).LogConfig, {
    Type: "json-file",
    Config: { "max-size": "1m" },
  });
});

test("the daemon's ulimits are added to the container's own, which win by name", () => {
  const limits = {
    ...config,
    ulimits: [
      { Name: "nofile", Soft: 1, Hard: 2 },
      { Name: "core", Soft: 0, Hard: 0 },
    ],
  };
  const own = { Name: "nofile", Soft: 10, Hard: 20 };
  assert.deepEqual(fillHostConfig({ Ulimits: [own] }, limits, facts, asIs).Ulimits, [
    own,
    { Name: "core", Soft: 0, Hard: 0 },
  ]);
  assert.deepEqual(fillHostConfig({ Ulimits: [] }, config, facts, asIs).Ulimits, []);
});

test("inspect's lists are null where the client sent none, and stay empty where it sent empty ones", () => {
  assert.deepEqual([renderHostConfig({}).Dns, renderHostConfig({ Dns: [] }).Dns], [null, []]);
  const { MaskedPaths, SecurityOpt } = renderHostConfig({ Privileged: true });
  assert.deepEqual([MaskedPaths, SecurityOpt], [null, ["label=disable"]]);
  assert.equal(renderHostConfig({}).MaskedPaths?.includes("/proc/kcore"), true);
  assert.deepEqual(Object.keys(renderConfig({})), [
    ..."Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image".split(
      " ",
    ),
    ..."Volumes WorkingDir Entrypoint OnBuild Labels".split(" "),
  ]);
});

const shown = (hostConfig: HostConfig, volumes = {}): ReturnType<typeof mountPointsOf> => {
  const { mounts } = planMounts({ hostConfig, volumes, recursiveReadOnly: true });
  const local = mounts.map((mount) =>
    mount.kind === "volume" && mount.driver === "" ? { ...mount, driver: "local" } : mount,
  );
  return mountPointsOf(local, { volume: (name) => `/volumes/${name}/_data`, image: (index) => `/views/${index}` });
};

test("volumes and images are shown as dockerd shows them: a local volume that was asked for is shared", () => {
  const volume = (Destination: string, Mode: string, more = {}): object => ({
    Type: "volume",
    Name: "data",
    Source: "/volumes/data/_data",
    Destination,
    Driver: "local",
    Mode,
    RW: true,
    Propagation: "",
    ...more,
  });
  assert.deepEqual(
    shown(
      {
        Binds: ["data:/a", "data:/b:ro,nocopy"],
        Mounts: [
          { Type: "volume", Source: "data", Target: "/c", ReadOnly: true },
          { Type: "volume", Source: "data", Target: "/d", VolumeOptions: { DriverConfig: { Name: "nfs" } } },
          { Type: "image", Source: "tools", Target: "/e" },
        ],
      },
      { "/f": {} },
    ),
    [
      volume("/a", "z"),
      volume("/b", "ro,nocopy", { RW: false }),
      volume("/c", "z", { RW: false }),
      volume("/d", "", { Driver: "nfs" }),
      {
        Type: "image",
        Name: "tools",
        Source: "/views/4",
        Destination: "/e",
        Mode: "",
        RW: false,
        Propagation: "rprivate",
      },
      volume("/f", "", { Name: "", Source: "/volumes//_data" }),
    ],
  );
});

test("binds and mounts become mount points, by destination", () => {
  assert.deepEqual(
    shown({
      Binds: ["/tmp:/x:ro,rslave", "/etc/:/b"],
      Mounts: [
        { Type: "tmpfs", Target: "/t" },
        { Type: "bind", Source: "/srv", Target: "/a", ReadOnly: true },
      ],
      Tmpfs: { "/nowhere": "" },
    }),
    [
      { Type: "bind", Source: "/srv", Destination: "/a", Mode: "", RW: false, Propagation: "rprivate" },
      { Type: "bind", Source: "/etc", Destination: "/b", Mode: "", RW: true, Propagation: "rprivate" },
      { Type: "tmpfs", Source: "", Destination: "/t", Mode: "", RW: true, Propagation: "" },
      { Type: "bind", Source: "/tmp", Destination: "/x", Mode: "ro,rslave", RW: false, Propagation: "rslave" },
    ],
  );
});
