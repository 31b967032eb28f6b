import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EngineError } from "../base/errors.ts";
import { silentLogger } from "../base/log.ts";
import { connectGrpc, type GrpcClient } from "./connect.ts";
import { maxMessageBytes } from "./framing.ts";
import { bytes, field, int, message, string } from "./message.ts";
import { binaryValue, binaryValues } from "./metadata.ts";
import { type GrpcConnection, implement, type Implementation, serveGrpc } from "./server.ts";
import { bidi, serverStream, service, unary } from "./service.ts";
import { codes, GrpcError } from "./status.ts";

const Text = message("test.Text", { text: field(1, string), count: field(2, int) });
const Data = message("test.Data", { data: field(1, bytes) });
const Echo = service("test.Echo", {
  Say: unary(Text, Text),
  Count: serverStream(Text, Text),
  Pipe: bidi(Data, Data),
  Missing: unary(Text, Text),
});

interface Ends {
  readonly client: GrpcClient;
  readonly server: GrpcConnection;
  readonly serverSocket: Socket;
}

async function socketPair(t: TestContext): Promise<readonly [Socket, Socket]> {
  const directory = mkdtempSync(join(tmpdir(), "grpc-"));
  const listener = createServer();
  t.after(() => {
    listener.close();
    rmSync(directory, { recursive: true });
  });
  listener.listen(join(directory, "s"));
  await once(listener, "listening");
  const ours = connect(join(directory, "s"));
  const [theirs] = (await once(listener, "connection")) as [Socket];
  t.after(() => {
    ours.destroy();
    theirs.destroy();
  });
  return [ours, theirs];
}

async function connected(t: TestContext, implementation: Implementation): Promise<Ends> {
  const [ours, theirs] = await socketPair(t);
  const server = serveGrpc(theirs, [implementation], { logger: silentLogger });
  return { client: connectGrpc(ours), server, serverSocket: theirs };
}

const never = new AbortController().signal;

function failsWith(code: number, text?: string | RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GrpcError, String(error));
    assert.equal(error.code, code, error.message);
    if (typeof text === "string") assert.equal(error.message, text);
    if (text instanceof RegExp) assert.match(error.message, text);
    return true;
  };
}

test("a unary call carries its message and its metadata, repeated and binary, both ways", async (t) => {
  let seen: unknown;
  const { client } = await connected(
    t,
    implement(Echo, {
      async Say(request, call) {
        seen = {
          repeated: call.metadata.get("include-patterns"),
          binary: binaryValues(call.metadata, "key-bin").map((value) => Buffer.from(value).toString("hex")),
          absent: call.metadata.get("te"),
        };
        return { text: `${request.text}!`, count: request.count + 1 };
      },
    }),
  );
  const metadata = { "include-patterns": ["a, b", "c"], "key-bin": binaryValue(new Uint8Array([0, 255, 7, 3])) };
  const answer = await client.unary(Echo.methods.Say, { text: "Grüezi", count: 41 }, { metadata }, never);
  assert.deepEqual(answer, { text: "Grüezi!", count: 42 });
  assert.deepEqual(seen, { repeated: ["a, b", "c"], binary: ["00ff0703"], absent: undefined });
});

test("a failure keeps its code, its text in any script and its details", async (t) => {
  const details = [{ typeUrl: "github.com/moby/buildkit/errdefs.Source+json", value: Buffer.from('{"ranges":[]}') }];
  const { client } = await connected(
    t,
    implement(Echo, {
      Say(request) {
        if (request.text === "engine") throw new EngineError("NotFound", "no such thing");
        throw new GrpcError(codes.unknown, "línea 3:\n100 % falsch \u{1f600}", { details });
      },
    }),
  );
  await assert.rejects(client.unary(Echo.methods.Say, {}, {}, never), (error) => {
    assert.ok(error instanceof GrpcError);
    assert.equal(error.message, "línea 3:\n100 % falsch \u{1f600}");
    assert.equal(error.details[0]?.typeUrl, details[0]?.typeUrl);
    assert.deepEqual(Buffer.from(error.details[0]?.value ?? []), details[0]?.value);
    return true;
  });
  await assert.rejects(client.unary(Echo.methods.Say, { text: "engine" }, {}, never), (error) => {
    assert.ok(error instanceof EngineError && error.kind === "NotFound");
    return true;
  });
});

