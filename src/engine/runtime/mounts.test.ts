import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostConfig } from "../../spec/docker/container.ts";
import { hostPathsOf, mountWarnings, planMounts, volumeNameErrors } from "./mounts.ts";
import { type PlannedMount, renderMount } from "./planned-mount.ts";

type Mount = NonNullable<HostConfig["Mounts"]>[number];

const plan = (hostConfig: HostConfig, recursiveReadOnly = true): ReturnType<typeof planMounts> =>
  planMounts({ hostConfig, recursiveReadOnly });
const errorsOf = (hostConfig: HostConfig): readonly string[] => {
  const { errors, mounts } = plan(hostConfig);
  return [...errors, ...volumeNameErrors(mounts, (name) => name === "a/b/c")];
};
const oci = (mount: PlannedMount, recursiveReadOnly = true): ReturnType<typeof renderMount> =>
  renderMount({ mount, source: mount.kind === "bind" ? mount.source : mount.kind }, recursiveReadOnly);
const ociOf = (hostConfig: HostConfig): unknown => plan(hostConfig).mounts.map((mount) => oci(mount));
const volume = {
  kind: "volume",
  readOnly: false,
  mode: "",
  name: "",
  anonymous: true,
  driver: "",
  options: {},
  labels: {},
  copy: true,
  subpath: "",
} as const;

test("binds become recursive private bind mounts", () => {
  assert.deepEqual(ociOf({ Binds: ["/a:/b", "/c:/d:ro,rslave", "/e/../f/:/g/", "/h:/i:"] }), [
    { destination: "/b", type: "bind", source: "/a", options: ["rbind", "rprivate"] },
    { destination: "/d", type: "bind", source: "/c", options: ["rbind", "rro", "rslave"] },
    { destination: "/g", type: "bind", source: "/f", options: ["rbind", "rprivate"] },
    { destination: "/i", type: "bind", source: "/h", options: ["rbind", "rprivate"] },
  ]);
});

test("binds that dockerd refuses are refused with its texts", () => {
  const texts: Readonly<Record<string, string>> = {
    "/x:/y:foo": "invalid mode: foo",
    "/x:/y:RO": "invalid mode: RO",
    "/x:/y:ro,rw": "invalid mode: ro,rw",
    "/x:/y:shared,rslave": "invalid mode: shared,rslave",
    "x:/y": "create x: volume name is too short, names should be at least two alphanumeric characters",
    "a/b:/y":
      'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    "/x:y": `invalid volume specification: '/x:y': invalid mount config for type "bind": invalid mount path: 'y' mount path must be absolute`,
    "/tmp:/y:nocopy": `invalid volume specification: '/tmp:/y:nocopy': invalid mount config for type "bind": field VolumeOptions must not be specified`,
    "/tmp:/": `invalid volume specification: '/tmp:/': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
    "/tmp:/y:ro:z": "invalid volume specification: '/tmp:/y:ro:z'",
    "": "invalid volume specification: ''",
    ":/y": "invalid volume specification: ':/y'",
    "/tmp:": "invalid volume specification: '/tmp:'",
    "/y:ro": "invalid volume specification: '/y:ro'",
    y: `invalid volume specification: 'y': invalid mount config for type "volume": invalid mount path: 'y' mount path must be absolute`,
    "/a/../..": `invalid volume specification: '/a/../..': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
    "xx:/y:rslave": `invalid volume specification: 'xx:/y:rslave': invalid mount config for type "volume": field BindOptions must not be specified`,
    "xx:/y:nocopy,nocopy": "invalid mode: nocopy,nocopy",
    "xx:/": `invalid volume specification: 'xx:/': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
    "../x:/y":
      'create ../x: "../x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    "/tmp:/a/..": `invalid volume specification: '/tmp:/a/..': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
  };
  assert.deepEqual(
    Object.fromEntries(Object.keys(texts).map((bind) => [bind, errorsOf({ Binds: [bind] })])),
    Object.fromEntries(Object.entries(texts).map(([bind, text]) => [bind, [text]])),
  );
});

