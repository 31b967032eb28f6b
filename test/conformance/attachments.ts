// Containers on networks: connecting and disconnecting, ports, modes, links. networks.ts has made the networks.

import type { Step } from "./client.ts";
import { endpoints, masked, ports, shown } from "./network-views.ts";
import { clientFault, create, del, get, image, type Json, pick, post } from "./steps.ts";

function portLine(port: Json): string {
  const { IP = "", PublicPort = "", PrivatePort, Type } = port as Readonly<Record<string, string | number | undefined>>;
  return `${IP}:${PublicPort}->${PrivatePort}/${Type}`;
}

const sleep = { Image: image, Cmd: ["sleep", "1000"] };

function run(name: string, body: Json = {}, start: Partial<Step> = {}): readonly Step[] {
  return [
    post(`${create}?name=${name}`, { ...sleep, ...body }, { select: pick("Warnings") }),
    post(`/containers/${name}/start`, undefined, start),
  ];
}

const members: readonly Step[] = [
  ...run("web", {
    ExposedPorts: { "80/tcp": {}, "81/tcp": {}, "82/udp": {}, "83/tcp": {}, "90/tcp": {} },
    HostConfig: {
      NetworkMode: "plain",
      PortBindings: {
        "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }],
        "81/tcp": [{ HostPort: "8081" }],
        "82/udp": [
          { HostIp: "0.0.0.0", HostPort: "8082" },
          { HostIp: "0.0.0.0", HostPort: "8083" },
        ],
        "83/tcp": [{ HostIp: "0.0.0.0", HostPort: "" }],
      },
    },
    NetworkingConfig: {
      EndpointsConfig: { plain: { Aliases: ["www"], IPAMConfig: { IPv4Address: "10.201.0.80" } } },
    },
  }),
  get("/containers/web/json", ports, { name: "ports of web" }),
  get("/containers/web/json", endpoints, { name: "endpoints of web" }),
  get('/containers/json?filters={"name":["^/web$"]}', (json) =>
    (json as readonly Json[]).map(({ Ports, NetworkSettings, HostConfig }) => ({
      Ports: (masked(Ports) as readonly Json[]).map(portLine).sort(),
      NetworkSettings: masked(NetworkSettings),
      HostConfig,
    })),
  ),
  get('/containers/json?filters={"network":["plain"]}', (json) => (json as readonly Json[]).map(({ Names }) => Names)),
  get('/containers/json?filters={"publish":["8081"]}', (json) => (json as readonly Json[]).map(({ Names }) => Names)),
  get('/containers/json?filters={"publish":["80"]}', (json) => (json as readonly Json[]).map(({ Names }) => Names)),
  get('/containers/json?filters={"publish":["1-85/udp"]}', (json) =>
    (json as readonly Json[]).map(({ Names }) => Names),
  ),
  get("/networks/plain", shown, { name: "plain with a member" }),
  ...run(
    "clash",
    {
      ExposedPorts: { "80/tcp": {} },
      HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }] } },
    },
    {
      ours: {
        status: 409,
        message:
          "failed to set up container networking: driver failed programming external connectivity on endpoint clash (<id>): Bind for 127.0.0.1:8080 failed: port is already allocated (by container web)",
        why: "a fault of the client is no 5xx, and the holder is named",
      },
    },
  ),
  get("/containers/clash/json", (json) => pick("Status", "ExitCode", "Running")((json as Json)["State"]), {
    name: "state of one whose port is taken",
  }),
  del("/containers/clash"),
  ...run("taken", {
    HostConfig: { NetworkMode: "plain" },
    NetworkingConfig: { EndpointsConfig: { plain: { IPAMConfig: { IPv4Address: "10.201.0.80" } } } },
  }),
  del("/containers/taken"),
  ...run("gateway", {
    HostConfig: { NetworkMode: "plain" },
    NetworkingConfig: { EndpointsConfig: { plain: { IPAMConfig: { IPv4Address: "10.201.0.1" } } } },
  }),
  del("/containers/gateway"),
  post("/networks/full/connect", {
    Container: "web",
    EndpointConfig: {
      Aliases: ["w"],
      GwPriority: 7,
      IPAMConfig: { IPv4Address: "10.202.7.7", IPv6Address: "fd00:202::7", LinkLocalIPs: ["169.254.7.7"] },
      DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" },
    },
  }),
  get("/containers/web/json", endpoints, { name: "endpoints of web on two networks" }),
  get("/networks/full", shown, { name: "full with a member" }),
  post("/networks/full/connect", { Container: "web" }),
  post("/networks/full/connect", { Container: "nope" }),
  post("/networks/nope/connect", { Container: "web" }),
  post("/networks/full/connect", {}),
  post("/networks/full/connect"),
  post("/networks/host/connect", { Container: "web" }),
  post("/networks/none/connect", { Container: "web" }),
  post("/networks/template/connect", { Container: "web" }),
  post("/networks/inside/connect", { Container: "web", EndpointConfig: { IPAMConfig: { IPv4Address: "10.1.1.1" } } }),
  post("/networks/inside/connect", { Container: "web", EndpointConfig: { IPAMConfig: { IPv4Address: "junk" } } }),
  post("/networks/inside/connect", { Container: "web", EndpointConfig: { IPAMConfig: { IPv6Address: "fd00::9" } } }),
  post("/networks/inside/connect", { Container: "web", EndpointConfig: { MacAddress: "junk" } }),
  post("/networks/inside/connect", { Container: "web", EndpointConfig: { IPAMConfig: { LinkLocalIPs: ["junk"] } } }),
  post("/networks/inside/connect", {
    Container: "web",
    EndpointConfig: { DriverOpts: { "com.docker.network.endpoint.sysctls": "junk" } },
  }),
  post("/networks/inside/connect", { Container: "web", EndpointConfig: { Links: ["nope:x"] } }),
  get("/networks/inside", shown, { name: "inside after what was asked of it" }),
  post("/networks/inside/disconnect", { Container: "web", Force: true }, { name: "disconnect from inside by force" }),
  post("/networks/copy/connect", { Container: "web", EndpointConfig: { IPAMConfig: { IPv4Address: "10.205.0.5" } } }),
  post("/networks/copy/disconnect", { Container: "web" }),
  post("/networks/copy/disconnect", { Container: "web" }, { name: "disconnect of what is not connected" }),
  post("/networks/copy/disconnect", { Container: "web", Force: true }),
  post("/networks/copy/disconnect", { Container: "nope" }),
  post("/networks/copy/disconnect", { Container: "nope", Force: true }),
  post("/networks/nope/disconnect", { Container: "web" }),
  post("/networks/copy/disconnect", {}),
  del("/networks/full"),
  del("/networks/bridge"),
  del("/networks/host"),
  del("/networks/nope"),
  del("/networks/template"),
];

