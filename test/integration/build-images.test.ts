// Images into builds and out of them, with `gantry build`, a real daemon and Debian's docker-registry: base images by tag, digest and
// platform, private ones, what goes wrong with them, pushes and archives of one and several platforms, reproducible builds, caches.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cliArgv } from "../support/cli.ts";
import { type CommandResult, runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";

const user = { name: "me", password: "pw" };

let daemon: TestDaemon;
let registry: TestRegistry;
let closed: TestRegistry;
let directory: string;
before(async () => {
  daemon = await startDaemon();
  registry = await TestRegistry.start({ netns: daemon.netns });
  closed = await TestRegistry.start({ netns: daemon.netns, user });
  directory = mkdtempSync(join(tmpdir(), "build-images-"));
  for (const name of ["context", "anonymous", "trusted"]) mkdirSync(join(directory, name));
  const auth = Buffer.from(`${user.name}:${user.password}`).toString("base64");
  writeFileSync(join(directory, "trusted/config.json"), JSON.stringify({ auths: { [closed.address]: { auth } } }));
  writeFileSync(join(directory, "context/file"), "data\n");
});
after(async () => {
  rmSync(directory, { recursive: true, force: true });
  await closed[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
});

/** `gantry build` of a Dockerfile in the context directory. */
function build(
  dockerfile: string,
  args: readonly string[] = [],
  options: { readonly on?: TestDaemon; readonly config?: string; readonly epoch?: string } = {},
): Promise<CommandResult> {
  const { on = daemon, config = "anonymous", epoch } = options;
  const env = {
    DOCKER_HOST: `unix://${on.socket}`,
    DOCKER_CONTEXT: "",
    DOCKER_CONFIG: join(directory, config),
    ...(epoch !== undefined && { SOURCE_DATE_EPOCH: epoch }),
  };
  const argv = [...cliArgv(), "build", "--progress=plain", "-f", "-", ...args, join(directory, "context")];
  return runCommand(argv, { env, input: dockerfile, timeoutMs: 60_000 });
}

async function built(...request: Parameters<typeof build>): Promise<string> {
  const { code, stdout, stderr } = await build(...request);
  assert.equal(code, 0, stderr);
  return stdout + stderr;
}

async function refused(...request: Parameters<typeof build>): Promise<string> {
  const { code, stderr } = await build(...request);
  assert.notEqual(code, 0, "the build succeeded");
  return stderr;
}

const idOf = (name: string, on = daemon): Promise<string> => on.dockerOk(["inspect", "-f", "{{.Id}}", name]);

/** An image with one file that says what it is. */
const imageOf = (text: string, architecture = "amd64") => ({
  layers: [{ tar: tarOf(file("what", text), file(text.replaceAll(" ", "-"), "")) }],
  config: { architecture },
});

const documentTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** A document that the registry has. */
async function manifestOf(repository: string, reference: string): Promise<{ digest: string; document: OciDocument }> {
  const accept = documentTypes;
  const answer = await registry.request("GET", `/v2/${repository}/manifests/${reference}`, { headers: { accept } });
  assert.equal(answer.status, 200, answer.body.toString());
  const digest = String(answer.headers["docker-content-digest"]);
  return { digest, document: JSON.parse(answer.body.toString()) as OciDocument };
}

interface OciDocument {
  readonly manifests: readonly { digest: string; platform: { architecture: string }; annotations?: object }[];
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly mediaType: string }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

test("a base image comes from a registry by tag and by digest, and one vertex tells its pull", async () => {
  const pushed = await registry.pushImage("base", "1", imageOf("base one"));
  const from = `${registry.address}/base`;
  const told = await built(`FROM ${from}:1\nCOPY file /file\n`, ["-t", "from:tag"]);
  assert.equal(told.match(/\] load metadata for/g)?.length, 1, told);
  assert.match(told, new RegExp(`${pushed.layers[0]?.digest.slice(7, 19) ?? ""}.* done`));
  const [config] = JSON.parse(await daemon.dockerOk(["inspect", "from:tag"])) as [{ RootFS: { Layers: string[] } }];
  assert.equal(config.RootFS.Layers.length, 2);
  await built(`FROM ${from}@${pushed.digest}\nCOPY file /file\n`, ["-t", "from:digest"]);
  assert.equal(await idOf("from:digest"), await idOf("from:tag"));
});

test("--pull asks the registry for a newer image, and without it the image that is here is taken", async () => {
  const from = `${registry.address}/moving:1`;
  await registry.pushImage("moving", "1", imageOf("old"));
  await built(`FROM ${from}\nLABEL a=b\n`, ["-t", "moving:old"]);
  await registry.pushImage("moving", "1", imageOf("new"));
  await built(`FROM ${from}\nLABEL a=b\n`, ["-t", "moving:same"]);
  assert.equal(await idOf("moving:same"), await idOf("moving:old"));
  await built(`FROM ${from}\nLABEL a=b\n`, ["--pull", "-t", "moving:new"]);
  assert.notEqual(await idOf("moving:new"), await idOf("moving:old"));
});

test("of an index each platform gets its own image, in one build as well, and the tag keeps to this host's", async () => {
  const manifests = [];
  for (const architecture of ["amd64", "arm64"]) {
    const {
      config: _,
      layers: __,
      manifest: ___,
      ...pushed
    } = await registry.pushImage("multi", undefined, imageOf(architecture, architecture));
    manifests.push({ ...pushed, platform: { os: "linux", architecture } });
  }
  await registry.pushIndex("multi", "1", manifests);
  const from = `FROM ${registry.address}/multi:1\nCOPY file /file\n`;
  const platforms = ["--platform", "linux/amd64,linux/arm64"];
  await built(from, [...platforms, "-t", `${registry.address}/out:1`, "--push"]);
  const { document } = await manifestOf("out", "1");
  const found = document.manifests.map(({ platform }) => platform.architecture);
  assert.deepEqual(found, ["amd64", "arm64"]);
  for (const { digest, platform } of document.manifests) {
    const { document: manifest } = await manifestOf("out", digest);
    const config = await registry.request("GET", `/v2/out/blobs/${manifest.config.digest}`);
    assert.equal((JSON.parse(config.body.toString()) as typeof platform).architecture, platform.architecture);
    assert.equal(manifest.layers.length, 2);
  }
  const tagged = ["inspect", "-f", "{{.Architecture}}", `${registry.address}/multi:1`];
  assert.equal(await daemon.dockerOk(tagged), "amd64");
  const archive = join(directory, "both.tar");
  await built(from, [...platforms, "-o", `type=oci,dest=${archive}`]);
  const listed = execFileSync("tar", ["-xOf", archive, "index.json"], { encoding: "utf8" });
  const index = (JSON.parse(listed) as OciDocument).manifests[0]?.digest.slice("sha256:".length) ?? "";
  const inside = execFileSync("tar", ["-xOf", archive, `blobs/sha256/${index}`], { encoding: "utf8" });
  assert.deepEqual(
    (JSON.parse(inside) as OciDocument).manifests.map(({ platform }) => platform.architecture),
    ["amd64", "arm64"],
  );
  assert.match(await refused(from, ["--platform", "linux/riscv64"]), /no match for platform in manifest: not found/);
});

test("an image of another platform without an index is taken with a warning, as BuildKit does", async () => {
  await registry.pushImage("single", "1", imageOf("single"));
  const told = await built(`FROM ${registry.address}/single:1\nLABEL a=b\n`, ["--platform", "linux/arm64"]);
  assert.match(told, /InvalidBaseImagePlatform: .*pulled with platform "linux\/amd64", expected "linux\/arm64"/);
});

test("a step of a platform that this host cannot execute says so", async () => {
  const named = `exec format error: programs of linux/s390x cannot run on this host`;
  const told = await refused('FROM scratch\nCOPY file /file\nRUN ["/file"]\n', ["--platform", "linux/s390x"]);
  assert.ok(told.includes(named), told);
  assert.match(told, /3 \| >>> RUN/);
});

test("a private base image needs the client's credentials", async () => {
  await closed.pushImage("private", "1", imageOf("private"));
  const dockerfile = `FROM ${closed.address}/private:1\nCOPY file /file\n`;
  assert.match(
    await refused(dockerfile),
    /pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth/,
  );
  await built(dockerfile, [], { config: "trusted" });
});

test("images that are not there are named with the line, and registries that do not answer with the reason", async () => {
  const missing = `${registry.address}/base:none`;
  const told = await refused(`FROM scratch AS a\nFROM ${missing}\n`);
  assert.ok(told.includes(`failed to resolve source metadata for ${missing}: ${missing}: not found`), told);
  assert.match(told, /2 \| >>> FROM/);
  assert.match(
    await refused("FROM 127.0.0.1:1/x\n"),
    /failed to resolve source metadata for 127\.0\.0\.1:1\/x:latest: failed to do request: .*connection refused/,
  );
});

test("a base image that is deleted during the build is there until its end", async () => {
  const name = `${registry.address}/gone:1`;
  await registry.pushImage("gone", "1", imageOf("gone"));
  const running = built(
    `FROM busybox AS slow\nRUN sleep 2\nFROM ${name} AS gone\nFROM slow\nCOPY --from=gone /what /what\n`,
  );
  const deadline = performance.now() + 30_000;
  while ((await daemon.docker(["inspect", name])).code !== 0)
    assert.ok(performance.now() < deadline, "the image was never pulled");
  await daemon.dockerOk(["rmi", "-f", name]);
  await running;
});

test("builds that want the same base image at once all get it, and its layer is fetched once", async () => {
  const { layers } = await registry.pushImage("shared", "1", imageOf("shared"));
  const before = registry.requests.length;
  const numbers = [1, 2, 3, 4];
  await Promise.all(numbers.map((it) => built(`FROM ${registry.address}/shared:1\nLABEL n=${it}\n`)));
  const blobs = registry.requests.slice(before).filter(({ path }) => path.endsWith(layers[0]?.digest ?? "none"));
  assert.equal(blobs.filter(({ method }) => method === "GET").length, 1);
});

test("COPY --from takes an image of a registry", async () => {
  await registry.pushImage("tools", "1", imageOf("tools"));
  const copy = `FROM busybox\nCOPY --from=${registry.address}/tools:1 /what /what\nRUN test "$(cat /what)" = tools\n`;
  await built(copy);
});

test("two data roots make the same image, archive and pushed manifest with SOURCE_DATE_EPOCH", async () => {
  await using other = await startDaemon();
  await using second = await TestRegistry.start({ netns: other.netns });
  const dockerfile =
    "FROM busybox\nCOPY file /file\nRUN mkdir -p /made && date >/dev/null && echo x >/made/x\nWORKDIR /w\n";
  const results = [];
  for (const [on, at] of [
    [daemon, registry],
    [other, second],
  ] as const) {
    const archive = join(directory, `same-${results.length}.tar`);
    const outputs = [`type=oci,dest=${archive},rewrite-timestamp=true`, "type=image,name=same:1"].flatMap((it) => [
      "-o",
      it,
    ]);
    const push = ["-o", `type=registry,name=${at.address}/same:1,rewrite-timestamp=true`];
    await built(dockerfile, [...outputs, ...push], { on, epoch: "1700000000" });
    const headers = { accept: documentTypes };
    const pushed = await at.request("GET", "/v2/same/manifests/1", { headers });
    results.push({
      id: await idOf("same:1", on),
      archive: readFileSync(archive).toString("base64"),
      manifest: pushed.body.toString(),
    });
  }
  assert.ok(results[0]?.manifest.includes("rootfs.diff.tar.gzip"));
  assert.deepEqual(results[0], results[1]);
});

test("annotations, compression, provenance and SBOM are in what is pushed", async () => {
  const name = `${registry.address}/told:1`;
  const output = `type=registry,name=${name},compression=zstd,oci-mediatypes=true,force-compression=true`;
  const args = ["-o", output, "--annotation", "made.by=test", "--provenance=mode=max", "--sbom"];
  await built("FROM busybox\nCOPY file /file\n", args);
  const { document } = await manifestOf("told", "1");
  const [image, attestation] = document.manifests;
  assert.equal(document.manifests.length, 2);
  assert.ok(JSON.stringify(attestation?.annotations).includes("attestation-manifest"));
  const { document: manifest } = await manifestOf("told", image?.digest ?? "");
  assert.equal(manifest.annotations?.["made.by"], "test");
  assert.ok(manifest.layers.every(({ mediaType }) => mediaType.endsWith("tar+zstd")));
  const { document: statements } = await manifestOf("told", attestation?.digest ?? "");
  assert.equal(statements.layers.length, 2);
  assert.match(await daemon.dockerOk(["pull", name]), /told:1$/);
});

test("after a prune nothing is run again with a cache in a registry or in the image", async () => {
  const cache = `${registry.address}/cache:1`;
  const inline = `${registry.address}/inline:1`;
  const dockerfile = [
    "FROM busybox AS one",
    "RUN head -c 8 /dev/urandom | od -An -tx1 >/random",
    "FROM busybox",
    "COPY --from=one /random /random",
    "RUN cat /random >/copy",
    "",
  ].join("\n");
  const to = ["--cache-to", `type=registry,ref=${cache},mode=max`];
  await built(dockerfile, ["-t", "first", ...to]);
  await built(dockerfile, ["-t", inline, "--push", "--cache-to", "type=inline"]);
  const random = await daemon.dockerOk(["run", "--rm", "first", "cat", "/copy"]);
  for (const from of [`type=registry,ref=${cache}`, inline]) {
    await daemon.dockerOk(["builder", "prune", "-af"]);
    const told = await built(dockerfile, ["-t", "again", "--cache-from", from]);
    assert.equal(await daemon.dockerOk(["run", "--rm", "again", "cat", "/copy"]), random, `${from}: ${told}`);
  }
});
