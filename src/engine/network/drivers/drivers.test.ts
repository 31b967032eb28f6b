import assert from "node:assert/strict";
import { test } from "node:test";
import { newNetworkId } from "../../../base/ids.ts";
import { silentLogger } from "../../../base/log.ts";
import type { Link } from "../links.ts";
import { type DriverName, type NetworkRecord, plainNetwork } from "../record.ts";
import { parseBridgeOptions } from "./bridge-options.ts";
import { bridgeSpec, planBridge } from "./bridge-plan.ts";
import { parseBatchFailures } from "./device.ts";
import { complainAboutEndpointOptions, endpointSysctls } from "./endpoint-options.ts";
import { createDrivers, findStaleDevices } from "./index.ts";
import { parseVlanName, planParent } from "./parent.ts";

const drivers = createDrivers({ mtu: 1400, ipForward: false, logger: silentLogger });

function network(driver: DriverName, change: Partial<NetworkRecord> = {}): NetworkRecord {
  const draft = { ...plainNetwork, id: newNetworkId(), name: "n", driver, created: "", ...change };
  return { ...draft, interface: change.interface ?? drivers[driver].interfaceName(draft) };
}

function complaints(
  driver: DriverName,
  options: Readonly<Record<string, string>>,
  change: Partial<NetworkRecord> = {},
) {
  return drivers[driver].validate(network(driver, { options, ...change }), []);
}

const bridge = "com.docker.network.bridge";

test("values of bridge options are refused in dockerd's words", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [`${bridge}.enable_icc`, "maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    [`${bridge}.enable_ip_masquerade`, "", 'strconv.ParseBool: parsing "": invalid syntax'],
    [`${bridge}.default_bridge`, "xx", 'strconv.ParseBool: parsing "xx": invalid syntax'],
    ["com.gantry.network.bridge.anti_spoofing", "no", 'strconv.ParseBool: parsing "no": invalid syntax'],
    [`${bridge}.host_binding_ipv4`, "foo", "nil ip"],
    ["com.docker.network.host_ipv4", "fe80::1%eth0", "nil ip"],
    ["com.docker.network.host_ipv4", "fd00::1", "not an IPv4 address"],
    ["com.docker.network.host_ipv6", "1.2.3.4", "not an IPv6 address"],
    ["com.docker.network.driver.mtu", "abc", 'strconv.Atoi: parsing "abc": invalid syntax'],
    ["com.docker.network.driver.mtu", "9".repeat(20), `strconv.Atoi: parsing "${"9".repeat(20)}": value out of range`],
    [`${bridge}.gateway_mode_ipv6`, "NAT", "unknown gateway mode NAT"],
  ];
  for (const [key, value, why] of cases)
    assert.deepEqual(complaints("bridge", { [key]: value }), [`failed to parse ${key} value: ${value} (${why})`]);
  const mtu = "com.docker.network.driver.mtu";
  for (const value of ["-5", "20", "70000"])
    assert.deepEqual(complaints("bridge", { [mtu]: value }), [`invalid MTU number: ${value}`]);
  assert.deepEqual(complaints("bridge", { [mtu]: "1000" }), []);
  assert.equal(complaints("bridge", { [mtu]: "1000" }, { enableIpv6: true }).length, 1);
  assert.equal(complaints("bridge", { x: "", y: "z" }).length, 0);
});

test("names of devices cannot be longer than the kernel's, nor bring words of a rule or of a batch with them", () => {
  for (const name of [
    "abcdefghijklmnop",
    "a b",
    "a/b",
    "..",
    ".",
    "a:b",
    'a"b',
    "a\nb",
    "a\\b",
    "ü",
    "-a",
    "a#b",
    "br%d",
    "gant*",
    "a@b",
  ])
    assert.equal(complaints("bridge", { [`${bridge}.name`]: name }).length, 1, name);
  for (const name of ["abcdefghijklmno", "br-1.2_3", ""])
    assert.deepEqual(complaints("bridge", { [`${bridge}.name`]: name }), [], name);
  assert.equal(complaints("bridge", { [`${bridge}.trusted_host_interfaces`]: "eth0:a b" }).length, 1);
  assert.equal(complaints("bridge", { "com.docker.network.container_iface_prefix": "fourteen-bytes" }).length, 1);
  assert.equal(complaints("macvlan", { parent: "eth0\nlink del eth0" }).length, 1);
  assert.equal(complaints("ipvlan", { parent: "sixteen-bytes-16" }).length, 1);
});

