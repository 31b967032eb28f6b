// docker push to Debian's docker-registry: what is uploaded, what is not, and what others make of it. Needs root, and the
// packages docker-registry, apache2-utils, skopeo and podman.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type TestDaemon, startDaemon } from "../support/daemon.ts";
import { OciLayout, configOf, dockerArchive, named, sha256 } from "../support/image-archives.ts";
import { type RegistryAnswer, type TestImage, TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

interface Line {
  readonly status?: string;
  readonly id?: string;
  readonly aux?: { readonly Tag: string; readonly Digest: string; readonly Size: number };
  readonly error?: string;
}

/** Layers of bytes that no compression makes smaller, with names of their own. */
function layersOf(count: number, bytes: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => tarOf(file(`file-${index}`, randomBytes(bytes))));
}

async function load(daemon: TestDaemon, layers: readonly Uint8Array[], ...tags: readonly string[]): Promise<string> {
  const config = configOf(layers, { config: { Labels: { made: "by a test" } } });
  const answer = await daemon.api("POST", "/images/load?quiet=1", dockerArchive([{ config, layers, tags }]));
  assert.ok(answer.status === 200 && !answer.text.includes("errorDetail"), answer.text);
  return `sha256:${sha256(config)}`;
}

/** The lines of a push without its progress bars. */
async function push(daemon: TestDaemon, name: string, tag?: string): Promise<readonly Line[]> {
  const answer = await daemon.api("POST", `/images/${name}/push${tag === undefined ? "" : `?tag=${tag}`}`);
  assert.equal(answer.status, 200, answer.text);
  const lines = answer.text.split("\r\n").filter((line) => line !== "");
  return lines
    .map((line) => JSON.parse(line) as Line & { progress?: string })
    .filter((line) => line.progress === undefined);
}

async function pushed(daemon: TestDaemon, name: string, tag: string): Promise<string> {
  const lines = await push(daemon, name, tag);
  const aux = lines.at(-1)?.aux;
  assert.ok(aux !== undefined, JSON.stringify(lines));
  return aux.Digest;
}

function statuses(lines: readonly Line[]): string[] {
  return lines.filter(({ id }) => id !== undefined).map(({ status, id }) => `${id} ${status}`);
}

function manifest(registry: TestRegistry, repository: string, reference: string): Promise<RegistryAnswer> {
  const accept = ["application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"];
  return registry.request("GET", `/v2/${repository}/manifests/${reference}`, {
    headers: { accept: accept.join(", ") },
  });
}

/** Requests that began an upload since `from`, mounts included. */
function uploads(registry: TestRegistry, from: number): string[] {
  const begun = registry.requests.slice(from).filter(({ method }) => method === "POST");
  return begun.map(({ path, status }) => `${status} ${path.replace(/\?.*/, "?…")}`);
}

async function noFindings(daemon: TestDaemon): Promise<void> {
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
}

