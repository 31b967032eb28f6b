// A sender of files that breaks every rule: it is refused, nothing is written outside, and the next transfer works.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "../../src/base/log.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import { implement, serveGrpc, type MessageInit, type MessageOf } from "../../src/grpc/index.ts";
import { Packet, packetTypes } from "../../src/spec/buildkit/fsutil.ts";
import { FileSync } from "../../src/spec/buildkit/session.ts";
import { createPair, type Pair } from "../integration/build-session-pair.ts";

const signal = new AbortController().signal;
const options = { includePatterns: [], excludePatterns: [], followPaths: [], progress: () => {} };
const kinds = { directory: 2 ** 31 + 0o755, symlink: (1 << 27) + 0o777, irregular: 1 << 19, file: 0o644 };

type Out = MessageInit<typeof Packet>;
type In = AsyncIterable<MessageOf<typeof Packet>>;
type Sender = (packets: In) => AsyncIterable<Out>;

let sessions = 0;

/** A session whose client sends what it likes; all of them have one shared key. */
async function hostile(pair: Pair, sender: Sender): Promise<BuildClient> {
  const { daemon, client } = await pair.sockets();
  serveGrpc(client, [implement(FileSync, { DiffCopy: (packets) => sender(packets) })], { logger: silentLogger });
  const id = `hostile-${sessions++}`;
  pair.sessions.accept(daemon, {
    "x-docker-expose-session-uuid": id,
    "x-docker-expose-session-sharedkey": "key",
    "x-docker-expose-session-grpc-method": ["/moby.filesync.v1.FileSync/DiffCopy"],
  });
  return await pair.sessions.client(id, signal);
}

function stat(path: string, more: NonNullable<Out["stat"]> = {}): Out {
  return { type: packetTypes.stat, stat: { path, mode: kinds.file, modTime: 1n, ...more } };
}
const endOfStats: Out = { type: packetTypes.stat };
const data = (ID: number, text = ""): Out => ({ type: packetTypes.data, ID, data: Buffer.from(text) });
const fin: Out = { type: packetTypes.fin };

/** Sends packets, and does not end by itself. */
function sending(...packets: readonly Out[]): Sender {
  return async function* (incoming) {
    yield* packets;
    for await (const _ of incoming);
  };
}

async function* endless(): AsyncGenerator<Out> {
  for (let i = 0; ; i++)
    yield stat(`f${String(i).padStart(12, "0")}`, { mode: kinds.symlink, linkname: "l".repeat(4000) });
}