test("unknown methods and services are unimplemented, by name", async (t) => {
  const { client } = await connected(t, implement(Echo, {}));
  await assert.rejects(
    client.unary(Echo.methods.Missing, {}, {}, never),
    failsWith(codes.unimplemented, "unknown method Missing for service test.Echo"),
  );
  const Other = service("test.Other", { Do: unary(Text, Text) });
  await assert.rejects(
    client.unary(Other.methods.Do, {}, {}, never),
    failsWith(codes.unimplemented, "unknown service test.Other"),
  );
});

test("a stream of answers ends with its error, and the caller may break it off", { timeout: 10_000 }, async (t) => {
  const broken = Promise.withResolvers<void>();
  const { client } = await connected(
    t,
    implement(Echo, {
      async *Count(request, call) {
        call.signal.addEventListener("abort", () => broken.resolve());
        for (let count = 0; request.count === 0 || count < request.count; count++) yield { count };
        throw new GrpcError(codes.aborted, "enough");
      },
    }),
  );
  const counts: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { count } of client.serverStream(Echo.methods.Count, { count: 3 }, {}, never))
        counts.push(count);
    },
    failsWith(codes.aborted, "enough"),
  );
  assert.deepEqual(counts, [0, 1, 2]);
  for await (const { count } of client.serverStream(Echo.methods.Count, { count: 0 }, {}, never)) if (count > 5) break;
  await broken.promise;
});

test("neither end sends more than the other takes", { timeout: 20_000 }, async (t) => {
  const chunk = new Uint8Array(1024 * 1024);
  let sent = 0;
  const { client } = await connected(
    t,
    implement(Echo, {
      async *Pipe() {
        for (let i = 0; i < 64; i++) {
          sent++;
          yield { data: chunk };
        }
      },
    }),
  );
  const call = client.bidi(Echo.methods.Pipe, {}, never);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(sent < 40, `${sent} MB were sent to nobody`);
  let received = 0;
  for await (const { data } of call.responses) received += data.length;
  assert.equal(received, 64 * chunk.length);
});

test("a bidirectional call echoes megabytes, messages cut anywhere", { timeout: 20_000 }, async (t) => {
  const { client } = await connected(
    t,
    implement(Echo, {
      async *Pipe(requests) {
        for await (const { data } of requests) yield { data };
      },
    }),
  );
  const call = client.bidi(Echo.methods.Pipe, {}, never);
  const sizes = [0, 1, 16_379, 16_384, 100_000, 3_000_000, 5];
  void (async () => {
    for (const size of sizes) assert.equal(await call.send({ data: Buffer.alloc(size, size % 251) }), true);
    call.end();
  })();
  const got: number[] = [];
  for await (const { data } of call.responses) {
    assert.ok(data.every((byte) => byte === data.length % 251));
    got.push(data.length);
  }
  assert.deepEqual(got, sizes);
});

test("a cancelled call aborts the handler's signal", { timeout: 10_000 }, async (t) => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  const { client } = await connected(
    t,
    implement(Echo, {
      async Say(_request, call) {
        started.resolve();
        await once(call.signal, "abort");
        aborted.resolve(call.signal.reason);
        return {};
      },
    }),
  );
  const cancel = new AbortController();
  const answer = client.unary(Echo.methods.Say, {}, {}, cancel.signal);
  await started.promise;
  cancel.abort();
  await assert.rejects(answer, failsWith(codes.cancelled));
  assert.ok(failsWith(codes.cancelled)(await aborted.promise));
});