describe("push", () => {
  test("a loaded image: every layer once, a Docker manifest, a RepoDigest; again it uploads nothing", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    const name = `${registry.address}/team/app`;
    const [a, b] = layersOf(2, 100_000) as [Buffer, Buffer];
    // The same layer twice is uploaded once.
    const id = await load(daemon, [a, b, a], `${name}:1`);
    const [idA, idB] = [sha256(a).slice(0, 12), sha256(b).slice(0, 12)];
    const lines = await push(daemon, name, "1");
    assert.deepEqual(lines[0], { status: `The push refers to repository [${name}]` });
    assert.deepEqual(statuses(lines).slice(0, 3), [`${idA} Preparing`, `${idB} Preparing`, `${idA} Preparing`]);
    assert.deepEqual(statuses(lines).slice(3).sort(), [`${idA} Pushed`, `${idB} Pushed`].sort());
    const answer = await manifest(registry, "team/app", "1");
    const digest = `sha256:${sha256(answer.body)}`;
    assert.deepEqual(lines.slice(-2), [
      { status: `1: digest: ${digest} size: ${answer.body.length}` },
      { progressDetail: {}, aux: { Tag: "1", Digest: digest, Size: answer.body.length } },
    ]);
    const { config, layers } = JSON.parse(answer.body.toString()) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    assert.equal(config.digest, id);
    assert.deepEqual(
      layers.map((layer) => layer.digest === layers[0]?.digest),
      [true, false, true],
    );
    assert.deepEqual(((await daemon.api("GET", `/images/${id}/json`)).json as { RepoDigests: string[] }).RepoDigests, [
      `${name}@${digest}`,
    ]);
    const before = registry.requests.length;
    assert.equal(await pushed(daemon, name, "1"), digest);
    assert.deepEqual(uploads(registry, before), []);
    const until = Math.ceil(Date.now() / 1000) + 1;
    const events = await daemon.api("GET", `/events?since=1&until=${until}&filters={"event":["push"]}`);
    const attributes = { made: "by a test", name };
    assert.ok(events.text.includes(JSON.stringify({ ID: `${name}:1`, Attributes: attributes })), events.text);
    await noFindings(daemon);
  });

  test("the second push is the same to the byte in another registry, after a restart as well", async () => {
    await using daemon = await startDaemon();
    await using first = await TestRegistry.start({ netns: daemon.netns });
    await using second = await TestRegistry.start({ netns: daemon.netns });
    const id = await load(daemon, layersOf(3, 50_000), `${first.address}/x:1`, `${second.address}/y:1`);
    const digest = await pushed(daemon, `${first.address}/x`, "1");
    await daemon.kill9();
    await daemon.start();
    assert.equal(await pushed(daemon, `${second.address}/y`, "1"), digest);
    assert.deepEqual((await manifest(first, "x", "1")).body, (await manifest(second, "y", "1")).body);
    const { RepoDigests } = (await daemon.api("GET", `/images/${id}/json`)).json as { RepoDigests: string[] };
    assert.deepEqual(RepoDigests, [`${first.address}/x@${digest}`, `${second.address}/y@${digest}`].sort());
  });

  test("an imported image is pulled by podman and skopeo with the same config", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    const name = `${registry.address}/imported:1`;
    const archive = tarOf(file("hello", "hello"), file("zeros", Buffer.alloc(300_000)));
    const imported = await daemon.api("POST", `/images/create?fromSrc=-&repo=${name}`, archive);
    const id = (JSON.parse(imported.text) as { status: string }).status;
    const digest = await pushed(daemon, name.slice(0, -2), "1");
    const dir = mkdtempSync(join(tmpdir(), "gantry-podman-"));
    try {
      const podman = ["podman", "--root", join(dir, "root"), "--runroot", join(dir, "run"), "--storage-driver", "vfs"];
      const pulled = await daemon.inNamespace([...podman, "pull", "-q", "--tls-verify=false", name]);
      assert.equal(pulled.stdout.trim(), id.slice("sha256:".length), pulled.stderr);
      const inspect = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${name}`];
      assert.equal((await daemon.inNamespace(inspect)).stdout.trim(), digest);
      const copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", `docker://${name}`, `dir:${join(dir, "copy")}`];
      assert.equal((await daemon.inNamespace(copy)).code, 0);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test("layers are mounted from another repository of the registry, and only the config is uploaded", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    await load(daemon, layersOf(3, 50_000), `${registry.address}/one:1`, `${registry.address}/two:1`);
    await push(daemon, `${registry.address}/one`, "1");
    const before = registry.requests.length;
    const lines = await push(daemon, `${registry.address}/two`, "1");
    const mounted = statuses(lines).filter((line) => line.endsWith(" Mounted from one"));
    assert.equal(mounted.length, 3, JSON.stringify(lines));
    assert.deepEqual(uploads(registry, before), [
      ...mounted.map(() => "201 /v2/two/blobs/uploads/?…"),
      "202 /v2/two/blobs/uploads/",
    ]);
  });

  test("without a tag all of the repository's are pushed, and one event tells of it", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    const name = `${registry.address}/all`;
    await load(daemon, layersOf(1, 1000), `${name}:b`, `${name}:a`, `${registry.address}/other:c`);
    await load(daemon, layersOf(1, 2000), `${name}:c`);
    const result = await daemon.docker(["push", "-a", name]);
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(
      [...result.stdout.matchAll(/^(\w): digest: sha256:[0-9a-f]{64} size: \d+$/gm)].map((match) => match[1]),
      ["a", "b", "c"],
    );
    const tags = await registry.request("GET", "/v2/all/tags/list");
    assert.deepEqual((JSON.parse(tags.body.toString()) as { tags: string[] }).tags.toSorted(), ["a", "b", "c"]);
    const until = Math.ceil(Date.now() / 1000) + 1;
    const events = await daemon.api("GET", `/events?since=1&until=${until}&filters={"event":["push"]}`);
    const { Type, Actor } = events.json as { readonly Type: string; readonly Actor: unknown };
    assert.deepEqual({ Type, Actor }, { Type: "image", Actor: { ID: name, Attributes: { name } } });
  });

  test("a loaded layout with plain layers keeps its manifest: the layers' tars are put together again", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    const name = `${registry.address}/team/plain`;
    const layers = layersOf(2, 9_000_000);
    const layout = new OciLayout();
    const config = configOf(layers);
    const loaded = await daemon.api(
      "POST",
      "/images/load?quiet=1",
      layout.tar([layout.image(config, layers, { more: named(`${name}:1`) })]),
    );
    assert.ok(loaded.status === 200 && !loaded.text.includes("errorDetail"), loaded.text);
    await pushed(daemon, name, "1");
    const { body } = await manifest(registry, "team/plain", "1");
    assert.deepEqual(
      (JSON.parse(body.toString()) as { layers: { digest: string }[] }).layers.map(({ digest }) => digest),
      layers.map((layer) => `sha256:${sha256(layer)}`),
    );
    await noFindings(daemon);
  });

  test("a broken connection is resumed", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    // Debian's registry forgets an upload whose first request broke off; it goes on with one that came in pieces.
    const cuts = [6_000_000, 20_000_000];
    await using proxy = await TcpProxy.start({ netns: daemon.netns, port: registry.port, cuts });
    const name = `${proxy.address}/broken`;
    await load(daemon, layersOf(1, 30_000_000), `${name}:1`);
    const digest = await pushed(daemon, name, "1");
    assert.equal(`sha256:${sha256((await manifest(registry, "broken", "1")).body)}`, digest);
    // Begun anew once, not twice; and one for the config.
    assert.equal(uploads(registry, 0).length, 3);
  });

  test("two pushes of the same image at once upload its layers once", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    await using proxy = await TcpProxy.start({ netns: daemon.netns, port: registry.port, bytesPerSecond: 2_000_000 });
    const name = `${proxy.address}/twice`;
    await load(daemon, layersOf(2, 500_000), `${name}:1`, `${name}:2`);
    const [one, two] = await Promise.all([pushed(daemon, name, "1"), pushed(daemon, name, "2")]);
    assert.equal(one, two);
    assert.equal(uploads(registry, 0).length, 3);
  });

  test("a daemon that is killed in the middle of a push leaves nothing, and the next push succeeds", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    await using proxy = await TcpProxy.start({ netns: daemon.netns, port: registry.port, bytesPerSecond: 500_000 });
    const name = `${proxy.address}/killed`;
    await load(daemon, layersOf(2, 2_000_000), `${name}:1`);
    const broken = daemon.api("POST", `/images/${name}/push?tag=1`).catch(() => undefined);
    while (!registry.requests.some(({ method }) => method === "POST")) await sleep(20);
    await daemon.kill9();
    await broken;
    await daemon.start();
    await noFindings(daemon);
    await daemon.dockerOk(["tag", `${name}:1`, `${registry.address}/killed:1`]);
    const digest = await pushed(daemon, `${registry.address}/killed`, "1");
    assert.equal(`sha256:${sha256((await manifest(registry, "killed", "1")).body)}`, digest);
    await noFindings(daemon);
  });

  test("an image that is deleted while it is pushed is gone at once, is pushed to its end, and leaves nothing", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    await using proxy = await TcpProxy.start({ netns: daemon.netns, port: registry.port, bytesPerSecond: 1_000_000 });
    const name = `${proxy.address}/deleted`;
    const id = await load(daemon, layersOf(2, 1_000_000), `${name}:1`);
    const pushing = pushed(daemon, name, "1");
    while (!registry.requests.some(({ method }) => method === "POST")) await sleep(20);
    assert.equal((await daemon.api("DELETE", `/images/${id}?force=1`)).status, 200);
    assert.equal((await daemon.api("GET", `/images/${id}/json`)).status, 404);
    const digest = await pushing;
    assert.equal((await manifest(registry, "deleted", digest)).status, 200);
    await noFindings(daemon);
  });

  test("a client that hangs up ends the push", async () => {
    await using daemon = await startDaemon();
    await using registry = await TestRegistry.start({ netns: daemon.netns });
    await using proxy = await TcpProxy.start({ netns: daemon.netns, port: registry.port, bytesPerSecond: 200_000 });
    const name = `${proxy.address}/left`;
    await load(daemon, layersOf(1, 4_000_000), `${name}:1`);
    const result = await daemon.docker(["push", `${name}:1`], { timeoutMs: 3000 });
    assert.notEqual(result.code, 0);
    await sleep(500);
    // The lock of the layer is free again: another push does not wait for the first.
    await daemon.dockerOk(["tag", `${name}:1`, `${registry.address}/left:1`]);
    await pushed(daemon, `${registry.address}/left`, "1");
    assert.equal((await manifest(registry, "left", "1")).status, 200);
  });
});

