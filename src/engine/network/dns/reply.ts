// Replies: the client's question echoed byte for byte, records behind it. Records are encoded by dns-packet once, when an
// endpoint comes, not once per query.

import { type Answer, encode } from "dns-packet";
import { headerBytes, type Query } from "./query.ts";

/** What dockerd gives its names. */
const ttlSeconds = 600;
/** What we take and at most send in a datagram, whatever a client claims to take. */
const datagramMaxBytes = 4096;
const datagramPlainBytes = 512;
const rootNameBytes = 1;

export type Transport = "udp" | "tcp";

/** A record without its owner's name: type, class, TTL, data. */
export type RecordTail = Buffer;

/** @param data an address without prefix or zone; for PTR a name that isEncodable */
export function renderRecord(type: "A" | "AAAA" | "PTR", data: string): RecordTail {
  const record: Answer = { type, name: ".", ttl: ttlSeconds, class: "IN", data };
  return encode({ type: "response", answers: [record] }).subarray(headerBytes + rootNameBytes);
}

/** The data of a record, in hex: of an address, what PTR names are looked up by. */
export function dataOf(record: RecordTail): string {
  return record.toString("hex", 10);
}

/** Whether a name fits into labels of 63 and 255 bytes in all. */
export function isEncodable(name: string): boolean {
  const labels = name.split(".").map((label) => Buffer.byteLength(label));
  return labels.every((length) => length > 0 && length < 64) && labels.reduce((sum, n) => sum + n + 1, 1) <= 255;
}

/** Bytes that may go to the client in one message. */
export function replyLimit({ edns }: Query, transport: Transport): number {
  if (transport === "tcp") return 65_535;
  return Math.min(Math.max(edns?.sizeBytes ?? 0, datagramPlainBytes), datagramMaxBytes);
}

function setHeader(
  out: Buffer,
  query: Buffer,
  code: number,
  isTruncated: boolean,
  counts: readonly [number, number, number],
): void {
  query.copy(out, 0, 0, 2);
  // QR, the opcode and RD as asked, RA.
  out[2] = 0x80 | ((query[2] ?? 0) & 0x79) | (isTruncated ? 2 : 0);
  out[3] = 0x80 | (code & 15);
  out.writeUInt16BE(counts[0], 4);
  out.writeUInt16BE(counts[1], 6);
  out.writeUInt16BE(0, 8);
  out.writeUInt16BE(counts[2], 10);
}

/** A refusal of bytes whose question could not be read. */
export function renderBareRefusal(bytes: Buffer, code: number): Buffer {
  const out = Buffer.allocUnsafe(headerBytes);
  setHeader(out, bytes, code, false, [0, 0, 0]);
  return out;
}

function renderOpt(code: number, dnssecOk: boolean): Buffer {
  return encode({
    type: "response",
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: datagramMaxBytes,
        extendedRcode: code >> 4,
        ednsVersion: 0,
        flags: dnssecOk ? 0x8000 : 0,
        flag_do: dnssecOk,
        options: [],
      },
    ],
  }).subarray(headerBytes);
}

/**
 * A reply to a query that was read. Records that do not fit are left out, and TC says so.
 *
 * @param records the owner of each is the question's name
 */
export function renderReply(
  query: Query,
  transport: Transport,
  code: number,
  records: readonly RecordTail[] = [],
): Buffer {
  const { bytes, questionEnd, edns } = query;
  const opt = edns === undefined ? undefined : renderOpt(code, edns.dnssecOk);
  const room = replyLimit(query, transport) - questionEnd - (opt?.length ?? 0);
  let used = 0;
  let count = 0;
  for (const record of records) {
    if (used + 2 + record.length > room) break;
    used += 2 + record.length;
    count++;
  }
  const out = Buffer.allocUnsafe(questionEnd + used + (opt?.length ?? 0));
  setHeader(out, bytes, code, count < records.length, [1, count, opt === undefined ? 0 : 1]);
  bytes.copy(out, headerBytes, headerBytes, questionEnd);
  let at = questionEnd;
  for (let i = 0; i < count; i++) {
    out.writeUInt16BE(0xc000 | headerBytes, at);
    at += 2 + (records[i]?.copy(out, at + 2) ?? 0);
  }
  opt?.copy(out, at);
  return out;
}

/** An upstream's reply as the client gets it: its own id; too large for it, the question alone and TC. */
export function relayReply(query: Query, transport: Transport, upstream: Buffer): Buffer {
  if (upstream.length > replyLimitOfRelay(query, transport)) {
    const out = renderReply(query, transport, (upstream[3] ?? 0) & 15);
    out[2] = (out[2] ?? 0) | 2;
    return out;
  }
  const out = Buffer.from(upstream);
  query.bytes.copy(out, 0, 0, 2);
  return out;
}

/** The upstream was told the client's own size: what keeps to it is passed on, however large. */
function replyLimitOfRelay({ edns }: Query, transport: Transport): number {
  return transport === "tcp" ? 65_535 : Math.max(edns?.sizeBytes ?? 0, datagramPlainBytes);
}
