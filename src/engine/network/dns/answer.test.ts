import assert from "node:assert/strict";
import { test } from "node:test";
import { type DecodedPacket, decode, encode, type Packet, RECURSION_DESIRED } from "dns-packet";
import * as fc from "fast-check";
import type { ContainerId, NetworkId } from "../../../base/ids.ts";
import { answer, parseReverseName, type Verdict } from "./answer.ts";
import type { NameClient, NamedEndpoint } from "./index.ts";
import { NameTables } from "./tables.ts";

const front = "f".repeat(64) as NetworkId;
const back = "b".repeat(64) as NetworkId;
const other = "0".repeat(64) as NetworkId;
const idOf = (digit: string): ContainerId => digit.repeat(64) as ContainerId;

function endpoint(over: Partial<NamedEndpoint> & Pick<NamedEndpoint, "id" | "names">): NamedEndpoint {
  return {
    networkId: front,
    networkName: "front",
    containerId: idOf("1"),
    ip: "172.18.0.2",
    ip6: "",
    prefix: 16,
    prefix6: 64,
    ...over,
  };
}

const asker: NameClient = {
  containerId: idOf("9"),
  networks: [front, back],
  links: { Shop: "web" },
  servers: ["192.0.2.53"],
  internal: false,
  ndotsSet: false,
};

/** web on both networks, two containers "www", db on back with IPv6 only, a stranger on a network that the asker is not on. */
function someTables(client: NameClient = asker): NameTables {
  const tables = new NameTables();
  const on = { networkId: back, networkName: "Back_End" };
  for (const each of [
    endpoint({ id: "1", names: ["web", "WWW", "111111111111"] }),
    endpoint({ id: "2", names: ["two", "www"], containerId: idOf("2"), ip: "172.18.0.3" }),
    endpoint({ ...on, id: "3", names: ["web"], ip: "172.19.0.2", ip6: "fd00:19::2" }),
    endpoint({
      ...on,
      id: "4",
      names: ["db", "long.alias.example"],
      containerId: idOf("4"),
      ip: "",
      ip6: "fd00:19::4",
    }),
    endpoint({ ...on, id: "5", names: ["two"], containerId: idOf("5"), ip: "172.19.0.5", ip6: "fd00:19::5" }),
    endpoint({ id: "6", names: ["stranger"], networkId: other, networkName: "other", ip: "172.20.0.2" }),
  ])
    tables.apply({ endpoint: each });
  tables.apply({ client });
  return tables;
}

interface Ask {
  readonly client?: NameClient;
  readonly transport?: "udp" | "tcp";
  readonly turn?: number;
  readonly packet?: Partial<Packet>;
  readonly tables?: NameTables;
  readonly edit?: (bytes: Buffer) => Buffer | undefined;
}

function render(name: string, type: string, packet: Partial<Packet> = {}): Buffer {
  return encode({
    type: "query",
    id: 4711,
    flags: RECURSION_DESIRED,
    questions: [{ name, type: type as "A" }],
    ...packet,
  });
}

function verdict(name: string, type = "A", ask: Ask = {}): Verdict {
  const client = ask.client ?? asker;
  const tables = ask.tables ?? someTables(client);
  const bytes = render(name, type, ask.packet);
  return answer(
    ask.edit?.(bytes) ?? bytes,
    ask.transport ?? "udp",
    tables.client(client.containerId),
    tables,
    ask.turn ?? 0,
  );
}

/** The reply; fails where there is none. */
function reply(name: string, type = "A", ask: Ask = {}): DecodedPacket & { readonly rcode?: string } {
  const result = verdict(name, type, ask);
  if (result.kind !== "reply") assert.fail(`${result.kind} for ${name} ${type}`);
  const decoded = decode(result.bytes);
  assert.deepEqual([decoded.id, decoded.type, decoded.flag_qr, decoded.flag_ra], [4711, "response", true, true]);
  return decoded;
}

function data(name: string, type = "A", ask: Ask = {}): readonly unknown[] {
  const { answers = [] } = reply(name, type, ask);
  return answers.map((record) => ("data" in record ? record.data : undefined));
}

