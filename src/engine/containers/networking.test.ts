import assert from "node:assert/strict";
import { test } from "node:test";
import { macAddressOf, planNetworking } from "./networking.ts";

const mac = "02:42:ac:11:00:33";

test("the container's MAC address becomes its endpoint's, with a warning", () => {
  assert.deepEqual(planNetworking({ Image: "x", MacAddress: mac }, "bridge", {}), {
    config: { Image: "x" },
    networkingConfig: { EndpointsConfig: { bridge: { MacAddress: mac } } },
    invalid: [],
    unsupported: [],
    warnings: [
      "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.",
    ],
  });
  assert.equal(macAddressOf("bridge", { EndpointsConfig: { bridge: { MacAddress: mac } } }), mac);
});

test("a container without an interface of its own has no MAC address", () => {
  for (const mode of ["host", "none"]) {
    assert.deepEqual(planNetworking({ MacAddress: mac }, mode, {}).networkingConfig, {});
    assert.equal(macAddressOf(mode, { EndpointsConfig: { [mode]: { MacAddress: mac } } }), "");
  }
});

test("two MAC addresses that differ are refused", () => {
  const plan = planNetworking({ MacAddress: mac }, "bridge", {
    EndpointsConfig: { default: { MacAddress: "02:42:ac:11:00:34" } },
  });
  assert.deepEqual(plan.invalid, [
    "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
  ]);
});

test("an endpoint on the default network is the bridge's, one on another network is refused by name", () => {
  const plan = planNetworking({}, "bridge", {
    EndpointsConfig: { default: { GwPriority: 5 }, other: {}, none: { DriverOpts: { a: "b" }, Links: ["a:b"] } },
  });
  assert.deepEqual(plan.networkingConfig, { EndpointsConfig: { bridge: { GwPriority: 5 } } });
  assert.deepEqual(plan.unsupported, [
    'NetworkingConfig.EndpointsConfig["other"]',
    'NetworkingConfig.EndpointsConfig["none"]',
    'NetworkingConfig.EndpointsConfig["none"].DriverOpts',
    'NetworkingConfig.EndpointsConfig["none"].Links',
  ]);
});
