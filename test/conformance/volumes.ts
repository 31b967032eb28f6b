// Volumes: what can be made and what cannot, how they are shown, found, used and removed; their events and their space.

import type { Step } from "./client.ts";
import { clientFault, create, del, get, image, type Json, pick, post, whole } from "./steps.ts";

const make = "/volumes/create";

/** A volume without what no two daemons share. */
const shown = pick("Name", "Driver", "Labels", "Options", "Scope", "Mountpoint", "CreatedAt", "Status");
const nameless = pick("Driver", "Labels", "Options", "Scope");

function names(json: unknown): unknown {
  const { Volumes, Warnings } = json as { readonly Volumes: readonly Json[]; readonly Warnings: unknown };
  return { names: Volumes.map(({ Name }) => String(Name)).toSorted((a, b) => (a < b ? -1 : 1)), Warnings };
}

const filtered = (filters: unknown): Step =>
  get(`/volumes?filters=${encodeURIComponent(JSON.stringify(filters))}`, names, {
    name: `list of volumes ${JSON.stringify(filters)}`,
  });

function pruned(json: unknown): unknown {
  const { VolumesDeleted, SpaceReclaimed } = json as Json;
  const deleted = (VolumesDeleted as readonly string[] | null)
    ?.map((name) => (name.length === 64 ? "<id>" : name))
    .sort();
  return { deleted, SpaceReclaimed };
}

const prune = (filters: unknown, more: Partial<Step> = {}): Step =>
  post(`/volumes/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`, undefined, {
    select: pruned,
    name: `prune of volumes ${JSON.stringify(filters)}`,
    ...more,
  });

/** What is refused; where a daemon makes it all the same, it is gone before the next step. */
const refused: readonly Step[] = [
  post(make, "[]"),
  post(make, "{"),
  post(make, { Name: 5 }),
  post(make, { Name: "xx", DriverOpts: [] }),
  post(make, { Name: "xx", DriverOpts: { a: 1 } }),
  post(make, { Name: "xx", Labels: { a: 1 } }),
  post(make, { Name: "x" }),
  post(make, { Name: "x y" }),
  post(make, { Name: "x/y" }),
  post(make, { Name: "../xx" }),
  post(make, { Name: ".." }),
  post(make, { Name: ".xx" }),
  post(make, { Name: "-xx" }),
  post(make, { Name: "_xx" }),
  post(
    make,
    { Name: "x\u0000x" },
    {
      ours: {
        status: 400,
        message: /"x\\u0000x" includes invalid characters/,
        why: "a character that cannot be shown is written as in JSON",
      },
    },
  ),
  post(make, { Name: "vöß" }),
  post(
    make,
    { Name: "x".repeat(256) },
    {
      name: "create of a volume of 256 letters",
      ours: {
        ...clientFault,
        message: `create ${"x".repeat(256)}: volume name is too long, names should have at most 255 characters`,
      },
    },
  ),
  post(make, { Name: "xx", Driver: "nope" }),
  post(make, { Name: "xx", Driver: "a/b" }),
  post(make, { Name: "xx", DriverOpts: { foo: "bar" } }),
  post(make, { Name: "xx", DriverOpts: { type: "tmpfs" } }),
  post(make, { Name: "xx", DriverOpts: { o: "bind" } }),
  post(make, { Name: "xx", DriverOpts: { device: "/nope" } }),
  post(make, { Name: "xx", DriverOpts: { device: "/nope", type: "" } }),
  post(make, { Name: "xx", DriverOpts: { device: "tmpfs", o: "size=1m" } }),
  post(
    make,
    { Name: "xx", DriverOpts: { size: "10m" } },
    {
      ours: {
        status: 400,
        message: /^create xx: quota size requested but no quota support/,
        why: "what lacks is said",
      },
    },
  ),
  post(make, { Name: "xx", DriverOpts: { size: "junk" } }),
  post(make, { Name: "xx", DriverOpts: { size: "0" } }),
  post(
    make,
    { Name: "xx", DriverOpts: { type: "tmpfs", device: "tmpfs", size: "10m" } },
    {
      ours: {
        status: 400,
        message: /^create xx: quota size requested but no quota support/,
        why: "what lacks is said",
      },
    },
  ),
  post(make, { Name: "xx", ClusterVolumeSpec: {} }),
  post("/v1.41/volumes/create", { Name: "xx", ClusterVolumeSpec: {} }),
  post(make, '{"Name":"xx"}', { contentType: "text/plain", name: "create of a volume with text/plain" }),
].flatMap((step, index) => [step, del("/volumes/xx?force=1", { name: `removal of volume xx ${index}` })]);

