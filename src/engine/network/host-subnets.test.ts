import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRoutes, parseRoutes6 } from "./host-subnets.ts";
import { renderSubnet } from "./ipam/index.ts";

test("routes of the host count, but not the default one, unreachable ones, and the bridge's own", () => {
  const text = [
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
    "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    "*\t000010AC\t00000000\t0201\t0\t0\t4096\t0000F0FF\t0\t0\t0",
    "gantry0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    "tun0\t010011AC\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
    "",
  ].join("\n");
  assert.deepEqual(parseRoutes(text, "gantry0").map(renderSubnet), ["192.0.2.0/24", "172.17.0.1/32"]);
});

test("IPv6 routes count likewise; link-local and multicast ones do not", () => {
  const none = "0".repeat(32);
  const line = (destination: string, length: string, flags: string, name: string): string =>
    `${destination} ${length} ${none} 00 ${none} 00000100 00000001 00000000 ${flags} ${name.padStart(8)}`;
  const text = [
    line("fd440000000000000000000000000000", "40", "00000001", "eth0"),
    line("fd550000000000000000000000000000", "40", "00000001", "gantry0"),
    line("fd660000000000000000000000000000", "30", "00200200", "lo"),
    line("fe800000000000000000000000000000", "40", "00000001", "eth0"),
    line("ff000000000000000000000000000000", "08", "00000001", "eth0"),
    line(none, "00", "00000003", "eth0"),
    "",
  ].join("\n");
  assert.deepEqual(parseRoutes6(text, "gantry0").map(renderSubnet), ["fd44::/64"]);
});