test("isolated is for internal networks, and two networks cannot have one bridge", () => {
  const options = { [`${bridge}.gateway_mode_ipv4`]: "isolated" };
  assert.deepEqual(complaints("bridge", options), ["gateway mode 'isolated' can only be used for an internal network"]);
  assert.deepEqual(complaints("bridge", options, { internal: true }), []);
  const holder = network("bridge", { interface: "b0" });
  const draft = network("bridge", { options: { [`${bridge}.name`]: "b0" } });
  assert.deepEqual(drivers.bridge.validate(draft, [holder]), [
    `cannot create network ${draft.id} (b0): conflicts with network ${holder.id} (b0): networks have same bridge name`,
  ]);
});

test("options of a bridge have dockerd's defaults, and are read where they stand", () => {
  const defaults = {
    name: "",
    mtu: 0,
    icc: true,
    masquerade: true,
    inhibitIpv4: false,
    hostBinding: "",
    hostIp4: "",
    hostIp6: "",
    mode4: "nat",
    mode6: "nat",
    interfacePrefix: "eth",
    trustedInterfaces: [],
    antiSpoofing: true,
  };
  assert.deepEqual(parseBridgeOptions({}), { values: defaults, complaints: [] });
  const options = {
    [`${bridge}.enable_icc`]: "f",
    [`${bridge}.gateway_mode_ipv6`]: "routed",
    [`${bridge}.trusted_host_interfaces`]: "eth0:eth1.10",
    "com.docker.network.container_iface_prefix": "net",
  };
  assert.deepEqual(parseBridgeOptions(options).values, {
    ...defaults,
    icc: false,
    mode6: "routed",
    interfacePrefix: "net",
    trustedInterfaces: ["eth0", "eth1.10"],
  });
});

const dual = {
  enableIpv6: true,
  subnets: [
    { subnet: "172.18.0.0/16", ipRange: "", gateway: "172.18.0.1", auxiliary: {} },
    { subnet: "fd00:1::/64", ipRange: "", gateway: "FD00:1:0::1", auxiliary: {} },
  ],
};

function linkOf(record: NetworkRecord, change: Partial<Link> = {}): Link {
  return {
    name: record.interface,
    up: true,
    mtu: 1500,
    kind: "bridge",
    master: undefined,
    addresses: ["172.18.0.1/16"],
    addresses6: ["fd00:1::1/64"],
    alias: `gantry ${record.id.slice(0, 12)}`,
    loopback: false,
    ...change,
  };
}

test("a bridge that is as it should be is left alone; what is missing is made, what is wrong is mended", () => {
  const record = network("bridge", dual);
  const spec = bridgeSpec(record, 1400);
  const name = record.interface;
  const mark = `gantry ${record.id.slice(0, 12)}`;
  assert.deepEqual(planBridge(spec, linkOf(record)), { device: [], addresses: [] });
  assert.deepEqual(planBridge(spec, undefined), {
    device: [
      `link add name ${name} address 02:42:ac:12:00:01 mtu 1500 type bridge no_linklocal_learn 1`,
      `link set dev ${name} alias "${mark}"`,
    ],
    addresses: [
      `address add 172.18.0.1/16 broadcast + dev ${name}`,
      `address add fd00:1::1/64 nodad dev ${name}`,
      `link set dev ${name} up`,
    ],
  });
  const changed = linkOf(record, { up: false, mtu: 1300, addresses: ["10.0.0.1/8"], addresses6: ["fd09::1/64"] });
  assert.deepEqual(planBridge(spec, changed), {
    device: [`link set dev ${name} mtu 1500`],
    addresses: [
      `address del 10.0.0.1/8 dev ${name}`,
      `address del fd09::1/64 dev ${name}`,
      `address add 172.18.0.1/16 broadcast + dev ${name}`,
      `address add fd00:1::1/64 nodad dev ${name}`,
      `link set dev ${name} up`,
    ],
  });
});

