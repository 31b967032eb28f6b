// A session inside a call: clients without POST /session send the bytes of its connection as messages.
// Source: BuildKit's Control.Session.

import { Duplex } from "node:stream";
import type { Call } from "../../grpc/index.ts";

interface Part {
  readonly data: Uint8Array;
}

/** @param accept takes the connection over, with the call's metadata as headers */
export async function* tunnel(
  requests: AsyncIterable<Part>,
  call: Call,
  accept: (connection: Duplex, headers: Readonly<Record<string, string | readonly string[] | undefined>>) => void,
): AsyncGenerator<Part> {
  const outgoing: { readonly data: Uint8Array; sent(): void }[] = [];
  let ended = false;
  let wake = (): void => {};
  const connection = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      outgoing.push({ data: chunk, sent: () => done() });
      wake();
    },
    final(done) {
      ended = true;
      wake();
      done();
    },
    destroy(error, done) {
      ended = true;
      wake();
      done(error);
    },
  });
  connection.on("error", () => {});
  const onAbort = (): void => void connection.destroy();
  call.signal.addEventListener("abort", onAbort, { once: true });
  accept(connection, Object.fromEntries(call.metadata));
  void (async () => {
    try {
      for await (const { data } of requests) connection.push(Buffer.from(data));
      connection.push(null);
    } catch {
      connection.destroy();
    }
  })();
  try {
    for (;;) {
      const next = outgoing.shift();
      if (next !== undefined) {
        yield { data: next.data };
        next.sent();
      } else if (ended) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    call.signal.removeEventListener("abort", onAbort);
    connection.destroy();
  }
}
