import assert from "node:assert/strict";
import { test } from "node:test";
import { newNetworkId } from "../../base/ids.ts";
import type { IPAMConfig } from "../../spec/docker/network.ts";
import { renderNetwork } from "./list.ts";
import { type NetworkRecord, type NetworkSubnet, plainNetwork } from "./record.ts";

const id = newNetworkId();
const base: NetworkRecord = { ...plainNetwork, id, name: "n", driver: "bridge", created: "2026-01-02T03:04:05.5Z" };

test("a network has every field of dockerd's, in its order, maps sorted", () => {
  const record: NetworkRecord = {
    ...base,
    enableIpv6: true,
    internal: true,
    attachable: true,
    ipamOptions: {},
    options: { b: "2", a: "1" },
    labels: { z: "", y: "x" },
    subnets: [
      { subnet: "172.18.0.0/16", ipRange: "", gateway: "172.18.0.1", auxiliary: {} },
      { subnet: "fd00:1::/64", ipRange: "", gateway: "fd00:1::1", auxiliary: {} },
    ],
  };
  assert.equal(
    JSON.stringify(renderNetwork(record, {})),
    JSON.stringify({
      Name: "n",
      Id: id,
      Created: "2026-01-02T03:04:05.5Z",
      Scope: "local",
      Driver: "bridge",
      EnableIPv4: true,
      EnableIPv6: true,
      IPAM: {
        Driver: "default",
        Options: {},
        Config: [
          { Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" },
          { Subnet: "fd00:1::/64", Gateway: "fd00:1::1" },
        ],
      },
      Internal: true,
      Attachable: true,
      Ingress: false,
      ConfigFrom: { Network: "" },
      ConfigOnly: false,
      Containers: {},
      Options: { a: "1", b: "2" },
      Labels: { y: "x", z: "" },
    }),
  );
});

test("subnets that the client named are shown word by word, before those that the engine chose", () => {
  const subnets: readonly NetworkSubnet[] = [
    { subnet: "172.18.0.0/16", ipRange: "", gateway: "172.18.0.1", auxiliary: {} },
    { subnet: "fd01::/64", ipRange: "fd01::100/120", gateway: "fd01::5", auxiliary: { a: "fd01::7", b: "fd01::8" } },
  ];
  const asked = {
    Subnet: "fd01:0:0::/64",
    IPRange: "FD01::100/120",
    Gateway: "fd01:0::5",
    AuxiliaryAddresses: { b: "fd01::8", a: "fd01::0:7" },
  };
  const { IPAM } = renderNetwork({ ...base, enableIpv6: true, ipamConfig: [asked], subnets }, {});
  assert.deepEqual(IPAM?.Config, [asked, { Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" }]);
  const shown: IPAMConfig | undefined = IPAM?.Config?.[0];
  assert.deepEqual(Object.keys(shown?.AuxiliaryAddresses ?? {}), ["a", "b"]);
  // The gateway that the engine added to a subnet of the client's is not shown.
  const plain = renderNetwork({ ...base, ipamConfig: [{ Subnet: "10.1.0.0/24" }], subnets: [] }, {});
  assert.deepEqual(plain.IPAM?.Config, [{ Subnet: "10.1.0.0/24" }]);
  assert.deepEqual(renderNetwork(base, {}).IPAM, { Driver: "default", Options: null, Config: null });
});
