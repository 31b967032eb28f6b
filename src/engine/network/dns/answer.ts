// The decision about a query: answered here, asked outside, or passed over in silence. Pure.
// A name that is known here is answered here, whatever is asked of it: no type, family or search domain leads it outside.

import type { ClientView, NameTables } from "./tables.ts";
import { isNoQuery, parseQuery, type Query, rcode, recordType } from "./query.ts";
import { isEncodable, type RecordTail, renderBareRefusal, renderRecord, renderReply, type Transport } from "./reply.ts";

export type Verdict =
  | { readonly kind: "reply"; readonly bytes: Buffer }
  | { readonly kind: "forward"; readonly query: Query; readonly servers: readonly string[] }
  | { readonly kind: "drop" };

/**
 * @param bytes  what the client sent; anything
 * @param client undefined: a container that is not known (yet): it is told to try again
 * @param turn   counts up with the queries: which of several addresses comes first
 */
export function answer(
  bytes: Buffer,
  transport: Transport,
  client: ClientView | undefined,
  tables: NameTables,
  turn: number,
): Verdict {
  if (isNoQuery(bytes)) return { kind: "drop" };
  const { query, refusal } = parseQuery(bytes);
  if (query === undefined) return { kind: "reply", bytes: renderBareRefusal(bytes, refusal) };
  const reply = (code: number, records: readonly RecordTail[] = []): Verdict => ({
    kind: "reply",
    bytes: renderReply(query, transport, code, records),
  });
  if (refusal !== undefined) return reply(refusal);
  if (client === undefined) return reply(rcode.servFail);
  const { name, type } = query;
  if (name !== undefined) {
    const local = tables.find(client, name);
    if (local !== undefined) {
      const a = type === recordType.a || type === recordType.any ? rotate(local.a, turn) : [];
      const aaaa = type === recordType.aaaa || type === recordType.any ? rotate(local.aaaa, turn) : [];
      return reply(0, [...a, ...aaaa]);
    }
    const address = parseReverseName(name);
    const names = address === undefined ? undefined : tables.nameOf(client, address);
    if (names !== undefined) {
      const known = names.find(isEncodable);
      if (known === undefined) return reply(rcode.nxDomain);
      const asked = type === recordType.ptr || type === recordType.any;
      return reply(0, asked ? [renderRecord("PTR", known)] : []);
    }
    if (staysInside(name, client)) return reply(rcode.nxDomain);
  }
  const { internal, servers } = client.client;
  // As dockerd: not NXDOMAIN, which would say that the name exists nowhere.
  return internal || servers.length === 0 ? reply(rcode.servFail) : { kind: "forward", query, servers };
}

function rotate<T>(values: readonly T[], turn: number): readonly T[] {
  const start = values.length < 2 ? 0 : turn % values.length;
  return start === 0 ? values : [...values.slice(start), ...values.slice(0, start)];
}

/**
 * One label with ndots set: the client's resolver comes back with its search domains. A top-level label with an underscore:
 * no public name ends so, but names of networks do ("web.shop_default"), and whom they belong to is nobody's business outside.
 */
function staysInside(name: string, { client }: ClientView): boolean {
  const last = name.slice(name.lastIndexOf(".") + 1);
  if (last.length < name.length) return last.includes("_");
  return name !== "" && client.ndotsSet;
}

/** The bytes, in hex, of the address that a name of in-addr.arpa or ip6.arpa stands for. */
export function parseReverseName(name: string): string | undefined {
  if (name.endsWith(".in-addr.arpa")) {
    const parts = name.slice(0, -".in-addr.arpa".length).split(".");
    const isAddress = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
    return isAddress
      ? parts
          .toReversed()
          .map((part) => Number(part).toString(16).padStart(2, "0"))
          .join("")
      : undefined;
  }
  if (!name.endsWith(".ip6.arpa")) return undefined;
  const nibbles = name.slice(0, -".ip6.arpa".length);
  return /^[0-9a-f](?:\.[0-9a-f]){31}$/.test(nibbles) ? nibbles.split(".").toReversed().join("") : undefined;
}
