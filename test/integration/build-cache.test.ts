// External caches of builds, end to end: one host builds and exports to a registry, to a client's directory and into an image, another
// one imports and runs nothing. Layers, store, snapshots, cache mounts and registry are real; steps write a file in place of running.
// Needs root.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { type Digest, digestOf } from "../../src/base/digest.ts";
import { silentLogger } from "../../src/base/log.ts";
import { type ExternalCaches, createExternalCaches } from "../../src/engine/build/cache/index.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import { CacheMounts } from "../../src/engine/build/exec/cache-mounts.ts";
import type { StepMount } from "../../src/engine/build/graph/index.ts";
import { createBuildLayers } from "../../src/engine/build/layers/index.ts";
import { createBuildProgress } from "../../src/engine/build/progress.ts";
import { GraphMaker } from "../../src/engine/build/solver/fixture.ts";
import {
  type JobContext,
  type OpRunner,
  type Solver,
  createSolver,
  openCacheRecords,
} from "../../src/engine/build/solver/index.ts";
import { exportImages, imageOf, layersOf, output } from "../support/build-outputs.ts";
import { ImageRoom } from "../support/image-room.ts";
import { OwnRegistry } from "../support/own-registry.ts";
import { TestRegistry } from "../support/registry.ts";
import { directory, file, tarOf } from "../support/tar.ts";
import { packPath, unpackPath } from "../support/unpack-bench.ts";

const baseTar = tarOf(directory("bin/"), file("bin/sh", "#!"));
const signal = (): AbortSignal => AbortSignal.timeout(60_000);

/** One machine with a cache of its own. */
class Host implements AsyncDisposable {
  readonly room: ImageRoom;
  readonly solver: Solver;
  readonly caches: ExternalCaches;
  readonly mounts: CacheMounts;
  readonly ran: string[];

  private constructor(room: ImageRoom, solver: Solver, caches: ExternalCaches, mounts: CacheMounts, ran: string[]) {
    this.room = room;
    this.solver = solver;
    this.caches = caches;
    this.mounts = mounts;
    this.ran = ran;
  }

  static async start(): Promise<Host> {
    const room = await ImageRoom.open();
    const { store, snapshots, images, distribution, dataRoot } = room;
    const layers = createBuildLayers({ snapshots, store });
    const records = await openCacheRecords({ store, logger: silentLogger });
    snapshots.addRoots("builds", () => records.tops());
    const ran: string[] = [];
    const unused: OpRunner = { key: () => Promise.resolve(""), run: () => Promise.reject(new Error("unused")) };
    const image: OpRunner = {
      key: (op) => Promise.resolve("imageId" in op ? op.imageId : undefined),
      run: async () => {
        ran.push("pull");
        return { kind: "layers", layers: await layersOf(room, baseTar) };
      },
    };
    const exec: OpRunner = {
      key: () => Promise.resolve(""),
      run: async (op, [base], _context, stop) => {
        if (op.kind !== "exec" || base?.kind !== "layers") throw new Error("unused");
        const [name = ""] = op.args;
        ran.push(name);
        await using step = await layers.begin(base.layers);
        writeFileSync(join(step.dirs.upper, name), name);
        return { kind: "layers", layers: await step.finish(undefined, stop) };
      },
    };
    const mounts = await CacheMounts.open(store, dataRoot, silentLogger);
    const solver = await createSolver({
      store,
      layers,
      snapshots,
      records,
      dataRoot,
      logger: silentLogger,
      reclaimable: [mounts],
      runners: {
        image,
        local: unused,
        git: unused,
        http: unused,
        "oci-layout": unused,
        file: unused,
        exec,
        merge: unused,
      },
      contentDigest: () => Promise.reject(new Error("unused")),
      quotaBytes: () => 1 << 30,
      maxParallelism: () => 0,
    });
    const caches = createExternalCaches({
      layers,
      snapshots,
      distribution,
      images,
      store,
      dataRoot,
      mounts,
      unpackPath,
      packPath,
      logger: silentLogger,
    });
    return new Host(room, solver, caches, mounts, ran);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.room.close();
  }
}

/** A client that keeps blobs in memory. */
function jobOf(ref: string, blobs = new Map<string, Buffer>()): JobContext {
  const client = {
    sessionId: ref,
    credentials: () => Promise.resolve(undefined),
    contentStore: () => ({
      read: (digest: string) => Promise.resolve(Readable.from([blobs.get(digest) ?? Buffer.alloc(0)])),
      info: (digest: string) =>
        Promise.resolve(blobs.has(digest) ? { size: blobs.get(digest)?.length ?? 0 } : undefined),
      write: async (digest: string, _size: number, data: Readable) => {
        blobs.set(digest, Buffer.concat((await data.toArray()) as Buffer[]));
      },
    }),
  } as unknown as BuildClient;
  const common = { entitlements: new Set<string>(), clampTimes: undefined, keepFailed: false };
  return { ref, client, progress: createBuildProgress(), ...common };
}

function graphOf(): { readonly make: GraphMaker; readonly target: Digest } {
  const make = new GraphMaker();
  const imageId = digestOf("base");
  const platform = { os: "linux", architecture: "amd64" };
  const digest = digestOf("base vertex");
  make.vertices.set(digest, {
    digest,
    inputs: [],
    name: "base",
    ranges: [],
    ignoreCache: false,
    op: { kind: "image", reference: "base", platform, imageId },
  });
  const mount: StepMount = {
    type: "cache",
    id: "pip",
    target: "/root/.cache",
    sharing: "shared",
    readonly: false,
    input: undefined,
    source: "",
    mode: 0o755,
    uid: 0,
    gid: 0,
  };
  return { make, target: make.exec([make.exec([digest], "one")], "two", { mounts: [mount] }) };
}

