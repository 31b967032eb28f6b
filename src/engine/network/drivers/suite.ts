// What every driver that makes something on the host must do. The cases are data, so that they run wherever its devices can be
// made: in a network namespace, in a virtual machine. Each says what is wrong; nothing is health.
// Run in a network namespace of its own: the cases compare all of its links.

import { isEngineError } from "../../../base/errors.ts";
import { newContainerId } from "../../../base/ids.ts";
import { type Link, readLinks } from "../links.ts";
import type { Endpoint, NetworkRecord } from "../record.ts";
import type { Driver } from "./index.ts";
import { findStaleDevices, removeDevice } from "./stale.ts";

export interface DriverCase {
  readonly title: string;
  run(): Promise<readonly string[]>;
}

/** A driver under test. */
export interface DriverSubject {
  readonly name: string;
  /** A driver that has seen nothing, as after a restart of the daemon. */
  create(): Driver;
  /** A network that can be set up beside all others of this function; new at each call. */
  network(): NetworkRecord;
  /** A network that cannot be set up on this host. */
  broken(): NetworkRecord;
  /** Whether setting one up makes a device. */
  readonly makes: boolean;
}

/** Links in an order of their own: a device that was made again has another number. */
function summary(links: readonly Link[]): string {
  return JSON.stringify([...links].sort((a, b) => (a.name < b.name ? -1 : 1)));
}

function differs(what: string, before: readonly Link[], after: readonly Link[]): readonly string[] {
  return summary(before) === summary(after) ? [] : [`${what}:\n${summary(before)}\n${summary(after)}`];
}

function endpointOf(network: NetworkRecord): Endpoint {
  return {
    id: "e".repeat(64),
    containerId: newContainerId(),
    networkId: network.id,
    ip: "10.99.0.7",
    ip6: "fd00:99::7",
    mac: "02:42:0a:63:00:07",
    hostInterface: "gveth0123456789",
    interface: "eth3",
    prefix: 24,
    prefix6: 64,
    gateway: "10.99.0.1",
    gateway6: "fd00:99::1",
    names: [],
    linkLocal: [],
  };
}

async function failureOf(action: Promise<void>): Promise<string> {
  try {
    await action;
    return "nothing";
  } catch (error) {
    return isEngineError(error) ? error.kind : String(error);
  }
}

/** Whether a test's network stands, while `use` runs; it is torn down whatever happens. */
async function withNetwork(
  driver: Driver,
  network: NetworkRecord,
  use: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  await driver.setUp(network);
  try {
    return await use();
  } finally {
    await driver.tearDown(network);
  }
}

