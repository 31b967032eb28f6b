// The bridge driver on the real kernel: addresses, adoption, sysctls, many at once.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { DriverCase } from "../../src/engine/network/drivers/suite.ts";
import { readLink, readLinks } from "../../src/engine/network/links.ts";
import { bridgeName, drivers, equal, ip, kindOf, network } from "./driver-fixture.ts";

export const bridgeCases: readonly DriverCase[] = [
  {
    title: "bridge: it has the gateways of all subnets and a MAC of its own, is up, and listens to no router",
    run: async () => {
      const { bridge } = drivers();
      const record = network("bridge");
      await bridge.setUp(record);
      const link = await readLink(record.interface);
      const accepts = readFileSync(`/proc/sys/net/ipv6/conf/${record.interface}/accept_ra`, "utf8").trim();
      const mac = /link\/ether (\S+)/.exec(ip("link", "show", "dev", record.interface))?.[1];
      await bridge.tearDown(record);
      const [v4, v6] = record.subnets;
      const bytes = (v4?.gateway ?? "").split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
      return equal(
        [link?.addresses, link?.addresses6, link?.up, accepts, mac],
        [
          [`${v4?.gateway}/24`],
          [`${v6?.gateway.toLowerCase().replace(":0::", "::")}/64`],
          true,
          "0",
          `02:42:${bytes.join(":")}`,
        ],
      );
    },
  },
  {
    title: "bridge: isolated has no address at all, not even a link-local one; inhibit_ipv4 has only the IPv6 one",
    run: async () => {
      const { bridge } = drivers();
      const mode = "com.docker.network.bridge.gateway_mode_ipv";
      const isolated = network("bridge", {
        internal: true,
        options: { [`${mode}4`]: "isolated", [`${mode}6`]: "isolated" },
      });
      const inhibited = network("bridge", { options: { "com.docker.network.bridge.inhibit_ipv4": "true" } });
      await bridge.setUp(isolated);
      await bridge.setUp(inhibited);
      const addresses = ip("-brief", "address", "show", "dev", isolated.interface).trim().split(/\s+/).slice(2);
      const link = await readLink(inhibited.interface);
      await bridge.tearDown(isolated);
      await bridge.tearDown(inhibited);
      return equal([addresses, link?.addresses, link?.addresses6.length], [[], [], 1]);
    },
  },
  {
    title: "bridge: one of others is adopted with an address more and nothing less, and stays when the network goes",
    run: async () => {
      const { bridge } = drivers();
      ip("link", "add", "name", "lan0", "mtu", "1400", "type", "bridge");
      ip("address", "add", "192.0.2.1/24", "dev", "lan0");
      const record = network("bridge", { options: { [bridgeName]: "lan0" }, enableIpv6: false });
      await bridge.setUp(record);
      const link = await readLink("lan0");
      await bridge.tearDown(record);
      const after = await readLink("lan0");
      ip("link", "del", "dev", "lan0");
      const wanted = ["192.0.2.1/24", `${record.subnets[0]?.gateway}/24`];
      return equal([link?.addresses, link?.mtu, link?.alias, after?.addresses.length], [wanted, 1400, "", 2]);
    },
  },
  {
    title: "bridge: one of a name that was asked for is made where there is none, and goes with the network",
    run: async () => {
      const { bridge } = drivers();
      const record = network("bridge", { options: { [bridgeName]: "mine0" } });
      await bridge.setUp(record);
      const made = (await readLink("mine0"))?.kind;
      await bridge.tearDown(record);
      return equal([made, await readLink("mine0")], ["bridge", undefined]);
    },
  },
  {
    title: "bridge: a device that is no bridge is refused and left, and --bridge needs one that is there",
    run: async () => {
      const { bridge } = drivers();
      ip("link", "add", "name", "pair0", "type", "veth", "peer", "name", "pair1");
      const taken = await kindOf(bridge.setUp(network("bridge", { options: { [bridgeName]: "pair0" } })));
      const kept = await readLink("pair0");
      ip("link", "del", "dev", "pair0");
      const missing = await kindOf(bridge.setUp(network("bridge", { name: "bridge", interface: "nothere0" })));
      return equal(
        [taken, kept?.addresses, missing],
        [
          "InvalidParameter: existing interface pair0 is not a bridge",
          [],
          "InvalidParameter: bridge device with non default name nothere0 must be created manually",
        ],
      );
    },
  },
  {
    title: "bridge: addresses, size and state that somebody changed are mended",
    run: async () => {
      const { bridge } = drivers();
      const record = network("bridge");
      await bridge.setUp(record);
      const before = await readLink(record.interface);
      const device = record.interface;
      ip("address", "flush", "dev", device);
      ip("address", "add", "192.0.2.9/24", "dev", device);
      ip("link", "set", "dev", device, "mtu", "1300", "down");
      const found = await bridge.check(record);
      await bridge.setUp(record);
      const after = await readLink(device);
      await bridge.tearDown(record);
      return [...equal(found.length, 3), ...equal(after, before)];
    },
  },
  {
    title: "bridge: forwarding does not cost the host its router advertisements",
    run: async () => {
      const conf = "/proc/sys/net/ipv6/conf";
      ip("link", "add", "name", "wan0", "type", "veth", "peer", "name", "wan1");
      writeFileSync(`${conf}/all/forwarding`, "0");
      writeFileSync(`${conf}/wan0/accept_ra`, "1");
      writeFileSync(`${conf}/wan1/accept_ra`, "0");
      const record = network("bridge");
      const { bridge } = drivers();
      await bridge.setUp(record);
      const read = (path: string): string => readFileSync(`${conf}/${path}`, "utf8").trim();
      const found = [read("all/forwarding"), read("wan0/accept_ra"), read("wan1/accept_ra")];
      await bridge.tearDown(record);
      ip("link", "del", "dev", "wan0");
      return equal(found, ["1", "2", "0"]);
    },
  },
  {
    title: "bridge: IPv6 that is off for new devices is on for a network that has it",
    run: async () => {
      const off = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
      writeFileSync(off, "1");
      const [one, two] = [network("bridge"), network("bridge")];
      const { bridge } = drivers();
      try {
        await bridge.setUp(one);
        const failures = await bridge.setUpAll([one, two]);
        const found = [await readLink(one.interface), await readLink(two.interface)];
        return equal([failures.size, ...found.map((link) => link?.addresses6.length)], [0, 1, 1]);
      } finally {
        writeFileSync(off, "0");
        await bridge.tearDown(one);
        await bridge.tearDown(two);
      }
    },
  },
  {
    title: "bridge: five hundred networks are set up, found as they are, and only ours are stale",
    run: async () => {
      const { bridge } = drivers();
      const many = Array.from({ length: 500 }, (_, i) =>
        network("bridge", {
          enableIpv6: false,
          subnets: [
            {
              subnet: `10.${100 + (i >> 8)}.${i & 255}.0/24`,
              ipRange: "",
              gateway: `10.${100 + (i >> 8)}.${i & 255}.1`,
              auxiliary: {},
            },
          ],
        }),
      );
      const first = await bridge.setUpAll(many);
      const before = await readLinks();
      const second = await bridge.setUpAll(many);
      const wrong = (await Promise.all(many.map((record) => bridge.check(record, before)))).flat();
      const same = JSON.stringify(before) === JSON.stringify(await readLinks());
      // As a group they go at once; one by one each would wait for the kernel.
      const input = many.map((record) => `link set dev ${record.interface} group 77\n`).join("");
      execFileSync("ip", ["-batch", "-"], { input });
      ip("link", "del", "group", "77");
      return [...equal([first.size, second.size, same], [0, 0, true]), ...wrong];
    },
  },
];
