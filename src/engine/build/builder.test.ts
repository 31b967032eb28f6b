// The builder with rooms that only remember what they were asked: order, texts, holds, failures and history.

import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type Digest, type DiffId, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import type { Change, Store, TableName, Tables } from "../store/index.ts";
import type { BuildClient } from "./client.ts";
import { StepFailed } from "./exec/index.ts";
import type { BuiltImage } from "./export/index.ts";
import { amd64, knownImage } from "./graph/fixture.ts";
import { noLimits } from "./graph/limits.ts";
import { type Builder, type BuilderDeps, createBuilder, type FrontendRequest, type OpenJobRequest } from "./index.ts";
import type { BuildEvent } from "./progress.ts";
import { type JobContext, type Solution, type Solved, VertexFailed } from "./solver/index.ts";
import type { SourceDirectory, SourceEntry } from "./sources/index.ts";

function memoryStore(): Store & { readonly rows: Map<string, Map<string, unknown>> } {
  const rows = new Map<string, Map<string, unknown>>();
  const table = (name: string): Map<string, unknown> => {
    const found = rows.get(name) ?? new Map<string, unknown>();
    rows.set(name, found);
    return found;
  };
  return {
    rows,
    load: async <T extends TableName>(name: T) => [...table(name).values()] as Tables[T][],
    commit: async (changes: readonly Change[]) => {
      for (const change of changes) {
        if ("delete" in change) table(change.delete).delete(change.key);
        else {
          const row = change.row as { readonly ref: string };
          table("put" in change ? change.put : change.insert).set(row.ref, row);
        }
      }
    },
    check: async () => [],
    close: async () => undefined,
  };
}

async function entriesOf(root: string, below: string): Promise<readonly SourceEntry[]> {
  const found: SourceEntry[] = [];
  for (const name of (await readdir(join(root, below))).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const stat = await lstat(join(root, path));
    found.push({
      path,
      type: stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "symlink" : "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: stat.size,
      mtimeNs: 0n,
      linkName: stat.isSymbolicLink() ? await readlink(join(root, path)) : "",
      xattrs: {},
      digest: undefined,
    });
    if (stat.isDirectory()) found.push(...(await entriesOf(root, path)));
  }
  return found;
}

async function directoryOf(path: string): Promise<SourceDirectory> {
  return { path, entries: await entriesOf(path, ""), [Symbol.asyncDispose]: async () => undefined };
}

interface World {
  readonly builder: Builder;
  readonly client: BuildClient;
  readonly directory: string;
  readonly exported: { readonly images: readonly BuiltImage[]; readonly epoch: number | undefined }[];
  readonly holds: { count: number };
  /** What a vertex of that name throws. */
  readonly failing: Map<string, Error>;
  readonly dataRoot: string;
  readonly store: Store;
  readonly deps: BuilderDeps;
  wait: Promise<void> | undefined;
}

const absent = (): never => {
  throw new EngineError("NotFound", "not in this test");
};

