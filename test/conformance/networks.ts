// Networks: what can be made and what cannot, how they are shown, found and removed. Subnets are named wherever an address is
// compared, since each daemon chooses others.

import type { Step } from "./client.ts";
import { attachments } from "./attachments.ts";
import { names, shown } from "./network-views.ts";
import { clientFault, del, get, type Json, pick, post, whole } from "./steps.ts";

const make = "/networks/create";

function subnets(...configs: readonly Json[]): Json {
  return { IPAM: { Config: configs } };
}

/** What is refused; where a daemon makes it all the same, it is gone before the next step. */
const refused: readonly Step[] = [
  post(make),
  post(make, "[]"),
  post(make, {}),
  post(make, '{"Name":5}'),
  post(make, { Name: "" }),
  post(make, { Name: "x", Driver: "nope" }),
  post(make, { Name: "x", IPAM: { Driver: "nope" } }),
  post(make, { Name: "bridge" }),
  post(make, { Name: "host" }),
  post(make, { Name: "none" }),
  post(make, { Name: "x", Driver: "host" }),
  post(make, { Name: "x", Driver: "null" }),
  post(make, { Name: "x", Scope: "swarm" }),
  post(make, { Name: "x", Scope: "foo" }),
  post(make, { Name: "x", Ingress: true }),
  post(make, { Name: "x", EnableIPv4: false }),
  post(make, { Name: "x", ConfigFrom: { Network: "nope" } }),
  post(make, { Name: "x", ConfigOnly: true, Internal: true }),
  post(make, { Name: "x", ...subnets({ Subnet: "junk" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.5/24" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/33" }) }),
  post(make, { Name: "x", ...subnets({ Gateway: "10.201.0.1" }) }),
  post(make, { Name: "x", ...subnets({ IPRange: "10.201.0.0/25" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", Gateway: "10.202.0.1" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", Gateway: "junk" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", IPRange: "10.202.0.0/25" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", IPRange: "10.201.0.0/16" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", IPRange: "10.201.0.7/25" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", IPRange: "junk" }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", AuxiliaryAddresses: { a: "10.202.0.1" } }) }),
  post(make, { Name: "x", ...subnets({ Subnet: "10.201.0.0/24", AuxiliaryAddresses: { a: "junk" } }) }),
  post(make, {
    Name: "x",
    ...subnets({ Subnet: "10.201.0.0/24", Gateway: "junk", IPRange: "junk" }, { Subnet: "also/junk" }),
  }),
  post(
    make,
    { Name: "x", ...subnets({ Subnet: "10.211.0.0/24" }, { Subnet: "10.211.0.0/25" }) },
    {
      ours: {
        status: 403,
        message: "bridge driver doesn't support multiple subnets",
        why: "that is wrong too, and dockerd loses the first subnet for good",
      },
    },
  ),
  post(make, { Name: "x", EnableIPv6: true, ...subnets({ Subnet: "fd00:201::/64", Gateway: "10.201.0.1" }) }),
  post(make, { Name: "x", Options: { "com.docker.network.driver.mtu": "lots" } }),
  post(make, { Name: "x", Options: { "com.docker.network.bridge.enable_icc": "maybe" } }),
  post(make, { Name: "x", Options: { "com.docker.network.bridge.host_binding_ipv4": "junk" } }),
  post(make, { Name: "x", Options: { "com.docker.network.bridge.gateway_mode_ipv4": "foo" } }),
  post(
    make,
    { Name: "x", Options: { "com.docker.network.bridge.gateway_mode_ipv4": "isolated" } },
    { ours: clientFault },
  ),
  post(make, { Name: "x", Driver: "macvlan", Options: { parent: "nope0" } }, { ours: clientFault }),
  post(make, { Name: "x", Driver: "macvlan", Options: { macvlan_mode: "foo" } }, { ours: clientFault }),
  post(make, { Name: "x", Driver: "ipvlan", Options: { ipvlan_mode: "foo" } }, { ours: clientFault }),
].flatMap((step, index) => [step, del("/networks/x", { name: `removal of x, should it be there ${index}` })]);

const made: readonly Step[] = [
  post(
    make,
    { Name: "plain", ...subnets({ Subnet: "10.201.0.0/24" }), Labels: { role: "front", empty: "" } },
    { select: pick("Warning") },
  ),
  post(make, { Name: "plain" }, { name: "create of a network whose name is taken" }),
  post(
    make,
    { Name: "overlap", ...subnets({ Subnet: "10.201.0.0/16" }) },
    {
      ours: {
        status: 403,
        message:
          "invalid pool request: Pool overlaps with other one on this address space: network plain has 10.201.0.0/24",
        why: "the other one is named",
      },
    },
  ),
  post(
    make,
    {
      Name: "full",
      Attachable: true,
      EnableIPv6: true,
      Options: { "com.docker.network.driver.mtu": "1400", foo: "bar" },
      ...subnets(
        {
          Subnet: "10.202.0.0/16",
          IPRange: "10.202.5.0/24",
          Gateway: "10.202.0.9",
          AuxiliaryAddresses: { router: "10.202.5.0", other: "10.202.5.1" },
        },
        { Subnet: "fd00:202::/64", Gateway: "fd00:202::9" },
      ),
    },
    { select: pick("Warning") },
  ),
  post(make, { Name: "inside", Internal: true, ...subnets({ Subnet: "10.203.0.0/24" }) }, { select: pick("Warning") }),
  post(
    make,
    { Name: "six", EnableIPv4: false, EnableIPv6: true, ...subnets({ Subnet: "fd00:204::/64" }) },
    { select: pick("Warning") },
  ),
  post(
    make,
    { Name: "template", ConfigOnly: true, Labels: { l: "m" }, ...subnets({ Subnet: "10.205.0.0/24" }) },
    { select: pick("Warning") },
  ),
  post(make, { Name: "copy", ConfigFrom: { Network: "template" }, Internal: true }, { name: "a copy with options" }),
  post(make, { Name: "copy", ConfigFrom: { Network: "template" } }, { select: pick("Warning") }),
  post(`/v1.43${make}`, { Name: "plain", CheckDuplicate: true }, { name: "create of a taken name before API 1.44" }),
  ...["plain", "full", "inside", "six", "template", "copy"].map((name) => get(`/networks/${name}`, shown)),
  get("/networks/full?verbose=true", shown),
  get("/networks/full?verbose=foo"),
  get("/networks/full?scope=local", shown),
  get("/networks/full?scope=swarm"),
  get("/networks/nope"),
  get("/networks/host", shown),
];

function filter(filters: unknown): string {
  return `/networks?filters=${JSON.stringify(filters)}`;
}

const lists: readonly Step[] = [
  get("/networks", names, { name: "names of all networks" }),
  ...[
    { name: ["plain"] },
    { name: ["l"] },
    { driver: ["bridge"] },
    { driver: ["bridge", "null"] },
    { driver: ["nope"] },
    { type: ["builtin"] },
    { type: ["custom"] },
    { scope: ["local"] },
    { scope: ["swarm"] },
    { label: ["role"] },
    { label: ["role=front"] },
    { label: ["role=back"] },
    { label: ["role", "empty"] },
    { dangling: ["true"] },
    { dangling: ["false"] },
    { id: ["zzz"] },
    { name: { plain: true, six: true } },
    { name: ["plain"], driver: ["bridge"], label: ["role"] },
  ].map((filters) => get(filter(filters), names)),
  get(filter({ foo: ["x"] })),
  get(filter({ type: ["foo"] }), undefined, { ours: clientFault }),
  get(filter({ dangling: ["foo"] })),
  get("/networks?filters=junk"),
];

const ends: readonly Step[] = [
  post('/networks/prune?filters={"foo":["x"]}'),
  post('/networks/prune?filters={"until":["x"]}'),
  post('/networks/prune?filters={"label":["nope"]}', undefined, { select: whole }),
  post('/networks/prune?filters={"until":["24h"]}', undefined, { select: whole }),
  post('/networks/prune?filters={"label":["l"]}', undefined, {
    select: whole,
    name: "prune of a template by its label",
  }),
  post("/networks/full/disconnect", { Container: "web" }),
  post('/networks/prune?filters={"label!":["role"]}', undefined, {
    select: (json) => [...((json as Json)["NetworksDeleted"] as readonly string[])].sort(),
  }),
  get("/networks", names, { name: "networks after prune" }),
  del("/networks/plain"),
  post("/containers/web/stop?t=0"),
  get("/networks/plain", shown, { name: "plain with a member that is stopped" }),
  del("/networks/plain", { name: "removal of a network that only stopped containers are on" }),
  post("/containers/web/start", undefined, {
    name: "start without its network",
    ours: {
      status: 404,
      message: "failed to set up container networking: network plain not found",
      why: "the network is named as it was asked for",
    },
  }),
  del("/containers/web?force=1"),
  ...["plain", "full", "inside", "six", "copy", "template", "x"].map((name) =>
    del(`/networks/${name}`, { name: `removal of ${name} at the end` }),
  ),
  get("/networks", names, { name: "networks at the end" }),
];

export const networks: readonly Step[] = [...refused, ...made, ...lists, ...attachments, ...ends];
