import assert from "node:assert/strict";
import { test } from "node:test";
import { type NetworkId, newNetworkId } from "../../../base/ids.ts";
import type { IPAMConfig } from "../../../spec/docker/network.ts";
import { type NetworkRecord, type NetworkSubnet, plainNetwork } from "../record.ts";
import { contains, parseAddress, parseSubnet } from "./address.ts";
import { createIpam, type Ipam, type SubnetRequest } from "./index.ts";

function ask(config: readonly IPAMConfig[], more: Partial<SubnetRequest> = {}): SubnetRequest {
  return { networkName: "net", enableIpv4: true, enableIpv6: false, config, gateway: true, used: [], ...more };
}

const onlySix = { enableIpv4: false, enableIpv6: true };

function recordOf(id: NetworkId, subnets: readonly NetworkSubnet[]): NetworkRecord {
  return { ...plainNetwork, id, name: "net", driver: "bridge", created: "", subnets };
}

function newIpam(): Ipam {
  return createIpam([], "engine");
}

test("gateways are the lowest address of the range, as dockerd has it", () => {
  for (const [config, gateway, more] of [
    [{ Subnet: "10.5.0.0/24" }, "10.5.0.1"],
    [{ Subnet: "10.5.0.0/24", IPRange: "10.5.0.128/25" }, "10.5.0.128"],
    [{ Subnet: "10.5.0.0/24", IPRange: "10.5.0.8/29" }, "10.5.0.8"],
    [{ Subnet: "10.5.0.0/31" }, "10.5.0.0"],
    [{ Subnet: "10.5.0.0/32" }, "10.5.0.0"],
    [{ Subnet: "10.5.0.0/24", Gateway: "10.5.0.254" }, "10.5.0.254"],
    [{ Subnet: "fd00::/64" }, "fd00::1", onlySix],
    [{ Subnet: "fd00::/127" }, "fd00::1", onlySix],
    [{ Subnet: "fd00::/64", IPRange: "FD00::100/120" }, "fd00::100", onlySix],
  ] as const) {
    const [subnet] = newIpam().plan(newNetworkId(), ask([config], more));
    assert.equal(subnet?.gateway, gateway, JSON.stringify(config));
  }
});

test("subnets are chosen for the families that nobody named one for, and not where the host is", () => {
  const ipam = newIpam();
  const plan = (request: SubnetRequest): readonly string[] =>
    ipam.plan(newNetworkId(), request).map(({ subnet }) => subnet);
  assert.deepEqual(plan(ask([])), ["172.17.0.0/16"]);
  assert.deepEqual(plan(ask([], { used: ["172.18.5.0/24", "172.16.0.0/12", "::1/128"] })), ["192.168.0.0/20"]);
  assert.deepEqual(plan(ask([{ Subnet: "fd01::/64" }], { enableIpv6: true })), ["172.18.0.0/16", "fd01::/64"]);
  assert.match(plan(ask([{ Subnet: "10.1.0.0/24" }], onlySix)).join(), /^fd[0-9a-f:]+::\/64$/);
});

test("a subnet that another network has is refused, with that network's name; it is free when the network is gone", () => {
  const ipam = newIpam();
  const id = newNetworkId();
  ipam.plan(id, ask([{ Subnet: "10.5.0.0/16" }], { networkName: "first" }));
  for (const Subnet of ["10.5.7.0/24", "10.0.0.0/8", "10.5.0.0/16"])
    assert.throws(() => ipam.plan(newNetworkId(), ask([{ Subnet }])), {
      kind: "Forbidden",
      message:
        "invalid pool request: Pool overlaps with other one on this address space: network first has 10.5.0.0/16",
    });
  assert.throws(() => ipam.plan(newNetworkId(), ask([{ Subnet: "10.9.0.0/24" }, { Subnet: "10.9.0.0/25" }])), {
    kind: "Forbidden",
    message: "invalid pool request: Pool overlaps with other one on this address space",
  });
  ipam.forget(id);
  assert.equal(ipam.plan(newNetworkId(), ask([{ Subnet: "10.5.7.0/24" }])).length, 1);
});

