import assert from "node:assert/strict";
import { test } from "node:test";
import { newNetworkId } from "../../base/ids.ts";
import { silentLogger } from "../../base/log.ts";
import type { CreateNetworkRequest } from "../api/ports.ts";
import { draftNetwork } from "./draft.ts";
import { createDrivers, type NetworkDraft } from "./drivers/index.ts";
import type { DefaultNetworkOptions } from "./index.ts";
import { type NetworkRecord, plainNetwork } from "./record.ts";

const drivers = createDrivers({ mtu: 1500, ipForward: false, logger: silentLogger });

function record(name: string, change: Partial<NetworkRecord> = {}): NetworkRecord {
  return { ...plainNetwork, id: newNetworkId(), name, driver: "bridge", created: "", ...change };
}

const others = [
  record("bridge", { interface: "gantry0" }),
  record("used"),
  record("settings", {
    driver: "null",
    configOnly: true,
    enableIpv6: true,
    ipamConfig: [{ Subnet: "10.77.0.0/24" }],
    options: { "com.docker.network.driver.mtu": "1400" },
    labels: { l: "1" },
  }),
];

function draft(request: Partial<CreateNetworkRequest>, defaults: DefaultNetworkOptions = {}): NetworkDraft {
  return draftNetwork(newNetworkId(), { Name: "n", ...request }, others, drivers, defaults);
}

test("a request of a name alone is a bridge network with IPv4", () => {
  const { id, ...rest } = draft({
    Driver: "",
    IPAM: { Driver: "", Config: null, Options: null },
    Options: null,
    Labels: null,
  });
  assert.equal(id.length, 64);
  assert.deepEqual(rest, { ...plainNetwork, name: "n", driver: "bridge" });
});

test("what is refused, with which kind and in which words", () => {
  for (const [request, kind, message] of [
    [{ Name: "" }, "InvalidParameter", "invalid name: name is empty"],
    [{ Name: " \t" }, "InvalidParameter", "invalid name: name is empty"],
    [{ Name: "bridge" }, "Forbidden", "operation is not permitted on predefined bridge network "],
    [{ Name: "default" }, "Forbidden", "operation is not permitted on predefined default network "],
    [{ Name: "none" }, "Forbidden", "operation is not permitted on predefined none network "],
    [{ Name: "used" }, "Conflict", "network with name used already exists"],
    [{ Driver: "nosuch" }, "NotFound", 'plugin "nosuch" not found'],
    [{ Driver: "host" }, "Forbidden", 'only one instance of "host" network is allowed'],
    [{ Driver: "null" }, "Forbidden", 'only one instance of "null" network is allowed'],
    [
      { Driver: "overlay" },
      "Forbidden",
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    ],
    [{ Scope: "swarm" }, "Forbidden", "cannot create a swarm scoped network when swarm is not active"],
    [{ Ingress: true }, "Forbidden", "Ingress network can only be global scope network"],
    [{ IPAM: { Driver: "nosuch" } }, "NotFound", 'plugin "nosuch" not found'],
    [{ IPAM: { Driver: "null" } }, "NotImplemented", "the IPAM driver null is not supported: use default"],
    [{ EnableIPv4: false }, "InvalidParameter", "IPv4 or IPv6 must be enabled"],
    [
      { Options: { "com.docker.network.enable_ipv6": "maybe" } },
      "InvalidParameter",
      'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
    ],
    [
      { IPAM: { Config: [{ Subnet: "10.1.0.0/24" }, { Subnet: "10.2.0.0/24" }] } },
      "Forbidden",
      "bridge driver doesn't support multiple subnets",
    ],
    [{ ConfigFrom: { Network: "nope" } }, "NotFound", 'configuration network "nope" does not exist'],
    [{ ConfigFrom: { Network: "used" } }, "NotFound", 'configuration network "used" does not exist'],
    [
      { ConfigOnly: true, ConfigFrom: { Network: "settings" } },
      "Forbidden",
      "a configuration network cannot depend on another configuration network",
    ],
    [
      { ConfigFrom: { Network: "settings" }, Labels: { a: "b" } },
      "Forbidden",
      "user specified configurations are not supported if the network depends on a configuration network",
    ],
    [
      { ConfigFrom: { Network: "settings" }, Options: { a: "b" } },
      "Forbidden",
      "network driver options are not supported if the network depends on a configuration network",
    ],
    ...(["Internal", "Attachable", "Ingress"] as const).map(
      (field) =>
        [
          { ConfigOnly: true, [field]: true },
          "Forbidden",
          "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
        ] as const,
    ),
  ] as const)
    assert.throws(() => draft(request), { kind, message }, JSON.stringify(request));
});

