// Every form of a mount that a create takes, as inspect shows it afterwards: Binds, Mounts, Tmpfs, VolumesFrom, Config.Volumes and the
// image's VOLUMEs; what is refused is in mount-refusals.ts, what a container sees in mount-insides.ts.

import type { Step } from "./client.ts";
import { hostDirectory as host } from "./host-directory.ts";
import { mountInsides } from "./mount-insides.ts";
import { mountRefusals } from "./mount-refusals.ts";
import { clientFault, create, del, get, image, type Json, pick, post } from "./steps.ts";

const byTarget = (a: Json, b: Json): number => (String(a["Destination"]) < String(b["Destination"]) ? -1 : 1);

/** Of a container what tells of its mounts. */
function mountsOf(json: unknown): unknown {
  const { Mounts, HostConfig, Config } = json as {
    readonly Mounts: readonly Json[];
    readonly HostConfig: Json;
    readonly Config: Json;
  };
  const asked = pick("Binds", "Mounts", "Tmpfs", "VolumesFrom", "VolumeDriver")(HostConfig) as Json;
  // Where an image is shown is the daemon's affair.
  const points = Mounts.toSorted(byTarget).map(({ Source, ...point }) =>
    point["Type"] === "image" ? point : { Source, ...point },
  );
  return { points, ...asked, Volumes: Config["Volumes"] };
}

/** A container that is made, shown and removed with its anonymous volumes. */
function form(body: Json, ours?: Step["ours"]): readonly Step[] {
  const text = JSON.stringify(body).replaceAll(host, "<host>");
  const gone = { status: 404, message: "No such container: form", why: "it was refused" } as const;
  const followed = ours !== undefined && ours.status >= 400 ? { ours: gone } : {};
  return [
    post(
      `${create}?name=form`,
      { Image: image, Cmd: ["true"], ...body },
      { name: `create with ${text}`, select: pick("Warnings"), ...(ours && { ours }) },
    ),
    get("/containers/form/json", mountsOf, { name: `inspect of one with ${text}`, ...followed }),
    del("/containers/form?v=1", { name: `removal of one with ${text}`, ...followed }),
  ];
}

const noSelinux: Step["ours"] = {
  status: 400,
  message: /relabelling \(z, Z\) needs SELinux, which is not enabled on this host/,
  why: "what cannot be done is refused",
};
/** Image mounts are no experiment here. */
const noWarning: Step["ours"] = { status: 201, value: { Warnings: [] }, why: "image mounts are no experiment" };

const bind = (...Binds: readonly string[]): readonly Step[] => form({ HostConfig: { Binds } });
const mount = (...Mounts: readonly Json[]): readonly Step[] => form({ HostConfig: { Mounts } });
const bound = (BindOptions: Json, more: Json = {}): readonly Step[] =>
  mount({ Type: "bind", Source: `${host}/d`, Target: "/t", BindOptions, ...more });

const binds: readonly Step[] = [
  ...bind(`${host}/d:/t`),
  ...bind(`${host}/d:/t:ro`),
  ...bind(`${host}/d:/t:rw`),
  ...form({ HostConfig: { Binds: [`${host}/d:/t:z`] } }, noSelinux),
  ...form({ HostConfig: { Binds: [`${host}/d:/t:Z,ro`] } }, noSelinux),
  ...bind(`${host}/d:/t:cached`),
  ...bind(`${host}/d:/t:delegated,ro`),
  ...bind(`${host}/d:/t:consistent`),
  ...["private", "rprivate", "slave", "rslave", "shared", "rshared"].flatMap((mode) => bind(`${host}/d:/t:${mode}`)),
  ...bind(`${host}/d:/t:ro,rslave`),
  ...bind(`${host}/d/:/t/`),
  ...bind(`${host}/d/../d//inner:/t/./x/../y`),
  ...bind(`${host}/f:/file`),
  ...bind(`${host}/made/here:/t`),
  ...bind("named:/t"),
  ...bind("named:/t:ro"),
  ...bind("named:/t:nocopy"),
  ...form({ HostConfig: { Binds: ["named:/t:z,nocopy,ro"] } }, noSelinux),
  ...form({ HostConfig: { Binds: ["named:/t:volume-nocopy"] } }, clientFault),
  ...bind("/t"),
  ...form({ HostConfig: { Binds: ["/t:ro"] } }, clientFault),
  ...bind("named:/t", "named:/u:ro"),
  ...bind(),
];