test("everything that is wrong with the subnets is said at once, in dockerd's words", () => {
  const config = [
    {
      Subnet: "10.5.0.0/24",
      IPRange: "10.7.0.5/16",
      Gateway: "fd00::1",
      AuxiliaryAddresses: { a: "10.8.0.1", b: "y" },
    },
    { Subnet: "zz" },
    { Subnet: "10.6.0.1/24" },
  ];
  assert.throws(() => newIpam().plan(newNetworkId(), ask(config)), {
    kind: "InvalidParameter",
    message: [
      "invalid network config:",
      "* invalid ip-range 10.7.0.5/16: CIDR block is bigger than its parent subnet 10.5.0.0/24",
      "* invalid ip-range 10.7.0.5/16: it should be 10.7.0.0/16",
      "* invalid ip-range 10.7.0.5/16: parent subnet 10.5.0.0/24 doesn't contain ip-range",
      "* invalid gateway fd00::1: parent subnet is an IPv4 block",
      "* invalid auxiliary address a: parent subnet 10.5.0.0/24 doesn't contain this address",
      "* invalid auxiliary address b: invalid address",
      "* invalid subnet zz: invalid CIDR block notation",
      "* invalid subnet 10.6.0.1/24: it should be 10.6.0.0/24",
    ].join("\n"),
  });
  for (const [Subnet, message] of [
    ["127.5.0.0/24", "invalid subnet 127.5.0.0/24: 127.0.0.0/8 cannot be used by containers"],
    ["0.0.0.0/0", "invalid subnet 0.0.0.0/0: 127.0.0.0/8 cannot be used by containers"],
    ["224.0.0.0/24", "invalid subnet 224.0.0.0/24: 224.0.0.0/4 cannot be used by containers"],
    ["::ffff:10.0.0.0/112", "invalid subnet ::ffff:10.0.0.0/112: IPv4-mapped IPv6 addresses are not supported"],
    ["ff02::/64", "invalid subnet ff02::/64: ff00::/8 cannot be used by containers"],
    ["::/64", "invalid subnet ::/64: ::1/128 cannot be used by containers"],
  ] as const)
    assert.throws(() => newIpam().plan(newNetworkId(), ask([{ Subnet }], { enableIpv6: true })), {
      kind: "InvalidParameter",
      message: `invalid network config:\n${message}`,
    });
});

test("addresses that cannot be the gateway, or twice the same, are refused", () => {
  for (const [config, message, more] of [
    [{ Subnet: "10.5.0.0/24", Gateway: "10.5.0.0" }, "failed to allocate gateway (10.5.0.0): Address already in use"],
    [
      { Subnet: "10.5.0.0/24", Gateway: "10.5.0.255" },
      "failed to allocate gateway (10.5.0.255): Address already in use",
    ],
    [
      { Subnet: "10.5.0.0/24", AuxiliaryAddresses: { a: "10.5.0.1" } },
      "failed to allocate secondary ip address (a:10.5.0.1): Address already in use",
    ],
    [
      { Subnet: "10.5.0.0/24", AuxiliaryAddresses: { a: "10.5.0.5", b: "10.5.0.5" } },
      "failed to allocate secondary ip address (b:10.5.0.5): Address already in use",
    ],
    [{ Subnet: "fd00::/128" }, "failed to allocate gateway (): no available addresses on this pool", onlySix],
    [
      { Subnet: "fd00::/127", Gateway: "fd00::" },
      "failed to allocate gateway (fd00::): Address already in use",
      onlySix,
    ],
  ] as const)
    assert.throws(() => newIpam().plan(newNetworkId(), ask([config], more)), { kind: "Forbidden", message });
});

test("a refused plan reserves nothing", () => {
  const ipam = newIpam();
  const wrong = [{ Subnet: "10.5.0.0/24" }, { Subnet: "10.6.0.0/24", Gateway: "10.6.0.0" }];
  assert.throws(() => ipam.plan(newNetworkId(), ask(wrong)));
  assert.equal(ipam.plan(newNetworkId(), ask([{ Subnet: "10.5.0.0/24" }])).length, 1);
});

test("the default pools run out with an error that says what to do", () => {
  const ipam = createIpam([{ base: "10.0.0.0/23", size: 24 }], "engine");
  for (let i = 0; i < 2; i++) ipam.plan(newNetworkId(), ask([]));
  assert.throws(() => ipam.plan(newNetworkId(), ask([])), {
    kind: "InvalidParameter",
    message: /^all predefined address pools have been fully subnetted: no IPv4 subnet is left; name one with --subnet/,
  });
});

test("an address is given to one at a time; asked for, taken and outside ones are told apart", () => {
  const ipam = newIpam();
  const id = newNetworkId();
  ipam.plan(id, ask([{ Subnet: "10.5.0.0/29", AuxiliaryAddresses: { router: "10.5.0.3" } }]));
  assert.deepEqual(ipam.allocate(id, 4, ""), { address: "10.5.0.2", prefix: 29, gateway: "10.5.0.1" });
  assert.equal(ipam.allocate(id, 4, "10.5.0.5").address, "10.5.0.5");
  for (const taken of ["10.5.0.1", "10.5.0.2", "10.5.0.3", "10.5.0.5", "10.5.0.0", "10.5.0.7"])
    assert.throws(() => ipam.allocate(id, 4, taken), { kind: "Forbidden", message: "Address already in use" });
  assert.throws(() => ipam.allocate(id, 4, "10.6.0.1"), {
    kind: "InvalidParameter",
    message: "no configured subnet contains IP address 10.6.0.1",
  });
  assert.deepEqual([ipam.allocate(id, 4, "").address, ipam.allocate(id, 4, "").address], ["10.5.0.4", "10.5.0.6"]);
  assert.throws(() => ipam.allocate(id, 4, ""), {
    kind: "Unavailable",
    message: `no available IPv4 addresses on this network's address pools: net (${id})`,
  });
  assert.throws(() => ipam.allocate(id, 6, ""), { kind: "Unavailable" });
  // Neither the gateway nor an auxiliary address can be freed by mistake.
  for (const address of ["10.5.0.1", "10.5.0.3", "10.5.0.4"]) ipam.free(id, address);
  assert.equal(ipam.allocate(id, 4, "").address, "10.5.0.4");
});

