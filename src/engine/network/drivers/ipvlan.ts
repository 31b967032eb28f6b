// ipvlan: interfaces that share the parent's MAC. In l3 and l3s the parent routes for them: no ARP, no gateway, no broadcasts.

import type { Driver } from "./index.ts";
import { createParentDriver, wordOf } from "./macvlan.ts";
import type { Options } from "./options.ts";

const modes = ["l2", "l3", "l3s"] as const;
const flags = ["bridge", "private", "vepa"] as const;
const modeOf = (options: Options): string => wordOf(options, "ipvlan_mode", modes) ?? modes[0];

export function createIpvlanDriver(): Driver {
  return createParentDriver({
    kind: "ipvlan",
    hasGateway: (options) => modeOf(options) === "l2",
    complaints: ({ options }, neighbours, parent) => {
      const wrong: string[] = [];
      if (wordOf(options, "ipvlan_mode", modes) === undefined)
        wrong.push(
          `requested ipvlan mode '${options["ipvlan_mode"] ?? ""}' is not valid, 'l2' mode is the ipvlan driver default`,
        );
      if (wordOf(options, "ipvlan_flag", flags) === undefined)
        wrong.push(
          `requested ipvlan flag '${options["ipvlan_flag"] ?? ""}' is not valid, 'bridge' is the ipvlan driver default`,
        );
      const [neighbour] = neighbours;
      // The kernel has one mode and one flag for all interfaces of a parent: a second network would change those of the first.
      if (neighbour !== undefined)
        wrong.push(`network di-${neighbour.id.slice(0, 12)} is already using parent interface ${parent}`);
      return wrong;
    },
    mode: modeOf,
    flag: (options) => wordOf(options, "ipvlan_flag", flags) ?? flags[0],
    capacity: () => Number.POSITIVE_INFINITY,
  });
}
