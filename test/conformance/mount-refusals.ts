// Mounts that cannot be, and what is said of them; where a daemon takes them all the same, the container is gone before the next step.

import type { Step } from "./client.ts";
import { hostDirectory as host } from "./host-directory.ts";
import { clientFault, create, del, image, type Json, pick, post } from "./steps.ts";

function refusal(body: Json, ours?: Step["ours"], version = ""): readonly Step[] {
  const text = `${version}${JSON.stringify(body)}`.replaceAll(host, "<host>");
  const gone = { status: 404, message: "No such container: refused", why: "it was refused" } as const;
  return [
    post(
      `${version}${create}?name=refused`,
      { Image: image, Cmd: ["true"], ...body },
      { name: `refusal of ${text}`, select: pick("Warnings"), ...(ours && { ours }) },
    ),
    del("/containers/refused?v=1", { name: `removal of ${text}, should it be there`, ...(ours && { ours: gone }) }),
  ];
}

/** Where dockerd answers 500. */
const fault = (...Binds: readonly string[]): readonly Step[] => refusal({ HostConfig: { Binds } }, clientFault);
/** Where dockerd makes a container that cannot be what was asked for. */
const strict = (HostConfig: Json, message: string | RegExp, why: string): readonly Step[] =>
  refusal({ HostConfig }, { status: 400, message, why });
const bind = (...Binds: readonly string[]): readonly Step[] => refusal({ HostConfig: { Binds } });
const mount = (...Mounts: readonly Json[]): readonly Step[] => refusal({ HostConfig: { Mounts } });

const binds: readonly Step[] = [
  ...fault(""),
  ...fault(":"),
  ...fault(":/t"),
  ...fault("/s:"),
  ...fault("/"),
  ...fault("t"),
  ...fault("./rel"),
  ...bind("./rel:/t"),
  ...bind("../rel:/t"),
  ...bind("rel/x:/t"),
  ...bind("~/x:/t"),
  ...fault(`${host}/d:rel`),
  ...fault(`${host}/d:/`),
  ...fault(`${host}/d:/.`),
  ...fault(`${host}/d:/t/..`),
  ...fault(`${host}/d:/t:foo`),
  ...bind(`${host}/d:/t:`),
  ...fault(`${host}/d:/t:ro,`),
  ...fault(`${host}/d:/t:ro,rw`),
  ...fault(`${host}/d:/t:ro,ro`),
  ...strict({ Binds: [`${host}/d:/t:z,Z`] }, /^invalid mode: z,Z\n.* needs SELinux/, "all that is wrong is said"),
  ...fault(`${host}/d:/t:rshared,rslave`),
  ...fault(`${host}/d:/t:cached,delegated`),
  ...fault(`${host}/d:/t:nocopy`),
  ...fault(`${host}/d:/t:ro:rw`),
  ...fault("named:/t:shared"),
  ...bind("named:/t:cached"),
  ...fault("named:/t:nocopy,nocopy"),
  ...bind("n:/t"),
  ...bind("na me:/t"),
  ...bind("-name:/t"),
  ...bind("näme:/t"),
  ...fault("named:named2"),
  ...fault("C:\\x:/t"),
  ...bind("named:/t", "named:/t"),
  ...bind(`${host}/d:/t`, "named:/t"),
  ...bind(`${host}/d:/t`, "named:/t/"),
  ...bind(`${host}/d:/x/../t`, "named:/t"),
  ...bind(`${host}/f/under:/t`),
];