async function world(t: TestContext): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), "gantry-builder-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const directory = join(root, "context");
  await mkdir(directory);
  const failing = new Map<string, Error>();
  const holds = { count: 0 };
  const exported: World["exported"] = [];
  const state: { wait: Promise<void> | undefined } = { wait: undefined };
  const client: BuildClient = {
    sessionId: "s",
    syncDirectory: async (_name, options) => {
      options.progress(10, 1);
      return directoryOf(directory);
    },
    upload: absent,
    secret: async () => undefined,
    hasAgent: async () => false,
    connectAgent: absent,
    credentials: async () => undefined,
    sendStream: absent,
    sendDirectory: absent,
    contentStore: absent,
  };
  const [, image] = knownImage("bb:1", amd64);
  const solve = async (
    graph: Parameters<BuilderDeps["solver"]["solve"]>[0],
    _targets: readonly Digest[],
    job: JobContext,
    signal: AbortSignal,
  ): Promise<Solution> => {
    const solved = new Map<Digest, Solved>();
    const depth = new Map<Digest, readonly DiffId[]>();
    for (const vertex of graph.vertices.values()) {
      await job.progress.vertex(vertex, async (report) => {
        const error = failing.get(vertex.name);
        if (error !== undefined) {
          report.log(2, Buffer.from("oh no\n"));
          throw new VertexFailed(vertex.digest, error);
        }
        if (state.wait !== undefined) {
          const aborted = new Promise<never>((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
          );
          await Promise.race([state.wait, aborted]);
        }
      });
      const [base] = vertex.inputs;
      const lower = base === undefined ? [] : (depth.get(base) ?? []);
      const adds = !(vertex.op.kind === "exec" && vertex.op.args.at(-1) === "true");
      const layers = adds ? [...lower, digestOf(`layer of ${vertex.digest}`) as string as DiffId] : lower;
      depth.set(vertex.digest, layers);
      solved.set(vertex.digest, {
        snapshot: { kind: "layers", layers },
        recordId: vertex.digest,
        cached: false,
        createdAt: `2026-01-01T00:00:0${solved.size}Z`,
      });
    }
    holds.count++;
    return {
      get: (digest) => solved.get(digest),
      [Symbol.asyncDispose]: async () => {
        holds.count--;
      },
    };
  };
  const store = memoryStore();
  const deps = {
    solver: {
      solve,
      cache: { entries: async () => [], known: () => new Map(), prune: absent, offer: () => undefined },
    },
    exporters: {
      validate: () => undefined,
      export: async (
        images: readonly BuiltImage[],
        _outputs: unknown,
        _job: unknown,
        options: { readonly sourceDateEpoch: number | undefined },
      ) => {
        exported.push({ images, epoch: options.sourceDateEpoch });
        return { response: { "containerimage.digest": "sha256:x" }, imageIds: [] };
      },
    },
    caches: {
      validate: () => undefined,
      import: async () => undefined,
      export: async () => ({}),
      inline: () => undefined,
      readInline: () => undefined,
    },
    attest: {
      provenance: (facts: { readonly request: unknown; readonly materials: unknown }) => ({
        predicateType: "https://slsa.dev/provenance/v1",
        predicate: { request: facts.request, materials: facts.materials },
      }),
      sbom: async () => ({ predicateType: "https://spdx.dev/Document", predicate: {} }),
    },
    exec: { keptStep: () => undefined },
    images: {},
    layers: { directories: () => [], keep: () => ({ [Symbol.dispose]: () => {} }) },
    resolveImage: {
      resolve: async (reference: string) => {
        if (reference !== "docker.io/library/bb:1") throw new EngineError("NotFound", "no such image");
        return image;
      },
    },
    store,
    dataRoot: root,
    hostPlatform: amd64,
    allowedEntitlements: new Set(["network.host"]),
    logger: silentLogger,
  } as unknown as BuilderDeps;
  const builder = await createBuilder(deps);
  return {
    builder,
    client,
    directory,
    exported,
    holds,
    failing,
    dataRoot: root,
    store,
    deps,
    get wait() {
      return state.wait;
    },
    set wait(value) {
      state.wait = value;
    },
  };
}

function frontend(changes: Partial<FrontendRequest> = {}): FrontendRequest {
  return {
    target: "",
    platforms: [],
    buildArgs: new Map(),
    labels: {},
    noCache: false,
    networkMode: "default",
    hostname: "",
    limits: noLimits,
    sourceDateEpoch: undefined,
    cacheMountNamespace: "",
    filename: "Dockerfile",
    dockerfile: { kind: "directory", name: "dockerfile" },
    context: { kind: "local", name: "context" },
    contextSubdirectory: "",
    namedContexts: new Map(),
    pull: "missing",
    cacheImports: [],
    attest: { provenance: undefined, sbom: false },
    subrequest: undefined,
    raw: { filename: "Dockerfile", "build-arg:http_proxy": "http://user:secret@p" },
    ...changes,
  };
}

function asking(w: World, changes: Partial<OpenJobRequest> = {}): OpenJobRequest {
  return { ref: "r1", client: w.client, entitlements: [], keepFailed: false, internal: false, raw: {}, ...changes };
}

function names(events: readonly BuildEvent[]): readonly string[] {
  return [...new Set(events.flatMap((event) => (event.kind === "vertex" ? [event.vertex.name] : [])))];
}

async function eventsOf(w: World, ref: string): Promise<readonly BuildEvent[]> {
  const all: BuildEvent[] = [];
  for await (const events of w.builder.history.events(ref, new AbortController().signal)) all.push(...events);
  return all;
}

