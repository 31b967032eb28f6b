// One question to one server outside, from the daemon's own network namespace: a socket and an id of its own for each, so
// that whoever wants to forge a reply has to guess both (RFC 5452). UDP first for who asked by UDP, TCP for who asked by TCP.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { headerBytes, type Query } from "./query.ts";
import type { Transport } from "./reply.ts";

const port = 53;
/** A datagram may get lost: it is sent once more. */
const resendAfterMs = 1500;

/** Ends the attempt; nothing is told afterwards. */
export type Cancel = () => void;

/**
 * @param told the reply, with the id that it came with; undefined: the server refuses, or is not reachable
 */
export function askServer(
  server: string,
  query: Query,
  transport: Transport,
  told: (reply: Buffer | undefined) => void,
): Cancel {
  const bytes = Buffer.from(query.bytes);
  bytes.writeUInt16BE(randomInt(65_536), 0);
  return transport === "udp" ? askByDatagram(server, query, bytes, told) : askByStream(server, query, bytes, told);
}

function askByDatagram(server: string, query: Query, bytes: Buffer, told: (reply: Buffer | undefined) => void): Cancel {
  const socket = createSocket(isIPv6(server) ? "udp6" : "udp4");
  const resend = setTimeout(() => socket.send(bytes, ignore), resendAfterMs);
  let ended = false;
  const end = (): boolean => {
    if (ended) return false;
    ended = true;
    clearTimeout(resend);
    socket.close();
    return true;
  };
  socket.on("error", () => {
    if (end()) told(undefined);
  });
  // Connected: the kernel lets nothing through but what comes from the server's own address and port.
  socket.on("connect", () => {
    if (!ended) socket.send(bytes, ignore);
  });
  socket.on("message", (reply: Buffer) => {
    if (isReplyTo(query, bytes, reply) && end()) told(reply);
  });
  socket.connect(port, server);
  return () => void end();
}

/** What cannot be sent is an error of the socket, or comes again. */
function ignore(): void {}

function askByStream(server: string, query: Query, bytes: Buffer, told: (reply: Buffer | undefined) => void): Cancel {
  const socket = connect({ host: server, port });
  let received: Buffer = Buffer.alloc(0);
  let ended = false;
  const end = (reply: Buffer | undefined): void => {
    if (ended) return;
    ended = true;
    socket.destroy();
    told(reply);
  };
  socket.on("connect", () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length, 0);
    socket.write(Buffer.concat([length, bytes]));
  });
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const reply = received.subarray(2, 2 + received.readUInt16BE(0));
    end(isReplyTo(query, bytes, reply) ? reply : undefined);
  });
  socket.on("error", () => end(undefined));
  socket.on("close", () => end(undefined));
  return () => {
    ended = true;
    socket.destroy();
  };
}

/** The id and the question are ours. A server that could not read the question may send an error without one. */
export function isReplyTo(query: Query, asked: Buffer, reply: Buffer): boolean {
  if (reply.length < headerBytes || reply.readUInt16BE(0) !== asked.readUInt16BE(0)) return false;
  const isResponse = ((reply[2] ?? 0) & 0xf8) === 0x80;
  if (!isResponse) return false;
  const questions = reply.readUInt16BE(4);
  if (questions === 0) return ((reply[3] ?? 0) & 15) !== 0;
  if (questions !== 1 || reply.length < query.questionEnd) return false;
  for (let at = headerBytes; at < query.questionEnd; at++)
    if (lower(reply[at] ?? 0) !== lower(asked[at] ?? 0)) return false;
  return true;
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
