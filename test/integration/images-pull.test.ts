// Pull from Debian's docker-registry: lines, sharing, resuming, cancelling, bad registries' images. Needs docker-registry and
// gantry-unpack; the last tests root.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { isEngineError } from "../../src/base/errors.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { configOf } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { type PullOptions, pullLines } from "../support/pull-lines.ts";
import { TestRegistry } from "../support/registry.ts";
import { directory, file, tarOf } from "../support/tar.ts";

const oneMiB = 1 << 20;

function kind(expected: Parameters<typeof isEngineError>[1], text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isEngineError(error, expected), String(error));
    assert.match(error.message, text);
    return true;
  };
}

const short = (digest: string): string => digest.slice(7, 19);

describe("docker pull", () => {
  let registry: TestRegistry;
  let room: ImageRoom;
  const small = tarOf(directory("d/"), file("d/x", "hello"));
  const large = tarOf(file("large", randomBytes(3 * oneMiB)));

  before(async () => {
    registry = await TestRegistry.start();
    room = await ImageRoom.open();
  });
  after(async () => {
    await room.close();
    await registry[Symbol.asyncDispose]();
  });

  const pull = (path: string, options?: PullOptions): Promise<string[]> =>
    pullLines(room.images, `${registry.address}/${path}`, options);
  const tagsOf = async (path: string): Promise<string> =>
    (await room.images.resolve(`${registry.address}/${path}`, undefined)).id;
  const whole = async (): Promise<void> => assert.deepEqual(await room.images.check({ repair: false }), []);
  const blobRequests = (digest: string): number =>
    registry.requests.filter(({ method, path }) => method === "GET" && path.includes(digest)).length;

  it("says what dockerd says, the first time and again", async () => {
    const image = await registry.pushImage("one", "1", {
      layers: [{ tar: small }, { tar: large }, { tar: tarOf(file("z", "z")), compression: "zstd" }],
    });
    const [a = "", b = "", c = ""] = image.layers.map(({ digest }) => short(digest));
    const lines = await pull("one:1");
    assert.equal(lines[0], "1: Pulling from one");
    assert.deepEqual(lines.slice(-2), [
      `Digest: ${image.digest}`,
      `Status: Downloaded newer image for ${registry.address}/one:1`,
    ]);
    for (const id of [a, b, c])
      assert.deepEqual(
        lines.filter((line) => line.startsWith(id)).map((line) => line.slice(id.length + 2)),
        ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"],
      );
    assert.deepEqual(
      lines.filter((line) => line.endsWith("Pull complete")),
      [a, b, c].map((id) => `${id}: Pull complete`),
    );
    assert.deepEqual(await pull("one:1"), [
      "1: Pulling from one",
      `Digest: ${image.digest}`,
      `Status: Image is up to date for ${registry.address}/one:1`,
    ]);
    assert.deepEqual(await pull("one", { tag: image.digest }), [
      `${registry.address}/one@${image.digest}: Pulling from one`,
      `Digest: ${image.digest}`,
      `Status: Image is up to date for ${registry.address}/one@${image.digest}`,
    ]);
    const { Id, RepoTags, RepoDigests, RootFS } = await room.images.inspect(`${registry.address}/one:1`);
    assert.equal(Id, image.config.digest);
    assert.deepEqual(RepoTags, [`${registry.address}/one:1`]);
    assert.deepEqual(RepoDigests, [`${registry.address}/one@${image.digest}`]);
    assert.equal(RootFS?.Layers?.length, 3);
    for (const { digest } of image.layers) assert.equal(room.content.has(digest as never), true, "blobs are kept");
    assert.deepEqual(await room.content.read(image.digest as never), image.manifest);
    assert.deepEqual(room.events.at(-1)?.action, "pull");
    assert.equal(room.events.at(-1)?.id, `${registry.address}/one@${image.digest}`);
    await whole();
  });

  it("fetches no layer that is unpacked already", async () => {
    const tar = tarOf(file("shared", randomBytes(1000)));
    const base = await registry.pushImage("base", "1", { layers: [{ tar }] });
    const [shared] = base.layers;
    await registry.pushImage("derived", "1", { layers: [{ tar }, { tar: tarOf(file("more", "more")) }] });
    await pull("base:1");
    const fetched = blobRequests(shared?.digest ?? "");
    const lines = await pull("derived:1");
    assert.ok(lines.includes(`${short(shared?.digest ?? "")}: Already exists`), lines.join("\n"));
    assert.equal(blobRequests(shared?.digest ?? ""), fetched);
    await whole();
  });

  it("moves a tag; the image of before stays, without it", async () => {
    const first = await registry.pushImage("moved", "1", { layers: [{ tar: tarOf(file("v", "1")) }] });
    await pull("moved:1");
    const second = await registry.pushImage("moved", "1", { layers: [{ tar: tarOf(file("v", "2")) }] });
    const lines = await pull("moved:1");
    assert.equal(lines.at(-1), `Status: Downloaded newer image for ${registry.address}/moved:1`);
    assert.equal(await tagsOf("moved:1"), second.config.digest);
    assert.deepEqual((await room.images.inspect(first.config.digest)).RepoTags, []);
    assert.deepEqual((await room.images.inspect(first.config.digest)).RepoDigests, [
      `${registry.address}/moved@${first.digest}`,
    ]);
    await whole();
  });

  it("asks the repository for a digest that is here under another one (T09)", async () => {
    const image = await registry.pushImage("here", "1", { layers: [{ tar: small }] });
    await pull("here:1");
    await assert.rejects(pull(`one@${image.digest}`), kind("NotFound", /manifest for .*\/one@sha256:.* not found/));
    await assert.rejects(pull(`one:1@${image.digest}`), kind("NotFound", /not found/));
    assert.deepEqual((await pull(`here:ignored@${image.digest}`)).slice(1), [
      `Digest: ${image.digest}`,
      `Status: Image is up to date for ${registry.address}/here:ignored@${image.digest}`,
    ]);
  });

  it("pulls all tags, each with its digest", async () => {
    for (const tag of ["a", "b", "c"])
      await registry.pushImage("many", tag, { layers: [{ tar: tarOf(file("v", tag)) }] });
    const listed = JSON.parse((await registry.request("GET", "/v2/many/tags/list")).body.toString()) as {
      tags: string[];
    };
    const lines = await pull("many");
    assert.deepEqual(
      lines.filter((line) => line.includes("Pulling from")),
      listed.tags.map((tag) => `${tag}: Pulling from many`),
    );
    assert.equal(lines.filter((line) => line.startsWith("Digest: ")).length, 3);
    assert.equal(lines.at(-1), `Status: Downloaded newer image for ${registry.address}/many`);
    assert.equal((await pull("many")).at(-1), `Status: Image is up to date for ${registry.address}/many`);
  });

  it("chooses from indexes, also nested ones, and keeps the index", async () => {
    const platform = (architecture: string): unknown => ({ os: "linux", architecture });
    const amd = await registry.pushImage("multi", undefined, { layers: [{ tar: small }] });
    const arm = await registry.pushImage("multi", undefined, {
      layers: [{ tar: tarOf(file("arm", "arm")) }],
      config: { architecture: "arm64" },
    });
    const entry = ({ mediaType, digest, size }: typeof amd, architecture: string): typeof amd & object =>
      ({ mediaType, digest, size, platform: platform(architecture) }) as never;
    const attestation = {
      ...entry(arm, "unknown"),
      platform: { os: "unknown", architecture: "unknown" },
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    };
    const both = await registry.pushIndex("multi", "both", [attestation, entry(arm, "arm64"), entry(amd, "amd64")]);
    const list = await registry.pushIndex("multi", undefined, [entry(amd, "amd64")]);
    await registry.pushIndex("multi", "nested", [{ ...list, platform: platform("amd64") }]);
    await registry.pushIndex("multi", "arm", [entry(arm, "arm64")]);
    let deep = list;
    for (let depth = 0; depth < 5; depth++)
      deep = await registry.pushIndex("multi", depth === 4 ? "deep" : undefined, [
        { ...deep, platform: platform("amd64") },
      ]);
    assert.ok((await pull("multi:both", { platform: "linux/amd64" })).includes(`Digest: ${both.digest}`));
    assert.equal(await tagsOf("multi:both"), amd.config.digest);
    assert.equal(room.content.has(both.digest as never), true);
    const other = await pull("multi:both", { platform: "linux/arm64" });
    assert.equal(other.at(-1), `Status: Downloaded newer image for ${registry.address}/multi:both`);
    assert.equal(await tagsOf("multi:both"), arm.config.digest);
    await pull("multi:nested", { platform: "linux/amd64" });
    assert.equal(await tagsOf("multi:nested"), amd.config.digest);
    const missing = (name: string): RegExp =>
      new RegExp(`^no matching manifest for ${name} in the manifest list entries$`);
    await assert.rejects(pull("multi:both", { platform: "linux/s390x" }), kind("NotFound", missing("linux/s390x")));
    await assert.rejects(pull("multi:arm", { platform: "linux/amd64" }), kind("NotFound", missing("linux/amd64")));
    await assert.rejects(
      pull("multi:deep", { platform: "linux/amd64" }),
      kind("InvalidParameter", /nested too deeply/),
    );
    await whole();
  });

  it("drops the index of before when only that has changed", async () => {
    const image = await registry.pushImage("reindexed", undefined, { layers: [{ tar: small }] });
    const entry = { mediaType: image.mediaType, digest: image.digest, size: image.size };
    const push = (variant: string) =>
      registry.pushIndex("reindexed", "1", [
        { ...entry, platform: { os: "linux", architecture: "amd64" } },
        { ...entry, platform: { os: "linux", architecture: "arm", variant } },
      ]);
    const first = await push("v6");
    await pull("reindexed:1", { platform: "linux/amd64" });
    const second = await push("v7");
    await pull("reindexed:1", { platform: "linux/amd64" });
    assert.equal(room.content.has(first.digest as never), false);
    assert.equal(room.content.has(second.digest as never), true);
    await whole();
  });

  it("warns of another platform than the one asked for", async () => {
    await registry.pushImage("single", "1", { layers: [{ tar: small }], config: { architecture: "s390x" } });
    assert.match(
      (await pull("single:1", { platform: "linux/arm64" })).at(-1) ?? "",
      /^WARNING: image with reference .* was found but its platform \(linux\/s390x\) does not match the specified platform \(linux\/arm64\)$/,
    );
    assert.doesNotMatch((await pull("single:1")).at(-1) ?? "", /WARNING/);
  });

  it("reads Docker's and OCI's media types, gzip, zstd and plain", async () => {
    for (const docker of [true, false]) {
      const layers = (["gzip", "zstd", "none"] as const).map((compression) => ({
        tar: tarOf(file(`${compression}${docker}`, compression)),
        compression,
      }));
      const path = docker ? "types-docker" : "types-oci";
      await registry.pushImage(path, "1", { layers, docker });
      await pull(`${path}:1`);
      const { topLayer } = await room.images.resolve(`${registry.address}/${path}:1`, undefined);
      const dirs = room.snapshots.chainDirs(topLayer as never).toReversed();
      for (const [index, { compression }] of layers.entries())
        assert.equal(readFileSync(join(dirs[index] ?? "", "fs", `${compression}${docker}`), "utf8"), compression);
    }
    await whole();
  });

  it("unpacks a layer that comes twice once, and places it twice", async () => {
    const image = await registry.pushImage("twice", "1", {
      layers: [{ tar: small }, { tar: tarOf(file("between", "")) }, { tar: small }],
    });
    const fetched = blobRequests(image.layers[0]?.digest ?? "");
    await pull("twice:1");
    assert.ok(blobRequests(image.layers[0]?.digest ?? "") - fetched <= 1);
    assert.equal(
      (await room.images.resolve(`${registry.address}/twice:1`, undefined)).config.rootfs.diff_ids.length,
      3,
    );
    await whole();
  });

  it("fetches what four pulls share once", async () => {
    const tars = Array.from({ length: 3 }, () => tarOf(file("f", randomBytes(2 * oneMiB))));
    const images = [];
    for (let n = 0; n < 4; n++)
      images.push(
        await registry.pushImage(`shared${n}`, "1", {
          layers: [...tars.map((tar) => ({ tar })), { tar: tarOf(file("own", String(n))) }],
        }),
      );
    await Promise.all(images.map((_, n) => pull(`shared${n}:1`)));
    for (const { digest } of images[0]?.layers.slice(0, 3) ?? []) assert.equal(blobRequests(digest), 1, digest);
    await whole();
  });

  it("goes on where a connection broke", { timeout: 180_000 }, async () => {
    const image = await registry.pushImage("cut", "1", {
      layers: [{ tar: tarOf(file("f", randomBytes(4 * oneMiB))) }],
    });
    const size = image.layers[0]?.size ?? 0;
    await using proxy = await CuttingProxy.start(registry.port);
    proxy.cutAfter = 1_500_000;
    proxy.cuts = 2;
    const lines = await pullLines(room.images, `${proxy.address}/cut:1`);
    const id = short(image.layers[0]?.digest ?? "");
    assert.ok(lines.includes(`${id}: Retrying in 1 second`), lines.join("\n"));
    assert.ok(proxy.received < size + 300_000, `${proxy.received} bytes for a layer of ${size}`);
    const ranges = registry.requests.filter(({ path, status }) => path.includes(id) && status === 206);
    assert.equal(ranges.length, 2);
    await whole();
  });

  it("stops when its client hangs up, and goes on from there the next time", async () => {
    const image = await registry.pushImage("cancelled", "1", {
      layers: [{ tar: tarOf(file("f", randomBytes(4 * oneMiB))) }],
    });
    const size = image.layers[0]?.size ?? 0;
    await using proxy = await CuttingProxy.start(registry.port);
    proxy.holdAfter = 3 * oneMiB;
    const controller = new AbortController();
    const pulling = pullLines(room.images, `${proxy.address}/cancelled:1`, { signal: controller.signal });
    await proxy.held;
    const path = join(room.dataRoot, "content/ingest", image.layers[0]?.digest.slice(7) ?? "");
    const deadline = performance.now() + 30_000;
    const written = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    while (written() < oneMiB && performance.now() < deadline) await sleep(20);
    const before = proxy.received;
    controller.abort();
    await assert.rejects(pulling, kind("Cancelled", /cancelled/));
    assert.deepEqual(room.remains().tmp, []);
    proxy.holdAfter = Infinity;
    await pullLines(room.images, `${proxy.address}/cancelled:1`);
    assert.ok(proxy.received - before < size - oneMiB + 300_000, `${proxy.received - before} more bytes`);
    await whole();
  });

  it("goes on for the others when one of those who want a blob leaves", async () => {
    const image = await registry.pushImage("two", "1", {
      layers: [{ tar: tarOf(file("f", randomBytes(4 * oneMiB))) }],
    });
    const size = image.layers[0]?.size ?? 0;
    await using proxy = await CuttingProxy.start(registry.port);
    const controller = new AbortController();
    const leaving = pullLines(room.images, `${proxy.address}/two:1`, { signal: controller.signal });
    const staying = pullLines(room.images, `${proxy.address}/two:1`);
    await sleep(5);
    controller.abort();
    const [left] = await Promise.allSettled([leaving, staying]);
    assert.equal((await staying).at(-1), `Status: Downloaded newer image for ${proxy.address}/two:1`);
    assert.ok(proxy.received < size + 300_000, `${proxy.received} bytes for a layer of ${size}`);
    if (left.status === "rejected") assert.ok(isEngineError(left.reason, "Cancelled"));
    await whole();
  });

  it("refuses what is no image, or contradicts itself, naming image or layer; and leaves nothing", async () => {
    const oci = "application/vnd.oci.image.manifest.v1+json";
    const blob = async (bytes: string | Buffer): Promise<{ digest: string; size: number }> => ({
      digest: await registry.pushBlob("bad", Buffer.from(bytes)),
      size: Buffer.byteLength(bytes),
    });
    const manifest = (tag: string, config: object, layers: readonly object[], mediaType = oci): Promise<unknown> =>
      registry.pushManifest(
        "bad",
        tag,
        Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })),
        mediaType,
      );
    const before = room.remains();
    const empty = await blob("{}");
    const tar = tarOf(file("bad", randomBytes(100)));
    const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...(await blob(gzipSync(tar))) };
    const config = { mediaType: "application/vnd.oci.image.config.v1+json", ...(await blob(configOf([tar]))) };
    const docker = "application/vnd.docker.distribution.manifest.v2+json";
    await manifest("artifact", { mediaType: "application/vnd.cncf.helm.config.v1+json", ...empty }, [layer]);
    await manifest("plugin", { mediaType: "application/vnd.docker.plugin.v1+json", ...empty }, [layer], docker);
    await manifest("count", config, []);
    await manifest("type", config, [{ ...layer, mediaType: "text/plain" }]);
    await manifest("size", config, [{ ...layer, size: layer.size + 1 }]);
    await manifest("huge", { ...config, size: 5 * oneMiB }, [layer]);
    await manifest("diffid", { ...config, ...(await blob(configOf([tarOf(file("other", "bad"))]))) }, [layer]);
    const torn = gzipSync(tar).subarray(0, -20);
    await manifest("torn", config, [{ ...layer, ...(await blob(torn)) }]);
    const cases: readonly (readonly [string, Parameters<typeof isEngineError>[1], RegExp])[] = [
      ["artifact", "InvalidParameter", /unsupported media type application\/vnd\.cncf\.helm/],
      [
        "plugin",
        "InvalidParameter",
        /^Encountered remote "application\/vnd.docker.plugin.v1\+json"\(plugin\) when fetching$/,
      ],
      ["count", "InvalidParameter", /layers from manifest don't match image configuration/],
      ["type", "InvalidParameter", /layer 1 of 1 \(sha256:.*unsupported media type text\/plain/],
      ["size", "InvalidParameter", /layer 1 of 1 \(sha256:.*bytes/],
      ["huge", "InvalidParameter", /config sha256:.* more than/],
      ["diffid", "InvalidParameter", /failed to register layer 1 of 1 \(sha256:.*digest mismatch/],
      ["torn", "InvalidParameter", /layer 1 of 1 \(sha256:.*unexpected EOF/],
      ["none", "NotFound", /manifest for .*\/bad:none not found/],
    ];
    for (const [tag, expected, text] of cases) await assert.rejects(pull(`bad:${tag}`), kind(expected, text), tag);
    await assert.rejects(pullLines(room.images, "scratch"), kind("Forbidden", /^'scratch' is a reserved name$/));
    await assert.rejects(pull("bad", { tag: "-" }), kind("InvalidParameter", /^invalid tag format$/));
    assert.deepEqual(room.remains(), before);
    await whole();
  });

  it("notices bytes that are not what the digest says, and the next pull gets the right ones", async () => {
    const image = await registry.pushImage("swapped", "1", { layers: [{ tar: tarOf(file("s", randomBytes(5000))) }] });
    const hex = image.layers[0]?.digest.slice(7) ?? "";
    const path = join(registry.dir, "data/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    const right = readFileSync(path);
    writeFileSync(path, randomBytes(right.length));
    await assert.rejects(pull("swapped:1"), kind("InvalidParameter", /layer 1 of 1/));
    assert.equal(room.content.isIngested(image.layers[0]?.digest as never), false);
    writeFileSync(path, right);
    await pull("swapped:1");
    await whole();
  });

  it("starts over when what an earlier fetch left behind is damaged", async () => {
    const image = await registry.pushImage("damaged", "1", {
      layers: [{ tar: tarOf(file("s", randomBytes(2 * oneMiB))) }],
    });
    const hex = image.layers[0]?.digest.slice(7) ?? "";
    writeFileSync(join(room.dataRoot, "content/ingest", hex), randomBytes(oneMiB));
    await pull("damaged:1");
    await whole();
  });

  it("brings back a blob and a layer that were lost", async () => {
    const image = await registry.pushImage("lost", "1", { layers: [{ tar: tarOf(file("s", randomBytes(5000))) }] });
    await pull("lost:1");
    const { topLayer } = await room.images.resolve(`${registry.address}/lost:1`, undefined);
    const [dir = ""] = room.snapshots.chainDirs(topLayer as never);
    const blob = join(room.dataRoot, "content/blobs/sha256", image.config.digest.slice(7));
    truncateSync(blob, 1);
    rmSync(dir, { recursive: true });
    room = await room.reopen();
    assert.notDeepEqual(await room.images.check({ repair: false }), []);
    await pull("lost:1");
    assert.equal(statSync(blob).size, image.config.size);
    const again = await room.images.resolve(`${registry.address}/lost:1`, undefined);
    assert.ok(existsSync(join(room.snapshots.chainDirs(again.topLayer as never)[0] ?? "", "fs/s")));
    await whole();
  });
});

describe("docker pull from a registry with passwords", () => {
  it("uses the request's credentials", async () => {
    await using registry = await TestRegistry.start({ user: { name: "u", password: "p" } });
    const room = await ImageRoom.open();
    try {
      await registry.pushImage("private", "1", { layers: [{ tar: tarOf(file("x", "x")) }] });
      const credentials = {
        username: "u",
        password: "p",
        identityToken: "",
        registryToken: "",
        serverAddress: registry.address,
      };
      const image = `${registry.address}/private:1`;
      await assert.rejects(pullLines(room.images, image), /no basic auth credentials|denied|unauthorized/i);
      await assert.rejects(pullLines(room.images, image, { credentials: { ...credentials, password: "wrong" } }));
      assert.match((await pullLines(room.images, image, { credentials })).at(-1) ?? "", /Downloaded newer image/);
    } finally {
      await room.close();
    }
  });
});

describe("kill -9 in the middle of a pull", () => {
  const start = (dataRoot: string, image: string, env: Readonly<Record<string, string>> = {}): ChildProcess =>
    spawn(process.execPath, [join(import.meta.dirname, "../support/pull-once.ts"), dataRoot, image], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });

  it("leaves what was fetched to the next pull", { timeout: 180_000 }, async () => {
    await using registry = await TestRegistry.start();
    await using proxy = await CuttingProxy.start(registry.port);
    const root = mkdtempSync(join(tmpdir(), "gantry-pull-kill-"));
    try {
      const image = await registry.pushImage("killed", "1", {
        layers: [{ tar: tarOf(file("f", randomBytes(8 * oneMiB))) }, { tar: tarOf(file("g", randomBytes(oneMiB))) }],
      });
      const total = image.layers.reduce((sum, { size }) => sum + size, 0);
      proxy.holdAfter = 6 * oneMiB;
      const child = start(root, `${proxy.address}/killed:1`);
      await proxy.held;
      const deadline = performance.now() + 30_000;
      const bytes = (): number =>
        readdirSync(join(root, "content/ingest")).reduce(
          (sum, name) => sum + statSync(join(root, "content/ingest", name)).size,
          0,
        );
      while (bytes() < 4 * oneMiB && performance.now() < deadline) await sleep(20);
      child.kill("SIGKILL");
      await once(child, "exit");
      proxy.holdAfter = Infinity;
      const before = proxy.received;
      const kept = bytes();
      assert.ok(kept >= 4 * oneMiB, `${kept} bytes were kept`);
      const room = await ImageRoom.open({ dataRoot: root });
      await pullLines(room.images, `${proxy.address}/killed:1`);
      assert.ok(proxy.received - before <= total - kept + 300_000, `${proxy.received - before} more bytes came`);
      assert.deepEqual(await room.images.check({ repair: false }), []);
      assert.deepEqual(readdirSync(join(root, "content/ingest")), []);
      await room.store.close();
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  for (const point of ["fetched", "placed", "written", "committed"])
    it(`at images.pull.${point} leaves the image whole or not there, and nothing to fetch again`, async () => {
      await using registry = await TestRegistry.start();
      const root = mkdtempSync(join(tmpdir(), "gantry-pull-kill-"));
      const contents = randomBytes(oneMiB);
      try {
        const image = await registry.pushImage("killed", "1", {
          layers: [{ tar: tarOf(file("f", contents)) }, { tar: tarOf(file("g", "g")) }],
        });
        const name = `${registry.address}/killed:1`;
        const child = start(root, name, { GANTRY_FAILPOINTS: `images.pull.${point}=kill9` });
        const [, signal] = (await once(child, "exit")) as [number | null, string | null];
        assert.equal(signal, "SIGKILL");
        const room = await ImageRoom.open({ dataRoot: root });
        assert.deepEqual(await room.images.check({ repair: false }), []);
        assert.deepEqual(room.remains().tmp, []);
        assert.equal(room.images.count(), point === "committed" ? 1 : 0);
        await pullLines(room.images, name);
        for (const { digest } of image.layers)
          assert.equal(
            registry.requests.filter(({ path }) => path.endsWith(digest)).filter(({ method }) => method === "GET")
              .length,
            1,
          );
        assert.deepEqual(await room.images.check({ repair: false }), []);
        const { id, topLayer } = await room.images.resolve(name, undefined);
        assert.equal(id, image.config.digest);
        const bottom = room.snapshots.chainDirs(topLayer as never).at(-1) ?? "";
        assert.deepEqual(readFileSync(join(bottom, "fs/f")), contents);
        await room.store.close();
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    });
});

describe("pull onto a disk that is too small", () => {
  it("names the layer, leaves nothing behind, and works when there is space", { timeout: 180_000 }, async () => {
    await using registry = await TestRegistry.start();
    await registry.pushImage("full", "1", {
      layers: Array.from({ length: 3 }, () => ({ tar: tarOf(file("f", randomBytes(16 * oneMiB))) })),
    });
    const root = mkdtempSync(join(tmpdir(), "gantry-pull-full-"));
    try {
      // A file system that only this process sees. The engine keeps 64 MiB of it in reserve.
      const script = [
        'mount -t tmpfs -o size=92m none "$1"',
        'if "$2" "$3" "$1" "$4"; then exit 3; fi',
        'if find "$1/tmp" "$1/snapshots" "$1/content/blobs/sha256" -mindepth 1 | grep .; then exit 4; fi',
        'mount -o remount,size=500m "$1"',
        '"$2" "$3" "$1" "$4"',
      ].join("\n");
      const program = join(import.meta.dirname, "../support/pull-once.ts");
      const namespace = ["--mount", "--propagation", "private", "sh", "-ec", script, "sh"];
      const child = spawn("unshare", [...namespace, root, process.execPath, program, `${registry.address}/full:1`]);
      let said = "";
      child.stdout.on("data", (chunk: Buffer) => void (said += String(chunk)));
      child.stderr.on("data", (chunk: Buffer) => void (said += String(chunk)));
      const [code] = (await once(child, "close")) as [number | null];
      assert.equal(code, 0, said);
      assert.match(said, /layer \d of 3 \(sha256:[0-9a-f]{64}\): .*no space left on device/i);
      assert.match(said, /Status: Downloaded newer image for/);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
