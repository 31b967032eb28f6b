// macvlan and ipvlan on the real kernel: what cannot be a parent, what the kernel lacks, VLANs that several networks use.

import type { DriverCase } from "../../src/engine/network/drivers/suite.ts";
import { readLink, readLinks } from "../../src/engine/network/links.ts";
import { drivers, equal, ip, kindOf, network } from "./driver-fixture.ts";

export function parentCases(kind: "macvlan" | "ipvlan"): readonly DriverCase[] {
  const dummy = kind === "macvlan" ? "dm-" : "di-";
  return [
    {
      title: `${kind}: a parent that is lo, a bridge's port or not there is refused by name`,
      run: async () => {
        const driver = drivers()[kind];
        ip("link", "add", "name", "sw0", "type", "bridge");
        ip("link", "add", "name", "port0", "type", "veth", "peer", "name", "port1");
        ip("link", "set", "dev", "port0", "master", "sw0");
        const refusal = (parent: string): Promise<string> =>
          kindOf(driver.setUp(network(kind, { options: { parent } })));
        const found = [
          await refusal("lo"),
          await refusal("port0"),
          await refusal("gone0"),
          await refusal("gone0.7"),
          await refusal("port1.9000"),
          await refusal("port1.x"),
        ];
        ip("link", "del", "dev", "port0");
        ip("link", "del", "dev", "sw0");
        return equal(
          found,
          [
            `loopback interface is not a valid ${kind} parent link`,
            "parent interface port0 is a port of sw0: the kernel takes it for one or the other",
            "invalid subinterface vlan name gone0, example formatting is eth0.10",
            "-o parent interface was not found on the host: gone0",
            "vlan id must be between 1-4094, received: 9000",
            "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
          ].map((text) => `InvalidParameter: ${text}`),
        );
      },
    },
    {
      title: `${kind}: what the kernel lacks is refused by name, what it has is made`,
      run: async () => {
        const driver = drivers()[kind];
        ip("link", "add", "name", "up0", "type", "veth", "peer", "name", "up1");
        ip("link", "set", "dev", "up0", "up");
        const lone = network(kind, { options: {} });
        const tagged = network(kind, { options: { parent: "up0.42" } });
        const found = [await kindOf(driver.setUp(lone)), await kindOf(driver.setUp(tagged))];
        const made = [await readLink(lone.interface), await readLink("up0.42")].map((link) => link?.kind ?? "none");
        await driver.tearDown(lone);
        await driver.tearDown(tagged);
        const left = (await readLinks()).filter(({ name }) => name.startsWith(dummy) || name.startsWith("up0."));
        ip("link", "del", "dev", "up0");
        const expected = (text: string, device: string): readonly [string, string] => [
          text === "nothing" ? "made" : text,
          device,
        ];
        const answers = found.map((text, index) => expected(text, made[index] ?? ""));
        const allowed = [
          ["made", "dummy"],
          ["made", "vlan"],
          [
            `NotImplemented: ${kind} networks without a parent need a kernel with CONFIG_DUMMY (module dummy); the running kernel has none`,
            "none",
          ],
          [
            `NotImplemented: ${kind} networks with a VLAN as parent need a kernel with CONFIG_VLAN_8021Q (module 8021q); the running kernel has none`,
            "none",
          ],
          [
            `NotImplemented: ipvlan networks need a kernel with CONFIG_IPVLAN (module ipvlan); the running kernel has none`,
            "none",
          ],
        ].map((entry) => JSON.stringify(entry));
        const odd = answers.filter((answer) => !allowed.includes(JSON.stringify(answer)));
        return [...odd.map((answer) => `answered ${JSON.stringify(answer)}`), ...equal(left, [])];
      },
    },
  ];
}

/** Where the kernel has VLANs: one that two networks use goes with the last of them, whoever made it. */
export const vlanCases: readonly DriverCase[] = [
  {
    title: "macvlan: a VLAN that two networks use goes with the last of them, and one that was there stays",
    run: async () => {
      const { macvlan } = drivers();
      ip("link", "add", "name", "up0", "type", "veth", "peer", "name", "up1");
      ip("link", "set", "dev", "up0", "up");
      ip("link", "add", "link", "up0", "name", "up0.5", "type", "vlan", "id", "5");
      const [one, two] = [
        network("macvlan", { options: { parent: "up0.6" } }),
        network("macvlan", { options: { parent: "up0.6" } }),
      ];
      const foreign = network("macvlan", { options: { parent: "up0.5" } });
      for (const record of [one, two, foreign]) await macvlan.setUp(record);
      await macvlan.tearDown(one);
      const kept = (await readLink("up0.6"))?.alias;
      await macvlan.tearDown(two);
      await macvlan.tearDown(foreign);
      const [gone, stays] = [await readLink("up0.6"), await readLink("up0.5")];
      ip("link", "del", "dev", "up0");
      return equal([kept, gone, stays?.kind], [`gantry ${two.id.slice(0, 12)}`, undefined, "vlan"]);
    },
  },
];