function checkInterface(subject: DriverSubject): readonly string[] {
  const network = subject.network();
  const endpoint = endpointOf(network);
  const options = { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" };
  const made = subject.create().interfaceOf(network, endpoint, options);
  if (made === undefined) return ["there is no interface"];
  const expected = {
    name: "eth3",
    mac: endpoint.mac,
    parent: network.interface,
    addresses: ["10.99.0.7/24", "fd00:99::7/64"],
    sysctls: { "net/ipv4/conf/eth3/log_martians": "1" },
  };
  const { name, mac, parent, addresses, sysctls } = made;
  const found = { name, mac, parent, addresses, sysctls };
  const wrong = JSON.stringify(found) === JSON.stringify(expected) ? [] : [`the interface is ${JSON.stringify(found)}`];
  const hasHostEnd = (made.hostInterface === endpoint.hostInterface) === (made.kind === "veth");
  return hasHostEnd ? wrong : [...wrong, `host end ${made.hostInterface} of a ${made.kind}`];
}

/** Of drivers that make a device. */
function deviceCases(subject: DriverSubject): readonly DriverCase[] {
  const { name } = subject;
  return [
    {
      title: `${name}: a device that somebody removed or set down is found by the check, and comes back`,
      run: async () => {
        const [driver, network] = [subject.create(), subject.network()];
        return withNetwork(driver, network, async () => {
          const before = await readLinks();
          if (!(await removeDevice(network.interface))) return ["the device cannot be removed"];
          const found = await driver.check(network);
          await driver.setUp(network);
          return [
            ...(found.length === 1 ? [] : [`the check found: ${found.join("; ")}`]),
            ...differs("not as before", before, await readLinks()),
            ...(await driver.check(network)),
          ];
        });
      },
    },
    {
      title: `${name}: a device whose network is gone is stale, one whose network is there is not`,
      run: async () => {
        const [driver, network] = [subject.create(), subject.network()];
        return withNetwork(driver, network, async () => {
          const links = await readLinks();
          const stale = findStaleDevices(links, [], new Set()).map((link) => link.name);
          const kept = findStaleDevices(links, [network], new Set()).map((link) => link.name);
          return [
            ...(stale.includes(network.interface) ? [] : [`stale: ${stale.join()}`]),
            ...(kept.includes(network.interface) ? ["a device in use is taken for stale"] : []),
          ];
        });
      },
    },
  ];
}

export function driverSuite(subject: DriverSubject): readonly DriverCase[] {
  const { name } = subject;
  return [
    {
      title: `${name}: setting a network up twice is as once, and tearing it down leaves the host as it was`,
      run: async () => {
        const [driver, network] = [subject.create(), subject.network()];
        const before = await readLinks();
        const wrong = await withNetwork(driver, network, async () => {
          const first = await readLinks();
          await driver.setUp(network);
          const health = await driver.check(network);
          return [...differs("setting up again changed", first, await readLinks()), ...health];
        });
        await driver.tearDown(network);
        return [...wrong, ...differs("left behind", before, await readLinks())];
      },
    },
    {
      title: `${name}: a daemon that was restarted finds what is there, and can remove it`,
      run: async () => {
        const network = subject.network();
        const before = await readLinks();
        await subject.create().setUp(network);
        const there = await readLinks();
        const driver = subject.create();
        const failures = await driver.setUpAll([network]);
        const wrong = differs("setting up after a restart changed", there, await readLinks());
        await subject.create().tearDown(network);
        return [
          ...wrong,
          ...[...failures.values()].map(({ message }) => message),
          ...differs("left behind", before, await readLinks()),
        ];
      },
    },
    {
      title: `${name}: one network of many that cannot be set up is told, and the others stand`,
      run: async () => {
        const driver = subject.create();
        const good = [subject.network(), subject.network()];
        const bad = subject.broken();
        const before = await readLinks();
        const [first, second] = good;
        const failures = await driver.setUpAll([first, bad, second].filter((network) => network !== undefined));
        const wrong = [...failures.keys()].join() === bad.id ? [] : [`failed: ${[...failures.keys()].join()}`];
        const health = await Promise.all(good.map((network) => driver.check(network)));
        for (const network of good) await driver.tearDown(network);
        return [...wrong, ...health.flat(), ...differs("left behind", before, await readLinks())];
      },
    },
    {
      title: `${name}: a network that cannot be set up is refused by kind, and nothing is half made`,
      run: async () => {
        const before = await readLinks();
        const kind = await failureOf(subject.create().setUp(subject.broken()));
        const clear = ["InvalidParameter", "NotImplemented"].includes(kind);
        return [...(clear ? [] : [`refused with ${kind}`]), ...differs("left behind", before, await readLinks())];
      },
    },
    ...(subject.makes ? deviceCases(subject) : []),
    {
      title: `${name}: an endpoint's interface is what the endpoint says`,
      run: () => Promise.resolve(checkInterface(subject)),
    },
    {
      title: `${name}: options that nobody knows pass, and the device's name fits the kernel`,
      run: () => {
        const [driver, network] = [subject.create(), subject.network()];
        const options = { ...network.options, "com.example.unknown": "x" };
        const device = driver.interfaceName({ ...network, options });
        const wrong = driver.validate({ ...network, options }, []);
        return Promise.resolve(device === network.interface ? wrong : [...wrong, `the device would be ${device}`]);
      },
    },
  ];
}
