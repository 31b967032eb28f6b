// The client of registries against Debian's docker-registry: everything that Repository promises, passwords, TLS with a CA and a
// client certificate of certs.d, and names that lead to local addresses.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Digest, digestOf } from "../../src/base/digest.ts";
import { silentLogger } from "../../src/base/log.ts";
import { parseNamed } from "../../src/base/reference.ts";
import {
  type Credentials,
  createDistribution,
  type Distribution,
  type Repository,
} from "../../src/distribution/index.ts";
import { Session } from "../../src/distribution/session.ts";
import { TokenCache } from "../../src/distribution/token.ts";
import { Transport } from "../../src/distribution/transport.ts";
import { OwnRegistry } from "../support/own-registry.ts";
import { TestRegistry } from "../support/registry.ts";

const dir = mkdtempSync(join(tmpdir(), "gantry-distribution-"));
after(() => rmSync(dir, { recursive: true, force: true }));
const { signal } = new AbortController();
const nobody: Credentials = { username: "", password: "", identityToken: "", registryToken: "", serverAddress: "" };
const settings = {
  mirrors: [],
  insecureRegistries: [],
  certsDirectories: [join(dir, "certs.d")],
  httpProxy: "",
  httpsProxy: "",
  noProxy: "",
  userAgent: "gantry-test",
  maxAttempts: 3,
  stallTimeoutMs: 10_000,
  retryDelayScale: 0.01,
};

function client(): Distribution {
  return createDistribution({ config: () => settings, logger: silentLogger });
}

async function upload(repository: Repository, bytes: Buffer): Promise<Digest> {
  const digest = digestOf(bytes);
  let last = 0;
  await repository.uploadBlob(
    {
      digest,
      sizeBytes: bytes.length,
      async *open(offset: number) {
        for (let at = offset; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
      },
    },
    (sent) => (last = sent),
    signal,
  );
  assert.equal(last, bytes.length);
  return digest;
}

async function read(repository: Repository, digest: Digest, offset: number): Promise<Buffer> {
  const { chunks } = await repository.openBlob(digest, offset, signal);
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

test("blobs of every size go up and come down, whole and from an offset; they are mounted, and missed where they are not", async () => {
  await using registry = await TestRegistry.start();
  const distribution = client();
  const repository = await distribution.repository(parseNamed(`${registry.address}/a/b`), "push", undefined, signal);
  for (const size of [0, 1, 2, 65_537, 20 << 20]) {
    const bytes = randomBytes(size);
    assert.equal(await repository.statBlob(digestOf(bytes), signal), undefined);
    const digest = await upload(repository, bytes);
    assert.equal(await repository.statBlob(digest, signal), size);
    for (const offset of [0, size >> 1])
      assert.ok((await read(repository, digest, offset)).equals(bytes.subarray(offset)));
    const other = await distribution.repository(parseNamed(`${registry.address}/c`), "push", undefined, signal);
    assert.equal(await other.mountBlob(digest, "a/b", signal), true);
    assert.equal(await other.statBlob(digest, signal), size);
  }
  const fresh = randomBytes(1000);
  assert.equal(await repository.mountBlob(digestOf(fresh), "c", signal), false);
  await upload(repository, fresh);
  assert.equal(await repository.statBlob(digestOf(fresh), signal), 1000);
  distribution.close();
});

test("manifests are stored, described, fetched, listed and deleted", async () => {
  await using registry = await TestRegistry.start();
  const distribution = client();
  const named = parseNamed(`${registry.address}/a`);
  const repository = await distribution.repository(named, "push", undefined, signal);
  const config = await upload(repository, Buffer.from("{}"));
  const mediaType = "application/vnd.docker.distribution.manifest.v2+json";
  const descriptor = { mediaType: "application/vnd.docker.container.image.v1+json", size: 2, digest: config };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: descriptor, layers: [] }));
  const digest = digestOf(bytes);
  for (let i = 0; i < 30; i++) assert.equal(await repository.putManifest(`t${i}`, bytes, mediaType, signal), digest);
  for (const reference of ["t3", digest]) {
    const fetched = await repository.manifest(reference, signal);
    assert.deepEqual(fetched, { bytes, mediaType, digest });
    assert.deepEqual(await repository.headManifest(reference, signal), { mediaType, digest, sizeBytes: bytes.length });
  }
  const tags = await Array.fromAsync(repository.tags(signal));
  assert.deepEqual(tags.toSorted(), Array.from({ length: 30 }, (_, i) => `t${i}`).toSorted());
  assert.equal(await repository.headManifest("nope", signal), undefined);
  await assert.rejects(repository.manifest("nope", signal), {
    kind: "NotFound",
    message: `manifest for ${registry.address}/a:nope not found: manifest unknown: manifest unknown`,
  });
  await repository.deleteManifest(digest, signal);
  assert.equal(await repository.headManifest(digest, signal), undefined);
  distribution.close();
});

test("of several complaints, a refused push tells the first", async () => {
  const files = mkdtempSync(join(dir, "rights-"));
  const [htpasswd, access] = [join(files, "htpasswd"), join(files, "access.json")];
  writeFileSync(htpasswd, execFileSync("htpasswd", ["-nbB", "alice", "wonder:land"]));
  const rules = [{ repositories: ["read/**"], users: ["alice"], rights: ["pull"] }];
  writeFileSync(access, JSON.stringify({ rules }));
  await using registry = await OwnRegistry.start(["--htpasswd", htpasswd, "--access", access], files);
  const alice = { ...nobody, username: "alice", password: "wonder:land", serverAddress: registry.address };
  const repository = await client().repository(parseNamed(`${registry.address}/read/a`), "push", alice, signal);
  await assert.rejects(upload(repository, Buffer.from("hello")), {
    kind: "Unauthorized",
    message: "denied: requested access to the resource is denied",
  });
});