test("a build is told, exported with its history, recorded, and lets everything go", async (t) => {
  const w = await world(t);
  await writeFile(
    join(w.directory, "Dockerfile"),
    "FROM bb:1\nARG V=1\nCOPY f /f\nRUN true\nRUN echo $V $U\nMAINTAINER me\n",
  );
  const job = w.builder.open(asking(w), new AbortController().signal);
  const result = await job.solve(frontend({ buildArgs: new Map([["NOPE", "1"]]) }));
  assert.deepEqual(result.unusedBuildArgs, ["NOPE"]);
  assert.deepEqual(await job.export(result, [{ type: "moby", attributes: {}, index: 0 }], []), {
    "containerimage.digest": "sha256:x",
  });
  assert.equal(w.holds.count, 1);
  await job.close({ error: undefined });
  assert.equal(w.holds.count, 0);
  const [image] = w.exported[0]?.images ?? [];
  assert.deepEqual(image?.config.history, [
    { created: "2026-01-01T00:00:00Z", comment: "Imported from -" },
    { created: "2026-01-01T00:00:02Z", created_by: "ARG V=1", comment: "buildkit.dockerfile.v0", empty_layer: true },
    { created: "2026-01-01T00:00:02Z", created_by: "COPY f /f # buildkit", comment: "buildkit.dockerfile.v0" },
    {
      created: "2026-01-01T00:00:03Z",
      created_by: "RUN |1 V=1 /bin/sh -c true # buildkit",
      comment: "buildkit.dockerfile.v0",
      empty_layer: true,
    },
    {
      created: "2026-01-01T00:00:04Z",
      created_by: "RUN |1 V=1 /bin/sh -c echo $V $U # buildkit",
      comment: "buildkit.dockerfile.v0",
    },
    {
      created: "2026-01-01T00:00:04Z",
      created_by: "MAINTAINER me",
      comment: "buildkit.dockerfile.v0",
      empty_layer: true,
    },
  ]);
  assert.equal(image?.config.created, "2026-01-01T00:00:04Z");
  assert.equal(image?.config.rootfs.diff_ids.length, 3);
  const events = await eventsOf(w, "r1");
  assert.deepEqual(names(events), [
    "[internal] load build definition from Dockerfile",
    "[internal] load metadata for docker.io/library/bb:1",
    "[internal] load .dockerignore",
    "[1/4] FROM docker.io/library/bb:1",
    "[internal] load build context",
    "[2/4] COPY f /f",
    "[3/4] RUN true",
    "[4/4] RUN echo 1 $U",
  ]);
  assert.deepEqual(
    events.flatMap((event) => (event.kind === "warning" ? [event.short] : [])),
    ["MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 6)"],
  );
  const record = w.builder.history.get("r1");
  assert.equal(record?.state, "completed");
  assert.deepEqual(record.request, { filename: "Dockerfile" });
  assert.deepEqual(
    [record.totalSteps, record.completedSteps, record.warnings, record.platforms],
    [8, 8, 1, ["linux/amd64"]],
  );
  const [attachment] = record.attachments;
  assert.equal(attachment?.type, "https://slsa.dev/provenance/v1");
  const provenance = Buffer.from(await w.builder.history.attachment(attachment.digest)).toString();
  assert.match(provenance, /pkg:docker\/bb@1\?platform=linux%2Famd64/);
  assert.doesNotMatch(provenance, /secret/);
});

test("history is there after a restart, goes when it is removed, and its files with it", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1\nRUN make\n");
  const job = w.builder.open(asking(w), new AbortController().signal);
  const changes: string[] = [];
  const until = new AbortController();
  const watching = (async () => {
    for await (const { change, record } of w.builder.history.watch(until.signal))
      changes.push(`${change} ${record.ref}`);
  })();
  await job.export(await job.solve(frontend()), [], []);
  await job.close({ error: undefined });
  const again = await createBuilder(w.deps);
  assert.deepEqual(again.history.list(), w.builder.history.list());
  assert.equal(again.history.list().length, 1);
  const all: BuildEvent[] = [];
  for await (const events of again.history.events("r1", until.signal)) all.push(...events);
  assert.deepEqual(all, await eventsOf(w, "r1"));
  await w.builder.history.update("r1", { pinned: true });
  assert.equal(w.builder.history.get("r1")?.pinned, true);
  await w.builder.history.update("r1", { remove: true });
  assert.deepEqual(await readdir(join(w.dataRoot, "build", "history")), []);
  assert.deepEqual(w.builder.history.list(), []);
  until.abort();
  await watching;
  assert.deepEqual(changes, ["complete r1", "complete r1", "deleted r1"]);
  await assert.rejects(w.builder.history.update("r1", { remove: true }), { kind: "NotFound" });
});

