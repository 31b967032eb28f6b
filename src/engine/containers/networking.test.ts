import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerConfig, NetworkingConfig } from "../../spec/docker/container.ts";
import { macAddressOf, planNetworking } from "./networking.ts";

const mac = "02:42:ac:11:00:33";

function plan(config: ContainerConfig, mode: string, networking: NetworkingConfig): ReturnType<typeof planNetworking> {
  const names: Readonly<Record<string, string>> = { default: "bridge", abc: "front" };
  return planNetworking(config, mode, networking, (name) => names[name] ?? name);
}

test("the container's MAC address becomes its endpoint's, with a warning", () => {
  assert.deepEqual(plan({ Image: "x", MacAddress: mac }, "bridge", {}), {
    config: { Image: "x" },
    networkingConfig: { EndpointsConfig: { bridge: { MacAddress: mac } } },
    invalid: [],
    warnings: [
      "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
    ],
  });
  assert.equal(macAddressOf("bridge", { EndpointsConfig: { bridge: { MacAddress: mac } } }), mac);
});

test("a container without an interface of its own has no MAC address", () => {
  for (const mode of ["host", "none"]) {
    assert.deepEqual(plan({ MacAddress: mac }, mode, {}).networkingConfig, { EndpointsConfig: { [mode]: {} } });
    assert.equal(macAddressOf(mode, { EndpointsConfig: { [mode]: { MacAddress: mac } } }), "");
  }
});

test("a container's MAC address that is no endpoint's, or another one, is refused", () => {
  const other = { EndpointsConfig: { default: { MacAddress: "02:42:ac:11:00:34" } } };
  assert.deepEqual(plan({ MacAddress: mac }, "bridge", other).invalid, [
    "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
  ]);
  assert.deepEqual(plan({ MacAddress: mac }, "bridge", { EndpointsConfig: { front: {} } }).invalid, [
    "if a container-wide MAC address is supplied, HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
  ]);
});

test("endpoints are kept under the names of their networks, whatever the client calls them", () => {
  const networking = { EndpointsConfig: { default: { GwPriority: 5 }, abc: { Aliases: ["a"] }, later: {} } };
  assert.deepEqual(plan({}, "bridge", networking).networkingConfig, {
    EndpointsConfig: { bridge: { GwPriority: 5 }, front: { Aliases: ["a"] }, later: {} },
  });
});

test("without endpoints the container is on the network of its mode; with another's network it is on none", () => {
  assert.deepEqual(plan({}, "front", {}).networkingConfig, { EndpointsConfig: { front: {} } });
  assert.deepEqual(plan({}, `container:${"a".repeat(64)}`, { EndpointsConfig: { front: {} } }).networkingConfig, {
    EndpointsConfig: {},
  });
});