test("a deadline ends a call at both ends", { timeout: 10_000 }, async (t) => {
  const reason = Promise.withResolvers<unknown>();
  const { client } = await connected(
    t,
    implement(Echo, {
      async Say(_request, call) {
        call.signal.addEventListener("abort", () => reason.resolve(call.signal.reason));
        return new Promise<never>(() => {});
      },
    }),
  );
  await assert.rejects(client.unary(Echo.methods.Say, {}, { timeoutMs: 50 }, never), failsWith(codes.deadlineExceeded));
  const why = await reason.promise;
  assert.ok(why instanceof GrpcError);
});

test("a lost connection ends calls at both ends", { timeout: 10_000 }, async (t) => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const { client, server, serverSocket } = await connected(
    t,
    implement(Echo, {
      async Say(_request, call) {
        call.signal.addEventListener("abort", () => aborted.resolve());
        started.resolve();
        return new Promise<never>(() => {});
      },
    }),
  );
  const answer = client.unary(Echo.methods.Say, {}, {}, never);
  await started.promise;
  serverSocket.destroy();
  await assert.rejects(answer, (error) => error instanceof GrpcError);
  await aborted.promise;
  await server.closed;
  assert.equal(client.gone.aborted, true);
  await assert.rejects(client.unary(Echo.methods.Say, {}, {}, never), failsWith(codes.unavailable));
});

test("messages above the limit are refused at both ends", { timeout: 20_000 }, async (t) => {
  const { client } = await connected(
    t,
    implement(Echo, {
      async *Pipe(requests) {
        for await (const { data } of requests) yield { data };
      },
    }),
  );
  const call = client.bidi(Echo.methods.Pipe, {}, never);
  await assert.rejects(
    async () => call.send({ data: new Uint8Array(maxMessageBytes) }),
    failsWith(codes.resourceExhausted),
  );
  call.cancel();

  const [ours, theirs] = await socketPair(t);
  serveGrpc(theirs, [implement(Echo, { Say: async () => ({}) })], { logger: silentLogger });
  const session = connectHttp2("http://localhost", { createConnection: () => ours });
  const stream = session.request({ ":method": "POST", ":path": "/test.Echo/Say", "content-type": "application/grpc" });
  stream.end(Buffer.from([0, 0x01, 0, 0, 1]));
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  assert.equal(headers["grpc-status"], String(codes.resourceExhausted));
});

test("what is no gRPC is answered with 415, and a probe that closes at once harms nobody", {
  timeout: 10_000,
}, async (t) => {
  const [ours, theirs] = await socketPair(t);
  const server = serveGrpc(theirs, [implement(Echo, {})], { logger: silentLogger });
  const session = connectHttp2("http://localhost", { createConnection: () => ours });
  const stream = session.request({ ":method": "GET", ":path": "/version" });
  const [headers] = (await once(stream, "response")) as [Record<string, string>];
  assert.equal(Number(headers[constants.HTTP2_HEADER_STATUS]), 415);
  session.destroy();
  await server.closed;

  const [probe, probed] = await socketPair(t);
  const second = serveGrpc(probed, [implement(Echo, {})], { logger: silentLogger });
  probe.destroy();
  await second.closed;

  const [odd, served] = await socketPair(t);
  const third = serveGrpc(served, [implement(Echo, {})], { logger: silentLogger });
  odd.write("GET / HTTP/1.1\r\n\r\n");
  await third.closed;
});

test("closing the server cancels its calls", { timeout: 10_000 }, async (t) => {
  const started = Promise.withResolvers<void>();
  const { client, server } = await connected(
    t,
    implement(Echo, {
      async Say(_request, call) {
        started.resolve();
        await once(call.signal, "abort");
        return {};
      },
    }),
  );
  const answer = client.unary(Echo.methods.Say, {}, {}, never);
  await started.promise;
  server.close();
  await assert.rejects(answer, (error) => error instanceof GrpcError);
  await server.closed;
});