test("volumes of every form", () => {
  const named = { ...volume, anonymous: false, name: "data" };
  const hostConfig: HostConfig = {
    VolumeDriver: "nfs",
    Binds: ["data:/a:ro,nocopy", "/b/", "/c"],
    Mounts: [
      { Type: "volume", Target: "/d" },
      {
        Type: "volume",
        Source: "data",
        Target: "/e",
        ReadOnly: true,
        VolumeOptions: {
          NoCopy: true,
          Labels: { x: "y" },
          DriverConfig: { Name: "local", Options: { type: "tmpfs" } },
          Subpath: "./in/../side/",
        },
      },
    ],
  };
  const volumes = { "/b": {}, "/f/": {}, g: {} };
  assert.deepEqual(planMounts({ hostConfig, volumes, recursiveReadOnly: true }), {
    mounts: [
      {
        ...named,
        origin: "Binds",
        destination: "/a",
        driver: "nfs",
        mode: "ro,nocopy",
        readOnly: true,
        copy: false,
      },
      { ...volume, origin: "Binds", destination: "/b", driver: "nfs" },
      { ...volume, origin: "Binds", destination: "/c", driver: "nfs" },
      { ...volume, origin: "Mounts", destination: "/d" },
      {
        ...named,
        origin: "Mounts",
        destination: "/e",
        readOnly: true,
        driver: "local",
        options: { type: "tmpfs" },
        labels: { x: "y" },
        copy: false,
        subpath: "side",
      },
      { ...volume, origin: "Volumes", destination: "/f", driver: "nfs" },
      { ...volume, origin: "Volumes", destination: "/g", driver: "nfs" },
    ],
    errors: [],
  });
  assert.deepEqual(oci({ ...named, origin: "Binds", destination: "/a", readOnly: true }), {
    destination: "/a",
    type: "bind",
    source: "volume",
    options: ["rbind", "rro", "rprivate"],
  });
});

test("the name of a volume that is there, or that a plugin makes, may be any", () => {
  assert.deepEqual(errorsOf({ Binds: ["a/b/c:/x"] }), []);
  assert.deepEqual(errorsOf({ Binds: ["x/y:/x"], VolumeDriver: "nfs" }), []);
  assert.equal(errorsOf({ Binds: ["x/y:/x"], VolumeDriver: "local" }).length, 1);
});

test("a volume-driver for all is no business of mounts, and the client is told", () => {
  const Mounts = [{ Type: "volume", Target: "/d" }] as const;
  assert.deepEqual(mountWarnings({ VolumeDriver: "nfs", Mounts }), [
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead",
  ]);
  assert.deepEqual([mountWarnings({ Mounts }), mountWarnings({ VolumeDriver: "nfs" })], [[], []]);
});

test("volumes that an image names with hostile paths stay in the container, or are refused by name (S16)", () => {
  const planned = (path: string): unknown => {
    const { mounts, errors } = planMounts({ hostConfig: {}, volumes: { [path]: {} }, recursiveReadOnly: true });
    return errors[0] ?? mounts[0]?.destination;
  };
  const refused = (reason: string): string => `invalid mount config for type "volume": ${reason}`;
  const long = "a".repeat(256);
  const cases: Readonly<Record<string, string>> = {
    "/../../../etc": "/etc",
    "../x": "/x",
    "/a/./b//../c/": "/a/c",
    "/a:b": "/a:b",
    "": refused("invalid specification: destination can't be '/'"),
    "..": refused("invalid specification: destination can't be '/'"),
    "/": refused("invalid specification: destination can't be '/'"),
    "/proc/1/root": refused('"/proc/1/root" cannot be mounted because it is inside /proc'),
    "/x/../proc": refused('"/proc" cannot be mounted because it is inside /proc'),
    "/x\0y": refused("invalid specification: destination contains a NUL byte"),
    [`/${long}`]: refused(`invalid mount path: '/${long.slice(1, 60)}…': file name too long`),
    ["/ab".repeat(1400)]: refused(`invalid mount path: '${"/ab".repeat(20)}…': file name too long`),
  };
  assert.deepEqual(Object.fromEntries(Object.keys(cases).map((path) => [path, planned(path)])), cases);
});

