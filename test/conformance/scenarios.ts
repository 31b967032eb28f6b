// The scenarios: one list of steps, in order, from an empty daemon to one that is empty again. Each is green on dockerd 28.5
// first (record.ts writes what it answers to expectations.json) and then on Gantry.

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { archives } from "./archives.ts";
import { busyboxRoot } from "../support/image.ts";
import { shapeOf, type Step } from "./client.ts";
import { details } from "./details.ts";
import { withDifferences } from "./differences.ts";
import { files } from "./files.ts";
import { mountForms } from "./mounts.ts";
import { networks } from "./networks.ts";
import { registries } from "./registries.ts";
import { storedImages } from "./stored-images.ts";
import { volumes } from "./volumes.ts";
import { clientFault, create, del, get, image, type Json, pick, post, whole } from "./steps.ts";

/** A root file system with busybox as a tar. */
function imageTar(): Buffer {
  const root = busyboxRoot();
  const { status, stdout, stderr } = spawnSync("tar", ["-C", root, "-c", "."], { maxBuffer: 64 * 1024 * 1024 });
  rmSync(root, { recursive: true, force: true });
  if (status !== 0) throw new Error(`tar: ${stderr.toString()}`);
  return stdout;
}

const doors: readonly Step[] = [
  get("/v1.99/_ping"),
  get("/v1.52/info"),
  get("/v2.0/_ping"),
  { ...get("/_ping"), name: "ping" },
  get("/nope"),
  { name: "PUT /containers/json", method: "PUT", path: "/containers/json" },
  get("/v1.40/nope"),
  get("//containers/json"),
  get("/volumes", whole),
  get("/plugins", whole),
  get("/swarm"),
  get("/nodes"),
  get("/services"),
  get("/tasks/x"),
  get("/secrets"),
  get("/configs"),
  post("/swarm/leave"),
  get("/volumes/x"),
  get("/networks/x"),
  get("/plugins/x/json"),
  get("/networks", (json) =>
    (json as readonly Json[]).map(({ Driver, Scope }) => `${String(Driver)} ${String(Scope)}`).sort(),
  ),
  get("/networks/none", (json) => {
    const { Id: _, Created: __, ...network } = json as Json;
    return network;
  }),
  // Which address ports are published on is not ours to say yet.
  get("/networks/bridge", (json) => {
    const { Options, ...network } = json as Json;
    const { "com.docker.network.bridge.host_binding_ipv4": _, ...options } = Options as Json;
    return shapeOf({ ...network, Options: options });
  }),
  get("/version", (json) => {
    const { ApiVersion, MinAPIVersion, Os } = json as Json;
    return { ApiVersion, MinAPIVersion, Os };
  }),
];

const badBodies: readonly Step[] = [
  post(create),
  post(create, ""),
  post(create, "{"),
  post(create, "[]"),
  post(create, "{}"),
  post(create, '{"Image":5}'),
  post(create, '{"Image":"a"} x'),
  post(create, '{"Image":"a"}', { contentType: "text/plain", name: "create with text/plain" }),
  post(create, '{"Image":"a","HostConfig":{"Memory":1e400}}'),
  post(create, '{"Image":"a","HostConfig":{"Memory":1.5}}'),
  post(create, '{"Image":"a","HostConfig":{"Binds":"x"}}'),
  post(create, '{"Image":"a","HostConfig":{"Binds":[{}]}}'),
  post(create, '{"Image":"a","Labels":{"a":1}}'),
  post(create, '{"Image":"a","HostConfig":{"PortBindings":{"80/tcp":{}}}}'),
  post(create, '{"Image":"a",}'),
  post(create, '{"Image":"nope","Cmd":["true"]}'),
  post(`${create}?platform=a/b/c/d`, '{"Image":"a"}'),
];