const made: readonly Step[] = [
  post(make, undefined, { select: nameless, name: "create of a volume without a body" }),
  post(make, {}, { select: nameless }),
  post(make, { Name: "" }, { select: nameless }),
  post(make, { Name: "", Labels: { a: "b" } }, { select: nameless }),
  post(make, { Name: "plain" }, { select: shown }),
  post(make, { Name: "plain" }, { select: shown, name: "create of a volume that is there" }),
  post(make, { Name: "plain", Labels: { other: "label" } }, { select: shown }),
  post(make, { Name: "plain", DriverOpts: { type: "tmpfs", device: "tmpfs" } }, { select: shown }),
  post(make, { Name: "plain", Driver: "nope" }, { select: shown }),
  post(make, { Name: "plain", Driver: "local" }, { select: shown }),
  post(make, { Name: "Labelled.1-x_y", Labels: { role: "front", empty: "" } }, { select: shown }),
  post(make, { Name: "nulls", Labels: null, DriverOpts: null }, { select: shown }),
  post(make, { Name: "empties", Labels: {}, DriverOpts: {} }, { select: shown }),
  post(make, { Name: "blank", DriverOpts: { type: "", device: "", o: "" } }, { select: shown }),
  post(
    make,
    { Name: "memory", DriverOpts: { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=1000,mode=0750" } },
    { select: shown },
  ),
  post(make, { Name: "remote", DriverOpts: { type: "nfs", device: ":/x", o: "addr=192.0.2.1,rw" } }, { select: shown }),
  post(make, { Name: "bound", DriverOpts: { type: "none", device: "/nope/there", o: "bind" } }, { select: shown }),
  post(make, { Name: "anon-label", Labels: { "com.docker.volume.anonymous": "" } }, { select: shown }),
  get("/volumes/plain", shown),
  get("/volumes/Labelled.1-x_y", shown),
  get("/volumes/memory", shown),
  get("/v1.24/volumes/plain", shown),
  get("/volumes/nope"),
  get("/volumes/plai"),
  get("/volumes/a%2Fb"),
  get("/volumes/%2e%2e"),
  get(
    "/volumes",
    (json) =>
      (json as { Volumes: readonly Json[] }).Volumes.map((volume) => Object.keys(volume).sort().join(" "))
        .sort()
        .at(0),
    { name: "keys of a volume in a list" },
  ),
];

const lists: readonly Step[] = [
  filtered({ name: ["plain"] }),
  filtered({ name: ["lai"] }),
  filtered({ name: ["^pl"] }),
  filtered({ name: ["plain", "memory"] }),
  filtered({ name: { plain: true } }),
  filtered({ name: { plain: false } }),
  filtered({ label: ["role"] }),
  filtered({ label: ["role=front"] }),
  filtered({ label: ["role=back"] }),
  filtered({ label: ["role", "empty"] }),
  filtered({ label: ["empty="] }),
  filtered({ "label!": ["role"] }),
  filtered({ driver: ["local"], name: ["plain"] }),
  filtered({ driver: ["nope"] }),
  filtered({ driver: ["loc"] }),
  filtered({ dangling: ["true"], name: ["plain"] }),
  filtered({ dangling: ["1"], name: ["plain"] }),
  filtered({ dangling: ["false"], name: ["plain"] }),
  filtered({ dangling: ["0"], name: ["plain"] }),
  filtered({ dangling: ["True"], name: ["plain"] }),
  filtered({ dangling: ["x"] }),
  filtered({ foo: ["x"] }),
  filtered({ until: ["1h"] }),
  get("/volumes?filters=abc"),
  get("/volumes?filters=[]"),
];

const updates: readonly Step[] = [
  { name: "update of a volume without a version", method: "PUT", path: "/volumes/plain", body: "{}" },
  { name: "update of a volume", method: "PUT", path: "/volumes/plain?version=1", body: '{"Spec":{}}' },
  { name: "update of a volume with a bad version", method: "PUT", path: "/volumes/plain?version=x", body: "{}" },
  { name: "update of a volume that is not there", method: "PUT", path: "/volumes/nope?version=1", body: "{}" },
  { name: "update of a volume before 1.42", method: "PUT", path: "/v1.41/volumes/plain?version=1", body: "{}" },
];

const used: readonly Step[] = [
  post(
    `${create}?name=holder`,
    {
      Image: image,
      Cmd: ["sh", "-c", "echo 12345 >/used/file; sleep 1000"],
      Volumes: { "/anonymous": {} },
      HostConfig: { Binds: ["held:/used", "plain:/plain:ro"] },
    },
    { select: pick("Warnings"), name: "create of a holder of volumes" },
  ),
  get("/volumes/held", shown),
  filtered({ dangling: ["true"], name: ["held", "plain", "memory"] }),
  filtered({ dangling: ["false"], name: ["held", "plain", "memory"] }),
  del("/volumes/held"),
  del("/volumes/held?force=1"),
  post("/containers/holder/start"),
  del("/volumes/held", { name: "removal of a volume of a running container" }),
  get('/containers/json?filters={"volume":["held"]}', (json) => (json as readonly Json[]).map(({ Names }) => Names)),
  get('/containers/json?filters={"volume":["/used"]}', (json) => (json as readonly Json[]).map(({ Names }) => Names)),
  get('/containers/json?filters={"volume":["hel"]}', (json) => (json as readonly Json[]).map(({ Names }) => Names)),
  get('/containers/json?filters={"volume":["/anonymous","nope"]}', (json) =>
    (json as readonly Json[]).map(({ Names }) => Names),
  ),
  get("/containers/json", (json) =>
    (json as readonly { readonly Mounts: readonly Json[] }[]).flatMap(({ Mounts }) =>
      // dockerd does not know where an anonymous volume is until it is restarted.
      Mounts.toSorted((a, b) => (String(a["Destination"]) < String(b["Destination"]) ? -1 : 1)).map(
        ({ Source, ...point }) => (point["Destination"] === "/anonymous" ? point : { Source, ...point }),
      ),
    ),
  ),
  get(
    "/system/df?type=volume",
    (json) => {
      const { Volumes, ...rest } = json as { readonly Volumes: readonly Json[] };
      const held = Volumes.filter(({ Name }) => ["held", "plain", "nulls"].includes(String(Name)));
      return {
        keys: Object.keys(rest).sort(),
        volumes: held
          .map(({ Name, UsageData, Labels, Options }) => ({ Name, UsageData, Labels, Options }))
          .sort((a, b) => (String(a.Name) < String(b.Name) ? -1 : 1)),
      };
    },
    { name: "space of volumes" },
  ),
  get("/system/df?type=volumes"),
  del("/containers/holder?force=1"),
  get("/volumes/held", pick("Name"), { name: "a volume outlives its container" }),
];

const removed: readonly Step[] = [
  del("/volumes/nope"),
  del("/volumes/nope?force=1"),
  del("/volumes/nope?force=x"),
  del("/volumes/x"),
  del("/volumes/a%2Fb"),
  del("/volumes/a%2Fb?force=1"),
  del("/v1.24/volumes/nope"),
  del("/volumes/held", { name: "removal of a volume that nobody uses" }),
  del("/volumes/held", { name: "removal of a volume that is gone" }),
  prune({ foo: ["x"] }),
  prune({ all: ["x"] }),
  prune({ until: ["1h"] }),
  prune({ driver: ["local"] }),
  prune({ name: ["plain"] }),
  prune({ dangling: ["true"] }),
  post("/volumes/prune?filters=abc"),
  prune({ label: ["nope"] }),
  prune({ "label!": ["a", "com.docker.volume.anonymous"] }),
  prune({ label: ["a=b"] }),
  post("/volumes/prune", undefined, {
    name: "prune of anonymous volumes",
    select: (json) => ((json as Json)["VolumesDeleted"] as readonly string[]).length,
  }),
  prune({}, { name: "prune of no anonymous volumes" }),
  prune({ all: ["true"], label: ["role=front"] }),
  prune({ all: ["1"], "label!": ["nope"], label: ["nope"] }),
  prune({ all: ["1"] }),
  ...["blank", "memory", "remote", "bound"].map((name) => del(`/volumes/${name}`)),
  post(make, { Name: "named" }, { select: pick("Name") }),
  post("/v1.41/volumes/prune", undefined, { select: pruned, name: "prune of volumes before 1.42" }),
  get("/volumes", whole, { name: "list of volumes when there are none" }),
];

/** Until now: of the volume that the steps before have used. */
function events(name: string, filters: unknown): Step {
  return {
    name,
    method: "GET",
    get path() {
      const until = (performance.timeOrigin + performance.now()) / 1000;
      return `/events?since=1&until=${until.toFixed(3)}&filters=${encodeURIComponent(JSON.stringify(filters))}`;
    },
    read: ({ body }) =>
      body
        .toString()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => {
          const { Type, Action, scope, Actor } = JSON.parse(line) as Json;
          const { Attributes, ID } = Actor as Json;
          return { Type, Action, scope, ID, Attributes };
        }),
  };
}

const told: readonly Step[] = [
  post(make, { Name: "told", Labels: { a: "b" } }, { select: pick("Name") }),
  post(
    `${create}?name=teller`,
    {
      Image: image,
      Cmd: ["true"],
      HostConfig: { Binds: ["told:/t:ro"], Mounts: [{ Type: "volume", Source: "told", Target: "/u" }] },
    },
    { select: pick("Warnings"), name: "create of a teller" },
  ),
  post("/containers/teller/start"),
  post("/containers/teller/wait", undefined, { select: whole }),
  del("/containers/teller"),
  del("/volumes/told"),
  events("events of a volume", { volume: ["told"] }),
  events("events of a volume that was destroyed", { type: ["volume"], event: ["destroy"], volume: ["told"] }),
];

export const volumes: readonly Step[] = [
  get("/info", (json) => ((json as Json)["Plugins"] as Json)["Volume"], { name: "volume drivers of info" }),
  ...refused,
  ...made,
  ...lists,
  ...updates,
  ...used,
  ...told,
  ...removed,
];
