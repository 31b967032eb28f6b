import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../../base/flags.ts";
import { type DaemonConfig, mergeConfig } from "./config.ts";
import { parseConfigFile } from "./config-file.ts";
import { directives } from "./directives.ts";

const specs = directives.map(({ flag }) => flag);

function configOf(file: unknown, argv: readonly string[] = []): DaemonConfig {
  return mergeConfig(parseConfigFile(JSON.stringify(file)), parseFlags(specs, argv), "/nowhere");
}

test("without a word networks are as dockerd has them", () => {
  const { iptables, ip6tables, icc, ipMasq, ipv6, defaultHostIp, hostGatewayIps, defaultAddressPools } = configOf({});
  assert.deepEqual(
    { iptables, ip6tables, icc, ipMasq, ipv6, defaultHostIp, hostGatewayIps, defaultAddressPools },
    {
      iptables: true,
      ip6tables: true,
      icc: true,
      ipMasq: true,
      ipv6: false,
      defaultHostIp: "",
      hostGatewayIps: [],
      defaultAddressPools: [],
    },
  );
});

test("every directive of networks is read from the file, and from the command line alike", () => {
  const file = configOf({
    bip: "10.1.0.1/24",
    bip6: "fd01::1/64",
    "fixed-cidr": "10.1.0.128/25",
    "fixed-cidr-v6": "fd01::100/120",
    "default-gateway": "10.1.0.9",
    "default-gateway-v6": "fd01::9",
    ipv6: true,
    icc: false,
    "ip-masq": false,
    "ip-forward": false,
    "ip-forward-no-drop": true,
    iptables: false,
    ip6tables: false,
    ip: "127.0.0.1",
    mtu: 1400,
    "userland-proxy": false,
    "allow-direct-routing": true,
    "host-gateway-ips": ["10.9.0.1", "fd09::1"],
    "default-address-pools": [{ base: "10.10.0.0/16", size: 24 }],
    "default-network-opts": { bridge: { "com.docker.network.driver.mtu": "1400", a: "b=c" } },
    dns: ["10.1.0.53"],
    "dns-search": ["example.org"],
    "dns-opts": ["ndots:2"],
  });
  const flags = configOf({}, [
    "--bip=10.1.0.1/24",
    "--bip6=fd01::1/64",
    "--fixed-cidr=10.1.0.128/25",
    "--fixed-cidr-v6=fd01::100/120",
    "--default-gateway=10.1.0.9",
    "--default-gateway-v6=fd01::9",
    "--ipv6",
    "--icc=false",
    "--ip-masq=false",
    "--ip-forward=false",
    "--ip-forward-no-drop",
    "--iptables=false",
    "--ip6tables=false",
    "--ip=127.0.0.1",
    "--mtu=1400",
    "--userland-proxy=false",
    "--allow-direct-routing",
    "--host-gateway-ip=10.9.0.1",
    "--host-gateway-ip=fd09::1",
    "--default-address-pool=base=10.10.0.0/16,size=24",
    "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
    "--default-network-opt=bridge=a=b=c",
    "--dns=10.1.0.53",
    "--dns-search=example.org",
    "--dns-opt=ndots:2",
  ]);
  assert.deepEqual(flags, file);
  assert.deepEqual(
    [file.defaultNetworkOptions, file.defaultAddressPools, file.fixedCidr6, file.defaultGateway6, file.defaultHostIp],
    [
      { bridge: { "com.docker.network.driver.mtu": "1400", a: "b=c" } },
      [{ base: "10.10.0.0/16", size: 24 }],
      "fd01::100/120",
      "fd01::9",
      "127.0.0.1",
    ],
  );
});

test("dockerd's older word host-gateway-ip is understood", () => {
  assert.deepEqual(configOf({ "host-gateway-ip": "10.9.0.1" }).hostGatewayIps, ["10.9.0.1"]);
  assert.throws(() => configOf({ "host-gateway-ip": "10.9.0.1", "host-gateway-ips": [] }), /say it once/);
  assert.throws(() => configOf({ "host-gateway-ip": 7 }), /invalid value for host-gateway-ip: a string is needed/);
});

