// Queries as they come from containers: whatever bytes there are, this reads them in one pass, without following a pointer,
// without allocating more than the name. Sources: RFC 1035 section 4, RFC 6891 (OPT), RFC 6895 (types and classes).

export const headerBytes = 12;
export const rcode = { formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5 } as const;
/** An extended code: its upper bits are in OPT (RFC 6891, 6.1.3). */
export const badVersion = 16;
export const recordType = { a: 1, ptr: 12, aaaa: 28, opt: 41, any: 255 } as const;
const classIn = 1;
const classAny = 255;
/** Additional records that are looked through for OPT; resolvers send one or two. */
const additionalMax = 8;

/** What the client said of itself by OPT. */
export interface Edns {
  /** Bytes that it takes over UDP; below 512 counts as 512. */
  readonly sizeBytes: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface Query {
  readonly bytes: Buffer;
  /** Offset behind the question. */
  readonly questionEnd: number;
  /** Lower case, without the last dot, "" for the root; undefined where a label has bytes that no local name has. */
  readonly name: string | undefined;
  readonly type: number;
  readonly edns: Edns | undefined;
}

/** A query, or the code with which to refuse it. `query` is there as far as it could be read. */
export type ParsedQuery =
  | { readonly query: Query; readonly refusal?: number }
  | { readonly query: undefined; readonly refusal: number };

/** True: not a query but a response or less than a header; nothing is ever said to that. */
export function isNoQuery(bytes: Buffer): boolean {
  return bytes.length < headerBytes || ((bytes[2] ?? 0) & 0x80) !== 0;
}

/** @param bytes of which isNoQuery is false */
export function parseQuery(bytes: Buffer): ParsedQuery {
  const opcode = ((bytes[2] ?? 0) >> 3) & 15;
  if (opcode !== 0) return { query: undefined, refusal: rcode.notImp };
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const [questions, answers, , additional = 0] = counts;
  const name = questions === 1 && answers === 0 ? readName(bytes, headerBytes) : undefined;
  if (name === undefined || name.end + 4 > bytes.length) return { query: undefined, refusal: rcode.formErr };
  const questionEnd = name.end + 4;
  const plain: Query = {
    bytes,
    questionEnd,
    name: name.text,
    type: bytes.readUInt16BE(name.end),
    edns: undefined,
  };
  // Updates and zone transfers bring authority records; what is answered here never does.
  if (counts[2] !== 0) return { query: plain, refusal: isRefused(plain.type, classIn) ? rcode.refused : rcode.formErr };
  const edns = readEdns(bytes, questionEnd, additional);
  if (edns === "malformed") return { query: plain, refusal: rcode.formErr };
  const query: Query = { ...plain, edns };
  if (edns !== undefined && edns.version !== 0) return { query, refusal: badVersion };
  if (query.type === recordType.opt) return { query, refusal: rcode.formErr };
  return isRefused(query.type, bytes.readUInt16BE(name.end + 2)) ? { query, refusal: rcode.refused } : { query };
}

/** Transfers and other meta types, CHAOS, HESIOD. */
function isRefused(type: number, qclass: number): boolean {
  return (type >= 128 && type < recordType.any) || (qclass !== classIn && qclass !== classAny);
}

/** A question's name: it cannot be compressed, as nothing comes before it. */
function readName(
  bytes: Buffer,
  start: number,
): { readonly text: string | undefined; readonly end: number } | undefined {
  let at = start;
  let isPlain = true;
  const labels: string[] = [];
  for (;;) {
    const length = bytes[at++];
    if (length === undefined || length > 63 || at + length > bytes.length || at + length - start > 255)
      return undefined;
    if (length === 0) break;
    const label = bytes.toString("utf8", at, at + length);
    if (label.includes(".")) isPlain = false;
    labels.push(label);
    at += length;
  }
  return { text: isPlain ? labels.join(".").toLowerCase() : undefined, end: at };
}

/** Behind the name of a record: labels, or a pointer that ends it, which is not followed. */
function skipName(bytes: Buffer, start: number): number | undefined {
  let at = start;
  for (;;) {
    const length = bytes[at++];
    if (length === undefined) return undefined;
    if (length === 0) return at;
    if (length >= 0xc0) return at + 1;
    if (length > 63 || at + length - start > 255) return undefined;
    at += length;
  }
}

function readEdns(bytes: Buffer, start: number, count: number): Edns | undefined | "malformed" {
  if (count > additionalMax) return "malformed";
  let found: Edns | undefined;
  let at = start;
  for (let i = 0; i < count; i++) {
    const isRoot = bytes[at] === 0;
    const end = skipName(bytes, at);
    if (end === undefined || end + 10 > bytes.length) return "malformed";
    const next = end + 10 + bytes.readUInt16BE(end + 8);
    if (next > bytes.length) return "malformed";
    if (bytes.readUInt16BE(end) === recordType.opt) {
      if (!isRoot || found !== undefined) return "malformed";
      found = {
        sizeBytes: bytes.readUInt16BE(end + 2),
        version: bytes[end + 5] ?? 0,
        dnssecOk: ((bytes[end + 6] ?? 0) & 0x80) !== 0,
      };
    }
    at = next;
  }
  return found;
}
