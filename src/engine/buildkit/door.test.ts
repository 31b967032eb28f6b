import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { type TestContext, test } from "node:test";
import { parseDigest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { connectGrpc, type GrpcClient, GrpcError } from "../../grpc/index.ts";
import { Control } from "../../spec/buildkit/control.ts";
import { Content } from "../../spec/buildkit/content.ts";
import { LLBBridge } from "../../spec/buildkit/gateway.ts";
import { Health } from "../../spec/buildkit/health.ts";
import type { ImageDraft } from "../build/graph/index.ts";
import { createBuildProgress, type ProgressLog } from "../build/progress-log.ts";
import type { Builder, BuildJob, FrontendRequest, FrontendResult, OpenJobRequest } from "../build/index.ts";
import { type BuildkitDoor, createBuildkitDoor } from "./index.ts";

const never = new AbortController().signal;
const digest = parseDigest(`sha256:${"1".repeat(64)}`);

/** A builder that solves at once, and tells what it was asked. */
class FakeBuilder {
  readonly opened: OpenJobRequest[] = [];
  readonly requests: FrontendRequest[] = [];
  readonly exports: unknown[] = [];
  readonly closed: unknown[] = [];
  readonly signals: AbortSignal[] = [];
  failure: Error | undefined;
  platforms: readonly string[] = ["amd64"];

  builder(): Builder {
    return {
      open: (request: OpenJobRequest, signal: AbortSignal) => this.#job(request, signal),
      job: () => undefined,
      cancel: () => false,
      failureOf: (error: unknown) => ({
        message: error instanceof Error ? error.message : String(error),
        source: { filename: "Dockerfile", source: "FROM x\n", ranges: [] },
        vertex: undefined,
        exitCode: undefined,
        stepId: undefined,
        lastOutput: "",
      }),
      history: {
        get: () => undefined,
        list: () => [],
        events: notRecorded,
        attachment: async () => Buffer.from("0123456789"),
      },
      cache: { entries: async () => [] },
    } as unknown as Builder;
  }

  #job(request: OpenJobRequest, signal: AbortSignal): BuildJob {
    this.opened.push(request);
    this.signals.push(signal);
    const progress: ProgressLog = createBuildProgress();
    return {
      ref: request.ref,
      progress,
      signal,
      solve: async (frontend) => {
        this.requests.push(frontend);
        return progress.vertex({ digest, name: "[1/1] FROM x" }, async (report) => {
          report.log(1, Buffer.from("hello\n"));
          if (this.failure !== undefined) throw this.failure;
          return this.#result();
        });
      },
      export: async (result, outputs, caches) => {
        this.exports.push({ images: result.images.length, outputs, caches });
        return { "containerimage.digest": digest };
      },
      close: async ({ error }) => {
        this.closed.push(error);
        progress.close();
      },
    };
  }

  #result(): FrontendResult {
    const images = this.platforms.map((architecture) => ({ platform: { os: "linux", architecture } }) as ImageDraft);
    return { images, graph: { vertices: new Map() }, metadata: { k: Buffer.from("v") }, unusedBuildArgs: [] };
  }
}

// oxlint-disable-next-line require-yield -- it has nothing to tell
async function* notRecorded(ref: string): AsyncGenerator<never> {
  throw new EngineError("NotFound", `no build ${ref}`);
}

function open(t: TestContext, fake: FakeBuilder): { readonly client: GrpcClient; readonly door: BuildkitDoor } {
  const door = createBuildkitDoor({
    builder: fake.builder(),
    directories: undefined as never,
    engineVersion: "1.2.3",
    engineId: "engine",
    hostGatewayIp: () => "172.17.0.1",
    logger: silentLogger,
  });
  const [ours, theirs] = duplexPair();
  door.serveGrpc(theirs);
  const client = connectGrpc(ours);
  t.after(async () => {
    client.close();
    await door.close();
  });
  return { client, door };
}

const attrs = { filename: "Dockerfile", "build-arg:A": "b" };
const bridge = { metadata: { "buildkit-controlapi-buildid": "ref1" } };
const frontend = { Frontend: "dockerfile.v0", FrontendOpt: attrs, allowResultReturn: true, allowResultArrayRef: true };