test("a registry with passwords takes the right one and refuses others", async () => {
  await using registry = await TestRegistry.start({ user: { name: "alice", password: "wonder:land" } });
  const distribution = client();
  const right = { ...nobody, username: "alice", password: "wonder:land", serverAddress: registry.address };
  const wrong = { ...right, password: "no" };
  assert.deepEqual(await distribution.login(right, signal), { status: "Login Succeeded", identityToken: "" });
  await assert.rejects(distribution.login(wrong, signal), {
    kind: "Unauthorized",
    message: `login attempt to http://${registry.address}/v2/ failed with status: 401 Unauthorized`,
  });
  const named = parseNamed(`${registry.address}/a`);
  await upload(await distribution.repository(named, "push", right, signal), Buffer.from("hello"));
  for (const [credentials, message] of [
    [wrong, "unauthorized: authentication required"],
    [undefined, `Get "http://${registry.address}/v2/a/manifests/latest": no basic auth credentials`],
  ] as const) {
    const repository = await distribution.repository(named, "pull", credentials, signal);
    await assert.rejects(repository.manifest("latest", signal), { kind: "Unauthorized", message });
  }
  distribution.close();
});

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "ignore", cwd: dir });
}

/** A CA, a server's certificate for 127.0.0.1 and a client's, all signed by it; and a CA that signed nothing. */
function makeCertificates(): void {
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  for (const ca of ["ca", "other-ca"])
    openssl("req", "-x509", ...ec, "-days", "2", "-subj", `/CN=${ca}`, "-keyout", `${ca}.key`, "-out", `${ca}.crt`);
  writeFileSync(join(dir, "server.ext"), "subjectAltName=IP:127.0.0.1\n");
  writeFileSync(join(dir, "client.ext"), "extendedKeyUsage=clientAuth\n");
  for (const name of ["server", "client"]) {
    openssl("req", ...ec, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signing, "-out", `${name}.crt`);
  }
}

/** certs.d of one host with these files; "a=b" puts file b there as a. */
function certsFor(host: string, files: readonly string[]): void {
  const target = join(dir, "certs.d", host);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const entry of files) {
    const [name = "", source = ""] = entry.split("=");
    cpSync(join(dir, source), join(target, name));
  }
}

test("certificates of certs.d are verified and shown, and what is wrong with them is told in dockerd's words", async () => {
  makeCertificates();
  const file = (name: string): Buffer => readFileSync(join(dir, name));
  const tls = { key: file("server.key"), cert: file("server.crt"), ca: file("ca.crt"), requestCert: true };
  const server = createServer({ ...tls, rejectUnauthorized: false }, (request, response) => {
    const { authorized } = request.socket as unknown as { readonly authorized: boolean };
    response.writeHead(authorized ? 200 : 403);
    response.end();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const host = `127.0.0.1:${address.port}`;
  const transport = new Transport();
  // Loopback would be insecure by its address; an endpoint that is not is made here.
  const status = async (insecure = false): Promise<number> => {
    const session = new Session(
      { transport, tokens: new TokenCache(transport), config: settings },
      {
        endpoint: { url: new URL(`https://${host}`), isMirror: false, insecure },
        credentials: undefined,
        offline: false,
      },
    );
    const answer = await session.request({ method: "GET", target: "x", scopes: [] }, signal);
    answer.message.resume();
    return answer.status;
  };
  try {
    const unknown = {
      message: `Get "https://${host}/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    };
    await assert.rejects(status(), unknown);
    certsFor(host, ["ca.crt=other-ca.crt"]);
    await assert.rejects(status(), unknown);
    assert.equal(await status(true), 403);
    certsFor(host, ["ca.crt=ca.crt"]);
    assert.equal(await status(), 403);
    certsFor(host, ["ca.crt=ca.crt", "client.cert=client.crt", "client.key=client.key"]);
    assert.equal(await status(), 200);
    certsFor(host, ["client.cert=client.crt"]);
    await assert.rejects(status(), {
      kind: "InvalidParameter",
      message: "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt",
    });
    certsFor(host, ["client.key=client.key"]);
    await assert.rejects(status(), { message: "missing client certificate client.cert for key client.key" });
  } finally {
    transport.close();
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  }
});

test("docker-registry with TLS is used as an insecure one on loopback", async () => {
  await using registry = await TestRegistry.start({ tls: true });
  const distribution = client();
  const repository = await distribution.repository(parseNamed(`${registry.address}/a`), "push", undefined, signal);
  const digest = await upload(repository, randomBytes(100_000));
  assert.equal(await repository.statBlob(digest, signal), 100_000);
  assert.ok(registry.requests.length > 0);
  distribution.close();
});

test("a registry that is down for a moment is waited for", async () => {
  await using registry = await TestRegistry.start();
  const distribution = client();
  const repository = await distribution.repository(parseNamed(`${registry.address}/a`), "push", undefined, signal);
  const digest = await upload(repository, randomBytes(1000));
  await registry.down();
  await assert.rejects(repository.statBlob(digest, signal), { kind: "Unavailable", transient: true });
  await registry.up();
  assert.equal(await repository.statBlob(digest, signal), 1000);
  distribution.close();
});