test("mounts that dockerd refuses are refused with its texts", () => {
  const bind = { Type: "bind", Source: "/s", Target: "/t" } as const;
  const named = { Type: "volume", Source: "vv", Target: "/y" } as const;
  const image = { Type: "image", Source: "img", Target: "/y" } as const;
  const outside = "subpath must be a relative path within the volume";
  const cases: readonly (readonly [Mount, string])[] = [
    [{ Type: "volume" }, 'invalid mount config for type "volume": field Target must not be empty'],
    [
      { ...named, Target: "/" },
      `invalid mount config for type "volume": invalid specification: destination can't be '/'`,
    ],
    [
      { ...named, Source: "x" },
      "create x: volume name is too short, names should be at least two alphanumeric characters",
    ],
    [
      { Type: "volume", Target: "/y", ReadOnly: true },
      'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
    ],
    [
      { Type: "volume", Target: "/y", VolumeOptions: { Subpath: "b" } },
      'invalid mount config for type "volume": must not set Subpath when using anonymous volumes',
    ],
    [{ ...named, VolumeOptions: { Subpath: "../x" } }, `invalid mount config for type "volume": ${outside}`],
    [{ ...named, VolumeOptions: { Subpath: "/x" } }, `invalid mount config for type "volume": ${outside}`],
    [{ ...named, VolumeOptions: { Subpath: "a/../.." } }, `invalid mount config for type "volume": ${outside}`],
    [{ ...named, BindOptions: {} }, 'BindOptions must not be specified on mount type "volume"'],
    [{ ...named, TmpfsOptions: {} }, 'TmpfsOptions must not be specified on mount type "volume"'],
    [
      { ...named, ImageOptions: {} },
      'invalid mount config for type "volume": field ImageOptions must not be specified',
    ],
    [{ Type: "image", Target: "/y" }, 'invalid mount config for type "image": field Source must not be empty'],
    [{ ...image, ImageOptions: { Subpath: ".." } }, `invalid mount config for type "image": ${outside}`],
    [{ ...image, BindOptions: {} }, 'BindOptions must not be specified on mount type "image"'],
    [{ ...named, Type: "cluster" }, 'invalid mount config for type "cluster": mount type unknown'],
    [
      { ...bind, ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true, Propagation: "rshared" } },
      "mount options conflict: BindOptions.ReadOnlyForceRecursive && BindOptions.Propagation rshared",
    ],
    [{ Type: "bind", Target: "/y" }, 'invalid mount config for type "bind": field Source must not be empty'],
    [{ ...bind, Target: "" }, 'invalid mount config for type "bind": field Target must not be empty'],
    [
      { ...bind, Source: "tmp" },
      `invalid mount config for type "bind": invalid mount path: 'tmp' mount path must be absolute`,
    ],
    [{ ...bind, Target: "/" }, `invalid mount config for type "bind": invalid specification: destination can't be '/'`],
    [{ ...bind, Type: "npipe" }, 'invalid mount config for type "npipe": mount type unknown'],
    [{ Target: "/y" }, 'invalid mount config for type "": mount type unknown'],
    [{ ...bind, VolumeOptions: {} }, 'VolumeOptions must not be specified on mount type "bind"'],
    [{ ...bind, TmpfsOptions: {} }, 'TmpfsOptions must not be specified on mount type "bind"'],
    [
      { ...bind, BindOptions: { Propagation: "foo" as "shared" } },
      'invalid mount config for type "bind": invalid propagation mode: foo',
    ],
    [
      { ...bind, BindOptions: { ReadOnlyNonRecursive: true } },
      "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive",
    ],
    [
      { ...bind, BindOptions: { ReadOnlyForceRecursive: true } },
      "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive",
    ],
    [
      { ...bind, ReadOnly: true, BindOptions: { ReadOnlyNonRecursive: true, ReadOnlyForceRecursive: true } },
      "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive",
    ],
    [
      { Type: "tmpfs", Source: "/x", Target: "/y" },
      'invalid mount config for type "tmpfs": field Source must not be specified',
    ],
    [{ Type: "tmpfs", Target: "/y", BindOptions: {} }, 'BindOptions must not be specified on mount type "tmpfs"'],
    [
      { Type: "tmpfs", Target: "/y", TmpfsOptions: { Options: [["uid", "5"]] } },
      'invalid mount config for type "tmpfs": invalid option: uid',
    ],
    [
      { Type: "tmpfs", Target: "/y", TmpfsOptions: { Options: [["a", "b", "c"]] } },
      'invalid mount config for type "tmpfs": invalid option array length',
    ],
  ];
  for (const [mount, text] of cases) assert.deepEqual(errorsOf({ Mounts: [mount] }), [text]);
});

