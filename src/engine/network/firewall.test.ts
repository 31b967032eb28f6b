import assert from "node:assert/strict";
import { test } from "node:test";
import { compareLinks } from "./check.ts";
import { filterNetworks } from "./filters.ts";
import { renderRuleset } from "./firewall.ts";
import { type Endpoint, type NetworkRecord, plainNetwork } from "./record.ts";
import { type ContainerId, newContainerId, newNetworkId } from "../../base/ids.ts";

test("the table is replaced in one transaction, and says what may pass", () => {
  const text = renderRuleset([{ network: "bridge", interface: "gantry0", subnet: "172.17.0.0/16" }]);
  assert.equal(
    text,
    `table inet gantry
delete table inet gantry
table inet gantry {
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "gantry0" ct state established,related accept comment "bridge: answers"
    iifname "gantry0" oifname "gantry0" accept comment "bridge: between containers"
    oifname "gantry0" drop comment "bridge: nothing new from outside"
    iifname "gantry0" accept comment "bridge: out"
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 172.17.0.0/16 oifname != "gantry0" masquerade comment "bridge: out by the host's address"
  }
}
`,
  );
});

test("every drop into a bridge comes before any accept out of one, so that bridges are apart", () => {
  const text = renderRuleset([
    { network: "a", interface: "a0", subnet: "10.0.0.0/24" },
    { network: "b", interface: "b0", subnet: "10.0.1.0/24" },
  ]);
  assert.ok(text.lastIndexOf(" drop ") < text.indexOf('iifname "a0" accept'));
});

test("a name cannot bring a rule with it", () => {
  const bridge = { network: "x", interface: 'g" accept; #', subnet: "10.0.0.0/24" };
  assert.throws(() => renderRuleset([bridge]), { kind: "InvalidParameter" });
});

function endpoint(containerId: ContainerId, hostInterface: string): Endpoint {
  const network = {
    networkId: newNetworkId(),
    ip6: "",
    prefix6: 0,
    gateway6: "",
    interface: "eth0",
    names: [],
    ip: "172.17.0.2",
    mac: "02:42:ac:11:00:02",
    prefix: 16,
    gateway: "172.17.0.1",
  };
  return { ...network, id: "e".repeat(64), containerId, hostInterface };
}

test("links and endpoints are compared both ways; foreign links are nobody's business", () => {
  const [a, b, c] = [newContainerId(), newContainerId(), newContainerId()];
  const link = {
    up: true,
    mtu: 1500,
    kind: "veth",
    master: "gantry0",
    addresses: [],
    addresses6: [],
    alias: "",
    loopback: false,
  };
  const links = [
    { ...link, name: "gveth0000000001" },
    { ...link, name: "gveth0000000002", master: undefined },
    { ...link, name: "gveth0000000009" },
    { ...link, name: "veth1234567" },
  ];
  const endpoints = [endpoint(a, "gveth0000000001"), endpoint(b, "gveth0000000002"), endpoint(c, "gveth0000000003")];
  const found = compareLinks(links, endpoints, new Set([a, b, c]), "gantry0");
  assert.deepEqual(
    [found.stale.map(({ name }) => name), found.missing, found.astray],
    [["gveth0000000009"], [endpoints[2]], [endpoints[1]]],
  );
});

const records: readonly NetworkRecord[] = (["none", "host", "bridge"] as const).map((name) => ({
  ...plainNetwork,
  id: newNetworkId(),
  name,
  driver: name === "none" ? "null" : name,
  created: "",
}));

function filtered(filters: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return filterNetworks(records, new Map(Object.entries(filters))).map(({ name }) => name);
}

test("filters of the list are dockerd's", () => {
  assert.deepEqual(filtered({}), ["none", "host", "bridge"]);
  assert.deepEqual(filtered({ name: ["ri", "ho"] }), ["host", "bridge"]);
  assert.deepEqual(filtered({ id: [records[0]?.id.slice(0, 20) ?? ""] }), ["none"]);
  assert.deepEqual(filtered({ driver: ["null"] }), ["none"]);
  assert.deepEqual(filtered({ type: ["custom"] }), []);
  assert.deepEqual(filtered({ type: ["builtin"] }).length, 3);
  assert.deepEqual(filtered({ scope: ["swarm"] }), []);
  assert.deepEqual(filtered({ dangling: ["true"] }), []);
  assert.deepEqual(filtered({ dangling: ["0"] }).length, 3);
  assert.deepEqual(filtered({ label: ["x"] }), []);
});

test("a filter that does not exist, or a value that it cannot have, is refused", () => {
  assert.throws(() => filtered({ foo: ["x"] }), { kind: "InvalidParameter", message: "invalid filter 'foo'" });
  assert.throws(() => filtered({ type: ["x"] }), { kind: "InvalidParameter", message: "invalid filter: 'type'='x'" });
  assert.throws(() => filtered({ dangling: ["x"] }), { message: /^invalid value for filter 'dangling'/ });
});
