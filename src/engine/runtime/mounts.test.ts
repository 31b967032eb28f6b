import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostConfig } from "../../spec/docker/container.ts";
import { hostPathsOf, planMounts } from "./mounts.ts";

const errorsOf = (hostConfig: HostConfig): readonly string[] => planMounts(hostConfig, true).errors;
const ociOf = (hostConfig: HostConfig): unknown => planMounts(hostConfig, true).mounts.map((mount) => mount.oci);

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
    "/tmp:/a/..": `invalid volume specification: '/tmp:/a/..': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
  };
  assert.deepEqual(
    Object.fromEntries(Object.keys(texts).map((bind) => [bind, errorsOf({ Binds: [bind] })])),
    Object.fromEntries(Object.entries(texts).map(([bind, text]) => [bind, [text]])),
  );
});

test("volumes are named as not supported yet", () => {
  const plan = planMounts({ Binds: ["data:/y", "/anonymous"], Mounts: [{ Type: "volume", Target: "/z" }] }, true);
  assert.deepEqual([plan.mounts, plan.errors], [[], []]);
  assert.deepEqual(plan.unsupported, [
    'HostConfig.Binds with a volume ("data:/y")',
    'HostConfig.Binds with a volume ("/anonymous")',
    "HostConfig.Mounts of type volume",
  ]);
});

test("mounts that dockerd refuses are refused with its texts", () => {
  const bind = { Type: "bind", Source: "/s", Target: "/t" } as const;
  const cases: readonly (readonly [NonNullable<HostConfig["Mounts"]>[number], string])[] = [
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
  const options = (mount: NonNullable<HostConfig["Mounts"]>[number], recursive = true): unknown =>
    planMounts({ Mounts: [mount] }, recursive).mounts[0]?.oci.options;
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
    planMounts({ Mounts: [{ ...bind, ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true } }] }, false).errors,
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
  const plan = planMounts({ Binds: ["/1:/a/b/c", "/2:/a"], Mounts: [{ Type: "tmpfs", Target: "/a/b" }] }, true);
  assert.deepEqual(
    plan.mounts.map((mount) => mount.destination),
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
  const plan = planMounts(
    {
      Binds: ["/a:/1"],
      Mounts: [
        { Type: "bind", Source: "/b", Target: "/2" },
        { Type: "bind", Source: "/c", Target: "/3", BindOptions: { CreateMountpoint: true } },
        { Type: "tmpfs", Target: "/4" },
      ],
    },
    true,
  );
  assert.deepEqual(hostPathsOf(plan), [
    { path: "/a", create: true },
    { path: "/b", create: false },
    { path: "/c", create: true },
  ]);
});
