import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNetworkId } from "../../../base/ids.ts";
import { endpointElements, linkLocalOf, portElements, renderElement, renderShimElements } from "./elements.ts";
import type { FirewallElement, FirewallNetwork, FirewallPort } from "./index.ts";
import { compareElements, compareListing, parseElements, parseForeignDrops, parseListing } from "./listing.ts";
import { networkRules } from "./network-rules.ts";
import { planTables, renderAddNetwork, renderRemoveNetwork, renderTables } from "./render.ts";
import { bridgeTable, inetTable } from "./tables.ts";

const id = parseNetworkId("0123456789ab".padEnd(64, "0"));

function network(changes: Partial<FirewallNetwork> = {}): FirewallNetwork {
  return {
    id,
    name: "web",
    interface: "br-1",
    subnets: ["10.1.0.0/24", "fd00:1::/64"],
    gateways: ["10.1.0.1", "fd00:1::1"],
    internal: false,
    icc: true,
    masquerade: true,
    hostIp4: "",
    hostIp6: "",
    mode4: "nat",
    mode6: "nat",
    antiSpoofing: true,
    trustedInterfaces: [],
    ...changes,
  };
}

/** Chain → rules without comments. */
function rulesOf(changes: Partial<FirewallNetwork>): Record<string, readonly string[]> {
  const { chains } = networkRules(network(changes));
  return Object.fromEntries(
    chains.map(({ name, rules }) => [name.replace("_0123456789ab", ""), rules.map(({ text }) => text)]),
  );
}

const sources = ['iifname != "br-1" ip saddr 10.1.0.0/24 drop', 'iifname != "br-1" ip6 saddr fd00:1::/64 drop'];
const leave = ["ip saddr 10.1.0.0/24 masquerade", "ip6 saddr fd00:1::/64 masquerade"];

test("a plain network: its members, published ports, the host's address for what leaves", () => {
  assert.deepEqual(rulesOf({}), {
    sources,
    into: ['iifname "br-1" accept', "ct status dnat accept", "drop"],
    leave,
  });
});

test("a network's rules and the elements that lead to them", () => {
  assert.deepEqual(networkRules(network()).elements, [
    { set: "bridges", text: '"br-1"' },
    { set: "same_bridge", text: '"br-1" . "br-1"' },
    { set: "sources", text: '"br-1" : jump sources_0123456789ab' },
    { set: "into", text: '"br-1" : jump into_0123456789ab' },
    { set: "leave", text: '"br-1" : jump leave_0123456789ab' },
  ]);
});

test("an internal network: nothing in, nothing out, of the host the gateways without name servers", () => {
  assert.deepEqual(rulesOf({ internal: true, subnets: ["10.1.0.0/24"], gateways: ["10.1.0.1"] }), {
    sources: sources.slice(0, 1),
    into: ['iifname "br-1" accept', "drop"],
    out_of: ['oifname != "br-1" drop'],
    to_host: [
      "meta l4proto { tcp, udp } th dport { 53, 853 } drop",
      "ip daddr 10.1.0.1 accept",
      "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
      "drop",
    ],
  });
});

test("icc=false: published ports only between members", () => {
  assert.deepEqual(rulesOf({ icc: false })["into"]?.slice(0, 2), [
    'iifname "br-1" ct status dnat accept',
    'iifname "br-1" drop',
  ]);
});

test("masquerade off, a source address of the host, several subnets, routed", () => {
  assert.equal(rulesOf({ masquerade: false })["leave"], undefined);
  assert.deepEqual(
    rulesOf({ hostIp4: "192.0.2.1", hostIp6: "2001:DB8::0:1", subnets: ["10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64"] })[
      "leave"
    ],
    ["ip saddr { 10.1.0.0/24, 10.2.0.0/24 } snat ip to 192.0.2.1", "ip6 saddr fd00:1::/64 snat ip6 to 2001:db8::1"],
  );
  assert.deepEqual(rulesOf({ mode4: "routed" })["leave"], leave.slice(1));
});

