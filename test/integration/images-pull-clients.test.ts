// Pull end to end through the API: the docker CLI, dockerode, images that podman and skopeo pushed, hang-up, a full disk. Needs
// root, docker-registry, podman and skopeo.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { TestDaemon } from "../support/daemon.ts";
import { busyboxRoot } from "../support/image.ts";
import { TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

const credentials = { name: "user", password: "pass word" };

describe("pull through the API", () => {
  let daemon: TestDaemon;
  let registry: TestRegistry;
  let rootfs: Buffer;

  const login = (): Promise<string> =>
    daemon.dockerOk(["login", "--username", credentials.name, "--password", credentials.password, registry.address]);

  before(async () => {
    const root = busyboxRoot();
    rootfs = spawnSync("tar", ["-C", root, "--numeric-owner", "-cf", "-", "."], { maxBuffer: 1 << 28 }).stdout;
    rmSync(root, { recursive: true });
    daemon = new TestDaemon();
    registry = await TestRegistry.start({ netns: daemon.netns, user: credentials });
    await daemon.start();
    await login();
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  it("docker pull and docker run bring an image and run it", async () => {
    await registry.pushImage("busy", "latest", {
      layers: [{ tar: rootfs }, { tar: tarOf(file("etc/hello", "hi\n")) }],
    });
    const name = `${registry.address}/busy`;
    assert.equal(await daemon.dockerOk(["run", "--rm", name, "cat", "/etc/hello"]), "hi");
    const again = await daemon.dockerOk(["pull", name]);
    assert.match(
      again,
      /^Using default tag: latest\nlatest: Pulling from busy\nDigest: sha256:[0-9a-f]{64}\nStatus: Image is up to date for /,
    );
    assert.equal(await daemon.dockerOk(["pull", "--quiet", name]), `${name}:latest`);
    await daemon.dockerOk(["rmi", name]);
    assert.equal((await daemon.docker(["create", "--pull", "never", name])).code, 1);
    const missing = await daemon.docker(["run", `${name}:none`]);
    assert.match(missing.stderr, /manifest for .*\/busy:none not found: manifest unknown/);
  });

  it("docker pull says that it needs a login", async () => {
    const name = `${registry.address}/busy`;
    await daemon.dockerOk(["logout", registry.address]);
    const refused = await daemon.docker(["pull", name], { timeoutMs: 60_000 });
    await login();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /no basic auth credentials|pull access denied/);
    assert.doesNotMatch(daemon.log, new RegExp(credentials.password));
  });

  it("dockerode's pull follows its progress", async () => {
    await registry.pushImage("node", "1", { layers: [{ tar: tarOf(file("n", randomBytes(300_000))) }], docker: true });
    const docker = new Docker({ socketPath: daemon.socket });
    const authconfig = { username: credentials.name, password: credentials.password, serveraddress: registry.address };
    const stream = await docker.pull(`${registry.address}/node:1`, { authconfig });
    const messages = await new Promise<readonly { readonly status?: string }[]>((resolve, reject) =>
      docker.modem.followProgress(stream, (error, output: readonly { readonly status?: string }[]) =>
        error === null ? resolve(output) : reject(error),
      ),
    );
    assert.match(messages.at(-1)?.status ?? "", /^Status: Downloaded newer image for /);
  });

  it("runs what skopeo copied with zstd, as OCI and with its index", async () => {
    const source = join(registry.dir, "source.tar");
    await daemon.dockerOk(["save", "-o", source, "busybox"]);
    const auth = ["--dest-creds", `${credentials.name}:${credentials.password}`, "--dest-tls-verify=false"];
    const target = `docker://${registry.address}/zstd:1`;
    const format = ["--format", "oci", "--dest-compress-format", "zstd"];
    const copied = await daemon.inNamespace(["skopeo", "copy", ...auth, ...format, `docker-archive:${source}`, target]);
    assert.equal(copied.code, 0, copied.stderr);
    await daemon.dockerOk(["rmi", "busybox"]);
    assert.equal(await daemon.dockerOk(["run", "--rm", `${registry.address}/zstd:1`, "echo", "zstd"]), "zstd");
  });

  it("a client that hangs up stops its pull", async () => {
    await registry.pushImage("large", "1", { layers: [{ tar: tarOf(file("l", randomBytes(60_000_000))) }] });
    const auth = Buffer.from(JSON.stringify({ username: credentials.name, password: credentials.password }));
    const req = request({
      socketPath: daemon.socket,
      method: "POST",
      path: `/images/create?fromImage=${registry.address}/large&tag=1`,
      headers: { "x-registry-auth": auth.toString("base64url") },
    });
    req.on("error", () => undefined);
    req.on("response", (response) => response.once("data", () => req.destroy()));
    req.end();
    await new Promise((resolve) => void req.once("close", resolve));
    const staged = (): string[] => readdirSync(join(daemon.dataRoot, "tmp"));
    const deadline = performance.now() + 60_000;
    while (staged().length > 0 && performance.now() < deadline) await sleep(20);
    assert.deepEqual(staged(), []);
    assert.equal((await daemon.api("GET", `/images/${registry.address}/large:1/json`)).status, 404);
    await daemon.dockerOk(["pull", `${registry.address}/large:1`]);
    const check = await daemon.api("GET", "/gantry/check");
    assert.deepEqual(check.json, []);
  });
});