function code(name: string, type = "A", ask: Ask = {}): string | undefined {
  return reply(name, type, ask).rcode;
}

test("names, aliases, short ids, links and name.network are answered, in whatever case, with TTL 600", () => {
  for (const name of ["web", "WEB", "wWw", "111111111111", "shop", "SHOP", "web.front", "Web.FRONT", "shop.front"])
    assert.ok(data(name).includes("172.18.0.2"), name);
  assert.deepEqual(reply("Web.Front").answers, [
    { name: "Web.Front", type: "A", ttl: 600, class: "IN", flush: false, data: "172.18.0.2" },
  ]);
  assert.deepEqual(data("web.back_end"), ["172.19.0.2"]);
  assert.deepEqual(data("long.ALIAS.example", "AAAA"), ["fd00:19::4"]);
  assert.deepEqual(data("long.alias.example.back_end", "AAAA"), ["fd00:19::4"]);
});

test("an alias of several containers gives all of them, another one first each time", () => {
  assert.deepEqual(data("www"), ["172.18.0.2", "172.18.0.3"]);
  assert.deepEqual(data("www", "A", { turn: 1 }), ["172.18.0.3", "172.18.0.2"]);
});

test("of several networks the first that knows a name decides whose it is, for both families", () => {
  assert.deepEqual(data("web"), ["172.18.0.2"]);
  assert.deepEqual(data("web", "AAAA"), ["fd00:19::2"]);
  assert.deepEqual(data("two"), ["172.18.0.3"]);
  assert.deepEqual(data("two", "AAAA"), [], "fd00:19::5 is another container's");
  const backFirst = { ...asker, networks: [back, front] };
  assert.deepEqual(data("two", "A", { client: backFirst }), ["172.19.0.5"]);
});

test("whatever is asked of a local name is answered here: what it has not is empty and NOERROR", () => {
  for (const [name, type] of [
    ["two", "AAAA"],
    ["db", "A"],
    ["web", "MX"],
    ["web", "TXT"],
    ["web", "SRV"],
    ["web", "SOA"],
  ] as const) {
    const { rcode, answers } = reply(name, type);
    assert.deepEqual([rcode, answers], ["NOERROR", []], `${name} ${type}`);
  }
  assert.deepEqual(data("web", "ANY"), ["172.18.0.2", "fd00:19::2"]);
});

test("names of networks that the container is not on are unknown to it", () => {
  assert.equal(verdict("stranger").kind, "forward");
  assert.equal(verdict("stranger.other").kind, "forward");
  assert.equal(verdict("constructor").kind, "forward");
});

test("links are the client's own and go before names", () => {
  const linked = { ...asker, links: { web: "two" } };
  assert.deepEqual(data("web", "A", { client: linked }), ["172.18.0.3"]);
  assert.equal(verdict("shop", "A", { client: linked }).kind, "forward");
  const dangling = { ...asker, links: { web: "gone" } };
  assert.deepEqual(data("web", "A", { client: dangling }), ["172.18.0.2"]);
});

test("PTR answers for both families, and addresses of ours are nobody's business outside", () => {
  assert.deepEqual(data("2.0.18.172.in-addr.arpa", "PTR"), ["web.front"]);
  const six = `4.${"0.".repeat(19)}9.1.0.0.0.0.d.f.ip6.arpa`;
  assert.equal(six.split(".").length, 30);
  const nibbles = `4.${"0.".repeat(23)}9.1.0.0.0.0.d.f.ip6.arpa`;
  assert.deepEqual(data(nibbles, "PTR"), ["db.Back_End"]);
  assert.deepEqual(data(nibbles.toUpperCase(), "PTR"), ["db.Back_End"]);
  assert.equal(code("2.0.18.172.in-addr.arpa", "TXT"), "NOERROR");
  assert.equal(code("77.7.18.172.in-addr.arpa", "PTR"), "NXDOMAIN", "in our subnet, nobody's");
  assert.equal(code("2.0.20.172.in-addr.arpa", "PTR"), "NXDOMAIN", "another network's");
  assert.equal(code("7.0.20.172.in-addr.arpa", "PTR"), "NXDOMAIN", "another network's subnet");
  for (const name of ["9.9.9.9.in-addr.arpa", "18.172.in-addr.arpa", six, "256.0.18.172.in-addr.arpa"])
    assert.equal(verdict(name, "PTR").kind, "forward", name);
});