test("a step that fails is shown with its lines, exit code, command and last output", async (t) => {
  const w = await world(t);
  const source = "FROM bb:1\nRUN false\n";
  await writeFile(join(w.directory, "Dockerfile"), source);
  w.failing.set(
    "[2/2] RUN false",
    new StepFailed('process "/bin/sh -c false" did not complete successfully: exit code: 1', 1, "step1"),
  );
  const job = w.builder.open(asking(w), new AbortController().signal);
  const error: unknown = await job.solve(frontend()).catch((thrown: unknown) => thrown);
  await job.close({ error });
  const { vertex, ...failure } = w.builder.failureOf(error);
  assert.match(vertex ?? "", /^sha256:/);
  assert.deepEqual(failure, {
    message: 'process "/bin/sh -c false" did not complete successfully: exit code: 1',
    source: { filename: "Dockerfile", source, ranges: failure.source?.ranges },
    exitCode: 1,
    stepId: "step1",
    lastOutput: "oh no\n",
    command: "/bin/sh -c false",
  });
  assert.equal(failure.source?.ranges[0]?.start.line, 2);
  assert.equal(w.builder.history.get("r1")?.state, "failed");
});

test("a client that goes away stops the build", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1\nRUN make\n");
  w.wait = new Promise(() => undefined);
  const client = new AbortController();
  const job = w.builder.open(asking(w), client.signal);
  const solving = job.solve(frontend());
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.abort();
  const error: unknown = await solving.catch((thrown: unknown) => thrown);
  assert.equal(w.builder.failureOf(error).message, "context canceled");
  await job.close({ error });
  assert.equal(w.builder.job("r1"), undefined);
  assert.equal(w.builder.history.get("r1")?.state, "cancelled");
  assert.equal(w.builder.cancel("r1"), false);
});

test("entitlements: unknown, not of this daemon, not asked for", async (t) => {
  const w = await world(t);
  const { signal } = new AbortController();
  assert.throws(() => w.builder.open(asking(w, { entitlements: ["security.insecure"] }), signal), {
    kind: "Forbidden",
    message: "granting entitlement security.insecure is not allowed by build daemon configuration",
  });
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1\nRUN --network=host make\n");
  const refused = w.builder.open(asking(w), signal);
  await assert.rejects(refused.solve(frontend()), { kind: "Forbidden", message: "network.host is not allowed" });
  await refused.close({ error: undefined });
  const granted = w.builder.open(asking(w, { entitlements: ["network.host"] }), signal);
  await granted.solve(frontend());
  assert.throws(() => w.builder.open(asking(w), signal), { kind: "Conflict", message: "job ID r1 exists" });
  await w.builder.close();
  assert.equal(w.holds.count, 0);
});

test("B09: a Dockerfile that is a link out of its directory is refused; one inside is followed", async (t) => {
  const w = await world(t);
  await mkdir(join(w.directory, "sub"));
  await writeFile(join(w.directory, "sub", "real"), "FROM bb:1\n");
  await symlink("/etc/shadow", join(w.directory, "absolute"));
  await symlink("../../etc/shadow", join(w.directory, "relative"));
  await symlink("sub/../../..", join(w.directory, "up"));
  await symlink("loop", join(w.directory, "loop"));
  await symlink("sub/real", join(w.directory, "inside"));
  const job = w.builder.open(asking(w), new AbortController().signal);
  for (const filename of ["absolute", "relative", "up/etc/shadow", "../etc/shadow"])
    await assert.rejects(job.solve(frontend({ filename })), { kind: "Forbidden" }, filename);
  await assert.rejects(job.solve(frontend({ filename: "loop" })), { kind: "InvalidParameter" });
  await assert.rejects(job.solve(frontend({ filename: "sub" })), { message: "read sub: is a directory" });
  await assert.rejects(job.solve(frontend({ filename: "missing" })), {
    message: "failed to read dockerfile: open missing: no such file or directory",
  });
  await job.solve(frontend({ filename: "inside" }));
  await job.close({ error: undefined });
});