test("a bridge of others keeps its size, its addresses and its name", () => {
  const record = network("bridge", { ...dual, options: { [`${bridge}.name`]: "br0" } });
  const link = linkOf(record, { alias: "uplink", mtu: 9000, addresses: ["192.0.2.1/24"] });
  assert.deepEqual(planBridge(bridgeSpec(record, 1400), link), {
    device: [],
    addresses: ["address add 172.18.0.1/16 broadcast + dev br0"],
  });
});

test("the default bridge has the daemon's MTU, others say theirs", () => {
  const asked = { options: { "com.docker.network.driver.mtu": "1280" } };
  assert.equal(bridgeSpec(network("bridge", { name: "bridge", interface: "gantry0" }), 1400).mtu, 1400);
  assert.equal(bridgeSpec(network("bridge"), 1400).mtu, 1500);
  assert.equal(bridgeSpec(network("bridge", asked), 1400).mtu, 1280);
});

test("the firewall is told the bridge's own addresses only", () => {
  const record = network("bridge", { ...dual, options: { [`${bridge}.inhibit_ipv4`]: "true" } });
  const { gateways, subnets } = drivers.bridge.firewallOf(record) ?? {};
  assert.deepEqual([gateways, subnets], [["fd00:1::1"], ["172.18.0.0/16", "fd00:1::/64"]]);
});

test("macvlan and ipvlan: modes, flags and shared parents are refused in dockerd's words", () => {
  const parent = { parent: "eth0" };
  assert.deepEqual(complaints("macvlan", { ...parent, macvlan_mode: "foo" }), [
    "requested macvlan mode 'foo' is not valid, 'bridge' mode is the macvlan driver default",
  ]);
  assert.deepEqual(complaints("ipvlan", { ...parent, ipvlan_mode: "foo", ipvlan_flag: "bar" }), [
    "requested ipvlan mode 'foo' is not valid, 'l2' mode is the ipvlan driver default",
    "requested ipvlan flag 'bar' is not valid, 'bridge' is the ipvlan driver default",
  ]);
  const plain = network("macvlan", { options: parent });
  const through = network("macvlan", { options: { ...parent, macvlan_mode: "passthru" } });
  assert.deepEqual(
    drivers.macvlan.validate(network("macvlan", { options: { ...parent, macvlan_mode: "" } }), [plain]),
    [],
  );
  assert.deepEqual(drivers.macvlan.validate(through, [plain]), [
    `cannot use mode passthru, macvlan network ${plain.id} is already using parent interface eth0`,
  ]);
  assert.deepEqual(drivers.macvlan.validate(plain, [through]), [
    `macvlan network ${through.id} is already using parent interface eth0 in mode passthru`,
  ]);
  const l2 = network("ipvlan", { options: parent });
  assert.deepEqual(drivers.ipvlan.validate(network("ipvlan", { options: parent }), [l2, through]), [
    `network di-${l2.id.slice(0, 12)} is already using parent interface eth0`,
  ]);
});

test("what a network has: addresses, a gateway, a way out, room", () => {
  const l3 = network("ipvlan", { options: { parent: "eth0", ipvlan_mode: "l3s" } });
  const isolated = { [`${bridge}.gateway_mode_ipv4`]: "isolated" };
  assert.deepEqual(drivers.ipvlan.ipamOf(l3), { addresses: true, gateway: false });
  assert.equal(drivers.ipvlan.defaultRoute(l3), "interface");
  assert.equal(drivers.ipvlan.defaultRoute(network("ipvlan")), "gateway");
  assert.equal(drivers.macvlan.ipamOf(network("macvlan", { internal: true })).gateway, false);
  assert.equal(drivers.bridge.ipamOf(network("bridge", { internal: true, options: isolated })).gateway, false);
  assert.equal(drivers.bridge.ipamOf(network("bridge", { options: isolated, enableIpv6: true })).gateway, true);
  assert.equal(drivers.macvlan.capacity(network("macvlan", { options: { macvlan_mode: "passthru" } })), 1);
  assert.equal(drivers.macvlan.capacity(network("macvlan")), Number.POSITIVE_INFINITY);
});