const mounts: readonly Step[] = [
  ...bound({}),
  ...bound({}, { ReadOnly: true }),
  ...["private", "rprivate", "slave", "rslave", "shared", "rshared"].flatMap((Propagation) => bound({ Propagation })),
  ...bound({ NonRecursive: true }),
  ...bound({ ReadOnlyNonRecursive: true }, { ReadOnly: true }),
  ...bound({ ReadOnlyForceRecursive: true, Propagation: "rprivate" }, { ReadOnly: true }),
  ...["", "default", "consistent", "cached", "delegated"].flatMap((Consistency) => bound({}, { Consistency })),
  ...mount({ Type: "bind", Source: `${host}/f`, Target: "/file" }),
  ...mount({
    Type: "bind",
    Source: `${host}/created/there`,
    Target: "/t",
    BindOptions: { CreateMountpoint: true },
  }),
  ...mount({ Type: "volume", Target: "/t" }),
  ...mount({ Type: "volume", Source: "named", Target: "/t" }),
  ...mount({ Type: "volume", Source: "named", Target: "/t/", ReadOnly: true }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { NoCopy: true } }),
  ...mount({ Type: "volume", Source: "labelled", Target: "/t", VolumeOptions: { Labels: { a: "b" } } }),
  get("/volumes/labelled", pick("Name", "Labels", "Options", "Driver"), { name: "volume of a mount with labels" }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { Subpath: "a/b" } }),
  ...mount({ Type: "volume", Source: "named", Target: "/t", VolumeOptions: { DriverConfig: { Name: "local" } } }),
  ...mount({
    Type: "volume",
    Source: "optioned",
    Target: "/t",
    VolumeOptions: { DriverConfig: { Options: { type: "tmpfs", device: "tmpfs", o: "size=1m" } } },
  }),
  get("/volumes/optioned", pick("Name", "Labels", "Options", "Driver"), { name: "volume of a mount with options" }),
  ...mount({ Type: "tmpfs", Target: "/t" }),
  ...mount({ Type: "tmpfs", Target: "/t", ReadOnly: true }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o700 } }),
  ...mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { Options: [["exec"], ["uid", "5"]] } }),
  ...form({ HostConfig: { Mounts: [{ Type: "image", Source: image, Target: "/t" }] } }, noWarning),
  ...form(
    { HostConfig: { Mounts: [{ Type: "image", Source: `${image}:latest`, Target: "/t", ReadOnly: true }] } },
    noWarning,
  ),
  ...form(
    { HostConfig: { Mounts: [{ Type: "image", Source: image, Target: "/t", ImageOptions: { Subpath: "etc" } }] } },
    noWarning,
  ),
  ...mount(
    { Type: "tmpfs", Target: "/a/b" },
    { Type: "volume", Source: "named", Target: "/a" },
    { Type: "bind", Source: `${host}/d`, Target: "/a/b/c" },
  ),
];