test("without a prefix only the endpoint's own address is kept inside", () => {
  const tables = new NameTables();
  tables.apply({ client: asker });
  tables.apply({ endpoint: endpoint({ id: "1", names: ["lan"], ip: "192.168.1.9", prefix: 0 }) });
  assert.deepEqual(data("9.1.168.192.in-addr.arpa", "PTR", { tables }), ["lan.front"]);
  assert.equal(verdict("1.1.168.192.in-addr.arpa", "PTR", { tables }).kind, "forward");
});

test("a name that no PTR record can hold gives way to the next", () => {
  const tables = new NameTables();
  tables.apply({ client: asker });
  tables.apply({ endpoint: endpoint({ id: "1", names: ["x".repeat(64), "abc123"] }) });
  assert.deepEqual(data("2.0.18.172.in-addr.arpa", "PTR", { tables }), ["abc123.front"]);
  tables.apply({ endpoint: endpoint({ id: "1", names: ["x".repeat(64)] }) });
  assert.equal(code("2.0.18.172.in-addr.arpa", "PTR", { tables }), "NXDOMAIN");
});

test("endpoints come, change and go", () => {
  const tables = someTables();
  tables.apply({ endpoint: endpoint({ id: "1", names: ["new"], ip: "172.18.0.77" }) });
  assert.deepEqual(data("new", "A", { tables }), ["172.18.0.77"]);
  assert.deepEqual(data("web", "A", { tables }), ["172.19.0.2"]);
  tables.apply({ endpointGone: "1" });
  tables.apply({ endpointGone: "1" });
  tables.apply({ endpointGone: "2" });
  assert.equal(verdict("new", "A", { tables }).kind, "forward");
  assert.equal(verdict("77.0.18.172.in-addr.arpa", "PTR", { tables }).kind, "forward", "the network has nobody left");
  tables.apply({ clientGone: asker.containerId });
  assert.equal(code("db", "AAAA", { tables }), "SERVFAIL");
});

test("unknown names go to the client's servers; from internal networks nothing goes anywhere (N07)", () => {
  const sent = verdict("example.com");
  assert.ok(sent.kind === "forward" && sent.servers === asker.servers);
  assert.equal(verdict("nosuch").kind, "forward");
  const internal = { ...asker, internal: true };
  for (const name of ["example.com", "secret.evil.example", "9.9.9.9.in-addr.arpa", ""])
    assert.equal(code(name, "A", { client: internal }), "SERVFAIL", name);
  assert.deepEqual(data("web", "A", { client: internal }), ["172.18.0.2"]);
  assert.equal(code("example.com", "A", { client: { ...asker, servers: [] } }), "SERVFAIL");
});

test("ndots keeps single labels inside; names under a network that no public name can have stay too", () => {
  const ndots = { ...asker, ndotsSet: true };
  assert.equal(code("nosuch", "A", { client: ndots }), "NXDOMAIN");
  assert.equal(code("nosuch", "AAAA", { client: ndots }), "NXDOMAIN");
  assert.equal(verdict("nosuch.x", "A", { client: ndots }).kind, "forward");
  assert.equal(verdict("", "NS", { client: ndots }).kind, "forward", "the root");
  assert.equal(code("gone.back_end"), "NXDOMAIN");
  assert.equal(verdict("_srv._tcp.example.com", "SRV").kind, "forward");
});

const opt = (over: object = {}): Partial<Packet> => ({
  additionals: [
    {
      type: "OPT",
      name: ".",
      udpPayloadSize: 1232,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
      ...over,
    },
  ],
});