/** A create that is refused, and the removal of what a daemon made all the same. */
function refusal(what: string, body: Json, ours?: Step["ours"]): readonly Step[] {
  const name = `create of what ${what}: ${JSON.stringify(body)}`;
  const gone = { status: 404, message: "No such container: refused", why: "it was refused" } as const;
  return [
    post(`${create}?name=refused`, { ...sleep, ...body }, { name, select: pick("Warnings"), ...(ours && { ours }) }),
    del("/containers/refused", {
      name: `removal of what ${what}, should it be there: ${JSON.stringify(body)}`,
      ...(ours && { ours: gone }),
    }),
  ];
}

const modes: readonly Step[] = [
  ...run("nowhere", { HostConfig: { NetworkMode: "nope" } }),
  del("/containers/nowhere"),
  ...run("hosty", {
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { NetworkMode: "host", PortBindings: { "80/tcp": [{ HostPort: "80" }] } },
  }),
  get("/containers/hosty/json", ports, { name: "ports on the host's network" }),
  get("/containers/hosty/json", endpoints, { name: "endpoint on the host's network" }),
  post("/networks/plain/connect", { Container: "hosty" }),
  post("/networks/host/disconnect", { Container: "hosty" }),
  del("/containers/hosty?force=1"),
  ...run("nony", { HostConfig: { NetworkMode: "none" } }),
  get("/containers/nony/json", endpoints, { name: "endpoint on none" }),
  post("/networks/plain/connect", { Container: "nony" }),
  post("/networks/none/disconnect", { Container: "nony" }),
  del("/containers/nony?force=1"),
  ...run("guest", { HostConfig: { NetworkMode: "container:web" } }),
  post("/networks/plain/connect", { Container: "guest" }),
  del("/containers/guest?force=1"),
  ...[
    { Hostname: "h", HostConfig: { NetworkMode: "container:web" } },
    { HostConfig: { NetworkMode: "container:web", Dns: ["1.1.1.1"] } },
    { HostConfig: { NetworkMode: "container:web", ExtraHosts: ["a:1.2.3.4"] } },
    { HostConfig: { NetworkMode: "container:web", Links: ["web"] } },
    { HostConfig: { NetworkMode: "container:web", PortBindings: { "80/tcp": [{}] } } },
    { HostConfig: { NetworkMode: "container:web", PublishAllPorts: true } },
    { ExposedPorts: { "80/tcp": {} }, HostConfig: { NetworkMode: "container:web" } },
    { HostConfig: { NetworkMode: "host", Links: ["web"] } },
    { HostConfig: { NetworkMode: "container:" } },
    { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "x" }] } } },
    { HostConfig: { PortBindings: { "x/tcp": [{ HostPort: "80" }] } } },
    { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "70000" }] } } },
    { ExposedPorts: { "x/tcp": {} } },
    { HostConfig: { ExtraHosts: ["a"] } },
    { HostConfig: { ExtraHosts: ["a:junk"] } },
    { HostConfig: { Links: ["nope"] } },
    {
      HostConfig: { NetworkMode: "plain" },
      NetworkingConfig: { EndpointsConfig: { plain: { IPAMConfig: { IPv4Address: "junk" } } } },
    },
    {
      HostConfig: { NetworkMode: "plain" },
      NetworkingConfig: { EndpointsConfig: { plain: { IPAMConfig: { IPv6Address: "junk" } } } },
    },
  ].flatMap((body, index) => refusal(`cannot be ${index}`, body)),
  ...refusal(
    "has a protocol that there is not",
    { HostConfig: { PortBindings: { "80/foo": [{ HostPort: "80" }] } } },
    {
      status: 400,
      message: 'invalid port specification: "80/foo": unknown protocol',
      why: "it could never be published",
    },
  ),
  ...refusal(
    "has a name server that is none",
    { HostConfig: { Dns: ["junk"] } },
    { status: 400, message: 'bad nameserver address "junk": unable to parse IP', why: "it could never be asked" },
  ),
  ...refusal("has a bad link", { HostConfig: { Links: ["a:b:c"] } }, clientFault),
];