const others: readonly Step[] = [
  ...form({ Volumes: { "/v": {}, "/w": {} } }),
  ...form({ Volumes: { "/v/": {}, "/x/../y": {} } }),
  ...form({ Volumes: { "/v": {} }, HostConfig: { Binds: ["named:/v"] } }),
  ...form({ Volumes: { "/v": {} }, HostConfig: { Mounts: [{ Type: "tmpfs", Target: "/v" }] } }),
  ...form({ Volumes: { "/v": {} }, HostConfig: { Tmpfs: { "/v": "" } } }),
  ...form({ Volumes: { "named:/v": {} } }),
  ...form({ HostConfig: { Tmpfs: { "/t": "", "/u": "size=1m,uid=5,mode=700,exec" } } }),
  ...form({ HostConfig: { VolumeDriver: "local", Binds: ["named:/t"] } }),
  ...form({ Volumes: { "/v": {} }, HostConfig: { VolumeDriver: "local" } }),
  ...form({ HostConfig: { ReadonlyRootfs: true, Binds: ["named:/t:ro"] } }),
  post(
    `${create}?name=donor`,
    {
      Image: image,
      Cmd: ["true"],
      Volumes: { "/anonymous": {} },
      HostConfig: {
        Binds: ["named:/named", `${host}/d:/bound:ro`],
        Mounts: [{ Type: "volume", Source: "named", Target: "/sub", VolumeOptions: { Subpath: "a" } }],
        Tmpfs: { "/old": "size=1m" },
      },
    },
    { select: pick("Warnings"), name: "create of a donor of volumes" },
  ),
  get("/containers/donor/json", mountsOf, { name: "mounts of a donor" }),
  ...["donor", "donor:ro", "donor:rw"].flatMap((from) => form({ HostConfig: { VolumesFrom: [from] } })),
  ...["donor:z", "donor:ro,z"].flatMap((from) => form({ HostConfig: { VolumesFrom: [from] } }, noSelinux)),
  ...form({ HostConfig: { VolumesFrom: ["donor:nocopy"] } }),
  ...form({ HostConfig: { VolumesFrom: ["donor"], Binds: ["other:/named"] } }),
  ...form({ Volumes: { "/named": {}, "/anonymous": {}, "/own": {} }, HostConfig: { VolumesFrom: ["donor"] } }),
  ...form({ HostConfig: { VolumesFrom: ["donor"], Mounts: [{ Type: "tmpfs", Target: "/bound" }] } }),
  ...form({ HostConfig: { VolumesFrom: ["donor", "donor:ro"] } }),
  del("/containers/donor?v=1"),
  post(
    `${create}?name=odd-donor`,
    {
      Image: image,
      Cmd: ["true"],
      HostConfig: {
        Binds: ["named:/named"],
        Mounts: [
          { Type: "tmpfs", Target: "/memory" },
          { Type: "image", Source: image, Target: "/image" },
        ],
      },
    },
    { select: pick("Warnings"), name: "create of an odd donor", ours: noWarning },
  ),
  post(
    `${create}?name=taker`,
    { Image: image, Cmd: ["true"], HostConfig: { VolumesFrom: ["odd-donor"] } },
    {
      name: "create of one that takes from an odd donor",
      select: pick("Warnings"),
    },
  ),
  get("/containers/taker/json", mountsOf, { name: "inspect of one that takes from an odd donor" }),
  del("/containers/taker", { ours: { status: 204, why: "it was made" } }),
  del("/containers/odd-donor"),
];

const images: readonly Step[] = [
  post("/commit?container=form&repo=with-volumes", undefined, { name: "commit without a container" }),
  post(`${create}?name=base`, { Image: image, Cmd: ["true"] }, { select: pick("Warnings"), name: "create of a base" }),
  post(
    '/commit?container=base&repo=with-volumes&changes=VOLUME%20["/data","/etc/more"]&changes=VOLUME%20/data',
    undefined,
    {
      name: "commit with VOLUME",
    },
  ),
  get("/images/with-volumes/json", (json) => ((json as Json)["Config"] as Json)["Volumes"], {
    name: "VOLUMEs of an image",
  }),
  ...form({ Image: "with-volumes" }),
  ...form({ Image: "with-volumes", Volumes: { "/mine": {} } }),
  ...form({ Image: "with-volumes", HostConfig: { Binds: ["named:/data"], Tmpfs: { "/etc/more": "" } } }),
  ...form({ Image: "with-volumes", HostConfig: { Mounts: [{ Type: "tmpfs", Target: "/data" }] } }),
  ...form({ Image: "with-volumes", HostConfig: { Binds: ["named:/data/in"] } }),
  post("/commit?container=base&repo=with-relative&changes=VOLUME%20relative", undefined, {
    name: "commit with a relative VOLUME",
  }),
  get("/images/with-relative/json", (json) => ((json as Json)["Config"] as Json)["Volumes"], {
    name: "a relative VOLUME of an image",
  }),
  ...form({ Image: "with-relative" }),
  del("/containers/base"),
  del("/images/with-volumes?force=1"),
  del("/images/with-relative?force=1"),
];

export const mountForms: readonly Step[] = [
  ...binds,
  ...mounts,
  ...others,
  ...images,
  ...mountRefusals,
  ...mountInsides,
  ...["named", "labelled", "optioned", "other"].map((name) => del(`/volumes/${name}?force=1`)),
  post('/volumes/prune?filters={"all":["1"]}', undefined, { name: "prune of what the forms have left" }),
];