test("EDNS: OPT is answered with OPT, DO is echoed, another version is BADVERS", () => {
  const plain = reply("web", "A", { packet: opt() });
  assert.deepEqual(plain.additionals, [
    {
      name: ".",
      type: "OPT",
      udpPayloadSize: 4096,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    },
  ]);
  const dnssec = reply("web", "A", { packet: opt({ flags: 0x8000 }) });
  assert.deepEqual(
    dnssec.additionals?.map((one) => one.type === "OPT" && one.flag_do),
    [true],
  );
  const wrong = reply("web", "A", { packet: opt({ ednsVersion: 1 }) });
  assert.deepEqual(
    [wrong.answers, wrong.additionals?.map((one) => one.type === "OPT" && one.extendedRcode)],
    [[], [1]],
  );
  const [first] = opt().additionals ?? [];
  assert.ok(first);
  assert.equal(code("web", "A", { packet: { additionals: [first, first] } }), "FORMERR");
  assert.deepEqual(reply("web").additionals, []);
});

test("what does not fit is cut with TC over UDP and whole over TCP, EDNS 65535 or not", () => {
  const tables = new NameTables();
  tables.apply({ client: asker });
  for (let i = 0; i < 300; i++)
    tables.apply({ endpoint: endpoint({ id: `${i}`, names: ["many"], ip: `172.18.${1 + (i >> 8)}.${i & 255}` }) });
  const lengths = (["udp", "tcp"] as const).map((transport) => {
    const { flag_tc, answers = [] } = reply("many", "A", { tables, transport });
    return [flag_tc, answers.length];
  });
  assert.deepEqual(lengths, [
    [true, 30],
    [false, 300],
  ]);
  const sizes = [1, 511, 1232, 65_535].map((udpPayloadSize) => {
    const result = verdict("many", "A", { tables, packet: opt({ udpPayloadSize }) });
    assert.ok(result.kind === "reply");
    return [result.bytes.length <= Math.min(Math.max(udpPayloadSize, 512), 4096), decode(result.bytes).flag_tc];
  });
  assert.deepEqual(
    sizes,
    Array.from({ length: 4 }, () => [true, true]),
  );
});

test("other opcodes, classes and meta types are refused; what is no question is not answered", () => {
  const opcode = (n: number) => (bytes: Buffer) => {
    bytes[2] = ((bytes[2] ?? 0) & 0x87) | (n << 3);
    return bytes;
  };
  for (const n of [1, 2, 4, 5, 15]) assert.equal(code("web", "A", { edit: opcode(n) }), "NOTIMP");
  for (const type of ["AXFR", "IXFR", "TKEY", "TSIG"]) assert.equal(code("web", type), "REFUSED", type);
  for (const qclass of ["CH", "HS", "CS"] as const)
    assert.equal(
      code("version.bind", "TXT", { packet: { questions: [{ name: "version.bind", type: "TXT", class: qclass }] } }),
      "REFUSED",
    );
  assert.equal(
    verdict("web", "A", {
      edit(bytes) {
        bytes[2] = (bytes[2] ?? 0) | 0x80;
        return bytes;
      },
    }).kind,
    "drop",
  );
  assert.equal(verdict("web", "A", { edit: (bytes) => bytes.subarray(0, 11) }).kind, "drop");
});

/** A query of these bytes behind a header with one question. */
function raw(...parts: readonly (number | string | readonly number[])[]): Buffer {
  const header = Buffer.from([0x12, 0x67, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([
    header,
    ...parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from([part].flat()))),
  ]);
}