test("options of bind mounts: depth, read-only and its recursion, propagation", () => {
  const bind = { Type: "bind", Source: "/s", Target: "/t" } as const;
  const options = (mount: Mount, recursive = true): unknown =>
    plan({ Mounts: [mount] }, recursive).mounts.map((planned) => oci(planned, recursive).options)[0];
  assert.deepEqual(options({ ...bind, BindOptions: { NonRecursive: true } }), ["bind", "private"]);
  assert.deepEqual(options({ ...bind, ReadOnly: true }), ["rbind", "rro", "rprivate"]);
  assert.deepEqual(options({ ...bind, ReadOnly: true }, false), ["rbind", "ro", "rprivate"]);
  assert.deepEqual(options({ ...bind, ReadOnly: true, BindOptions: { ReadOnlyNonRecursive: true } }), [
    "rbind",
    "ro",
    "rprivate",
  ]);
  assert.deepEqual(options({ ...bind, BindOptions: { Propagation: "rshared" } }), ["rbind", "rshared"]);
  assert.deepEqual(
    plan({ Mounts: [{ ...bind, ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true } }] }, false).errors,
    ['invalid mount config for type "bind": recursive read-only mounts need kernel 5.12 or newer'],
  );
});

test("tmpfs of both fields has safe flags unless told otherwise", () => {
  assert.deepEqual(ociOf({ Tmpfs: { "/t": "size=1m,exec,uid=5,mode=700" } }), [
    {
      destination: "/t",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "nodev", "rprivate", "exec", "size=1m", "uid=5", "mode=700"],
    },
  ]);
  assert.deepEqual(
    ociOf({
      Mounts: [
        {
          Type: "tmpfs",
          Target: "/t",
          ReadOnly: true,
          TmpfsOptions: { SizeBytes: 1048576, Mode: 0o1777, Options: [["exec"]] },
        },
      ],
    }),
    [
      {
        destination: "/t",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "nodev", "rprivate", "exec", "ro", "mode=1777", "size=1m"],
      },
    ],
  );
  assert.deepEqual(errorsOf({ Tmpfs: { "/t": "foo" } }), ['invalid tmpfs option "foo"']);
  assert.deepEqual(errorsOf({ Tmpfs: { "/t": "size=x" } }), ['invalid tmpfs option "size=x"']);
  assert.deepEqual(errorsOf({ Tmpfs: { "/t": "size=1m,rbind" } }), ['invalid tmpfs option "rbind"']);
  assert.deepEqual(errorsOf({ Tmpfs: { t: "" } }), ["invalid mount path: 't' mount path must be absolute"]);
});

test("one destination cannot be mounted twice, however it is written", () => {
  for (const hostConfig of [
    { Binds: ["/tmp:/y", "/var:/y"] },
    { Binds: ["/tmp:/y/", "/var:/x/../y"] },
    { Binds: ["/tmp:/y"], Tmpfs: { "/y": "" } },
    { Binds: ["/tmp:/y"], Mounts: [{ Type: "bind", Source: "/var", Target: "/y" }] },
  ] satisfies HostConfig[]) {
    assert.deepEqual(errorsOf(hostConfig), ["Duplicate mount point: /y"]);
  }
});

test("outer mounts come before inner ones", () => {
  const { mounts } = plan({ Binds: ["/1:/a/b/c", "/2:/a"], Mounts: [{ Type: "tmpfs", Target: "/a/b" }] });
  assert.deepEqual(
    mounts.map((mount) => mount.destination),
    ["/a", "/a/b", "/a/b/c"],
  );
});

test("nothing is mounted over /proc, except the files that lxcfs provides (S05)", () => {
  assert.deepEqual(errorsOf({ Tmpfs: { "/proc": "" } }), ['"/proc" cannot be mounted because it is inside /proc']);
  assert.deepEqual(errorsOf({ Tmpfs: { "/x/../proc/sys": "" } }), [
    '"/proc/sys" cannot be mounted because it is inside /proc',
  ]);
  assert.deepEqual(errorsOf({ Binds: ["/var/lib/lxcfs/proc/meminfo:/proc/meminfo"] }), []);
});

test("missing sources are made for Binds and CreateMountpoint only", () => {
  const { mounts } = plan({
    Binds: ["/a:/1"],
    Mounts: [
      { Type: "bind", Source: "/b", Target: "/2" },
      { Type: "bind", Source: "/c", Target: "/3", BindOptions: { CreateMountpoint: true } },
      { Type: "tmpfs", Target: "/4" },
    ],
  });
  assert.deepEqual(hostPathsOf(mounts), [
    { path: "/a", create: true },
    { path: "/b", create: false },
    { path: "/c", create: true },
  ]);
});