describe("external caches", () => {
  for (const compression of ["gzip", "zstd"] as const)
    for (const asManifest of ["true", "false"] as const)
      test(`through a registry, ${compression}, image-manifest=${asManifest}: nothing runs, cache mounts come along`, async () => {
        // Ours takes no index of blobs.
        await using registry = asManifest === "true" ? await OwnRegistry.start() : await TestRegistry.start();
        const ref = `${registry.address}/team/cache:main`;
        const { make, target } = graphOf();
        {
          await using host = await Host.start();
          const job = jobOf("a");
          {
            using held = await host.mounts.take("pip", "shared", { mode: 0o755, uid: 0, gid: 0 }, signal());
            writeFileSync(join(held.path, "wheel"), "wheel");
          }
          await using solution = await host.solver.solve(make.graph, [target], job, signal());
          assert.deepEqual(host.ran, ["pull", "one", "two"]);
          const attributes = { ref, mode: "max", mounts: "true", compression, "image-manifest": asManifest };
          const request = { type: "registry", attributes } as const;
          host.caches.validate([], [request]);
          const response = await host.caches.export([request], make.graph, solution, job, host.solver.cache, signal());
          assert.match(response["cache.manifest"] ?? "", /"digest":"sha256:/);
        }
        await using other = await Host.start();
        const job = jobOf("b");
        await other.caches.import([{ type: "registry", attributes: { ref } }], job, other.solver.cache, signal());
        {
          await using solution = await other.solver.solve(make.graph, [target], job, signal());
          const snapshot = solution.get(target)?.snapshot;
          assert.ok(snapshot?.kind === "layers");
          assert.deepEqual([snapshot.layers.length, solution.get(target)?.cached], [3, true]);
        }
        using held = await other.mounts.hold("pip", signal());
        assert.ok(held !== undefined);
        assert.equal(readFileSync(join(held.path, "wheel"), "utf8"), "wheel");
        // Without the cache, it is known here now.
        await using again = await other.solver.solve(make.graph, [target], jobOf("c"), signal());
        assert.equal(again.get(target)?.cached, true);
        assert.deepEqual(other.ran, []);
        assert.deepEqual(await other.solver.cache.check(false), []);
      });

  test("through a directory of the client", async () => {
    const blobs = new Map<string, Buffer>();
    const { make, target } = graphOf();
    let digest = "";
    {
      await using host = await Host.start();
      const job = jobOf("a", blobs);
      await using solution = await host.solver.solve(make.graph, [target], job, signal());
      const request = { type: "local", attributes: { dest: "/cache", mode: "max" } } as const;
      const response = await host.caches.export([request], make.graph, solution, job, host.solver.cache, signal());
      digest = (JSON.parse(response["cache.manifest"] ?? "") as { digest: string }).digest;
    }
    await using other = await Host.start();
    const job = jobOf("b", blobs);
    const request = { type: "local", attributes: { src: "/cache", digest } } as const;
    await other.caches.import([request], job, other.solver.cache, signal());
    await using solution = await other.solver.solve(make.graph, [target], job, signal());
    assert.equal(solution.get(target)?.cached, true);
    assert.deepEqual(other.ran, []);
  });

  test("inline: an image that was pushed is its own cache", async () => {
    await using registry = await OwnRegistry.start();
    const name = `${registry.address}/team/app`;
    const { make, target } = graphOf();
    {
      await using host = await Host.start();
      const job = jobOf("a");
      await using solution = await host.solver.solve(make.graph, [target], job, signal());
      const inline = host.caches.inline([{ type: "inline", attributes: {} }], make.graph, solution, host.solver.cache);
      const snapshot = solution.get(target)?.snapshot;
      assert.ok(snapshot?.kind === "layers");
      const image = imageOf(snapshot.layers);
      const config = { ...image.config, "moby.buildkit.cache.v0": inline };
      assert.equal(host.caches.readInline(config), inline);
      const outputs = [output("image", { name: `${name}:1`, push: "true" })];
      await exportImages(host.room, [{ ...image, config }], outputs);
    }
    await using other = await Host.start();
    const job = jobOf("b");
    const request = { type: "registry", attributes: { ref: `${name}:1` } } as const;
    await other.caches.import([request], job, other.solver.cache, signal());
    await using solution = await other.solver.solve(make.graph, [target], job, signal());
    assert.equal(solution.get(target)?.cached, true);
    assert.deepEqual(other.ran, []);
  });

  test("a cache that cannot be read, or whose layers are gone from the registry, does not stop the build", async () => {
    await using registry = await OwnRegistry.start();
    const ref = `${registry.address}/team/cache:main`;
    const { make, target } = graphOf();
    await using host = await Host.start();
    const job = jobOf("a");
    await host.caches.import([{ type: "registry", attributes: { ref } }], job, host.solver.cache, signal());
    const solution = await host.solver.solve(make.graph, [target], job, signal());
    const request = { type: "registry", attributes: { ref, mode: "max" } } as const;
    await host.caches.export([request], make.graph, solution, job, host.solver.cache, signal());
    await solution[Symbol.asyncDispose]();
    await using other = await Host.start();
    const late = jobOf("b");
    await other.caches.import([{ type: "registry", attributes: { ref } }], late, other.solver.cache, signal());
    await registry[Symbol.asyncDispose]();
    await using made = await other.solver.solve(make.graph, [target], late, signal());
    assert.equal(made.get(target)?.cached, false);
    assert.deepEqual(other.ran, ["pull", "one", "two"]);
    assert.equal(existsSync(join(other.room.dataRoot, "build/mounts/1")), false);
  });
});