describe("credentials", () => {
  test("docker login and push with the right password, dockerd's words without or with a wrong one", async () => {
    await using daemon = await startDaemon();
    const user = { name: "alice", password: "correct-horse-battery" };
    await using registry = await TestRegistry.start({ netns: daemon.netns, user });
    const name = `${registry.address}/private:1`;
    await load(daemon, layersOf(1, 1000), name);
    const lines = await push(daemon, name.slice(0, -2), "1");
    assert.equal(lines.at(-1)?.error, "no basic auth credentials");
    const wrong = await daemon.docker(["login", "-u", "alice", "--password-stdin", registry.address], {
      input: "wrong",
    });
    assert.notEqual(wrong.code, 0);
    assert.match(
      wrong.stderr,
      new RegExp(`login attempt to http://${registry.address}/v2/ failed with status: 401 Unauthorized`),
    );
    const auth = (password: string) => ({ username: "alice", password, serveraddress: registry.address });
    const refused = await daemon.api("POST", "/auth", auth("wrong"));
    assert.equal(refused.status, 401);
    assert.deepEqual((await daemon.api("POST", "/auth", auth(user.password))).json, {
      Status: "Login Succeeded",
      IdentityToken: "",
    });
    const login = ["login", "-u", user.name, "--password-stdin", registry.address];
    assert.match(await daemon.dockerOk(login, { input: user.password }), /Login Succeeded/);
    assert.match(await daemon.dockerOk(["push", name]), /1: digest: sha256:/);
    // The right password was for that request alone.
    const inspected = await daemon.api("GET", `/distribution/${name}/json`);
    const message = `Head "http://${registry.address}/v2/private/manifests/1": no basic auth credentials`;
    assert.deepEqual([inspected.status, inspected.json], [401, { message }]);
    assert.equal(daemon.log.includes(user.password), false);
  });
});