test("<Dockerfile>.dockerignore is taken instead of .dockerignore", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1\nCOPY . /\n");
  await writeFile(join(w.directory, ".dockerignore"), "general\n");
  const patterns = async (): Promise<unknown> => {
    const job = w.builder.open(asking(w), new AbortController().signal);
    const { graph } = await job.solve(frontend());
    await job.close({ error: undefined });
    return [...graph.vertices.values()].flatMap(({ op }) => (op.kind === "local" ? op.excludePatterns : []));
  };
  assert.deepEqual(await patterns(), ["general"]);
  await writeFile(join(w.directory, "Dockerfile.dockerignore"), "own\n");
  assert.deepEqual(await patterns(), ["own"]);
});

test("an image that cannot be had is named with its line", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM nosuch/image:1\n");
  const job = w.builder.open(asking(w), new AbortController().signal);
  const error: unknown = await job.solve(frontend()).catch((thrown: unknown) => thrown);
  await job.close({ error });
  const failure = w.builder.failureOf(error);
  assert.equal(
    failure.message,
    "nosuch/image:1: failed to resolve source metadata for docker.io/nosuch/image:1: no such image",
  );
  assert.equal(failure.source?.ranges[0]?.start.line, 1);
});

test("SOURCE_DATE_EPOCH is the time of everything that the build made", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "ARG SOURCE_DATE_EPOCH=1\nFROM bb:1\nRUN make\n");
  const job = w.builder.open(asking(w), new AbortController().signal);
  await job.export(await job.solve(frontend()), [], []);
  await job.close({ error: undefined });
  const [{ images, epoch } = { images: [], epoch: undefined }] = w.exported;
  assert.equal(epoch, 1);
  assert.equal(images[0]?.config.created, "1970-01-01T00:00:01.000000000Z");
  assert.deepEqual(
    images[0].config.history?.map(({ created }) => created),
    ["2026-01-01T00:00:00Z", "1970-01-01T00:00:01.000000000Z"],
  );
});

test("questions are answered without building", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1 AS a\nRUN echo $U\nMAINTAINER me\n");
  const job = w.builder.open(asking(w), new AbortController().signal);
  for (const subrequest of ["outline", "targets", "lint", "describe"] as const) {
    const { images, metadata } = await job.solve(frontend({ subrequest }));
    assert.deepEqual(images, []);
    assert.deepEqual(Buffer.from(metadata["version"] ?? []).toString(), "1.0.0");
    JSON.parse(Buffer.from(metadata["result.json"] ?? []).toString());
    if (subrequest === "lint") assert.equal(Buffer.from(metadata["result.statuscode"] ?? []).toString(), "1");
  }
  assert.equal(w.holds.count, 0);
  await job.close({ error: undefined });
});

test("a plan is text, and the same text again", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1\nRUN make\n");
  const { signal } = new AbortController();
  const plan = await w.builder.plan(frontend(), w.client, signal);
  assert.match(plan, /^1 +\[1\/2\] FROM docker\.io\/library\/bb:1\n.*\n2 +\[2\/2\] RUN make ← 1\n/);
  assert.equal(await w.builder.plan(frontend(), w.client, signal), plan);
});

test("a build upon another's result asks the other's client for the other's files", async (t) => {
  const w = await world(t);
  await writeFile(join(w.directory, "Dockerfile"), "FROM bb:1\nENV A=1\nCOPY f /f\n");
  const { signal } = new AbortController();
  const first = w.builder.open(asking(w), signal);
  const { images, graph } = await first.solve(frontend());
  const [draft] = images;
  assert.ok(draft !== undefined);
  const other: BuildClient = { ...w.client, sessionId: "other" };
  const second = w.builder.open(asking(w, { ref: "r2", client: other }), signal);
  const dockerfile = { kind: "text", text: "FROM base\nCOPY g /g\nRUN echo $A\n" } as const;
  const result = await second.solve(
    frontend({ dockerfile, namedContexts: new Map([["base", { kind: "result", draft, graph }]]) }),
  );
  const names = [...result.graph.vertices.values()].flatMap(({ op }) => (op.kind === "local" ? [op.name] : []));
  assert.deepEqual(names, ["s\ncontext", "other\ncontext"]);
  await second.export(result, [], []);
  const config = w.exported[0]?.images[0]?.config;
  assert.deepEqual(config?.config?.Env, ["PATH=/bin", "A=1"]);
  assert.deepEqual(
    config.history?.map(({ created_by }) => created_by),
    [undefined, "ENV A=1", "COPY f /f # buildkit", "COPY g /g # buildkit", "RUN /bin/sh -c echo $A # buildkit"],
  );
  await second.close({ error: undefined });
  await first.close({ error: undefined });
});
