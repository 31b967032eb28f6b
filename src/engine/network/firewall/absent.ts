// In place of the firewall where the daemon was told to write no rules (iptables: false): none of ours is there, whoever wrote them
// before. Published ports are then served by the shims' listeners alone; nothing is masqueraded, and nothing is kept apart.

import { run } from "../../kernel/run.ts";
import type { Firewall } from "./index.ts";

/** "destroy" of what is not there is no error; it needs a newer nft than "add" and "delete". */
const noTables = ["inet", "bridge"]
  .map((family) => `add table ${family} gantry\ndelete table ${family} gantry\n`)
  .join("");

/** Takes the tables of an earlier run away at `replace`, and writes nothing. */
export function createAbsentFirewall(): Firewall {
  return {
    replace: async () => {
      await run(["nft", "-f", "-"], { input: noTables });
    },
    addNetwork: () => Promise.resolve(),
    removeNetwork: () => Promise.resolve(),
    rulesChanged: () => {},
    list: () => Promise.resolve("# The daemon was told to write no rules (iptables: false).\n"),
    check: () => Promise.resolve([]),
    advise: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}