test("a second subnet is used when the first is full; a default gateway by name is what containers get", () => {
  const ipam = newIpam();
  const id = newNetworkId();
  const config = [
    { Subnet: "10.5.0.0/30" },
    { Subnet: "10.6.0.0/30", AuxiliaryAddresses: { DefaultGatewayIPv4: "10.6.0.2" }, Gateway: "10.6.0.1" },
    { Subnet: "10.7.0.0/29", AuxiliaryAddresses: { DefaultGatewayIPv4: "10.7.0.2" } },
  ];
  ipam.plan(id, ask(config));
  assert.equal(ipam.allocate(id, 4, "").address, "10.5.0.2");
  assert.deepEqual(ipam.allocate(id, 4, ""), { address: "10.7.0.3", prefix: 29, gateway: "10.7.0.2" });
});

test("after a restart the records say what is taken", () => {
  const before = newIpam();
  const id = newNetworkId();
  const config = [{ Subnet: "10.5.0.0/29", AuxiliaryAddresses: { a: "10.5.0.2" } }, { Subnet: "fd05::/64" }];
  const subnets = before.plan(id, ask(config, { enableIpv6: true }));
  const ipam = newIpam();
  ipam.adopt(recordOf(id, subnets));
  ipam.adoptAddress(id, "10.5.0.4");
  ipam.adoptAddress(id, "fd05::2");
  assert.deepEqual(
    [4, 4, 4].map(() => ipam.allocate(id, 4, "").address),
    ["10.5.0.5", "10.5.0.6", "10.5.0.3"],
  );
  assert.equal(ipam.allocate(id, 6, "").address, "fd05::3");
  assert.throws(() => ipam.plan(newNetworkId(), ask([{ Subnet: "10.5.0.0/30" }])), { kind: "Forbidden" });
});

test("whatever is taken and freed by chance: never two the same, never outside, never reserved", () => {
  const configs: readonly IPAMConfig[] = [
    { Subnet: "10.5.0.0/27", IPRange: "10.5.0.16/28", Gateway: "10.5.0.20", AuxiliaryAddresses: { a: "10.5.0.17" } },
    { Subnet: "fd05::/124", AuxiliaryAddresses: { a: "fd05::7", b: "fd05::8" } },
  ];
  const reserved = new Set([
    "10.5.0.20",
    "10.5.0.17",
    "10.5.0.0",
    "10.5.0.31",
    "fd05::",
    "fd05::1",
    "fd05::7",
    "fd05::8",
  ]);
  for (let round = 0; round < 30; round++) {
    const ipam = newIpam();
    const id = newNetworkId();
    ipam.plan(id, ask(configs, { enableIpv6: true }));
    const held = { 4: new Set<string>(), 6: new Set<string>() };
    for (let i = 0; i < 300; i++) {
      const family = Math.random() < 0.5 ? 4 : 6;
      const [oldest] = held[family];
      if (Math.random() < 0.4 && oldest !== undefined) {
        const address = [...held[family]][Math.floor(Math.random() * held[family].size)] ?? oldest;
        ipam.free(id, address);
        held[family].delete(address);
        continue;
      }
      const wanted =
        Math.random() < 0.3
          ? (family === 4 ? "10.5.0." : "fd05::") + Math.floor(Math.random() * (family === 4 ? 32 : 10))
          : "";
      try {
        const { address } = ipam.allocate(id, family, wanted);
        const parsed = parseAddress(address) ?? assert.fail(address);
        assert.ok(!held[family].has(address) && !reserved.has(address), address);
        assert.ok(contains(parseSubnet(family === 4 ? (configs[0]?.Subnet ?? "") : "fd05::/124"), parsed), address);
        if (family === 4 && wanted === "") assert.ok(contains(parseSubnet("10.5.0.16/28"), parsed), address);
        held[family].add(address);
      } catch (error) {
        const isFull =
          family === 4
            ? [...held[4]].filter((text) => Number(text.split(".")[3]) >= 16).length === 13
            : held[6].size === 12;
        if (wanted === "") assert.ok(isFull, String(error));
        else assert.ok(held[family].has(wanted) || reserved.has(wanted) || wanted === "fd05::0", wanted);
      }
    }
  }
});