test("values that cannot be are refused, in dockerd's words where it has them", () => {
  for (const [file, message] of [
    [
      { bridge: "x", bip: "10.1.0.1/24" },
      "You specified -b & --bip, mutually exclusive options. Please specify only one",
    ],
    [
      { bridge: "x", bip6: "fd01::1/64" },
      "You specified -b & --bip6, mutually exclusive options. Please specify only one",
    ],
    [{ bip: "zz" }, "invalid bip: invalid CIDR address: zz"],
    [{ bip6: "10.1.0.1/24" }, "invalid bip6: 10.1.0.1/24 is not an IPv6 subnet"],
    [{ "fixed-cidr": "zz" }, "invalid fixed-cidr: invalid CIDR address: zz"],
    [{ "fixed-cidr-v6": "10.0.0.0/24" }, "invalid fixed-cidr-v6: 10.0.0.0/24 is not an IPv6 subnet"],
    [{ "default-gateway": "zz" }, "invalid string being converted to IP address: zz"],
    [{ "default-gateway-v6": "1.2.3.4" }, "invalid string being converted to IP address: 1.2.3.4"],
    [{ ip: "zz" }, "invalid string being converted to IP address: zz"],
    [{ "host-gateway-ips": ["1.2.3.4", "zz"] }, "invalid string being converted to IP address: zz"],
    [{ "host-gateway-ips": ["1.2.3.4", "1.2.3.5"] }, "only one IPv4 host gateway IP address can be specified"],
    [{ mtu: -1 }, "invalid default MTU: -1"],
    [
      { "default-address-pools": [{ base: "10.0.0.0/33", size: 24 }] },
      'invalid base pool "10.0.0.0/33": invalid CIDR address',
    ],
    [
      { "default-address-pools": [{ base: "10.0.0.0/16", size: 8 }] },
      'invalid pool size 8 for "10.0.0.0/16": subnets would be larger than the pool',
    ],
    [
      { "default-address-pools": [{ base: "10.0.0.0/16" }] },
      /^invalid value for default-address-pools: a list like \[\{"base": "10.10.0.0\/16", "size": 24\}\] is needed/,
    ],
    [{ "default-network-opts": { bridge: "x" } }, /^invalid value for default-network-opts: an object like/],
    [{ iptables: false }, "iptables and ip6tables must be the same: the engine has one nft table for both families"],
    [{ icc: "x" }, /^invalid value for icc: a boolean is needed/],
  ] as const)
    assert.throws(() => configOf(file), { kind: "InvalidParameter", message }, JSON.stringify(file));
});

test("flags that cannot be read are refused in dockerd's words", () => {
  for (const [flag, message] of [
    ["--default-address-pool=base=10.0.0.0/33,size=24", 'invalid base prefix "10.0.0.0/33": invalid CIDR address'],
    [
      "--default-address-pool=size=x,base=10.0.0.0/16",
      'invalid size value: "size=x,base=10.0.0.0/16" (must be integer): strconv.Atoi: parsing "x": invalid syntax',
    ],
    ["--default-address-pool=foo", "invalid field 'foo' must be a key=value pair"],
    ["--default-address-pool=foo=1", "unexpected key 'foo' in 'foo=1'"],
    [
      "--default-address-pool=base=10.0.0.0/16",
      'invalid default address pool "base=10.0.0.0/16": base=… and size=… are needed',
    ],
    ["--default-network-opt=bridge", 'invalid value "bridge" for map option, should be root-key=key=value'],
    ["--default-network-opt=bridge=a", 'invalid value "bridge=a" for map option, should be root-key=key=value'],
  ] as const)
    assert.throws(
      () => configOf({}, [flag]),
      (error: Error) => error.message.endsWith(message),
      flag,
    );
});