const bindMounts: readonly Step[] = [
  ...mount({ Type: "bind", Source: "rel", Target: "/t" }),
  ...mount({ Type: "bind", Source: "./rel", Target: "/t" }),
  ...mount({ Type: "bind", Source: "", Target: "/t" }),
  ...mount({ Type: "bind", Target: "/t" }),
  ...mount({ Type: "bind", Source: `${host}/missing`, Target: "/t" }),
  ...mount({ Type: "bind", Source: `${host}/f/under`, Target: "/t" }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "" }),
  ...mount({ Type: "bind", Source: `${host}/d` }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "t" }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/" }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t/.." }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", VolumeOptions: {} }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", VolumeOptions: { NoCopy: true } }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", TmpfsOptions: {} }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", ImageOptions: {} }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", BindOptions: { Propagation: "foo" } }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", BindOptions: { ReadOnlyNonRecursive: true } }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", BindOptions: { ReadOnlyForceRecursive: true } }),
  ...mount({
    Type: "bind",
    Source: `${host}/d`,
    Target: "/t",
    ReadOnly: true,
    BindOptions: { ReadOnlyNonRecursive: true, ReadOnlyForceRecursive: true },
  }),
  ...mount({
    Type: "bind",
    Source: `${host}/d`,
    Target: "/t",
    ReadOnly: true,
    BindOptions: { ReadOnlyForceRecursive: true },
  }),
  ...mount({
    Type: "bind",
    Source: `${host}/d`,
    Target: "/t",
    ReadOnly: true,
    BindOptions: { ReadOnlyForceRecursive: true, Propagation: "rshared" },
  }),
  ...mount({
    Type: "bind",
    Source: `${host}/d`,
    Target: "/t",
    ReadOnly: true,
    BindOptions: { NonRecursive: true, ReadOnlyForceRecursive: true, Propagation: "rprivate" },
  }),
  ...mount({ Type: "bind", Source: `${host}/d`, Target: "/t", Consistency: "foo" }),
  ...refusal(
    {
      HostConfig: {
        Mounts: [{ Type: "bind", Source: `${host}/v140`, Target: "/t", BindOptions: { CreateMountpoint: true } }],
      },
    },
    undefined,
    "/v1.40",
  ),
  ...refusal(
    {
      HostConfig: {
        Mounts: [
          {
            Type: "bind",
            Source: `${host}/d`,
            Target: "/t",
            ReadOnly: true,
            BindOptions: { ReadOnlyForceRecursive: true, Propagation: "rprivate" },
          },
        ],
      },
    },
    undefined,
    "/v1.43",
  ),
];