test("gateway modes: what is open from outside, family by family", () => {
  assert.deepEqual(rulesOf({ mode4: "nat-unprotected", mode6: "routed" })["into"], [
    'iifname "br-1" accept',
    "ct status dnat accept",
    "meta nfproto ipv4 iifname != @bridges accept",
    "ip6 daddr . meta l4proto . th dport @open6 accept",
    "icmpv6 type echo-request accept",
    "drop",
  ]);
  assert.deepEqual(rulesOf({ trustedInterfaces: ["eth0", "wg0"] })["into"]?.slice(2, -1), [
    'iifname { "eth0", "wg0" } ip daddr . meta l4proto . th dport @open4 accept',
    'iifname { "eth0", "wg0" } ip6 daddr . meta l4proto . th dport @open6 accept',
  ]);
});

test("a family that a network does not have leaves it as little as one that is isolated", () => {
  assert.deepEqual(rulesOf({ subnets: ["10.1.0.0/24"] })["out_of"], ['meta nfproto ipv6 oifname != "br-1" drop']);
  assert.deepEqual(rulesOf({ mode4: "isolated" })["out_of"], ['meta nfproto ipv4 oifname != "br-1" drop']);
});

test("names and addresses cannot bring rules with them", () => {
  const evil = 'x" accept; #\n';
  assert.ok(!renderTables({ networks: [network({ name: evil })], endpoints: [], ports: [] }).includes("accept; #"));
  for (const changes of [
    { interface: 'br" accept' },
    { interface: "br*" },
    { interface: "longer-than-fifteen" },
    { subnets: ["10.0.0.0/24 accept"] },
    { subnets: ["10.0.0.0/33"] },
    { subnets: ["10.0.0.0"] },
    { gateways: ["10.0.0.1 } drop"], internal: true },
    { hostIp4: "eth0" },
    { hostIp6: "fe80::1%eth0" },
    { trustedInterfaces: ["a b"] },
  ])
    assert.throws(() => networkRules(network(changes)), { kind: "InvalidParameter" }, JSON.stringify(changes));
  const endpoint = { networkId: id, hostInterface: "gveth0", mac: "02:42:0a:01:00:02", addresses: ["10.1.0.2"] };
  for (const changes of [{ hostInterface: "*" }, { mac: "02:42" }, { addresses: ["10.1"] }, { addresses: [""] }])
    assert.throws(() => endpointElements(network(), { ...endpoint, ...changes }), { kind: "InvalidParameter" });
});

test("what a packet passes does not grow: base chains are the same for none and for 500 networks of 1,000 containers", () => {
  const networks = Array.from({ length: 500 }, (_, n) =>
    network({ id: parseNetworkId(n.toString(16).padStart(12, "0").padEnd(64, "0")), interface: `br-${n}` }),
  );
  const endpoints = networks.flatMap((each, n) =>
    [0, 1].map((m) => ({
      networkId: each.id,
      hostInterface: `gveth${n}_${m}`,
      mac: "02:42:0a:01:00:02",
      addresses: ["10.1.0.2"],
    })),
  );
  const base = (state: Parameters<typeof planTables>[0]): unknown =>
    planTables(state).tables.map(({ chains }) => chains.filter(({ name }) => !/_[0-9a-f]{12}$/.test(name)));
  assert.deepEqual(base({ networks, endpoints, ports: [] }), base({ networks: [], endpoints: [], ports: [] }));
  assert.ok([inetTable, bridgeTable].every(({ sets }) => Object.values(sets).every((type) => !type.includes("flags"))));
});