const containers: readonly Step[] = [
  {
    name: "import of the image",
    method: "POST",
    path: `/images/create?fromSrc=-&repo=${image}&tag=latest&changes=ENV%20A=b&changes=LABEL%20l=m`,
    get body() {
      return imageTar();
    },
  },
  get(`/images/${image}/json`, pick("RepoTags", "RepoDigests", "Parent", "Author", "Os", "Config")),
  get("/images/json", (json) => shapeOf((json as readonly unknown[])[0])),
  get(`/images/${image}/history`, (json) =>
    (json as readonly Json[]).map(({ Tags, CreatedBy }) => ({ Tags, CreatedBy })),
  ),
  get("/images/nope/json"),
  get("/images/UPPER/json"),
  post(`/images/${image}/tag?repo=conformance-two&tag=x`),
  post(`/images/${image}/tag?repo=UPPER`),
  post("/images/nope/tag?repo=a&tag=b"),
  del("/images/conformance-two:x", { select: whole }),
  del("/images/nope"),
  post(create, { Image: image }),
  post(`${create}?name=a%20b`, { Image: image, Cmd: ["true"] }),
  post(`${create}?platform=linux/s390x`, { Image: image, Cmd: ["true"] }),
  post(
    `${create}?name=one`,
    { Image: image, Cmd: ["sh", "-c", "echo out; echo err >&2; exit 3"] },
    {
      select: (json) => (json as Json)["Warnings"],
    },
  ),
  post(`${create}?name=one`, { Image: image, Cmd: ["true"] }, { name: "create with a taken name" }),
  get("/containers/one/json", pick("Path", "Args", "Name", "RestartCount", "Platform", "Mounts", "ExecIDs"), {
    name: "inspect of a created container",
  }),
  get("/containers/one/json", (json) => (json as Json)["State"], { name: "state of a created container" }),
  get("/containers/one/json", (json) => shapeOf((json as Json)["NetworkSettings"]), {
    name: "network settings of a created container",
  }),
  get(
    "/containers/one/json",
    (json) => {
      const { Hostname: _, ...config } = (json as Json)["Config"] as Json;
      return config;
    },
    { name: "config of a created container" },
  ),
  get(
    "/containers/one/json",
    (json) => {
      const {
        Runtime: _,
        CgroupnsMode: __,
        MaskedPaths: ___,
        ReadonlyPaths: ____,
        ...rest
      } = (json as Json)["HostConfig"] as Json;
      return rest;
    },
    { name: "host config of a created container" },
  ),
  post("/containers/one/kill"),
  post("/containers/one/kill?signal=FOO", undefined, {}),
  post("/containers/one/pause"),
  post("/containers/one/resize?h=a&w=1"),
  post("/containers/one/rename?name="),
  post("/containers/one/start"),
  post("/containers/one/wait", undefined, { select: whole }),
  post("/containers/one/wait?condition=foo"),
  get(
    "/containers/one/json",
    (json) => {
      const { StartedAt: _, FinishedAt: __, ...state } = (json as Json)["State"] as Json;
      return state;
    },
    { name: "state of an exited container" },
  ),
  get('/containers/json?all=1&filters={"name":["^/one$"]}', (json) =>
    (json as readonly Json[]).map(({ Names, Image, State, Command, Labels, Ports, Mounts, HostConfig }) => ({
      Names,
      Image,
      State,
      Command,
      Labels,
      Ports,
      Mounts,
      HostConfig,
    })),
  ),
  get('/containers/json?all=1&filters={"exited":["3"]}', (json) => (json as readonly unknown[]).length),
  get("/containers/one/logs?stdout=1", whole, { name: "content type of logs" }),
  get("/v1.41/containers/one/logs?stdout=1", whole, { name: "content type of logs before 1.42" }),
  get("/containers/one/logs"),
  get("/containers/one/logs?stdout=1&since=abc", undefined, {
    ours: { ...clientFault, message: 'strconv.ParseInt: parsing "abc": invalid syntax' },
  }),
  get("/containers/one/top"),
  post("/containers/one/stop"),
  post("/containers/one/exec", { Cmd: ["true"] }),
  post("/containers/one/start", { HostConfig: {} }),
  post("/containers/one/rename?name=two"),
  post("/containers/two/rename?name=two", undefined, { name: "rename to the same name" }),
  post(`${create}?name=up`, { Image: image, Cmd: ["sleep", "1000"] }, { name: "create up" }),
  post("/containers/up/start"),
  post("/containers/up/start", undefined, { name: "start of a running container" }),
  get(
    "/containers/up/json",
    (json) => {
      const { Pid: _, StartedAt: __, ...state } = (json as Json)["State"] as Json;
      return state;
    },
    { name: "state of a running container" },
  ),
  get("/containers/up/top?ps_args=-o%20pid,args", (json) => (json as Json)["Titles"]),
  post("/containers/up/kill?signal=0"),
  post("/containers/up/kill?signal=99"),
  post("/containers/up/unpause", undefined, { name: "unpause of a running container" }),
  del("/containers/up"),
  post("/containers/up/stop?t=abc", undefined, {
    ours: { ...clientFault, message: 'strconv.Atoi: parsing "abc": invalid syntax' },
  }),
  post("/containers/up/pause"),
  post("/containers/up/pause", undefined, { name: "pause of a paused container" }),
  post("/containers/up/exec", { Cmd: ["true"] }, { name: "exec in a paused container" }),
  post("/containers/up/attach?stream=1&stdout=1", undefined, {
    name: "attach to a paused container",
    hijack: { input: "" },
  }),
  post("/containers/up/unpause", undefined, { name: "unpause" }),
  post("/containers/up/exec", {}),
  post("/containers/up/exec", '{"Cmd":"x"}'),
  post("/containers/up/exec", { Cmd: ["true"], DetachKeys: "zz" }, { ours: clientFault }),
  post("/containers/up/attach?detachKeys=zz", undefined, { hijack: { input: "" } }),
  get("/exec/nope/json"),
  post("/exec/nope/start", "{}"),
  post("/exec/nope/resize?h=1&w=1"),
  del("/containers/up?force=1&v=1"),
  post(
    `${create}?name=cat`,
    { Image: image, Cmd: ["cat"], OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true },
    {
      name: "create cat",
    },
  ),
  post("/containers/cat/start"),
  post("/containers/cat/attach?stream=1&stdin=1&stdout=1&stderr=1", undefined, { hijack: { input: "hello\n" } }),
  post("/containers/cat/wait", undefined, { select: whole, name: "wait for cat" }),
  get("/containers/cat/attach/ws"),
  post(`${create}?name=noexec`, { Image: image, Cmd: ["/nope"] }, { name: "create of a command that is not there" }),
  post("/containers/noexec/start"),
  get("/containers/noexec/json", (json) => ((json as Json)["State"] as Json)["ExitCode"], {
    name: "exit code of a command that is not there",
  }),
  post('/containers/prune?filters={"foo":["x"]}'),
  post('/containers/prune?filters={"until":["x"]}'),
  post("/containers/prune", undefined, {
    select: (json) => ((json as Json)["ContainersDeleted"] as readonly unknown[]).length,
  }),
  post("/containers/prune", undefined, { name: "prune of nothing", select: whole }),
];

