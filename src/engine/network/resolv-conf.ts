// /etc/resolv.conf of a container, made of the host's and of what the container or the daemon asks for. Pure.
// Source: resolv.conf(5); which of the host's servers stay is dockerd's rule for networks without a resolver of their own.

import { isIP, isIPv4 } from "node:net";

export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Servers for a host that has none but on its own loopback, which no container can reach; dockerd's choice. */
const publicServers = ["8.8.8.8", "8.8.4.4"] as const;

/** Reads what it knows and passes over the rest: the last search or domain line counts, as resolvers have it. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: readonly string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword = "", ...words] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    const [first] = words;
    if (keyword === "nameserver" && first !== undefined && isIP(first.split("%")[0] ?? "") !== 0)
      nameservers.push(first);
    if (keyword === "search") search = words;
    if (keyword === "domain" && first !== undefined) search = [first];
    if (keyword === "options") options.push(...words);
  }
  return { nameservers, search, options };
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** The host asks only systemd-resolved's stub, so what it forwards to is in another file. */
export function usesResolvedStub(host: ResolvConf): boolean {
  return host.nameservers.length === 1 && host.nameservers[0] === "127.0.0.53";
}

/**
 * What a container gets.
 *
 * @param asked  lists that are empty leave the host's; a search of "." alone means none
 * @param hostNetwork  the host's loopback can be reached, and its IPv6
 */
export function planResolvConf(host: ResolvConf, asked: ResolvConf, hostNetwork: boolean): ResolvConf {
  const reachable = host.nameservers.filter((address) => hostNetwork || (isIPv4(address) && !isLoopback(address)));
  const fallback = reachable.length === 0 && !hostNetwork ? publicServers : reachable;
  const search = asked.search.length > 0 ? asked.search : host.search;
  return {
    nameservers: asked.nameservers.length > 0 ? asked.nameservers : fallback,
    search: search.length === 1 && search[0] === "." ? [] : search,
    options: asked.options.length > 0 ? asked.options : host.options,
  };
}

/** Where the engine's name server answers in a container. */
export const nameServerAddress = "127.0.0.11";

export function hasNdots(options: readonly string[]): boolean {
  return options.some((option) => option.startsWith("ndots:"));
}

/**
 * What a container on a user-defined network gets: the engine's name server, which asks the others. Names of one label are the
 * engine's, so ndots is 0 unless the client says otherwise. The host's ndots is for the host's names: with it a search domain would
 * come before the engine's own names, and one that answers everything would stand for every container.
 */
export function planInternalResolvConf(host: ResolvConf, asked: ResolvConf): ResolvConf {
  const withoutNdots = { ...host, options: host.options.filter((option) => !hasNdots([option])) };
  const { search, options } = planResolvConf(withoutNdots, asked, true);
  return {
    nameservers: [nameServerAddress],
    search,
    options: hasNdots(options) ? options : [...options, "ndots:0"],
  };
}

export function renderResolvConf(conf: ResolvConf): string {
  const lines = [
    "# Made by Gantry when the container was started; it is written anew at each start.",
    ...conf.nameservers.map((address) => `nameserver ${address}`),
    ...(conf.search.length > 0 ? [`search ${conf.search.join(" ")}`] : []),
    ...(conf.options.length > 0 ? [`options ${conf.options.join(" ")}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}
