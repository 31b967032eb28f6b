import assert from "node:assert/strict";
import { test } from "node:test";
import { type ContainerId, newContainerId, newNetworkId } from "../../base/ids.ts";
import { compareLinks } from "./check.ts";
import type { Endpoint } from "./record.ts";

function endpoint(containerId: ContainerId, hostInterface: string): Endpoint {
  const network = {
    networkId: newNetworkId(),
    ip6: "",
    prefix6: 0,
    gateway6: "",
    interface: "eth0",
    linkLocal: [],
    names: [],
    ip: "172.17.0.2",
    mac: "02:42:ac:11:00:02",
    prefix: 16,
    gateway: "172.17.0.1",
  };
  return { ...network, id: "e".repeat(64), containerId, hostInterface };
}

test("an endpoint whose host end is gone or elsewhere is found; one without a host end is not looked for", () => {
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
  const found = compareLinks(links, [...endpoints, endpoint(a, "")], () => "gantry0");
  assert.deepEqual(found, { missing: [endpoints[2]], astray: [endpoints[1]] });
});