const links: readonly Step[] = [
  ...run("base"),
  ...run("linked", { HostConfig: { Links: ["base:db", "base"] } }),
  get("/containers/linked/json", linksOf, { name: "links of linked" }),
  get("/containers/base/json", pick("Name"), { name: "name of one that is linked" }),
  get("/containers/linked/db/json", pick("Name")),
  del("/containers/linked/db?link=1"),
  get("/containers/linked/json", linksOf, {
    name: "links of linked after one was removed",
  }),
  ...run("friend", {
    HostConfig: { NetworkMode: "plain" },
    NetworkingConfig: { EndpointsConfig: { plain: { Links: ["web:server"] }, inside: { Aliases: ["f"] } } },
  }),
  get("/containers/friend/json", endpointNames, { name: "endpoints of one on two networks from the start" }),
  ...run("everything", {
    ExposedPorts: { "7/tcp": {}, "7/udp": {} },
    HostConfig: { PublishAllPorts: true, Dns: ["192.0.2.1"], ExtraHosts: ["a:1.2.3.4", "gw:host-gateway"] },
  }),
  get("/containers/everything/json", ports, { name: "ports of one that publishes all" }),
  post("/containers/everything/stop?t=0"),
  get("/containers/everything/json", ports, { name: "ports of one that is stopped" }),
  get("/containers/everything/json", endpoints, { name: "endpoint of one that is stopped" }),
  del("/containers/linked?force=1"),
  del("/containers/base?force=1"),
  del("/containers/friend?force=1"),
  del("/containers/everything?force=1"),
];

function linksOf(json: unknown): unknown {
  const { Links } = (json as Json)["HostConfig"] as { readonly Links: readonly string[] | null };
  return [...(Links ?? [])].sort();
}

/** Which names and settings, without the addresses that the daemon chose. */
function endpointNames(json: unknown): unknown {
  const { Networks } = (json as Json)["NetworkSettings"] as { Networks: Readonly<Record<string, Json>> };
  return Object.entries(Networks)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, endpoint]) => ({
      name,
      ...(pick("Links", "Aliases", "DNSNames", "Gateway", "IPPrefixLen")(endpoint) as Json),
    }));
}

export const attachments: readonly Step[] = [...members, ...modes, ...links];
