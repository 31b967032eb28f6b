// Transactions for `nft -f -`: both tables as a whole, and the small ones that add and remove a network. Pure.

import { endpointElements, portElements, renderElement } from "./elements.ts";
import type { FirewallElement, FirewallNetwork, FirewallState } from "./index.ts";
import { networkRules } from "./network-rules.ts";
import { type Chain, type Table, apartChains, bridgeTable, inetTable } from "./tables.ts";

/** Both tables as data: constant part and networks. */
export interface Plan {
  readonly tables: readonly Table[];
  /** `inet into` → elements as nft reads them, none twice. */
  readonly elements: ReadonlyMap<string, ReadonlySet<string>>;
  /** Those of them that are endpoints' and ports', as stateElements has them. */
  readonly own: ReadonlyMap<string, FirewallElement>;
}

/** By family, set and key: what the state's endpoints and ports add. @throws InvalidParameter what the state says is not fit */
export function stateElements({ networks, endpoints, ports }: FirewallState): ReadonlyMap<string, FirewallElement> {
  const byId = new Map(networks.map((network) => [network.id, network]));
  const all = new Map<string, FirewallElement>();
  const collect = (elements: readonly FirewallElement[]): void => {
    for (const element of elements) all.set(elementKey(element), element);
  };
  for (const endpoint of endpoints) {
    const network = byId.get(endpoint.networkId);
    if (network !== undefined) collect(endpointElements(network, endpoint));
  }
  for (const port of ports) {
    const network = byId.get(port.networkId);
    if (network !== undefined) collect(portElements(network, port));
  }
  return all;
}

function elementKey({ family, set, key }: FirewallElement): string {
  return `${family} ${set} ${renderElement({ key })}`;
}

/** @throws InvalidParameter what the state says is not fit for rules */
export function planTables(state: FirewallState): Plan {
  const networks = state.networks.map(networkRules);
  const elements = new Map<string, Set<string>>();
  const add = (set: string, text: string): void => {
    const found = elements.get(set);
    if (found === undefined) elements.set(set, new Set([text]));
    else found.add(text);
  };
  for (const network of networks) for (const { set, text } of network.elements) add(`inet ${set}`, text);
  const own = stateElements(state);
  for (const element of own.values()) add(`${element.family} ${element.set}`, renderElement(element));
  const chains = networks.flatMap((network) => network.chains);
  const apart = state.networks.every(({ icc }) => icc) ? [] : apartChains;
  return {
    tables: [
      { ...inetTable, chains: [...chains, ...inetTable.chains] },
      { ...bridgeTable, chains: [...bridgeTable.chains, ...apart] },
    ],
    elements,
    own,
  };
}

function renderRule({ text, comment }: Chain["rules"][number]): string {
  return `${text} comment "${comment}"`;
}

function renderTable({ family, sets, chains }: Table, elements: Plan["elements"]): string {
  const lines = Object.entries(sets).flatMap(([name, type]) => {
    const held = [...(elements.get(`${family} ${name}`) ?? [])];
    return [
      `  ${type.includes(" : ") ? "map" : "set"} ${name} {`,
      `    ${type};`,
      ...(held.length === 0 ? [] : [`    elements = { ${held.join(", ")} }`]),
      "  }",
    ];
  });
  const body = chains.flatMap(({ name, hook, rules }) => [
    `  chain ${name} {`,
    ...(hook === undefined ? [] : [`    ${hook}`]),
    ...rules.map((each) => `    ${renderRule(each)}`),
    "  }",
  ]);
  return [`table ${family} gantry {`, ...lines, ...body, "}", ""].join("\n");
}

/** The transaction that makes both tables anew: an empty declaration lets the delete succeed the first time. */
export function renderPlan({ tables, elements }: Pick<Plan, "tables" | "elements">): string {
  return tables
    .map((table) => {
      const name = `table ${table.family} gantry`;
      return `${name}\ndelete ${name}\n${renderTable(table, elements)}`;
    })
    .join("");
}

/** @throws InvalidParameter what the state says is not fit for rules */
export function renderTables(state: FirewallState): string {
  return renderPlan(planTables(state));
}

/** Chains that a network needs, by family; those of the bridge table are all networks' with icc=false, and stay until all is replaced. */
export function chainsOf(network: FirewallNetwork): readonly Pick<Table, "family" | "chains">[] {
  return [
    { family: "inet", chains: networkRules(network).chains },
    { family: "bridge", chains: network.icc ? [] : apartChains },
  ];
}

/** Adds a network, or makes its chains again. */
export function renderAddNetwork(network: FirewallNetwork): string {
  const { elements } = networkRules(network);
  return [
    ...chainsOf(network).flatMap(({ family, chains }) =>
      chains.flatMap(({ name, hook, rules }) => [
        `add chain ${family} gantry ${name}${hook === undefined ? "" : ` { ${hook} }`}`,
        `flush chain ${family} gantry ${name}`,
        ...rules.map((each) => `add rule ${family} gantry ${name} ${renderRule(each)}`),
      ]),
    ),
    ...elements.map(({ set, text }) => `add element inet gantry ${set} { ${text} }`),
    "",
  ].join("\n");
}

export function renderRemoveNetwork(network: FirewallNetwork): string {
  const { chains, elements } = networkRules(network);
  return [
    ...elements.map(({ set, text }) => `delete element inet gantry ${set} { ${text} }`),
    ...chains.flatMap(({ name }) => [`flush chain inet gantry ${name}`, `delete chain inet gantry ${name}`]),
    "",
  ].join("\n");
}

/** Adds elements that may be there already. */
export function renderAddElements(elements: readonly FirewallElement[]): string {
  return elements
    .map((element) => `add element ${element.family} gantry ${element.set} { ${renderElement(element)} }\n`)
    .join("");
}

/** Deletes elements that may be gone already: adding first makes that no error. */
export function renderDeleteElements(elements: readonly FirewallElement[]): string {
  return elements
    .map((element) => {
      const target = `element ${element.family} gantry ${element.set} { ${renderElement(element)} }`;
      return `add ${target}\ndelete ${target}\n`;
    })
    .join("");
}

/** Of one table that is the administrators': made once when it is missing. */
export const userTable = `create table inet gantry-user
add chain inet gantry-user forward { type filter hook forward priority filter - 10; policy accept; comment "rules of the host's administrators; the engine never changes them"; }
`;
