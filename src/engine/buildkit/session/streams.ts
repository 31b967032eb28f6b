// Streams of bytes over calls: an output that the client writes to a file, an upload, an agent's connection. Back-pressure is that
// of HTTP/2.

import { Duplex, Readable, Writable } from "node:stream";
import type { BidiCall, GrpcClient } from "../../../grpc/index.ts";
import { FileSend, SSH, Upload } from "../../../spec/buildkit/session.ts";

type BytesCall = BidiCall<typeof FileSend.methods.DiffCopy>;

const maxChunkBytes = 1024 * 1024;

/** Ends when the client has everything and says that it is well. */
export function openOutput(
  client: GrpcClient,
  index: number,
  metadata: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Writable {
  const extra = Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`exporter-md-${name}`, value]));
  const call: BytesCall = client.bidi(
    FileSend.methods.DiffCopy,
    { metadata: { "buildkit-attachable-exporter-id": String(index), ...extra } },
    signal,
  );
  // How the call ended: read from the beginning, since it may fail before everything is written.
  const ended = (async () => {
    for await (const _ of call.responses);
  })();
  ended.catch(() => {});
  return new Writable({
    highWaterMark: maxChunkBytes,
    write(chunk: Buffer, _encoding, done) {
      void settle(sendAll(call, chunk, ended), done);
    },
    final(done) {
      call.end();
      void settle(ended, done);
    },
    destroy(error, done) {
      call.cancel();
      done(error);
    },
  });
}

/** @throws NotFound the client offers nothing at that URL */
export async function pullUpload(client: GrpcClient, url: string, signal: AbortSignal): Promise<Readable> {
  const { pathname, host } = new URL(url);
  const call = client.bidi(Upload.methods.Pull, { metadata: { urlpath: pathname, urlhost: host } }, signal);
  const messages = call.responses[Symbol.asyncIterator]();
  // The first message tells whether there is anything.
  const first = await messages.next();
  const rest = { [Symbol.asyncIterator]: () => messages };
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      if (first.done !== true) {
        yield first.value.data;
        for await (const { data } of rest) if (data.length > 0) yield data;
      }
    } finally {
      call.end();
      call.cancel();
    }
  }
  return Readable.from(bytes(), { objectMode: false });
}

export function connectAgent(client: GrpcClient, id: string, signal: AbortSignal): Duplex {
  const call: BytesCall = client.bidi(SSH.methods.ForwardAgent, { metadata: { "buildkit.ssh.id": id } }, signal);
  const messages = call.responses[Symbol.asyncIterator]();
  const never = new Promise<void>(() => {});
  return new Duplex({
    read() {
      messages.next().then(
        ({ done, value }) => this.push(done === true ? null : value.data),
        (error: Error) => this.destroy(error),
      );
    },
    write(chunk: Buffer, _encoding, done) {
      void settle(sendAll(call, chunk, never), done);
    },
    final(done) {
      call.end();
      done();
    },
    destroy(error, done) {
      call.cancel();
      done(error);
    },
  });
}

/** @param ended rejects with the reason when the call is over */
async function sendAll(call: BytesCall, chunk: Buffer, ended: Promise<void>): Promise<void> {
  for (let start = 0; start < chunk.length; start += maxChunkBytes)
    if (!(await call.send({ data: chunk.subarray(start, start + maxChunkBytes) }))) {
      await ended;
      throw new Error("the client takes no more");
    }
}

async function settle(work: Promise<void>, done: (error?: Error | null) => void): Promise<void> {
  let failure: Error | undefined;
  try {
    await work;
  } catch (error) {
    failure = error as Error;
  }
  done(failure);
}
