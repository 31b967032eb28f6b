import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { StatusResponse } from "../../spec/buildkit/control.ts";
import { Definition, Op } from "../../spec/buildkit/ops.ts";
import type { BuildFailure, BuildHistory, BuildRecord } from "../build/index.ts";
import type { BuildEvent } from "../build/progress.ts";
import type { CacheEntry } from "../build/solver/index.ts";
import { parseCacheFilters } from "./cache-usage.ts";
import { parseDefinition, renderResultDefinition } from "./definitions.ts";
import { grpcFailure } from "./failure.ts";
import { listenHistory, parseHistoryFilters } from "./history.ts";
import { renderStatus } from "./status.ts";
import { workerPlatforms } from "./worker.ts";

const entry: CacheEntry = {
  id: "abc",
  parents: ["p"],
  type: "exec.cachemount",
  description: "cached mount /x",
  inUse: false,
  shared: true,
  sizeBytes: 5,
  createdAt: "2026-01-02T03:04:05Z",
  lastUsedAt: undefined,
  usageCount: 1,
};

test("cache filters: conditions of one all hold, of several filters one does", () => {
  const matches = (...filters: string[]): boolean => parseCacheFilters(filters)(entry);
  assert.equal(matches(), true);
  assert.equal(matches(""), true);
  assert.equal(matches("type==exec.cachemount"), true);
  assert.equal(matches("type==regular"), false);
  assert.equal(matches("type==regular", "id~=ab"), true);
  assert.equal(matches("type==exec.cachemount,id==x"), false);
  assert.equal(matches("shared"), true);
  assert.equal(matches("private"), false);
  assert.equal(matches("inuse==false"), true);
  assert.equal(matches("mutable"), true);
  assert.equal(matches("parents==p"), true);
  assert.equal(matches('description=="cached mount /x"'), true);
  assert.equal(matches("type!=regular"), true);
  assert.throws(() => matches("colour==red"), /invalid cache filter/);
  assert.throws(() => matches("id~=(a+)+b"), /invalid pattern/);
});

const record: BuildRecord = {
  ref: "r1",
  state: "failed",
  request: { filename: "Dockerfile", "vcs:source": "https://example.com/x.git" },
  createdAt: "2026-01-02T03:04:05.123456789Z",
  completedAt: "2026-01-02T03:04:15.000000000Z",
  error: { message: "broken", source: { filename: "Dockerfile", source: "FROM x", ranges: [] } },
  outputs: [{ type: "moby", response: { "image.name": "a" } }],
  totalSteps: 3,
  cachedSteps: 1,
  completedSteps: 2,
  warnings: 0,
  platforms: ["linux/amd64"],
  pinned: true,
  attachments: [],
};

test("history filters are about status, times, duration, ref and repository", () => {
  const matches = (...filters: string[]): boolean => parseHistoryFilters(filters)(record);
  assert.equal(matches("status==error"), true);
  assert.equal(matches("status==completed"), false);
  assert.equal(matches("duration>5s"), true);
  assert.equal(matches("duration>1m"), false);
  assert.equal(matches("startedAt>2026-01-01T00:00:00Z"), true);
  assert.equal(matches("startedAt<2026-01-01T00:00:00Z"), false);
  assert.equal(matches("repository~=example.com"), true);
  assert.equal(matches("ref==r1,status!=error"), false);
  assert.throws(() => matches("x==y"), /invalid history filter/);
});

test("the history is told to its end, and no further to who wants no more", async () => {
  const history: BuildHistory = {
    list: () => [record, { ...record, ref: "r2", state: "running", completedAt: undefined, error: undefined }],
    get: () => undefined,
    events: () => assert.fail("not asked"),
    watch: () => assert.fail("not asked"),
    attachment: () => assert.fail("not asked"),
    update: () => assert.fail("not asked"),
  };
  const request = { ActiveOnly: false, Ref: "", EarlyExit: true, Filter: [], Limit: 0 };
  const events = await Array.fromAsync(listenHistory(history, request, new AbortController().signal));
  assert.deepEqual(
    events.map(({ type, record: told }) => [type, told?.Ref, told?.error?.message]),
    [
      [0, "r2", undefined],
      [1, "r1", "broken"],
    ],
  );
  assert.deepEqual(events[1]?.record?.CreatedAt, { seconds: 1_767_323_045n, nanos: 123_456_789 });
});