const lists: readonly Step[] = [
  get("/containers/json?all=1", whole, { name: "list of no containers" }),
  get("/containers/json?limit=abc", undefined, {
    ours: { ...clientFault, message: 'strconv.Atoi: parsing "abc": invalid syntax' },
  }),
  get("/containers/json?filters=abc"),
  get('/containers/json?filters={"foo":["x"]}'),
  get('/containers/json?filters={"status":["foo"]}'),
  get('/containers/json?filters={"status":{"running":true}}', whole),
  get('/containers/json?filters={"exited":["x"]}'),
  get('/containers/json?filters={"health":["x"]}'),
  get('/containers/json?filters={"is-task":["x"]}'),
  get('/containers/json?filters={"before":["nope"]}'),
  get("/containers/json?filters=%zz"),
  get("/containers/json?all=1;limit=2"),
  get('/images/json?filters={"foo":["x"]}'),
  get('/images/json?filters={"dangling":["x"]}'),
  get("/events?since=2&until=1"),
  get("/events?since=abc", undefined, {
    ours: { ...clientFault, message: 'strconv.ParseInt: parsing "abc": invalid syntax' },
  }),
  get("/events?filters=abc"),
  get("/events?since=1&until=2"),
  del(`/images/${image}:latest`, { select: (json) => (json as readonly Json[]).map((item) => Object.keys(item)) }),
  get('/images/json?filters={"reference":["conformance*"]}', whole, { name: "list of no images" }),
];

export const scenarios: readonly Step[] = [
  ...doors,
  ...badBodies,
  ...containers,
  ...details,
  ...networks,
  ...registries,
  ...storedImages,
  ...archives,
  ...withDifferences([...volumes, ...mountForms, ...files]),
  ...lists,
];
