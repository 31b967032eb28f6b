// A Node process in a network namespace of a test: serves and connects there, as it is told over the channel to its parent
// (net-peer.ts). Every request is answered once.

import { createHash } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { PeerCall, PeerRequest, TcpResult, UdpResult } from "./net-peer.ts";

const servers: (Server | UdpSocket)[] = [];
const held: Socket[] = [];

async function serveTcp({ host, port, does }: PeerRequest["serveTcp"]): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    if (does === "echo") socket.pipe(socket);
    else if (does === "tell") socket.end(`${socket.remoteAddress} ${socket.localAddress}\n`);
    else if (does === "reset") socket.once("data", () => socket.resetAndDestroy());
    else if (does === "swallow") socket.pause();
    else {
      // "digest": says after the client's end what it has got.
      const hash = createHash("sha256");
      let size = 0;
      socket.on("data", (chunk) => {
        hash.update(chunk);
        size += chunk.length;
      });
      socket.on("end", () => socket.end(`${size} ${hash.digest("hex")}`));
    }
  });
  servers.push(server);
  server.listen({ host, port, ipv6Only: host === "::", backlog: 4096 });
  await once(server, "listening");
}

async function serveUdp({ host, port }: PeerRequest["serveUdp"]): Promise<void> {
  const isIpv6 = host.includes(":");
  const socket = createSocket({ type: isIpv6 ? "udp6" : "udp4", ipv6Only: isIpv6 });
  servers.push(socket);
  socket.on("message", (message, from) => {
    socket.send(`${from.address} ${message.toString("latin1")}`, from.port, from.address);
  });
  socket.bind(port, host);
  await once(socket, "listening");
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** Sends, says its end, reads to the end. */
async function tcp({ host, port, send, localAddress, timeoutMs }: PeerRequest["tcp"]): Promise<TcpResult> {
  const socket = connect({ host, port, allowHalfOpen: true, ...(localAddress === undefined ? {} : { localAddress }) });
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(Object.assign(new Error("slow"), { code: "TIMEOUT" })), timeoutMs);
  try {
    await once(socket, "connect");
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.end(send);
    await once(socket, "end");
    return { text: Buffer.concat(chunks).toString("latin1"), error: "" };
  } catch (error) {
    return { text: Buffer.concat(chunks).toString("latin1"), error: codeOf(error) };
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function udp({ host, port, send, localPort, timeoutMs }: PeerRequest["udp"]): Promise<UdpResult> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    const answered = new Promise<UdpResult>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("message", (text, from) => resolve({ text: text.toString("latin1"), from: from.address, error: "" }));
    });
    socket.bind(localPort, () => socket.send(send, port, host));
    return await Promise.race([answered, sleep(timeoutMs, { text: "", from: "", error: "TIMEOUT" })]);
  } catch (error) {
    return { text: "", from: "", error: codeOf(error) };
  } finally {
    socket.close();
  }
}

/** Sends `bytes` of a pattern and returns what a "digest" server has got, and what it should have. */
async function bulk({ host, port, bytes }: PeerRequest["bulk"]): Promise<{ got: string; sent: string }> {
  const socket = connect({ host, port, allowHalfOpen: true });
  const hash = createHash("sha256");
  const block = Buffer.alloc(1 << 16);
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  await once(socket, "connect");
  for (let left = bytes, n = 0; left > 0; left -= block.length, n++) {
    block.writeUInt32BE(n, n % 60000);
    const part = Buffer.from(block.subarray(0, Math.min(left, block.length)));
    hash.update(part);
    if (!socket.write(part)) await once(socket, "drain");
  }
  socket.end();
  await once(socket, "end");
  return { got: text, sent: `${bytes} ${hash.digest("hex")}` };
}

/** Opens connections that stay; each has said `send`. @returns how many are there */
async function hold({ host, port, count, send }: PeerRequest["hold"]): Promise<number> {
  const open = Array.from({ length: count }, async () => {
    const socket = connect({ host, port });
    socket.on("error", () => {});
    socket.resume();
    held.push(socket);
    await once(socket, "connect", { signal: AbortSignal.timeout(5000) });
    if (send !== "") socket.write(send);
  });
  return (await Promise.allSettled(open)).filter(({ status }) => status === "fulfilled").length;
}

/** What became of the connections that were held: how many are still open; `drop` ends the rest, by a reset or a close. */
function holding({ drop }: PeerRequest["holding"]): number {
  const open = held.filter((socket) => socket.readyState === "open").length;
  for (const socket of drop === "none" ? [] : held.splice(0)) {
    if (drop === "reset") socket.resetAndDestroy();
    else socket.destroy();
  }
  return open;
}

/** Fills a connection that nobody reads until it takes no more. @returns the bytes that were taken */
async function fill({ host, port }: PeerRequest["fill"]): Promise<number> {
  const socket = connect({ host, port });
  const block = Buffer.alloc(1 << 16);
  socket.on("error", () => {});
  held.push(socket);
  await once(socket, "connect");
  for (let quiet = 0; quiet < 10; ) {
    if (socket.writableLength < 1 << 20) {
      socket.write(block);
      quiet = 0;
    } else quiet++;
    await sleep(quiet === 0 ? 0 : 50);
  }
  return socket.bytesWritten;
}

function close(): void {
  for (const server of servers.splice(0)) server.close();
  for (const socket of held.splice(0)) socket.destroy();
}

const calls = { serveTcp, serveUdp, tcp, udp, bulk, hold, holding, fill, close } as unknown as Readonly<
  Record<string, (request: unknown) => unknown>
>;

async function serve({ tag, name, request }: PeerCall): Promise<void> {
  try {
    process.send?.({ tag, result: (await calls[name]?.(request)) ?? null });
  } catch (error) {
    process.send?.({ tag, error: codeOf(error) });
  }
}

process.on("message", (call: PeerCall) => void serve(call));
process.on("disconnect", () => process.exit(0));
