import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import { newNetworkId } from "../../base/ids.ts";
import { type NetworkRecord, plainNetwork } from "./record.ts";
import { complainAboutEndpoint, parseNetworkMode, validateNetwork } from "./validate.ts";

function complaints(config: ContainerConfig, hostConfig: HostConfig = {}): readonly string[] {
  return validateNetwork(config, hostConfig, {}, () => undefined);
}

test("a plain request has nothing wrong with it, on each kind of network", () => {
  for (const NetworkMode of ["", "default", "bridge", "host", "none", "container:x", "own"])
    assert.deepEqual(complaints({}, { NetworkMode }), [], NetworkMode);
});

test("the default bridge has three names", () => {
  for (const mode of [undefined, "", "default", "bridge"])
    assert.deepEqual(parseNetworkMode(mode), { kind: "network", name: "bridge" });
  assert.deepEqual(parseNetworkMode("container:a:b"), { kind: "container", target: "a:b" });
});

test("what cannot go with container: is named in dockerd's words, all at once", () => {
  const hostConfig: HostConfig = {
    NetworkMode: "container:x",
    Links: ["a:b"],
    Dns: ["1.1.1.1"],
    ExtraHosts: ["a:1.1.1.1"],
    PortBindings: { "80/tcp": [{ HostPort: "80" }] },
  };
  const config = { Hostname: "h", MacAddress: "02:42:ac:11:00:02", ExposedPorts: { "80/tcp": {} } };
  assert.deepEqual(complaints(config, hostConfig), [
    "conflicting options: hostname and the network mode",
    "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    "conflicting options: dns and the network mode",
    "conflicting options: custom host-to-IP mapping and the network mode",
    "conflicting options: mac-address and the network mode",
    "conflicting options: port publishing and the container type network mode",
    "conflicting options: port exposing and the container type network mode",
  ]);
});

test("container: without a container is refused", () => {
  assert.deepEqual(complaints({}, { NetworkMode: "container:" }), [
    "invalid network mode: invalid container format container:<name|id>",
  ]);
});

test("no value can bring a line of its own into a file", () => {
  const cases: readonly (readonly [ContainerConfig, HostConfig, RegExp])[] = [
    ...["a\nb", "a\rb", "a\0b", "a\u001bb", "a\u0085b", "a b"].map(
      (evil) => [{ Hostname: evil, Domainname: "" }, {}, /^invalid hostname: "a/] as const,
    ),
    [{ Hostname: "a".repeat(65) }, {}, /longer than 64 bytes/],
    [{ Domainname: "x\r" }, {}, /^invalid domainname/],
    [{}, { Dns: ["1.1.1.1\nnameserver 6.6.6.6"] }, /^bad nameserver address/],
    [{}, { Dns: ["bar"] }, /^bad nameserver address "bar": unable to parse IP$/],
    [{}, { DnsSearch: ["a\nb"] }, /is not a valid domain/],
    [{}, { DnsSearch: ["a b"] }, /^"a b" is not a valid domain$/],
    [{}, { DnsOptions: ["a\nb"] }, /is not a valid DNS option/],
    [{}, { DnsOptions: ["a#b"] }, /is not a valid DNS option/],
    [{}, { ExtraHosts: ["a\n6.6.6.6 b:1.1.1.1"] }, /^bad format for add-host/],
    [{ MacAddress: "x" }, {}, /^invalid config for network bridge: invalid MAC address x$/],
  ];
  for (const [config, hostConfig, text] of cases) {
    const found = complaints(config, hostConfig);
    assert.equal(found.length, 1, JSON.stringify([config, hostConfig]));
    assert.match(found[0] ?? "", text);
  }
});

test("the default bridge takes a MAC address, but no address and no alias", () => {
  const validate = (settings: object): readonly string[] =>
    validateNetwork({}, {}, { EndpointsConfig: { bridge: settings } }, () => undefined);
  assert.deepEqual(validate({}), []);
  assert.deepEqual(validate({ IPAMConfig: null, Links: null, Aliases: null, MacAddress: "02:42:ac:11:00:09" }), []);
  assert.deepEqual(validate({ MacAddress: "x" }), ["invalid config for network bridge: invalid MAC address x"]);
  assert.deepEqual(validate({ IPAMConfig: { IPv4Address: "172.17.0.8" } }), [
    "invalid config for network bridge: invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* user specified IP address is supported only when connecting to networks with user configured subnets",
  ]);
  assert.deepEqual(validate({ Aliases: ["x"] }), [
    "invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped alias is supported only for containers in user defined networks",
  ]);
});

const own: NetworkRecord = {
  ...plainNetwork,
  id: newNetworkId(),
  name: "own",
  driver: "bridge",
  created: "",
  enableIpv6: true,
  subnetsAsked: true,
  subnets: [
    { subnet: "10.66.0.0/24", ipRange: "", gateway: "10.66.0.1", auxiliary: {} },
    { subnet: "fd66::/64", ipRange: "", gateway: "fd66::1", auxiliary: {} },
  ],
};

test("addresses are those of subnets that somebody chose", () => {
  const of = (settings: object, network: NetworkRecord | "none" = own): readonly string[] =>
    complainAboutEndpoint(network === "none" ? undefined : network, "own", settings);
  assert.deepEqual(of({ IPAMConfig: { IPv4Address: "10.66.0.9", IPv6Address: "fd66::9" } }), []);
  assert.deepEqual(of({ IPAMConfig: { IPv4Address: "10.67.0.9" } }), [
    "invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 10.67.0.9",
  ]);
  assert.deepEqual(of({ IPAMConfig: { IPv4Address: "foo" } }), [
    "invalid endpoint settings:\n* invalid IPv4 address: foo\n* no configured subnet or ip-range contain the IP address foo",
  ]);
  assert.deepEqual(of({ IPAMConfig: { IPv6Address: "fd66::9" } }, { ...own, subnetsAsked: false }), [
    "invalid endpoint settings:\nuser specified IP address is supported only when connecting to networks with user configured subnets",
  ]);
  // A network that comes later is asked at the start.
  assert.deepEqual(of({ IPAMConfig: { IPv4Address: "10.67.0.9" } }, "none"), []);
  assert.deepEqual(of({ MacAddress: "foo" }), ["invalid MAC address foo"]);
  assert.deepEqual(of({ IPAMConfig: { LinkLocalIPs: ["169.254.1.2", "x"] } }), [
    "invalid endpoint settings:\ninvalid link-local IP address: x",
  ]);
  assert.deepEqual(of({ Aliases: ["a", "b c"] }), ['invalid endpoint settings:\ninvalid network-scoped alias: "b c"']);
  assert.deepEqual(of({ Links: ["a:b", "a:b:c"] }), ["bad format for links: a:b:c"]);
});