test("names with spaces, control characters or 300 bytes are refused; other unusual ones are dockerd's", () => {
  for (const [name, message] of [
    ["a b", 'invalid network name "a b": spaces and control characters are not allowed'],
    [" a", 'invalid network name " a": spaces and control characters are not allowed'],
    ["a\u0000b", 'invalid network name "a\\u0000b": spaces and control characters are not allowed'],
    ["x".repeat(300), `invalid network name "${"x".repeat(64)}"…: it is 300 bytes long, and at most 255 are allowed`],
    ["container:x", 'invalid network name "container:x": it would mean another container\'s network'],
  ] as const)
    assert.throws(() => draft({ Name: name }), { kind: "InvalidParameter", message });
  for (const name of ["ä", "a/b", "-a", ".a", "a:b", "x".repeat(255)]) assert.equal(draft({ Name: name }).name, name);
});

test("everything that is wrong is said at once", () => {
  const request = {
    Name: "a b",
    EnableIPv4: false,
    IPAM: { Config: [{ Subnet: "10.0.0.0/33" }] },
    Options: { "com.docker.network.driver.mtu": "x" },
  };
  assert.throws(() => draft(request), {
    kind: "InvalidParameter",
    message: [
      'invalid network name "a b": spaces and control characters are not allowed',
      "IPv4 or IPv6 must be enabled",
      "invalid network config:",
      "invalid subnet 10.0.0.0/33: invalid CIDR block notation",
      'failed to parse com.docker.network.driver.mtu value: x (strconv.Atoi: parsing "x": invalid syntax)',
    ].join("\n"),
  });
});

test("a configuration-only network is kept word by word, and another one takes everything from it", () => {
  const config = [
    { Subnet: "FD01:0::/64", AuxiliaryAddresses: { a: "fd01::7" } },
    { Subnet: "10.1.0.0/24" },
    { Subnet: "10.2.0.0/24" },
  ];
  const only = draft({ ConfigOnly: true, EnableIPv6: true, IPAM: { Config: config, Options: {} }, Labels: { a: "b" } });
  assert.deepEqual(
    [only.driver, only.configOnly, only.ipamConfig, only.ipamOptions, only.labels],
    ["null", true, config, {}, { a: "b" }],
  );
  const from = draft({ ConfigFrom: { Network: "settings" }, Internal: true, Driver: "bridge" });
  assert.deepEqual(
    [from.configFrom, from.internal, from.enableIpv6, from.ipamConfig, from.options, from.labels, from.subnetsAsked],
    [
      "settings",
      true,
      true,
      [{ Subnet: "10.77.0.0/24" }],
      { "com.docker.network.driver.mtu": "1400" },
      { l: "1" },
      true,
    ],
  );
});

test("the daemon's default options are the driver's, and what the request says wins", () => {
  const defaults = {
    bridge: { "com.docker.network.driver.mtu": "1400", "com.docker.network.enable_ipv6": "true" },
    macvlan: { parent: "eth9" },
  };
  const options = { "com.docker.network.driver.mtu": "1300", other: "x" };
  const made = draft({ Options: options }, defaults);
  assert.deepEqual(made.options, { ...options, "com.docker.network.enable_ipv6": "true" });
  assert.equal(made.enableIpv6, true);
  assert.equal(draft({ EnableIPv6: false }, defaults).enableIpv6, false);
  assert.deepEqual(draft({ ConfigOnly: true }, defaults).options, {});
});
