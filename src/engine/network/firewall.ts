// The engine's own nft table, rendered from the bridges and replaced as a whole in one transaction. Nothing else of the
// host's rules is read or changed; a drop in another table stays a drop (nft: every base chain of a hook has its say).
// Source: nft(8); NAT in the inet family needs Linux 5.2.

import { createHash } from "node:crypto";
import { EngineError } from "../../base/errors.ts";
import { run, tryRun } from "../kernel/run.ts";

/** A bridge network as the firewall sees it. */
export interface FirewallBridge {
  readonly network: string;
  readonly interface: string;
  readonly subnet: string;
}

const safe = /^[A-Za-z0-9_.:/ -]+$/;

function checked(text: string): string {
  if (!safe.test(text))
    throw new EngineError("InvalidParameter", `not fit for a firewall rule: ${JSON.stringify(text)}`);
  return text;
}

/**
 * The transaction that makes the table what it should be: an empty declaration lets the delete succeed the first time.
 * Established connections and those within a bridge go on; from outside, another bridge included, none begins.
 */
export function renderRuleset(bridges: readonly FirewallBridge[]): string {
  const masquerade: string[] = [];
  const into: string[] = [];
  const outOf: string[] = [];
  for (const bridge of bridges) {
    const [name, device, subnet] = [bridge.network, bridge.interface, bridge.subnet].map(checked);
    masquerade.push(
      `ip saddr ${subnet} oifname != "${device}" masquerade comment "${name}: out by the host's address"`,
    );
    into.push(
      `oifname "${device}" ct state established,related accept comment "${name}: answers"`,
      `iifname "${device}" oifname "${device}" accept comment "${name}: between containers"`,
      `oifname "${device}" drop comment "${name}: nothing new from outside"`,
    );
    outOf.push(`iifname "${device}" accept comment "${name}: out"`);
  }
  const chain = (name: string, type: string, rules: readonly string[]): string =>
    [`  chain ${name} {`, `    ${type} policy accept;`, ...rules.map((rule) => `    ${rule}`), "  }"].join("\n");
  return [
    "table inet gantry",
    "delete table inet gantry",
    "table inet gantry {",
    chain("forward", "type filter hook forward priority filter;", [...into, ...outOf]),
    chain("postrouting", "type nat hook postrouting priority srcnat;", masquerade),
    "}",
    "",
  ].join("\n");
}

/** The table as the kernel has it, as a hash; "" when there is none. */
export async function hashTable(): Promise<string> {
  const listed = await tryRun(["nft", "--stateless", "list", "table", "inet", "gantry"]);
  return listed.exitCode === 0 ? createHash("sha256").update(listed.stdout).digest("hex") : "";
}

/**
 * Replaces the table atomically; hashTable right afterwards says how the kernel shows what was meant.
 *
 * @throws System nft is missing or refused the rules
 */
export async function applyRuleset(bridges: readonly FirewallBridge[]): Promise<void> {
  await run(["nft", "-f", "-"], { input: renderRuleset(bridges) });
}