test("a build as buildx drives it: the bridge solves, Return ends, Solve answers, Status ends", async (t) => {
  const fake = new FakeBuilder();
  const { client } = open(t, fake);
  // The first call about a build may come before the build.
  const ping = client.unary(LLBBridge.methods.Ping, {}, bridge, never);
  const status = Array.fromAsync(client.serverStream(Control.methods.Status, { Ref: "ref1" }, {}, never));
  const answer = client.unary(
    Control.methods.Solve,
    {
      Ref: "ref1",
      Session: "s1",
      FrontendAttrs: attrs,
      Exporters: [{ Type: "moby", Attrs: { name: "foo:bar" } }],
      Cache: { Exports: [{ Type: "inline" }] },
      Entitlements: ["network.host"],
    },
    {},
    never,
  );
  const pong = await ping;
  const caps = new Set([...pong.FrontendAPICaps, ...pong.LLBCaps].filter(({ Enabled }) => Enabled).map(({ ID }) => ID));
  for (const cap of ["solve.base", "return", "returnmap", "frontend.inputs", "reference.output", "exporter.multiple"])
    assert.ok(caps.has(cap), cap);
  const solved = await client.unary(LLBBridge.methods.Solve, frontend, bridge, never);
  const ref = solved.result?.ref;
  assert.ok(ref !== undefined && ref.id !== "");
  // Without metadata buildx takes the definition for none.
  assert.equal(ref.def?.metadata.size, 2);
  await client.unary(LLBBridge.methods.Return, { result: { ref } }, bridge, never);
  assert.deepEqual(Object.fromEntries((await answer).ExporterResponse), { "containerimage.digest": digest });
  const [told] = fake.opened;
  assert.equal(told?.ref, "ref1");
  assert.equal(told?.client.sessionId, "s1");
  assert.deepEqual(told?.entitlements, ["network.host"]);
  assert.deepEqual(told?.raw, attrs);
  assert.deepEqual([...(fake.requests[0]?.buildArgs ?? [])], [["A", "b"]]);
  assert.deepEqual(fake.exports, [
    {
      images: 1,
      outputs: [{ type: "moby", attributes: { name: "foo:bar" }, index: 0 }],
      caches: [{ type: "inline", attributes: {} }],
    },
  ]);
  assert.deepEqual(fake.closed, [undefined]);
  const logs = (await status).flatMap((response) => response.logs.map(({ msg }) => Buffer.from(msg).toString()));
  assert.deepEqual(logs, ["hello\n"]);
  // Whoever asks late is told all of it, too.
  const late = await Array.fromAsync(client.serverStream(Control.methods.Status, { Ref: "ref1" }, {}, never));
  assert.deepEqual(
    late.flatMap((response) => response.logs.map(({ msg }) => Buffer.from(msg).toString())),
    ["hello\n"],
  );
});

test("several platforms are several refs", async (t) => {
  const fake = new FakeBuilder();
  fake.platforms = ["amd64", "arm64"];
  const { client } = open(t, fake);
  const answer = client.unary(
    Control.methods.Solve,
    { Ref: "ref1", Session: "s1", Exporters: [{ Type: "oci" }] },
    {},
    never,
  );
  const { result } = await client.unary(LLBBridge.methods.Solve, frontend, bridge, never);
  assert.deepEqual([...(result?.refs?.refs.keys() ?? [])], ["linux/amd64", "linux/arm64"]);
  assert.ok(result?.metadata.has("refs.platforms"));
  await client.unary(LLBBridge.methods.Return, { result }, bridge, never);
  await answer;
  assert.deepEqual(fake.exports, [{ images: 2, outputs: [{ type: "oci", attributes: {}, index: 0 }], caches: [] }]);
});

test("what one build returned is the context of another", async (t) => {
  const fake = new FakeBuilder();
  const { client } = open(t, fake);
  const first = client.unary(Control.methods.Solve, { Ref: "ref1", Session: "s1" }, {}, never);
  const { result } = await client.unary(LLBBridge.methods.Solve, frontend, bridge, never);
  const second = client.unary(Control.methods.Solve, { Ref: "ref2", Session: "s2" }, {}, never);
  const other = { metadata: { "buildkit-controlapi-buildid": "ref2" } };
  await client.unary(
    LLBBridge.methods.Solve,
    {
      ...frontend,
      FrontendOpt: { "context:base": "input:base", "input-metadata:base": "{}" },
      FrontendInputs: { base: { def: result?.ref?.def?.def ?? [] } },
    },
    other,
    never,
  );
  assert.equal(fake.requests[1]?.namedContexts.get("base")?.kind, "result");
  for (const metadata of [bridge, other]) await client.unary(LLBBridge.methods.Return, { result: {} }, metadata, never);
  assert.equal((await first).ExporterResponse.size, 0);
  await second;
  assert.deepEqual(fake.exports, []);
});

