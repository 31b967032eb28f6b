// Runs the drivers' suite and the cases of single drivers in the network namespace that it is started in, a line per case:
// `ok TITLE` or `wrong TITLE: what`. Arguments: names of `subjects`. It needs no package, so that a virtual machine can run it.

import { type DriverCase, driverSuite } from "../../src/engine/network/drivers/suite.ts";
import { bridgeCases } from "./driver-bridge-cases.ts";
import { bridgeName, drivers, ip, network } from "./driver-fixture.ts";
import { parentCases, vlanCases } from "./driver-parent-cases.ts";

/** A veth pair whose first end is up. */
function withTrunk(name: string): string {
  ip("link", "add", "name", name, "type", "veth", "peer", "name", `${name}p`);
  ip("link", "set", "dev", name, "up");
  return name;
}

function parentSubject(kind: "macvlan" | "ipvlan"): readonly DriverCase[] {
  const parent = withTrunk(`${kind}0`);
  return driverSuite({
    name: kind,
    create: () => drivers()[kind],
    network: () => network(kind, { options: { parent } }),
    broken: () => network(kind, { options: { parent: "gone0" } }),
    makes: false,
  });
}

function deviceSubject(
  kind: "macvlan" | "ipvlan",
  name: string,
  options: () => Readonly<Record<string, string>>,
): readonly DriverCase[] {
  return driverSuite({
    name,
    create: () => drivers()[kind],
    network: () => network(kind, { options: options() }),
    broken: () => network(kind, { options: { parent: "gone0.3" } }),
    makes: true,
  });
}

function vlanOptions(base: string): () => Readonly<Record<string, string>> {
  let vlan = 100;
  return () => {
    vlan += 1;
    return { parent: `${base}.${vlan}` };
  };
}

const subjects: Readonly<Record<string, () => readonly DriverCase[]>> = {
  bridge: () => [
    ...driverSuite({
      name: "bridge",
      create: () => drivers().bridge,
      network: () => network("bridge"),
      broken: () => network("bridge", { options: { [bridgeName]: "lo" } }),
      makes: true,
    }),
    ...bridgeCases,
  ],
  macvlan: () => [...parentSubject("macvlan"), ...parentCases("macvlan")],
  ipvlan: () => [...parentSubject("ipvlan"), ...parentCases("ipvlan")],
  // Where the kernel has them.
  vlan: () => [...deviceSubject("macvlan", "macvlan on a VLAN", vlanOptions(withTrunk("mtrunk"))), ...vlanCases],
  dummy: () => [...deviceSubject("ipvlan", "ipvlan without parent", () => ({}))],
  // Whether the kernel has it or not.
  unsure: () => parentCases("ipvlan"),
};

for (const name of process.argv.slice(2)) {
  for (const subject of subjects[name]?.() ?? []) {
    const { title } = subject;
    const wrong = await subject
      .run()
      .catch((error: unknown) => [error instanceof Error ? (error.stack ?? "") : String(error)]);
    process.stdout.write(
      wrong.length === 0 ? `ok ${title}\n` : `wrong ${title}: ${wrong.join("; ").replaceAll("\n", " ")}\n`,
    );
  }
}
