// /etc/hosts of a container. Pure. Source: hosts(5).

import { isIP } from "node:net";

export interface ExtraHost {
  readonly name: string;
  /** An IP address, or "host-gateway". */
  readonly address: string;
}

const localLines = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
] as const;

/** A host name that makes exactly one word of a line. */
export function isHostWord(text: string): boolean {
  return /^[^\s#\p{C}]+$/u.test(text);
}

/**
 * "name:address" or "name=address"; an IPv6 address may stand in brackets.
 *
 * @returns the parts, or what is wrong, in dockerd's words
 */
export function parseExtraHost(text: string): ExtraHost | { readonly complaint: string } {
  const m = /^([^:=]*)[:=](.*)$/s.exec(text);
  const name = m?.[1] ?? "";
  if (m === null || name === "" || !isHostWord(name))
    return { complaint: `bad format for add-host: ${JSON.stringify(text)}` };
  const raw = m[2] ?? "";
  const address = raw.startsWith("[") && raw.endsWith("]") ? raw.slice(1, -1) : raw;
  if (address !== "host-gateway" && (isIP(address) === 0 || address.includes("%")))
    return { complaint: `invalid IP address in add-host: ${JSON.stringify(raw)}` };
  return { name, address };
}

/** A line of names for an address. */
export interface HostLine {
  readonly address: string;
  readonly names: readonly string[];
}

/** The container's own names, for each of its addresses. */
export interface OwnHost {
  readonly addresses: readonly string[];
  readonly hostname: string;
  readonly domainname: string;
}

/**
 * @param hostGateways what "host-gateway" means: a line for each
 * @param linked       containers that it is linked to
 * @param self         undefined where it has no address of its own
 */
export function renderHosts(
  extraHosts: readonly ExtraHost[],
  hostGateways: readonly string[],
  linked: readonly HostLine[],
  self: OwnHost | undefined,
): string {
  const extra = extraHosts.flatMap(({ name, address }) =>
    (address === "host-gateway" ? hostGateways : [address]).map((line) => `${line}\t${name}`),
  );
  const links = linked.map(({ address, names }) => `${address}\t${names.join(" ")}`);
  const own: string[] = [];
  if (self !== undefined && self.hostname !== "") {
    const full = self.domainname === "" ? "" : `${self.hostname}.${self.domainname} `;
    own.push(...self.addresses.map((address) => `${address}\t${full}${self.hostname}`));
  }
  return [...localLines, ...extra, ...links, ...own, ""].join("\n");
}

/**
 * What a file becomes that somebody may have edited: lines that were ours and are no more go, new ones come last, all others stay.
 *
 * @param before what we wrote; @param after what we would write now; @param found what is there
 */
export function mergeHosts(before: string, after: string, found: string): string {
  if (found === before) return after;
  const lines = (text: string): readonly string[] => text.split("\n").filter((line) => line !== "");
  const [old, wanted] = [new Set(lines(before)), lines(after)];
  const kept = found.split("\n").filter((line) => !old.has(line) || wanted.includes(line));
  while (kept.at(-1) === "") kept.pop();
  const added = wanted.filter((line) => !old.has(line) && !kept.includes(line));
  return [...kept, ...added, ""].join("\n");
}