test("a failure goes to the bridge and to Solve with the Dockerfile's lines; the job is told the error itself", async (t) => {
  const fake = new FakeBuilder();
  fake.failure = new EngineError("InvalidParameter", "line 3: no");
  const { client } = open(t, fake);
  const answer = client.unary(Control.methods.Solve, { Ref: "ref1", Session: "s1" }, {}, never);
  answer.catch(() => {});
  const told = await client.unary(LLBBridge.methods.Solve, frontend, bridge, never).then(
    () => assert.fail("it must fail"),
    (error: unknown) => error,
  );
  assert.ok(told instanceof GrpcError);
  assert.equal(told.message, "line 3: no");
  assert.match(told.details[0]?.typeUrl ?? "", /Source\+json$/);
  const error = { code: told.code, message: told.message, details: told.details };
  await client.unary(LLBBridge.methods.Return, { error }, bridge, never);
  await assert.rejects(answer, (failed) => failed instanceof GrpcError && failed.details.length === 1);
  assert.deepEqual(fake.closed, [fake.failure]);
});

test("a client that cancels its build cancels the job", async (t) => {
  const fake = new FakeBuilder();
  const { client } = open(t, fake);
  const cancel = new AbortController();
  const answer = client.unary(Control.methods.Solve, { Ref: "ref1", Session: "s1" }, {}, cancel.signal);
  answer.catch(() => {});
  await client.unary(LLBBridge.methods.Ping, {}, bridge, never);
  cancel.abort();
  await assert.rejects(answer);
  const deadline = performance.now() + 5_000;
  while (fake.closed.length === 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(fake.closed.length, 1);
  assert.equal(fake.signals[0]?.aborted, true);
});

test("Solve runs the frontend itself when it is named", async (t) => {
  const fake = new FakeBuilder();
  const { client } = open(t, fake);
  const request = {
    Ref: "ref9",
    Session: "s1",
    Frontend: "dockerfile.v0",
    FrontendAttrs: { target: "app" },
    ExporterDeprecated: "moby",
    ExporterAttrsDeprecated: { name: "x" },
  };
  await client.unary(Control.methods.Solve, request, {}, never);
  assert.equal(fake.requests[0]?.target, "app");
  assert.deepEqual(fake.exports, [
    { images: 1, outputs: [{ type: "moby", attributes: { name: "x" }, index: 0 }], caches: [] },
  ]);
});

test("what there is not is refused by its name", async (t) => {
  const { client } = open(t, new FakeBuilder());
  const solve = { Ref: "r", Session: "s" };
  for (const [request, message] of [
    [{ ...solve, Frontend: "gateway.v0" }, /"gateway.v0" is not supported/],
    [{ ...solve, Definition: { def: [new Uint8Array(1)] } }, /LLB is not supported/],
    [{ ...solve, Exporters: [{ Type: "x" }] }, /exporter "x" could not be found/],
    [{ ...solve, Cache: { Exports: [{ Type: "s3" }] } }, /"s3" is not supported/],
    [{ ...solve, Ref: "" }, /needs a ref/],
  ] as const)
    await assert.rejects(client.unary(Control.methods.Solve, request, {}, never), { message });
  await assert.rejects(client.unary(LLBBridge.methods.Ping, {}, {}, never), { message: /no buildid found/ });
  await assert.rejects(client.unary(LLBBridge.methods.NewContainer, {}, {}, never), { kind: "NotImplemented" });
});

test("what a build recorded is read in part or as a whole", async (t) => {
  const { client } = open(t, new FakeBuilder());
  const read = async (offset: number, size: number): Promise<string> => {
    const parts = await Array.fromAsync(client.serverStream(Content.methods.Read, { digest, offset, size }, {}, never));
    return Buffer.concat(parts.map(({ data }) => data)).toString();
  };
  assert.equal(await read(0, 0), "0123456789");
  assert.equal(await read(2, 3), "234");
  await assert.rejects(read(11, 0), { code: 11 });
  assert.equal((await client.unary(Content.methods.Info, { digest }, {}, never)).info?.size, 10);
});

test("the worker, the version and health are told", async (t) => {
  const { client } = open(t, new FakeBuilder());
  const { record } = await client.unary(Control.methods.ListWorkers, {}, {}, never);
  assert.equal(record[0]?.ID, "engine");
  assert.equal(record[0]?.Labels.get("org.mobyproject.buildkit.worker.moby.host-gateway-ip"), "172.17.0.1");
  assert.ok(record[0]?.Labels.has("org.mobyproject.buildkit.worker.snapshotter"));
  const info = await client.unary(Control.methods.Info, {}, {}, never);
  assert.equal(info.buildkitVersion?.version, "v1.2.3");
  assert.equal((await client.unary(Health.methods.Check, {}, {}, never)).status, 1);
});