test("host and null are there once", () => {
  const host = network("host");
  assert.deepEqual(drivers.host.validate(network("host"), [host]), ['only one instance of "host" network is allowed']);
  assert.deepEqual(drivers.null.validate(network("null"), [host]), []);
  assert.deepEqual([drivers.host.joins, drivers.null.joins, drivers.host.creatable], ["host", "none", false]);
});

test("a parent is planned from what is there", () => {
  const link = linkOf(network("bridge"), { name: "eth0", kind: undefined, alias: "" });
  const links = new Map([["eth0", link]]);
  const tagged = network("macvlan", { options: { parent: "eth0.10" } });
  const lone = network("ipvlan");
  assert.deepEqual(planParent("macvlan", network("macvlan", { options: { parent: "eth0" } }), links), {
    commands: [],
    made: undefined,
  });
  assert.deepEqual(planParent("macvlan", tagged, links), {
    commands: [
      "link add link eth0 name eth0.10 type vlan id 10",
      `link set dev eth0.10 alias "gantry ${tagged.id.slice(0, 12)}"`,
      "link set dev eth0.10 up",
    ],
    made: "vlan",
  });
  assert.equal(planParent("ipvlan", lone, links).commands[0], `link add name di-${lone.id.slice(0, 12)} type dummy`);
  assert.deepEqual(parseVlanName("bond0.7.4094"), { base: "bond0.7", vlan: 4094 });
  for (const bad of ["eth0", ".5", "eth0.", "eth0.0", "eth0.4095", "eth0.1e2"])
    assert.throws(() => parseVlanName(bad), { kind: "InvalidParameter" }, bad);
});

test("sysctls of an endpoint are for its interface only", () => {
  const key = "com.docker.network.endpoint.sysctls";
  const good = { [key]: "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.IFNAME.retrans_time_ms=500" };
  assert.deepEqual(complainAboutEndpointOptions(good), []);
  assert.deepEqual(endpointSysctls(good, "eth7"), {
    "net/ipv4/conf/eth7/log_martians": "1",
    "net/ipv6/neigh/eth7/retrans_time_ms": "500",
  });
  for (const bad of [
    "net.ipv4.conf.IFNAME.log_martians",
    "net.ipv4.conf.eth0.log_martians=1",
    "net.core.conf.IFNAME.x=1",
    "kernel.x.y.IFNAME.z=1",
    "net.ipv4/../../kernel.conf.IFNAME.x=1",
  ])
    assert.equal(complainAboutEndpointOptions({ [key]: bad }).length, 1, bad);
});

test("stale are host ends that no endpoint has, and devices with our mark whose network is gone", () => {
  const record = network("bridge");
  const link = linkOf(record, { addresses: [] });
  const links = [
    link,
    { ...link, name: "br-gone", alias: "gantry 0123456789ab" },
    { ...link, name: "br-other", alias: "somebody's" },
    { ...link, name: "br-0123456789ab", alias: "" },
    { ...link, name: "gveth0000000001", alias: "" },
    { ...link, name: "gveth0000000002", alias: "" },
    { ...link, name: "veth1234567", alias: "" },
  ];
  const stale = findStaleDevices(links, [record], new Set(["gveth0000000001"]));
  assert.deepEqual(
    stale.map(({ name }) => name),
    ["br-gone", "gveth0000000002"],
  );
});

test("failures of a batch are told by command", () => {
  const text = 'Cannot find device "x"\nCommand failed -:1\nRTNETLINK answers: File exists\nCommand failed -:12\n';
  assert.deepEqual(parseBatchFailures(text), [
    { index: 0, message: 'Cannot find device "x"' },
    { index: 11, message: "RTNETLINK answers: File exists" },
  ]);
  assert.deepEqual(parseBatchFailures(""), []);
});
