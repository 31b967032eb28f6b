// What inspect, list and wait show of containers in less usual circumstances: joined namespaces, MAC addresses, empty fields.

import type { Step } from "./client.ts";
import { create, del, get, image, type Json, pick, post, whole } from "./steps.ts";

const mac = "02:42:ac:11:00:33";

function networksOf(json: unknown): unknown {
  const settings = (json as Json)["NetworkSettings"] as Json;
  return {
    config: ((json as Json)["Config"] as Json)["MacAddress"] ?? null,
    mac: settings["MacAddress"],
    ...(pick("Networks")(settings) as Json),
  };
}

const endpoints: readonly Step[] = [
  ...[
    { MacAddress: mac },
    { NetworkingConfig: { EndpointsConfig: { default: { MacAddress: mac } } } },
    { HostConfig: { NetworkMode: "none" }, NetworkingConfig: { EndpointsConfig: { none: { MacAddress: mac } } } },
    { NetworkingConfig: { EndpointsConfig: { bridge: { GwPriority: 5, IPAMConfig: {} } } } },
  ].flatMap((body, n) => [
    post(`${create}?name=mac${n}`, { Image: image, Cmd: ["true"], ...body }, { select: pick("Warnings") }),
    get(`/containers/mac${n}/json`, networksOf),
  ]),
  post(
    `/v1.43${create}?name=mac4`,
    { Image: image, Cmd: ["true"], MacAddress: mac },
    { select: pick("Warnings"), name: "a MAC address before 1.44" },
  ),
  get("/containers/mac4/json", networksOf),
  post(
    create,
    {
      Image: image,
      Cmd: ["true"],
      MacAddress: mac,
      NetworkingConfig: { EndpointsConfig: { bridge: { MacAddress: "02:42:ac:11:00:34" } } },
    },
    { name: "two MAC addresses" },
  ),
  post(`/v1.43${create}`, { Image: image, MacAddress: mac, HostConfig: { NetworkMode: "none" } }),
  post(create, {
    Image: image,
    Cmd: ["true"],
    NetworkingConfig: { EndpointsConfig: { default: { IPAMConfig: { IPv4Address: "1.2.3.4" } } } },
  }),
  ...["mac0", "mac1", "mac2", "mac3", "mac4"].map((name) => del(`/containers/${name}`)),
];

const empties: readonly Step[] = [
  post(
    `${create}?name=empties`,
    {
      Image: image,
      Cmd: ["sleep", "1000"],
      Volumes: {},
      ExposedPorts: { "80/tcp": {} },
      HostConfig: { Links: [], Binds: [], Dns: [], UTSMode: "host" },
    },
    { name: "create with empty fields" },
  ),
  get("/containers/empties/json", (json) => {
    const { Volumes, Hostname } = (json as Json)["Config"] as Json;
    return { Volumes, Hostname, ...(pick("Links", "Binds", "Dns")((json as Json)["HostConfig"]) as Json) };
  }),
  ...["exited=0", "before=empties", "since=empties", "status=created", "expose=80"].map((filter) => {
    const [key = "", value = ""] = filter.split("=");
    return get(
      `/containers/json?filters=${JSON.stringify({ [key]: [value] })}`,
      (json) => (json as readonly unknown[]).length,
    );
  }),
  get('/containers/json?all=1&filters={"expose":["80"]}', (json) => (json as readonly unknown[]).length),
  post("/containers/empties/start"),
  get('/containers/json?filters={"expose":["79-81/tcp"]}', (json) => (json as readonly unknown[]).length),
  post("/containers/empties/resize?h=70000&w=1"),
  post(
    "/containers/empties/exec",
    { Cmd: ["true"], DetachKeys: "foo" },
    {
      ours: { status: 400, why: "a fault of the client is no 5xx" },
    },
  ),
  del("/containers/empties?force=1"),
];

const joins: readonly Step[] = [
  post(`${create}?name=donor`, { Image: image, Cmd: ["sleep", "1000"] }),
  post(create, { Image: image, Cmd: ["true"], HostConfig: { PidMode: "container:nope" } }),
  post(create, { Image: image, Cmd: ["true"], HostConfig: { IpcMode: "container:nope" } }),
  ...["NetworkMode", "PidMode", "IpcMode"].map((mode) =>
    post(`${create}?name=join-${mode}`, { Image: image, Cmd: ["true"], HostConfig: { [mode]: "container:donor" } }),
  ),
  post("/containers/join-NetworkMode/start"),
  post("/containers/join-PidMode/start", undefined, { ours: { status: 409, why: "a fault of the client is no 5xx" } }),
  post("/containers/join-IpcMode/start"),
  post("/containers/donor/start"),
  post("/containers/join-IpcMode/start", undefined, { name: "start of one that joins what is not shareable" }),
  post("/containers/join-NetworkMode/wait", undefined, { select: whole }),
  del("/containers/donor?force=1"),
  ...["NetworkMode", "PidMode", "IpcMode"].map((mode) => del(`/containers/join-${mode}`)),
];

export const details: readonly Step[] = [...endpoints, ...empties, ...joins];
