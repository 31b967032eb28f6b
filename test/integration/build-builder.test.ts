// Whole builds on the real kernel, from the Dockerfile to the image's configuration: language, graph, solver, layers, files and steps
// are real; the client is a directory, the base image a layer, and the exporter only remembers. Needs root.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { digestOf } from "../../src/base/digest.ts";
import { EngineError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import type { BuiltImage } from "../../src/engine/build/export/index.ts";
import { createFiles } from "../../src/engine/build/files/index.ts";
import { noLimits } from "../../src/engine/build/graph/limits.ts";
import type { KnownImage } from "../../src/engine/build/graph/index.ts";
import { type Builder, type BuilderDeps, createBuilder, type FrontendRequest } from "../../src/engine/build/index.ts";
import type { BuildEvent } from "../../src/engine/build/progress.ts";
import { createSolver, openCacheRecords, type OpRunner } from "../../src/engine/build/solver/index.ts";
import type { SourceDirectory, SourceEntry } from "../../src/engine/build/sources/index.ts";
import { createLocalRunner } from "../../src/engine/build/sources/local.ts";
import { hostArchitecture } from "../../src/spec/oci/platform.ts";
import { inOwnNetwork, StepWorld } from "../support/step-world.ts";
import { packPath, unpackPath } from "../support/unpack-bench.ts";

const copyPath = join(import.meta.dirname, "../../shim/build/gantry-copy");
const platform = { os: "linux", architecture: hostArchitecture() };

async function entriesOf(root: string, below = ""): Promise<readonly SourceEntry[]> {
  const found: SourceEntry[] = [];
  for (const name of (await readdir(join(root, below))).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const stat = await lstat(join(root, path));
    const isFile = stat.isFile();
    found.push({
      path,
      type: stat.isDirectory() ? "directory" : isFile ? "file" : "symlink",
      // oxlint-disable-next-line no-bitwise -- permission bits
      mode: stat.mode & 0o7777,
      uid: 0,
      gid: 0,
      size: stat.size,
      mtimeNs: 0n,
      linkName: stat.isSymbolicLink() ? await readlink(join(root, path)) : "",
      xattrs: {},
      digest: isFile ? digestOf(readFileSync(join(root, path))) : undefined,
    });
    if (stat.isDirectory()) found.push(...(await entriesOf(root, path)));
  }
  return found;
}

if (inOwnNetwork(import.meta.filename)) {
  let world: StepWorld;
  let builder: Builder;
  let context: string;
  let exported: BuiltImage[] = [];
  let refs = 0;
  const absent = (): never => {
    throw new EngineError("NotFound", "not in this test");
  };

  before(async () => {
    world = await StepWorld.open();
    const { store, snapshots, layers, dataRoot, exec, base } = world;
    const files = createFiles({ layers, copyPath, unpackPath, packPath, dataRoot });
    const records = await openCacheRecords({ store, logger: silentLogger });
    snapshots.addRoots("builds", () => records.tops());
    const image: OpRunner = {
      key: (op) => Promise.resolve("imageId" in op ? op.imageId : undefined),
      run: () => Promise.resolve({ kind: "layers", layers: [base] }),
    };
    const unused: OpRunner = { key: absent, run: absent };
    const solver = await createSolver({
      store,
      layers,
      snapshots,
      records,
      dataRoot,
      logger: silentLogger,
      reclaimable: [],
      runners: {
        image,
        local: createLocalRunner(),
        git: unused,
        http: unused,
        "oci-layout": unused,
        file: files.runner,
        exec: exec.runner,
        merge: files.mergeRunner,
      },
      contentDigest: files.contentDigest,
      quotaBytes: () => 1 << 30,
      maxParallelism: () => 0,
    });
    const known: KnownImage = {
      reference: "docker.io/library/bb:1",
      imageId: digestOf("bb"),
      config: {
        ...platform,
        config: { Env: ["PATH=/bin"] },
        history: [{ created: "2026-01-01T00:00:00Z", comment: "Imported from -" }],
        rootfs: { type: "layers", diff_ids: [base] },
      },
    };
    builder = await createBuilder({
      solver,
      exporters: {
        validate: () => undefined,
        export: (images: readonly BuiltImage[]) => {
          exported.push(...images);
          return Promise.resolve({ response: {}, imageIds: [] });
        },
      },
      caches: { validate: () => undefined, import: absent, export: absent, inline: () => undefined },
      attest: { provenance: () => ({ predicateType: "p", predicate: {} }), sbom: absent },
      exec,
      images: {},
      layers,
      resolveImage: { resolve: () => Promise.resolve(known) },
      store,
      dataRoot,
      hostPlatform: platform,
      allowedEntitlements: new Set(),
      logger: silentLogger,
    } as unknown as BuilderDeps);
  });
  after(async () => {
    await builder.close();
    await world.close();
  });
  beforeEach((t) => {
    exported = [];
    context = mkdtempSync(join(tmpdir(), "gbuild-"));
    const directory = context;
    if ("after" in t) t.after(() => rmSync(directory, { recursive: true, force: true }));
  });

  const client = (): BuildClient =>
    ({
      sessionId: "s",
      syncDirectory: async (): Promise<SourceDirectory> => ({
        path: context,
        entries: await entriesOf(context),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
      secret: (id: string) => Promise.resolve(id === "tok" ? Buffer.from("hunter2") : undefined),
      hasAgent: () => Promise.resolve(false),
      credentials: () => Promise.resolve(undefined),
    }) as unknown as BuildClient;

  interface Outcome {
    readonly images: readonly BuiltImage[];
    readonly events: readonly BuildEvent[];
    readonly error: unknown;
  }

  async function build(
    dockerfile: string,
    changes: Partial<FrontendRequest> = {},
    signal: AbortSignal = AbortSignal.timeout(60_000),
  ): Promise<Outcome> {
    writeFileSync(join(context, "Dockerfile"), dockerfile);
    const ref = `r${refs++}`;
    const job = builder.open(
      { ref, client: client(), entitlements: [], keepFailed: false, internal: false, raw: {} },
      signal,
    );
    const request: FrontendRequest = {
      target: "",
      platforms: [],
      buildArgs: new Map(),
      labels: {},
      noCache: false,
      networkMode: "none",
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
      raw: {},
      ...changes,
    };
    exported = [];
    let error: unknown;
    try {
      await job.export(await job.solve(request), [], []);
    } catch (thrown) {
      error = thrown;
    }
    await job.close({ error });
    const events: BuildEvent[] = [];
    for await (const some of builder.history.events(ref, AbortSignal.timeout(5000))) events.push(...some);
    return { images: exported, events, error };
  }

  async function built(dockerfile: string, changes: Partial<FrontendRequest> = {}): Promise<Outcome> {
    const outcome = await build(dockerfile, changes);
    if (outcome.error !== undefined) throw outcome.error;
    return outcome;
  }

  /** A file of an image, looked up in its layers. */
  function content(image: BuiltImage | undefined, path: string): string | undefined {
    const directories = world.layers.directories(image?.layers ?? []);
    const found = directories.find((directory) => existsSync(join(directory, path)));
    return found === undefined ? undefined : readFileSync(join(found, path), "utf8");
  }

  function steps(events: readonly BuildEvent[]): readonly string[] {
    const last = new Map<string, string>();
    for (const event of events) {
      if (event.kind !== "vertex" || event.vertex.name.startsWith("[internal]")) continue;
      last.set(event.vertex.name, event.vertex.cached ? "cached" : "done");
    }
    return [...last].map(([name, state]) => `${state} ${name}`).sort();
  }

  const typical = `FROM bb:1 AS one
ARG V=1
RUN echo $V > /one
FROM bb:1
WORKDIR /w
COPY --from=one /one ./
COPY a b/ ./
COPY <<EOF /here
v=$HOSTNAME.
EOF
RUN <<EOF
cat one a > both
echo $0 > /sh
EOF
RUN true
CMD ["sh"]
`;

  test("stages, COPY, heredocs and steps make an image; the same again is all cached and the same image", async () => {
    writeFileSync(join(context, "a"), "A\n");
    mkdirSync(join(context, "b"));
    writeFileSync(join(context, "b", "c"), "C\n");
    const first = await built(typical);
    const [image] = first.images;
    assert.equal(content(image, "w/both"), "1\nA\n");
    assert.equal(content(image, "w/c"), "C\n");
    assert.equal(content(image, "here"), "v=.\n");
    assert.deepEqual(
      image?.config.history?.map(
        ({ created_by = "", empty_layer = false }) => `${empty_layer ? "-" : "+"} ${created_by}`,
      ),
      [
        "+ ",
        "+ WORKDIR /w",
        "+ COPY /one ./ # buildkit",
        "+ COPY a b/ ./ # buildkit",
        "+ COPY <<EOF /here # buildkit",
        "+ RUN /bin/sh -c cat one a > both\necho $0 > /sh\n # buildkit",
        "- RUN /bin/sh -c true # buildkit",
        '- CMD ["sh"]',
      ],
    );
    const second = await built(typical);
    assert.deepEqual(second.images[0]?.config, image.config);
    assert.deepEqual(
      steps(second.events).filter((line) => line.startsWith("done") && !line.includes("inline")),
      [],
    );
    writeFileSync(join(context, "a"), "B\n");
    const third = await built(typical);
    assert.equal(content(third.images[0], "w/both"), "1\nB\n");
    assert.ok(steps(third.events).includes("cached [one 2/2] RUN echo 1 > /one"));
    assert.ok(steps(third.events).includes("done [stage-1 4/7] COPY a b/ ./"));
  });

  test("a step that fails says how, and the next build works", async () => {
    const text = "FROM bb:1\nRUN echo before; exit 3\n";
    const { error } = await build(text);
    const failure = builder.failureOf(error);
    assert.deepEqual(
      [failure.message, failure.exitCode, failure.lastOutput, failure.source?.ranges[0]?.start.line],
      ['process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3', 3, "before\n", 2],
    );
    assert.equal((await built("FROM bb:1\nRUN echo fine > /x\n")).images.length, 1);
  });

  test("COPY of what is not there names it and its line", async () => {
    const { error } = await build("FROM bb:1\nCOPY missing /\n");
    const failure = builder.failureOf(error);
    assert.match(failure.message, /"\/missing": not found/);
    assert.equal(failure.source?.ranges[0]?.start.line, 2);
  });

  test("mounts: another stage, a cache that stays, a secret that is nowhere afterwards", async () => {
    const text = `FROM bb:1 AS src
RUN echo from > /f
FROM bb:1
RUN --mount=type=bind,from=src,source=/f,target=/mnt/f --mount=type=cache,target=/c --mount=type=secret,id=tok \\
  cat /mnt/f > /o; cat /run/secrets/tok | wc -c >> /o; echo x >> /c/log; cat /c/log >> /o # 1
RUN --mount=type=cache,target=/c cat /c/log > /p
`;
    const { images, events } = await built(text);
    assert.equal(content(images[0], "o"), "from\n7\nx\n");
    assert.equal(content(images[0], "p"), "x\n");
    assert.doesNotMatch(
      JSON.stringify(events, (_, value: unknown) => (typeof value === "bigint" ? "" : value)),
      /hunter2/,
    );
  });

  test("FROM scratch, --link, and a local directory as a base", async () => {
    writeFileSync(join(context, "a"), "A\n");
    const scratch = await built("FROM scratch\nCOPY a /x\nCOPY --link a /y/\n");
    assert.equal(content(scratch.images[0], "y/a"), "A\n");
    assert.equal(scratch.images[0]?.layers.length, 2);
    const onLocal = await built("FROM dir\nCOPY a /z\n", {
      namedContexts: new Map([["dir", { kind: "local", name: "dir" }]]),
    });
    assert.equal(content(onLocal.images[0], "a"), "A\n");
    assert.equal(content(onLocal.images[0], "z"), "A\n");
    const { config, layers } = onLocal.images[0] as BuiltImage;
    assert.equal(config.history?.filter(({ empty_layer }) => empty_layer !== true).length, layers.length);
  });

  test("a client that goes away ends the step; nothing of it stays", async () => {
    const before = world.remains();
    const gone = new AbortController();
    const building = build("FROM bb:1\nRUN sleep 60\n", {}, gone.signal);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    gone.abort();
    const { error } = await building;
    assert.equal(builder.failureOf(error).message, "context canceled");
    assert.deepEqual(world.remains(), before);
    assert.deepEqual(readdirSync(join(world.execRoot, "steps")), []);
  });
}