const volumeMounts: readonly Step[] = [
  ...mount({ Type: "volume", Source: "named", Target: "" }),
  ...mount({ Type: "volume", Source: "named", Target: "t" }),
  ...mount({ Type: "volume", Source: "named", Target: "/" }),
  ...mount({ Type: "volume", Source: "n", Target: "/t" }),
  ...mount({ Type: "volume", Source: "na/me", Target: "/t" }),
  ...mount({ Type: "volume", Source: "../name", Target: "/t" }),
  ...mount({ Type: "volume", Source: `${host}/d`, Target: "/t" }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", BindOptions: {} }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", TmpfsOptions: {} }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: "/abs" } }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: ".." } }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: "a/../../b" } }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: "a/../b" } }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: "a\u0000b" } }),
  ...mount({ Type: "volume", Target: "/t", VolumeOptions: { Subpath: "a" } }),
  ...mount({ Type: "volume", Source: "fresh", Target: "/t", VolumeOptions: { DriverConfig: { Name: "nope" } } }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { DriverConfig: { Name: "nope" } } }),
  ...mount({
    Type: "volume",
    Source: "fresh",
    Target: "/t",
    VolumeOptions: { DriverConfig: { Options: { foo: "bar" } } },
  }),
  ...mount({ Type: "volume", Source: "named", Target: "/t" }, { Type: "tmpfs", Target: "/t" }),
  ...mount({ Type: "volume", Source: "named", Target: "/t" }, { Type: "volume", Source: "other", Target: "/t/" }),
  ...refusal({
    HostConfig: { Binds: ["named:/t"], Mounts: [{ Type: "volume", Source: "named", Target: "/t" }] },
  }),
  ...refusal({ HostConfig: { Binds: ["named:/t"], Tmpfs: { "/t": "" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/t": "" }, Mounts: [{ Type: "tmpfs", Target: "/t" }] } }),
  ...refusal({ HostConfig: { VolumeDriver: "nope", Binds: ["fresh:/t"] } }),
  ...refusal({ Volumes: { "/t": {} }, HostConfig: { VolumeDriver: "nope" } }),
  ...fault("fresh1:/t", "fresh2:/u:foo"),
];

const otherMounts: readonly Step[] = [
  ...mount({ Type: "tmpfs", Target: "" }),
  ...mount({ Type: "tmpfs", Target: "t" }),
  ...mount({ Type: "tmpfs", Target: "/" }),
  ...mount({ Type: "tmpfs", Source: "x", Target: "/t" }),
  ...mount({ Type: "tmpfs", Target: "/t", BindOptions: {} }),
  ...mount({ Type: "tmpfs", Target: "/t", VolumeOptions: {} }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: -1 } }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: "1m" } }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [["foo"]] } }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [["size", "1m"]] } }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [["a", "b", "c"]] } }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [[]] } }),
  ...mount({ Type: "npipe", Source: "\\\\.\\pipe\\docker_engine", Target: "\\\\.\\pipe\\docker_engine" }),
  ...mount({ Type: "npipe", Source: "/s", Target: "/t" }),
  ...mount({ Type: "cluster", Source: "x", Target: "/t" }),
  ...mount({ Type: "foo", Source: "x", Target: "/t" }),
  ...mount({ Type: "", Source: "x", Target: "/t" }),
  ...mount({ Source: "x", Target: "/t" }),
  ...mount({}),
  ...mount({ Type: 5, Target: "/t" }),
  ...mount({ Type: "image", Source: "", Target: "/t" }),
  ...mount({ Type: "image", Target: "/t" }),
  ...mount({ Type: "image", Source: "nope", Target: "/t" }),
  ...mount({ Type: "image", Source: "BAD", Target: "/t" }),
  ...mount({ Type: "image", Source: image, Target: "" }),
  ...mount({ Type: "image", Source: image, Target: "t" }),
  ...mount({ Type: "image", Source: image, Target: "/t", BindOptions: {} }),
  ...mount({ Type: "image", Source: image, Target: "/t", VolumeOptions: {} }),
  ...mount({ Type: "image", Source: image, Target: "/t", ImageOptions: { Subpath: "/etc" } }),
  ...mount({ Type: "image", Source: image, Target: "/t", ImageOptions: { Subpath: "../x" } }),
  ...mount({ Type: "image", Source: image, Target: "/t", ImageOptions: { Subpath: "nope" } }),
  ...refusal({ HostConfig: { Mounts: [{ Type: "image", Source: image, Target: "/t" }] } }, undefined, "/v1.47"),
  ...refusal(
    { HostConfig: { Mounts: [{ Type: "image", Source: image, Target: "/t", ImageOptions: { Subpath: "etc" } }] } },
    undefined,
    "/v1.48",
  ),
  ...refusal(
    { HostConfig: { Mounts: [{ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: "a" } }] } },
    undefined,
    "/v1.44",
  ),
  ...refusal(
    { HostConfig: { Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [["exec"]] } }] } },
    undefined,
    "/v1.45",
  ),
];

const others: readonly Step[] = [
  ...refusal({ Volumes: { rel: {} } }),
  ...refusal({ Volumes: { "/": {} } }),
  ...refusal({ Volumes: { "": {} } }),
  ...refusal({ Volumes: { "/a:/b": {} } }),
  ...refusal({ Volumes: { "/a:ro": {} } }),
  ...refusal({ Volumes: [] }),
  ...refusal({ HostConfig: { Tmpfs: { rel: "" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/": "" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "": "" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/t": "foo" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/t": "size=junk" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/t": "size" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/t": "ro,rw" } } }),
  ...refusal({ HostConfig: { Tmpfs: { "/t": ",," } } }),
  ...refusal({ HostConfig: { VolumesFrom: ["nope"] } }),
  ...refusal({ HostConfig: { VolumesFrom: [""] } }),
  ...refusal({ HostConfig: { VolumesFrom: [":ro"] } }),
  ...refusal({ HostConfig: { VolumesFrom: ["nope:foo"] } }),
  ...refusal({ HostConfig: { VolumesFrom: ["nope:ro:rw"] } }),
  ...refusal({ HostConfig: { VolumesFrom: ["nope:"] } }),
  ...refusal({ HostConfig: { StorageOpt: { size: "10m" } } }),
  ...refusal({ HostConfig: { StorageOpt: { foo: "bar" } } }),
  ...refusal({ HostConfig: { StorageOpt: { size: "junk" } } }),
];

export const mountRefusals: readonly Step[] = [...binds, ...bindMounts, ...volumeMounts, ...otherMounts, ...others];