const refused: readonly { readonly what: string; readonly sender: Sender; readonly kind?: string }[] = [
  { what: "a name above", sender: sending(stat("../outside/x"), endOfStats) },
  { what: "a name above, deeper", sender: sending(stat("a", { mode: kinds.directory }), stat("a/../../outside/x")) },
  { what: "an absolute name", sender: sending(stat("/outside/x"), endOfStats) },
  { what: "an empty name", sender: sending(stat(""), endOfStats) },
  { what: "a NUL in a name", sender: sending(stat("a\0b"), endOfStats) },
  { what: "a name without an end", sender: sending(stat("n".repeat(300)), endOfStats) },
  { what: "a path without an end", sender: sending(stat(`${"d/".repeat(3000)}f`), endOfStats) },
  {
    what: "a child of a symlink",
    sender: sending(
      stat("l", { mode: kinds.symlink, linkname: "../../../outside" }),
      stat("l/x", { size: 1 }),
      endOfStats,
    ),
  },
  { what: "a child of a file", sender: sending(stat("f"), stat("f/x"), endOfStats) },
  { what: "a child of nothing", sender: sending(stat("d/x"), endOfStats) },
  { what: "a wrong order", sender: sending(stat("b"), stat("a"), endOfStats) },
  { what: "a name twice", sender: sending(stat("a"), stat("a"), endOfStats) },
  { what: "a link out of the tree", sender: sending(stat("h", { linkname: "../../../outside/secret" }), endOfStats) },
  {
    what: "a link to a symlink",
    sender: sending(
      stat("a", { mode: kinds.symlink, linkname: "/etc/passwd" }),
      stat("b", { linkname: "a" }),
      endOfStats,
    ),
  },
  { what: "a link to what comes later", sender: sending(stat("a", { linkname: "b" }), stat("b"), endOfStats) },
  { what: "an unknown kind", sender: sending(stat("a", { mode: kinds.irregular }), endOfStats) },
  { what: "a negative size", sender: sending(stat("a", { size: -1 }), endOfStats) },
  { what: "content of an index that is none", sender: sending(stat("a", { size: 1 }), endOfStats, data(7, "x")) },
  { what: "content before it is asked for", sender: sending(stat("a", { size: 1 }), data(0, "x"), endOfStats) },
  {
    what: "content of a directory",
    sender: sending(stat("a", { mode: kinds.directory }), stat("b", { size: 1 }), endOfStats, data(0, "x")),
  },
  { what: "more content than was told", sender: sending(stat("a", { size: 2 }), endOfStats, data(0, "abc")) },
  {
    what: "more content than was told, of a large file",
    sender: sending(
      stat("a", { size: 300_000 }),
      endOfStats,
      data(0, "x".repeat(200_000)),
      data(0, "x".repeat(200_000)),
    ),
  },
  {
    what: "content after its end",
    sender: sending(stat("a", { size: 1 }), stat("b", { size: 1 }), endOfStats, data(0, "x"), data(0), data(0, "y")),
  },
  { what: "an entry after the last one", sender: sending(stat("a", { size: 1 }), endOfStats, stat("b")) },
  { what: "leave before everything is sent", sender: sending(stat("a", { size: 1 }), endOfStats, fin) },
  { what: "a packet of no kind", sender: sending({ type: 99 }) },
  { what: "a request", sender: sending({ type: packetTypes.request, ID: 0 }) },
  { what: "entries without an end", sender: () => endless() },
  {
    what: "an end in the middle of the entries",
    kind: "Unavailable",
    async *sender() {
      yield stat("a", { size: 1 });
    },
  },
  {
    what: "an end in the middle of a file",
    kind: "Unavailable",
    async *sender() {
      yield* [stat("a", { size: 500_000 }), endOfStats, data(0, "half")];
    },
  },
  {
    what: "an error of its own",
    kind: "System",
    sender: sending({ type: packetTypes.error, data: Buffer.from("disk on fire") }),
  },
];

test("a sender that breaks the rules is refused, writes nothing outside, and the next transfer works", async (t) => {
  await using pair = await createPair();
  const outside = join(pair.work, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "secret");
  for (const { what, sender, kind = "InvalidParameter" } of refused)
    await t.test(what, async () => {
      const client = await hostile(pair, sender);
      await assert.rejects(client.syncDirectory("context", options, signal), { kind });
      const good: Sender = async function* (packets) {
        yield* [stat("a", { size: 2, modTime: BigInt(sessions) }), endOfStats];
        for await (const packet of packets)
          if (packet.type === packetTypes.request) yield* [data(0, "ok"), data(0)];
          else if (packet.type === packetTypes.fin) {
            yield fin;
            return;
          }
      };
      const next = await hostile(pair, good);
      await using directory = await next.syncDirectory("context", options, signal);
      assert.deepEqual(readdirSync(directory.path), ["a"]);
      assert.equal(readFileSync(join(directory.path, "a"), "utf8"), "ok");
    });
  assert.deepEqual(readdirSync(outside), ["secret"]);
  assert.equal(readFileSync(join(outside, "secret"), "utf8"), "secret");
  assert.deepEqual(readdirSync(pair.work).toSorted(), ["contexts", "outside", "socket"]);
  assert.equal(readdirSync(pair.contexts).length, 1);
  assert.equal(existsSync(join(pair.contexts, "x")), false);
});

test("a path that was a symlink, and is a directory now, is written to as a directory", async () => {
  await using pair = await createPair();
  const outside = join(pair.work, "outside");
  mkdirSync(outside);
  const link = await hostile(pair, async function* (packets) {
    yield* [stat("d", { mode: kinds.symlink, linkname: outside }), endOfStats];
    for await (const packet of packets) if (packet.type === packetTypes.fin) return yield fin;
  });
  await (await link.syncDirectory("context", options, signal))[Symbol.asyncDispose]();
  const through = await hostile(pair, async function* (packets) {
    yield* [stat("d", { mode: kinds.directory }), stat("d/x", { size: 2 }), endOfStats];
    for await (const packet of packets)
      if (packet.type === packetTypes.request) yield* [data(1, "in"), data(1)];
      else if (packet.type === packetTypes.fin) return yield fin;
  });
  await using directory = await through.syncDirectory("context", options, signal);
  assert.equal(readFileSync(join(directory.path, "d/x"), "utf8"), "in");
  assert.deepEqual(readdirSync(outside), []);
});