test("a failure carries the Dockerfile's lines, and no code that buildx would print in front", () => {
  const failure: BuildFailure = {
    message: "dockerfile parse error on line 2: unknown instruction: RNU",
    source: {
      filename: "Dockerfile",
      source: "FROM x\nRNU y\n",
      ranges: [{ start: { line: 2, column: 0 }, end: { line: 2, column: 5 } }],
    },
    vertex: "sha256:v",
    exitCode: undefined,
    stepId: undefined,
    lastOutput: "",
  };
  const error = grpcFailure(new EngineError("InvalidParameter", "x"), () => failure);
  assert.equal(error.code, 2);
  assert.equal(error.message, failure.message);
  const details = error.details.map(({ typeUrl, value }) => [
    typeUrl,
    JSON.parse(Buffer.from(value).toString()) as unknown,
  ]);
  assert.deepEqual(details, [
    ["github.com/moby/buildkit/errdefs.Vertex+json", { digest: "sha256:v" }],
    [
      "github.com/moby/buildkit/errdefs.Source+json",
      {
        info: { filename: "Dockerfile", data: Buffer.from("FROM x\nRNU y\n").toString("base64") },
        ranges: [{ start: { line: 2, character: 0 }, end: { line: 2, character: 5 } }],
      },
    ],
  ]);
  assert.equal(grpcFailure(new EngineError("Cancelled", "x"), () => failure).code, 1);
});

test("progress becomes messages of a bounded size that decode to what was told", () => {
  const log: BuildEvent = { kind: "log", vertex: "v", stream: 1, data: new Uint8Array(700_000), at: 5n };
  const responses = renderStatus([
    { kind: "plan", steps: [] },
    {
      kind: "vertex",
      vertex: {
        digest: "v",
        name: "[1/1] RUN x",
        inputs: ["i"],
        startedAt: 1_700_000_000_123_456_789n,
        completedAt: undefined,
        cached: false,
        error: "",
      },
    },
    log,
    log,
    log,
  ]);
  assert.equal(responses.length, 2);
  const first = StatusResponse.decode(StatusResponse.encode(responses[0] ?? {}));
  assert.deepEqual(first.vertexes[0]?.started, { seconds: 1_700_000_000n, nanos: 123_456_789 });
  assert.deepEqual(first.vertexes[0]?.inputs, ["i"]);
  assert.equal(first.vertexes[0]?.completed, undefined);
  assert.deepEqual(renderStatus([{ kind: "plan", steps: [] }]), []);
});

test("a result's definition is found again; other LLB is refused by its kind", () => {
  const decode = (value: Parameters<typeof Definition.encode>[0]) => Definition.decode(Definition.encode(value));
  assert.deepEqual(parseDefinition(decode(renderResultDefinition("r7"))), { kind: "result", id: "r7" });
  assert.deepEqual(parseDefinition(decode({})), { kind: "scratch" });
  const source = (identifier: string, attrs: Readonly<Record<string, string>>) => {
    const op = Op.encode({ source: { identifier, attrs } });
    return decode({ def: [op, Op.encode({ inputs: [{ digest: digestOf(Buffer.from(op)), index: 0 }] })] });
  };
  const git = source("git://example.com/r.git#main:sub", { "git.fullurl": "https://example.com/r.git" });
  assert.deepEqual(parseDefinition(git), {
    kind: "source",
    op: {
      kind: "git",
      remote: "https://example.com/r.git",
      ref: "main",
      subdirectory: "sub",
      keepGitDir: false,
      checksum: undefined,
    },
  });
  assert.deepEqual(parseDefinition(source("https://example.com/docker-bake.hcl", {})), {
    kind: "source",
    op: {
      kind: "http",
      url: "https://example.com/docker-bake.hcl",
      filename: "docker-bake.hcl",
      checksum: undefined,
      mode: 0o600,
    },
  });
  assert.throws(() => parseDefinition(decode({ def: [Op.encode({ exec: new Uint8Array(3) })] })), {
    message: /LLB is not supported \(exec op\)/,
  });
  assert.throws(() => parseDefinition(source("docker-image://alpine", {})), { message: /LLB is not supported/ });
  assert.throws(() => parseDefinition(decode({ def: [Op.encode({ inputs: [{ digest: "sha256:x" }] })] })), {
    kind: "InvalidParameter",
  });
});

test("a host without interpreters has its own platforms", () => {
  const platforms = workerPlatforms("/nonexistent");
  assert.ok(platforms.length >= 1);
});
