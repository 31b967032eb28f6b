// What the daemon may ask for, as streams: directories, agents, uploads, outputs.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import {
  receiveTree,
  sendTree,
  walkTree,
  type PacketStream,
  type TreeEntry,
  type WalkOptions,
} from "../../filesync/index.ts";
import {
  type Call,
  codes,
  firstValue,
  GrpcError,
  type Metadata,
  type MessageInit,
  type MessageOf,
} from "../../grpc/index.ts";
import type { Packet } from "../../spec/buildkit/fsutil.ts";
import type { BytesMessage } from "../../spec/buildkit/session.ts";
import { Channel } from "./channel.ts";
import { DirectoryOutput } from "./directory-output.ts";
import type { SessionOffer, SessionOutput } from "./index.ts";

type PacketIn = MessageOf<typeof Packet>;
type PacketOut = MessageInit<typeof Packet>;
type BytesIn = MessageOf<typeof BytesMessage>;
type BytesOut = MessageInit<typeof BytesMessage>;

export async function* serveDirectory(
  offer: SessionOffer,
  packets: AsyncIterable<PacketIn>,
  { metadata }: Call,
): AsyncGenerator<PacketOut> {
  const name = valuesOf(metadata, "dir-name")[0] ?? "";
  const root = offer.directories.get(name);
  if (root === undefined) throw new GrpcError(codes.notFound, `no access allowed to dir ${JSON.stringify(name)}`);
  const options: WalkOptions = {
    includePatterns: valuesOf(metadata, "include-patterns"),
    excludePatterns: valuesOf(metadata, "exclude-patterns"),
    followPaths: valuesOf(metadata, "followpaths"),
  };
  yield* answering(packets, (stream) => sendTree(stream, root, nobodys(walkTree(root, options)), () => {}));
}

export async function* receiveOutput(
  output: SessionOutput,
  packets: AsyncIterable<PacketIn>,
): AsyncGenerator<PacketOut> {
  if (output.kind !== "directory") throw new GrpcError(codes.internal, "the output is no directory");
  const sink = new DirectoryOutput(output.path);
  yield* answering(packets, async (stream) => {
    try {
      await receiveTree(
        stream,
        sink,
        (entry) => entry,
        () => {},
      );
      sink.finish();
    } finally {
      await sink.abandon();
    }
  });
}

export function receiveStream(
  output: SessionOutput,
  messages: AsyncIterable<BytesIn>,
  call: Call,
): AsyncIterable<BytesOut> {
  return answersOf<BytesOut>(() => writeOutput(output, messages, call));
}

async function writeOutput(output: SessionOutput, messages: AsyncIterable<BytesIn>, { metadata }: Call): Promise<void> {
  if (output.kind !== "stream") throw new GrpcError(codes.internal, "the output is a directory");
  const prefix = "exporter-md-";
  const given = [...metadata].filter(([name]) => name.startsWith(prefix));
  const file = await output.open(
    Object.fromEntries(given.map(([name, values]) => [name.slice(prefix.length), values[0] ?? ""])),
  );
  const done = finished(file, { readable: false });
  done.catch(() => {});
  try {
    for await (const { data } of messages) if (!file.write(data)) await Promise.race([once(file, "drain"), done]);
  } catch (error) {
    file.destroy();
    throw error;
  }
  file.end();
  await done;
}

export async function* serveUpload(offer: SessionOffer, { metadata }: Call): AsyncGenerator<BytesOut> {
  const path = firstValue(metadata, "urlpath") ?? "";
  const stream = offer.uploads.get(path);
  if (stream === undefined || stream.destroyed)
    throw new GrpcError(codes.notFound, `nothing to upload for ${JSON.stringify(path)}`);
  for await (const data of stream as AsyncIterable<Uint8Array>) yield { data };
}

export async function agentOf(offer: SessionOffer, id: string): Promise<Duplex> {
  const agent = await offer.agent(id === "" ? "default" : id);
  if (agent === undefined) throw new GrpcError(codes.notFound, `unset ssh forward key ${id}`);
  return agent;
}

export async function* forwardAgent(
  offer: SessionOffer,
  messages: AsyncIterable<BytesIn>,
  { metadata, signal }: Call,
): AsyncGenerator<BytesOut> {
  const agent = await agentOf(offer, firstValue(metadata, "buildkit.ssh.id") ?? "");
  const onAbort = (): unknown => agent.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  const listen = async (): Promise<void> => {
    for await (const { data } of messages) if (!agent.write(data)) await once(agent, "drain");
    agent.end();
  };
  listen().catch(() => agent.destroy());
  try {
    for await (const data of agent as AsyncIterable<Uint8Array>) yield { data };
  } finally {
    signal.removeEventListener("abort", onAbort);
    agent.destroy();
  }
}

function answering(
  packets: AsyncIterable<PacketIn>,
  work: (stream: PacketStream) => Promise<void>,
): AsyncGenerator<PacketOut> {
  return answersOf<PacketOut>((channel) => work({ packets, send: (packet) => channel.send(packet) }));
}

/** What `work` sends; its failure is the call's. */
async function* answersOf<T>(work: (channel: Channel<T>) => Promise<void>): AsyncGenerator<T> {
  const channel = new Channel<T>();
  const working = work(channel).finally(() => channel.close());
  working.catch(() => {});
  yield* channel;
  await working;
}

/** Ids of this host mean nothing elsewhere, and sockets neither: BuildKit refuses them. */
async function* nobodys(entries: AsyncIterable<TreeEntry>): AsyncGenerator<TreeEntry> {
  for await (const entry of entries) if (entry.type !== "socket") yield { ...entry, uid: 0, gid: 0 };
}

/** Source: BuildKit's session/filesync: `<name>-encoded` says that values are escaped as in a URL's query. */
function valuesOf(metadata: Metadata, name: string): readonly string[] {
  const values = metadata.get(name) ?? [];
  if (!metadata.has(`${name}-encoded`)) return values;
  return values.map((value) => decodeURIComponent(value.replaceAll("+", " ")));
}