test("malformed questions are FORMERR: counts, labels, pointers, names that are too long or cut off", () => {
  const label = (n: number): readonly (number | string)[] => [n, "a".repeat(n)];
  const end = [0, 0, 1, 0, 1];
  const bad: Readonly<Record<string, Buffer>> = {
    "header only": raw(),
    "pointer to itself": raw([0xc0, 12], [0, 1, 0, 1]),
    "pointer forward": raw([0xc0, 0xff], [0, 1, 0, 1]),
    "pointer into the header": raw([0xc0, 0], [0, 1, 0, 1]),
    "pointer behind a label": raw(3, "web", [0xc0, 12], [0, 1, 0, 1]),
    "label of 64": raw(...label(64), end),
    "label type 0x80": raw([0x80, 1], end),
    "name of 256": raw(...label(63), ...label(63), ...label(63), ...label(62), end),
    "label cut off": raw(9, "web"),
    "no type": raw(3, "web", 0),
    "half a class": raw(3, "web", [0, 0, 1, 0]),
  };
  const tables = someTables();
  for (const [what, bytes] of Object.entries(bad)) {
    const result = answer(bytes, "udp", tables.client(asker.containerId), tables, 0);
    assert.ok(result.kind === "reply", what);
    assert.equal(result.bytes.length, 12, what);
    assert.equal((result.bytes[3] ?? 0) & 15, 1, what);
  }
  const longest = raw(...label(63), ...label(63), ...label(63), ...label(61), end);
  assert.equal(answer(longest, "udp", tables.client(asker.containerId), tables, 0).kind, "forward");
  const questions = (count: number) => (bytes: Buffer) => {
    bytes.writeUInt16BE(count, 4);
    return bytes;
  };
  for (const count of [0, 2, 65_535]) assert.equal(code("web", "A", { edit: questions(count) }), "FORMERR");
  const counts = (at: number, count: number) => (bytes: Buffer) => {
    bytes.writeUInt16BE(count, at);
    return bytes;
  };
  for (const at of [6, 8, 10]) assert.equal(code("web", "A", { edit: counts(at, 1) }), "FORMERR", `count at ${at}`);
});

test("a label with a dot or with other bytes is not a local name, and is echoed as it came", () => {
  const tables = someTables();
  for (const bytes of [raw(9, "web.front", [0, 0, 1, 0, 1]), raw(3, [0xff, 0xfe, 0xfd], [0, 0, 1, 0, 1])]) {
    const client = tables.client(asker.containerId);
    assert.equal(answer(bytes, "udp", client, tables, 0).kind, "forward");
    const internal = someTables({ ...asker, internal: true });
    const refused = answer(bytes, "udp", internal.client(asker.containerId), internal, 0);
    assert.ok(refused.kind === "reply" && refused.bytes.subarray(12).equals(bytes.subarray(12)));
  }
});

test("whatever the bytes, the verdict is a reply to them, a question passed on whole, or silence", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const tables = someTables();
  const client = tables.client(asker.containerId);
  const good = render("web.front", "A", opt());
  const mutated = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 })
    .chain((edits) => fc.nat(good.length).map((length) => ({ edits, length })))
    .map(({ edits, length }) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of edits) bytes[at] = value;
      return bytes.subarray(0, length);
    });
  const random = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(random, mutated), fc.constantFrom("udp" as const, "tcp" as const), (bytes, transport) => {
      const result = answer(bytes, transport, client, tables, 1);
      const isSilent = bytes.length < 12 || ((bytes[2] ?? 0) & 0x80) !== 0;
      assert.equal(result.kind === "drop", isSilent);
      if (result.kind === "forward") assert.equal(result.query.bytes, bytes);
      if (result.kind !== "reply") return;
      assert.ok(result.bytes.subarray(0, 2).equals(bytes.subarray(0, 2)));
      assert.ok(((result.bytes[2] ?? 0) & 0x80) !== 0 && result.bytes.length <= 4096);
    }),
    { seed, numRuns: 20_000 },
  );
});

test("reverse names: only whole addresses", () => {
  assert.equal(parseReverseName("4.3.2.1.in-addr.arpa"), "01020304");
  assert.equal(parseReverseName("0x4.3.2.1.in-addr.arpa"), undefined);
  assert.equal(parseReverseName("in-addr.arpa"), undefined);
  assert.equal(parseReverseName(`${"0.".repeat(31)}f.ip6.arpa`), `f${"0".repeat(31)}`);
});