describe("pulled and pushed elsewhere", () => {
  const layer = (text: string): Buffer => tarOf(file(text, text.repeat(1000)));
  const images: Readonly<Record<string, TestImage>> = {
    "OCI with annotations": { layers: [{ tar: layer("a") }, { tar: layer("b") }], annotations: { "org.example": "x" } },
    "zstd layers": { layers: [{ tar: layer("c"), compression: "zstd" }] },
    "plain layers": { layers: [{ tar: layer("d"), compression: "none" }] },
    "Docker schema 2": { layers: [{ tar: layer("e") }, { tar: layer("f") }], docker: true },
  };
  for (const [what, image] of Object.entries(images)) {
    test(`${what}: the same manifest to the byte, and the same digest`, async () => {
      await using daemon = await startDaemon();
      await using source = await TestRegistry.start({ netns: daemon.netns });
      await using target = await TestRegistry.start({ netns: daemon.netns });
      const original = await source.pushImage("lib/x", "1", image);
      await daemon.dockerOk(["pull", `${source.address}/lib/x:1`]);
      await daemon.dockerOk(["tag", `${source.address}/lib/x:1`, `${target.address}/copy:1`]);
      assert.equal(await pushed(daemon, `${target.address}/copy`, "1"), original.digest);
      assert.deepEqual((await manifest(target, "copy", "1")).body, original.manifest);
      for (const { digest } of original.layers)
        assert.equal((await target.request("HEAD", `/v2/copy/blobs/${digest}`)).status, 200);
      await noFindings(daemon);
    });
  }

  test("layers that were not downloaded and cannot be had make a new manifest, which is the image's from then on", async () => {
    await using daemon = await startDaemon();
    await using source = await TestRegistry.start({ netns: daemon.netns });
    await using target = await TestRegistry.start({ netns: daemon.netns });
    const layers = layersOf(2, 50_000);
    const original = await source.pushImage("lib/x", "1", {
      layers: layers.map((tar) => ({ tar })),
      config: { author: "somebody else than of local:1" },
    });
    // The layers are here before the pull, which therefore downloads none.
    await load(daemon, layers, "local:1");
    assert.match(await daemon.dockerOk(["pull", `${source.address}/lib/x:1`]), /Already exists/);
    await daemon.dockerOk(["tag", `${source.address}/lib/x:1`, `${target.address}/copy:1`]);
    await daemon.dockerOk(["tag", `${source.address}/lib/x:1`, `${target.address}/other:1`]);
    await source.down();
    const lines = await push(daemon, `${target.address}/copy`, "1");
    const made = lines.at(-1)?.aux?.Digest;
    assert.ok(made !== undefined && made !== original.digest, JSON.stringify(lines));
    assert.ok(lines.some(({ status }) => status?.includes("neither here nor in reach")));
    await source.up();
    // What was made stays the image's: it is complete here.
    assert.equal(await pushed(daemon, `${target.address}/other`, "1"), made);
    await noFindings(daemon);
  });

  test("a layer that was not downloaded is fetched for a push to another registry", async () => {
    await using daemon = await startDaemon();
    await using source = await TestRegistry.start({ netns: daemon.netns });
    await using target = await TestRegistry.start({ netns: daemon.netns });
    const layers = layersOf(2, 50_000);
    const original = await source.pushImage("lib/x", "1", { layers: layers.map((tar) => ({ tar })) });
    await load(daemon, layers.slice(0, 1), "local:1");
    await daemon.dockerOk(["pull", `${source.address}/lib/x:1`]);
    await daemon.dockerOk(["tag", `${source.address}/lib/x:1`, `${target.address}/copy:1`]);
    const lines = await push(daemon, `${target.address}/copy`, "1");
    assert.equal(lines.at(-1)?.aux?.Digest, original.digest, JSON.stringify(lines));
    assert.ok(lines.some(({ status }) => status === `Fetching from ${source.address}/lib/x`));
    await noFindings(daemon);
  });

  test("pushed back to where it came from nothing is uploaded", async () => {
    await using daemon = await startDaemon();
    await using source = await TestRegistry.start({ netns: daemon.netns });
    const layers = layersOf(2, 50_000);
    const original = await source.pushImage("lib/x", "1", { layers: layers.map((tar) => ({ tar })) });
    await load(daemon, layers, "local:1");
    await daemon.dockerOk(["pull", `${source.address}/lib/x:1`]);
    await daemon.dockerOk(["tag", `${source.address}/lib/x:1`, `${source.address}/lib/x:2`]);
    const before = source.requests.length;
    assert.equal(await pushed(daemon, `${source.address}/lib/x`, "2"), original.digest);
    assert.deepEqual(uploads(source, before), []);
  });
});
