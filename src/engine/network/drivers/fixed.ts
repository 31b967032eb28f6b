// host and null: networks without a device and without addresses. There is one of each, made by the daemon.

import type { Driver } from "./index.ts";

function createFixedDriver(name: "host" | "null"): Driver {
  return {
    joins: name === "host" ? "host" : "none",
    creatable: false,
    ipamOf: () => ({ addresses: false, gateway: false }),
    validate: (draft, others) =>
      others.some((other) => other.driver === name && other.id !== draft.id)
        ? [`only one instance of "${name}" network is allowed`]
        : [],
    interfaceName: () => "",
    defaultRoute: () => "gateway",
    capacity: () => Number.POSITIVE_INFINITY,
    setUp: () => Promise.resolve(),
    setUpAll: () => Promise.resolve(new Map()),
    tearDown: () => Promise.resolve(),
    interfaceOf: () => undefined,
    firewallOf: () => undefined,
    check: () => Promise.resolve([]),
  };
}

export function createHostDriver(): Driver {
  return createFixedDriver("host");
}

export function createNullDriver(): Driver {
  return createFixedDriver("null");
}