test("every rule says why it is there, in what nft takes as a comment", () => {
  const { tables } = planTables({
    networks: [network({ name: "n".repeat(300), internal: true }), network({ icc: false })],
    endpoints: [],
    ports: [],
  });
  for (const { chains } of tables)
    for (const { rules } of chains)
      for (const { comment } of rules) assert.ok(/^[^"\n]{3,128}$/.test(comment), comment);
});

test("a network is added and removed by a transaction that names only its own", () => {
  assert.equal(
    renderAddNetwork(network({ subnets: ["10.1.0.0/24"], mode6: "isolated", masquerade: false })),
    `add chain inet gantry sources_0123456789ab
flush chain inet gantry sources_0123456789ab
add rule inet gantry sources_0123456789ab iifname != "br-1" ip saddr 10.1.0.0/24 drop comment "web: its addresses from elsewhere: forged"
add chain inet gantry into_0123456789ab
flush chain inet gantry into_0123456789ab
add rule inet gantry into_0123456789ab iifname "br-1" accept comment "web: between its members"
add rule inet gantry into_0123456789ab ct status dnat accept comment "web: published ports"
add rule inet gantry into_0123456789ab drop comment "web: nothing new from outside"
add chain inet gantry out_of_0123456789ab
flush chain inet gantry out_of_0123456789ab
add rule inet gantry out_of_0123456789ab meta nfproto ipv6 oifname != "br-1" drop comment "web: no ipv6 out of it"
add element inet gantry bridges { "br-1" }
add element inet gantry same_bridge { "br-1" . "br-1" }
add element inet gantry sources { "br-1" : jump sources_0123456789ab }
add element inet gantry into { "br-1" : jump into_0123456789ab }
add element inet gantry out_of { "br-1" : jump out_of_0123456789ab }
`,
  );
  assert.equal(
    renderRemoveNetwork(network({ masquerade: false }))
      .split("\n")
      .slice(0, 6)
      .join("\n"),
    `delete element inet gantry bridges { "br-1" }
delete element inet gantry same_bridge { "br-1" . "br-1" }
delete element inet gantry sources { "br-1" : jump sources_0123456789ab }
delete element inet gantry into { "br-1" : jump into_0123456789ab }
flush chain inet gantry sources_0123456789ab
delete chain inet gantry sources_0123456789ab`,
  );
});

function shown(elements: readonly FirewallElement[]): readonly string[] {
  return elements.map((element) => `${element.family} ${element.set} { ${renderElement(element)} }`);
}

const endpoint = { networkId: id, hostInterface: "gveth0", mac: "02:42:AC:11:00:02", addresses: ["10.1.0.2"] };

test("an endpoint's elements: its port with its MAC and each of its addresses", () => {
  assert.deepEqual(shown(endpointElements(network(), endpoint)), [
    'bridge macs { "gveth0" . 02:42:ac:11:00:02 }',
    'bridge addresses4 { "gveth0" . 02:42:ac:11:00:02 . 10.1.0.2 }',
  ]);
  assert.deepEqual(shown(endpointElements(network(), { ...endpoint, addresses: ["fd00:1:0:0::2"] })), [
    'bridge macs { "gveth0" . 02:42:ac:11:00:02 }',
    'bridge addresses6 { "gveth0" . 02:42:ac:11:00:02 . fd00:1::2 }',
    'bridge nd_targets { "gveth0" . 02:42:ac:11:00:02 . 0xfd000001000000000000000000000002 }',
    'bridge addresses6 { "gveth0" . 02:42:ac:11:00:02 . fe80::42:acff:fe11:2 }',
    'bridge nd_targets { "gveth0" . 02:42:ac:11:00:02 . 0xfe800000000000000042acfffe110002 }',
    'bridge nd_options { "gveth0" . 0x242ac110002 }',
  ]);
  assert.deepEqual(shown(endpointElements(network({ antiSpoofing: false, icc: false }), endpoint)), [
    'bridge apart { "gveth0" }',
    "bridge apart_macs { 02:42:ac:11:00:02 }",
    'bridge unguarded { "gveth0" }',
  ]);
});

test("a MAC's link-local address", () => {
  assert.equal(linkLocalOf("02:42:ac:11:00:02"), "fe80::42:acff:fe11:2");
  assert.equal(linkLocalOf("00:00:00:00:00:01"), "fe80::200:ff:fe00:1");
});

function port(changes: Partial<FirewallPort>): FirewallPort {
  return {
    networkId: id,
    protocol: "tcp",
    hostIp: "0.0.0.0",
    hostPort: 8080,
    containerPort: 80,
    address: "10.1.0.2",
    ...changes,
  };
}

test("a published port's elements: of all addresses, of one, of 127.0.0.1 none that leads anywhere", () => {
  const open = ["inet open4 { 10.1.0.2 . 6 . 80 }", "inet own4 { 10.1.0.2 . 6 . 8080 }"];
  assert.deepEqual(shown(portElements(network(), port({}))), ["inet publish4 { 6 . 8080 : 10.1.0.2 . 80 }", ...open]);
  assert.deepEqual(shown(portElements(network(), port({ hostIp: "192.0.2.1", otherBridges: ["br-2"] }))), [
    "inet publish4_address { 192.0.2.1 . 6 . 8080 : 10.1.0.2 . 80 }",
    ...open,
    'inet also_on4 { 10.1.0.2 . "br-2" }',
  ]);
  assert.deepEqual(shown(portElements(network(), port({ hostIp: "127.0.0.1" }))), ["inet loopback { 6 . 8080 }"]);
  assert.deepEqual(shown(portElements(network(), port({ hostIp: "::1", address: "fd00:1::2" }))), []);
  assert.deepEqual(shown(portElements(network(), port({ hostIp: "::" }))), [], "a process leads it to IPv4");
});

test("routed: no port of the host; internal and isolated: none at all", () => {
  assert.deepEqual(shown(portElements(network({ mode4: "routed" }), port({ hostPort: 0 }))), [
    "inet open4 { 10.1.0.2 . 6 . 80 }",
  ]);
  assert.deepEqual(portElements(network({ mode4: "routed" }), port({ hostPort: 0, hostIp: "127.0.0.1" })), []);
  assert.deepEqual(portElements(network({ internal: true }), port({})), []);
  assert.deepEqual(portElements(network({ mode4: "isolated" }), port({})), []);
});

test("elements as the shim has them: every value padded to four bytes, no line twice", () => {
  const elements = portElements(network(), port({ hostIp: "::", address: "fd00:1::2" }));
  assert.deepEqual(renderShimElements([...elements, ...elements]), [
    "inet publish6 060000001f900000 fd00000100000000000000000000000200500000",
    "inet open6 fd0000010000000000000000000000020600000000500000",
    "inet own6 fd000001000000000000000000000002060000001f900000",
  ]);
  assert.deepEqual(renderShimElements(endpointElements(network(), endpoint)).slice(1), [
    "bridge addresses4 677665746830000000000000000000000242ac11000200000a010002",
  ]);
  // The kernel takes a key of one value in its own length only.
  const apart = renderShimElements(endpointElements(network({ icc: false }), endpoint));
  assert.ok(apart.includes("bridge apart_macs 0242ac110002"), apart.join("\n"));
});

const listed = `table inet gantry {
\tset bridges {
\t\ttype ifname
\t\telements = { "br-1",
\t\t\t     "br-2" }
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy accept;
\t\tct state 0x2 accept comment "known"
\t\tdrop comment "rest"
\t}
}
`;

test("a listing is as written when its rules carry our comments in our order, and later only word for word", () => {
  const written = new Map<string, readonly string[] | undefined>([
    ["inet bridges", undefined],
    ["inet forward", ["known", "rest"]],
  ]);
  const seen = new Map<string, string>();
  assert.deepEqual(compareListing(parseListing(listed), written, seen), []);
  assert.deepEqual(compareListing(parseListing(listed.replace("0x2", "0x6")), written, seen), [
    "inet forward was changed",
  ]);
  assert.deepEqual(compareListing(parseListing(listed.replace("rest", "less")), written, new Map()), [
    "inet forward was changed",
  ]);
  assert.deepEqual(compareListing(parseListing(listed.replace("bridges", "ridges")), written, new Map()), [
    "inet bridges is missing",
    "inet ridges is not ours",
  ]);
  assert.deepEqual(compareListing(parseListing(listed.replace("{\n", "{\n\tflags dormant\n\n")), written, new Map()), [
    "inet flags dormant is not ours",
  ]);
});

test("elements of a listing, and what is wrong with them", () => {
  const found = parseElements(parseListing(listed));
  assert.deepEqual(found, new Map([["inet bridges", new Set(['"br-1"', '"br-2"'])]]));
  assert.deepEqual(compareElements(found, new Map([["inet bridges", new Set(['"br-1"', '"br-3"'])]])), [
    'inet bridges: { "br-3" } is missing',
    'inet bridges: { "br-2" } belongs to nothing',
  ]);
});

test("foreign chains that drop what is forwarded are advice; ours and other hooks are not", () => {
  const chain = (table: string, hook: string): string =>
    `table ${table} {\n\tchain c {\n\t\ttype filter hook ${hook} priority filter; policy drop;\n\t}\n}\n`;
  const advice = parseForeignDrops(
    chain("inet gantry", "forward") + chain("ip nat", "input") + chain("inet firewalld", "forward"),
  );
  assert.equal(advice.length, 1);
  assert.match(advice[0] ?? "", /^the host's own table inet firewalld \(chain c\)/);
});
