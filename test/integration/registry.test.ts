// Our registry as a process: hostile requests (T10 of the security cases), crashes, a full disk, collection while it serves,
// and the clients of others.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { cliArgv } from "../support/cli.ts";
import { runCommand } from "../support/daemon.ts";
import { tarOf } from "../support/tar.ts";
import {
  call,
  codeOf,
  digestOf,
  indexType,
  manifestType,
  OwnRegistry,
  pushBlob,
  pushManifest,
} from "../support/own-registry.ts";

const empty = { "content-length": 0 };

async function begin(registry: OwnRegistry, repository = "a"): Promise<string> {
  const answer = await call(`${registry.url}/v2/${repository}/blobs/uploads/`, { method: "POST", headers: empty });
  assert.equal(answer.status, 202);
  return registry.url + (answer.headers.location ?? "");
}

/** Waits, at most a minute. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not within a minute: ${what}`);
    await sleep(20);
  }
}

async function gantry(...args: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await runCommand([...cliArgv(), ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Everything under a directory's blobs/, checked against its name. */
function checkBlobs(registry: OwnRegistry): void {
  const root = join(registry.data, "blobs/sha256");
  for (const prefix of readdirSync(root))
    for (const hex of readdirSync(join(root, prefix)))
      assert.equal(digestOf(readFileSync(join(root, prefix, hex))), `sha256:${hex}`);
}

/** Sends bytes as they are and gives back what comes until the connection ends. */
function raw(registry: OwnRegistry, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(Number(new URL(registry.url).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk.toString("latin1")));
  socket.once("error", reject).once("close", () => resolve(answer));
  socket.write(text);
  return promise;
}

test("T10: page sizes and markers that are none, or too large, do no harm", async () => {
  await using registry = await OwnRegistry.start();
  await pushManifest(registry.url, "a", "v1", { config: "{}", layers: [] });
  const status = (query: string): Promise<number> =>
    call(`${registry.url}/v2/${query}`).then((answer) => answer.status);
  for (const list of ["a/tags/list", "_catalog"]) {
    assert.equal(await status(`${list}?n=1000000000`), 200);
    assert.equal(await status(`${list}?n=${"9".repeat(400)}`), 200);
    assert.equal(await status(`${list}?n=-1`), 400);
    assert.equal(await status(`${list}?n=0x10`), 400);
    assert.equal(await status(`${list}?last=../`), 200);
    assert.equal(await status(`${list}?last=${"%00".repeat(1000)}`), 200);
  }
  for (const path of ["a/../b/tags/list", "..%2f..%2fetc/manifests/x", "a/manifests/..%2f..%2fx", "a/blobs/..%2fx"]) {
    const answer = await raw(registry, `GET /v2/${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 (?:400|404)/, path);
  }
});

test("T10: manifests of more than 4 MiB are refused, with and without a length", async () => {
  await using registry = await OwnRegistry.start();
  const body = Buffer.alloc(5 << 20, 0x20);
  const headers = { "content-type": manifestType };
  const url = `${registry.url}/v2/a/manifests/big`;
  const sized = await call(url, { method: "PUT", body, headers });
  assert.deepEqual([sized.status, codeOf(sized)], [413, "SIZE_INVALID"]);
  const { promise, reject, resolve } = Promise.withResolvers<number>();
  const chunked = httpRequest(
    url,
    { method: "PUT", headers: { ...headers, "transfer-encoding": "chunked" } },
    (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    },
  );
  chunked.once("error", reject);
  chunked.end(body);
  assert.equal(await promise, 413);
});

test("T10: chunks that overlap, run backwards or are of another length than they say change nothing", async () => {
  await using registry = await OwnRegistry.start();
  const location = await begin(registry);
  const patch = (range: string, body: string) =>
    call(location, { method: "PATCH", body, headers: { "content-range": range } });
  assert.equal((await patch("0-3", "abcd")).status, 202);
  for (const range of ["2-5", "0-3", "5-8", "-4-1", "3-0", "4-999", "x"]) {
    const answer = await patch(range, "efgh");
    assert.deepEqual([answer.status, codeOf(answer)], [416, "RANGE_INVALID"], range);
  }
  assert.equal((await call(location)).headers.range, "0-3");
  assert.equal((await patch("4-7", "efgh")).status, 202);
  const put = await call(`${location}?digest=${digestOf("abcdefgh")}`, { method: "PUT", headers: empty });
  assert.equal(put.status, 201);
});

test("T10: a digest that the bytes do not have leaves nothing", async () => {
  await using registry = await OwnRegistry.start();
  for (const digest of [digestOf("other"), "sha256:../../x", "sha512:abc", "", `sha256:${"A".repeat(64)}`]) {
    const url = `${registry.url}/v2/a/blobs/uploads/?digest=${encodeURIComponent(digest)}`;
    const answer = await call(url, { method: "POST", body: "bytes" });
    assert.deepEqual([answer.status, codeOf(answer)], [400, "DIGEST_INVALID"], digest);
  }
  assert.deepEqual(readdirSync(join(registry.data, "uploads")), []);
  assert.deepEqual(readdirSync(join(registry.data, "blobs/sha256")), []);
});

test("T10: uploads that are abandoned are swept after their time", async () => {
  await using registry = await OwnRegistry.start(["--upload-expiry", "2s"]);
  const locations = await Promise.all(Array.from({ length: 50 }, () => begin(registry)));
  await until("they are swept", () => readdirSync(join(registry.data, "uploads")).length === 0);
  const gone = await call(locations[0] ?? "");
  assert.deepEqual([gone.status, codeOf(gone)], [404, "BLOB_UPLOAD_UNKNOWN"]);
});

test("requests that two programs could read differently are refused", async () => {
  await using registry = await OwnRegistry.start();
  const head = "GET /v2/ HTTP/1.1\r\nConnection: close\r\n";
  assert.match(await raw(registry, `${head}Host: a\r\nHost: b\r\n\r\n`), /^HTTP\/1.1 400/);
  assert.match(await raw(registry, `${head}Host: a"b\r\n\r\n`), /^HTTP\/1.1 400/);
  assert.match(
    await raw(registry, "GET http://x/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    /^HTTP\/1.1 400/,
  );
  assert.match(await raw(registry, `${head}Host: a\r\nX: ${"y".repeat(70_000)}\r\n\r\n`), /^HTTP\/1.1 431/);
  const smuggled =
    "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  assert.match(await raw(registry, smuggled), /^HTTP\/1.1 400/);
});

test("read-only, without deletes, with a largest blob", async () => {
  await using registry = await OwnRegistry.start(["--allow-delete=false", "--max-upload-size", "1000"]);
  const { digest } = await pushManifest(registry.url, "a", "v1", { config: "{}", layers: ["layer"] });
  const forbidden = await call(`${registry.url}/v2/a/manifests/${digest}`, { method: "DELETE" });
  assert.deepEqual([forbidden.status, codeOf(forbidden)], [405, "UNSUPPORTED"]);
  const url = `${registry.url}/v2/a/blobs/uploads/`;
  const large = await call(`${url}?digest=${digest}`, { method: "POST", body: Buffer.alloc(2_000_000) });
  assert.deepEqual([large.status, codeOf(large)], [413, "SIZE_INVALID"]);
  const patch = await call(await begin(registry), { method: "PATCH", body: Buffer.alloc(1001) });
  assert.equal(patch.status, 413);
  await registry.down();

  await using readOnly = await OwnRegistry.start(["--read-only"]);
  const answer = await call(`${readOnly.url}/v2/a/blobs/uploads/`, { method: "POST", headers: empty });
  assert.deepEqual([answer.status, codeOf(answer)], [405, "UNSUPPORTED"]);
});

test("plain HTTP is refused on addresses that others reach, unless it is asked for", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-own-registry-"));
  const { code, stderr } = await runCommand([
    ...cliArgv(),
    "registry",
    "serve",
    "--data",
    dir,
    "--listen",
    "0.0.0.0:0",
  ]);
  rmSync(dir, { recursive: true });
  assert.equal(code, 1);
  assert.match(stderr, /refusing to serve plain HTTP on 0\.0\.0\.0/);
});

test("a data directory has one server", async () => {
  await using registry = await OwnRegistry.start();
  const argv = [...cliArgv(), "registry", "serve", "--data", registry.data, "--listen", "127.0.0.1:0"];
  const { code, stderr } = await runCommand(argv);
  assert.equal(code, 1);
  assert.match(stderr, /another registry serves this data directory/);
});

test("an upload that kill -9 cut off goes on where it was", async () => {
  await using registry = await OwnRegistry.start();
  const bytes = randomBytes(3 << 20);
  const location = await begin(registry);
  const { promise, resolve } = Promise.withResolvers<void>();
  const sending = httpRequest(location, { method: "PATCH", headers: { "transfer-encoding": "chunked" } });
  sending.once("error", () => resolve());
  sending.write(bytes.subarray(0, 2 << 20));
  const file = join(registry.data, "uploads", readdirSync(join(registry.data, "uploads"))[0] ?? "");
  await until("a part has arrived", () => statSync(file).size >= 1 << 20);
  await registry.down("SIGKILL");
  await promise;
  await registry.up();
  const status = await call(location);
  assert.equal(status.status, 204);
  const reached = Number(/^0-(\d+)$/.exec(String(status.headers.range))?.[1]) + 1;
  assert.ok(reached >= 1 << 20 && reached <= 2 << 20, String(reached));
  const put = await call(`${location}?digest=${digestOf(bytes)}`, {
    method: "PUT",
    body: bytes.subarray(reached),
    headers: { "content-range": `${reached}-${bytes.length - 1}` },
  });
  assert.equal(put.status, 201);
  assert.deepEqual((await call(`${registry.url}/v2/a/blobs/${digestOf(bytes)}`)).body, bytes);
});

test("kill -9 at any moment loses nothing that was acknowledged and leaves nothing half", async () => {
  await using registry = await OwnRegistry.start();
  const acknowledged = new Map<string, { readonly digest: string; readonly bytes: Buffer }>();
  for (let round = 0; round < 6; round++) {
    const running = new AbortController();
    const writer = async (name: string): Promise<void> => {
      for (let i = 0; !running.signal.aborted; i++) {
        const tag = `r${round}-${i}`;
        try {
          const layers = [randomBytes(50_000), "shared"];
          acknowledged.set(
            `${name}/${tag}`,
            await pushManifest(registry.url, name, tag, { config: `{"i":${i}}`, layers }),
          );
        } catch {
          return;
        }
      }
    };
    const writers = [writer("a"), writer("b")];
    const before = acknowledged.size;
    while (acknowledged.size < before + 2) await sleep(10);
    await sleep(round * 17);
    await registry.down("SIGKILL");
    running.abort();
    await Promise.all(writers);
    await registry.up();
  }
  assert.ok(acknowledged.size >= 12, String(acknowledged.size));
  for (const [key, { bytes }] of acknowledged) {
    const [name = "", tag = ""] = key.split("/");
    const manifest = await call(`${registry.url}/v2/${name}/manifests/${tag}`);
    assert.deepEqual([manifest.status, manifest.body], [200, bytes], key);
    const { layers } = JSON.parse(bytes.toString("utf8")) as { layers: { digest: string }[] };
    for (const { digest } of layers) {
      const blob = await call(`${registry.url}/v2/${name}/blobs/${digest}`);
      assert.deepEqual([blob.status, digestOf(blob.body)], [200, digest], key);
    }
  }
  checkBlobs(registry);
});

test("SIGTERM lets the request under way end", async () => {
  await using registry = await OwnRegistry.start();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const digest = digestOf("abcdef");
  const url = `${registry.url}/v2/a/blobs/uploads/?digest=${digest}`;
  const sending = httpRequest(url, { method: "POST", agent: false, headers: { "content-length": 6 } }, (answer) => {
    answer.resume();
    resolve(answer.statusCode ?? 0);
  });
  sending.once("error", reject);
  sending.write("abc");
  await until("the upload has begun", () => readdirSync(join(registry.data, "uploads")).length === 1);
  const ended = registry.down("SIGTERM");
  // It takes no new connections, and has not ended.
  for (let refused = false; !refused; ) {
    refused = await call(`${registry.url}/health`).then(
      () => false,
      () => true,
    );
    await sleep(20);
  }
  sending.end("def");
  assert.equal(await promise, 201);
  assert.equal(await ended, 0);
});

test("collection while pushes go on takes nothing from them, and afterwards what was deleted", async () => {
  await using registry = await OwnRegistry.start(["--gc-interval", "0", "--gc-grace", "2s"]);
  const pushing = new AbortController();
  const collector = (async () => {
    let runs = 0;
    for (; !pushing.signal.aborted; runs++) await gantry("registry", "gc", "--data", registry.data);
    return runs;
  })();
  const shared = randomBytes(10_000);
  const pushed: string[] = [];
  const begun = performance.now();
  for (let i = 0; performance.now() - begun < 6000 || pushed.length < 3; i++) {
    const layers = [shared, randomBytes(10_000)];
    const started = performance.now();
    let digest: string;
    try {
      ({ digest } = await pushManifest(registry.url, "a", `v${i}`, { config: `{"i":${i}}`, layers }));
    } catch (error) {
      // On a slow machine a push may take longer than the grace.
      if (performance.now() - started < 1900) throw error;
      continue;
    }
    // The shared layer is needed by nothing for a moment, again and again.
    const before = pushed.at(-1);
    if (i % 3 === 0 && before !== undefined) {
      const removed = await call(`${registry.url}/v2/a/manifests/${before}`, { method: "DELETE" });
      assert.equal(removed.status, 202);
      pushed.pop();
    }
    pushed.push(digest);
  }
  pushing.abort();
  assert.ok((await collector) > 0);
  for (const digest of pushed) {
    const manifest = await call(`${registry.url}/v2/a/manifests/${digest}`);
    assert.equal(manifest.status, 200);
    const { config, layers } = JSON.parse(manifest.body.toString("utf8")) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    for (const blob of [config, ...layers])
      assert.equal((await call(`${registry.url}/v2/a/blobs/${blob.digest}`)).status, 200);
    await call(`${registry.url}/v2/a/manifests/${digest}`, { method: "DELETE" });
  }
  await sleep(2500);
  assert.match(await gantry("registry", "gc", "--data", registry.data), /Deleted [1-9]\d* blobs/);
  assert.equal(
    readdirSync(join(registry.data, "blobs/sha256"), { recursive: true }).filter((name) => String(name).length > 60)
      .length,
    0,
  );
  await registry.down();
  assert.match(await gantry("registry", "gc", "--data", registry.data), /^Deleted 0 blobs/);
});

test("a full disk is said, leaves nothing half, and is over when there is space again", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-own-registry-"));
  // The tmpfs is in the registry's own mount namespace and goes with it.
  const script = `mkdir -p ${dir}/data && mount -t tmpfs -o size=6m none ${dir}/data && exec "$@"`;
  const wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"];
  await using registry = await OwnRegistry.start(["--gc-interval", "0"], dir, wrap);
  const inside = join(`/proc/${registry.pid}/root`, registry.data);
  const kept = await pushBlob(registry.url, "a", randomBytes(1 << 20));
  const large = randomBytes(16 << 20);
  const location = await begin(registry);
  const patch = await call(location, { method: "PATCH", body: large });
  assert.deepEqual([patch.status, codeOf(patch)], [507, "DENIED"]);
  assert.match(patch.body.toString("utf8"), /disk is full/);
  assert.equal((await call(location)).status, 404);
  const post = await call(`${registry.url}/v2/a/blobs/uploads/?digest=${digestOf(large)}`, {
    method: "POST",
    body: large,
  });
  assert.equal(post.status, 507);
  assert.deepEqual(readdirSync(join(inside, "uploads")), []);
  assert.equal((await call(`${registry.url}/v2/a/blobs/${kept}`)).status, 200);
  await pushBlob(registry.url, "a", randomBytes(1 << 20));
});

test("a large blob goes in and out with little memory", async () => {
  await using registry = await OwnRegistry.start();
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${registry.pid}/status`, "utf8"))?.[1]);
  await pushBlob(registry.url, "a", "first");
  const before = field("VmRSS");
  const large = Buffer.alloc(160 << 20, "large");
  const digest = await pushBlob(registry.url, "a", large);
  const { body, status } = await call(`${registry.url}/v2/a/blobs/${digest}`);
  assert.deepEqual([status, digestOf(body)], [200, digest]);
  const mib = (field("VmHWM") - before) / 1024;
  assert.ok(mib < 32, `${mib} MiB`);
});

test("health and metrics", async () => {
  await using registry = await OwnRegistry.start();
  assert.deepEqual(JSON.parse((await call(`${registry.url}/health`)).body.toString("utf8")), { status: "ok" });
  await pushBlob(registry.url, "a", "12345");
  const { body, headers } = await call(`${registry.url}/metrics`);
  const text = body.toString("utf8");
  assert.match(headers["content-type"] ?? "", /openmetrics/);
  for (const line of [
    'gantry_registry_requests_total{method="POST",kind="uploads",code="201"} 1',
    "gantry_registry_received_bytes_total 5",
    "gantry_registry_blobs 1",
    "gantry_registry_blob_bytes 5",
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.ok(text.endsWith("# EOF\n"));
});

test("skopeo copies an image in and out, with the same digest", async () => {
  await using registry = await OwnRegistry.start();
  const layer = tarOf({ name: "file", data: randomBytes(100_000) });
  const { digest } = await pushManifest(registry.url, "from", "v1", {
    config: JSON.stringify({
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
    }),
    layers: [layer],
  });
  const [from, to] = [`docker://${registry.address}/from:v1`, `docker://${registry.address}/team/to:v1`];
  const insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  const steps = [
    ["copy", ...insecure, "--preserve-digests", from, to],
    ["copy", ...insecure, to, `dir:${registry.dir}/out`],
    ["copy", ...insecure, "--format", "v2s2", `dir:${registry.dir}/out`, `docker://${registry.address}/docker:v1`],
    ["copy", ...insecure, `docker://${registry.address}/docker:v1`, `oci:${registry.dir}/layout:v1`],
  ];
  for (const step of steps) {
    const { code, stderr } = await runCommand(["skopeo", ...step]);
    assert.equal(code, 0, `${step.join(" ")}: ${stderr}`);
  }
  assert.equal((await call(`${registry.url}/v2/team/to/manifests/v1`)).headers["docker-content-digest"], digest);
  const deleted = await runCommand(["skopeo", "delete", "--tls-verify=false", to]);
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.equal((await call(`${registry.url}/v2/team/to/manifests/v1`)).status, 404);
});

test("podman pushes, makes an index, and pulls again", async () => {
  await using registry = await OwnRegistry.start();
  const storage = ["--root", join(registry.dir, "storage"), "--runroot", join(registry.dir, "run")];
  const podman = async (...args: readonly string[]): Promise<string> => {
    const { code, stderr, stdout } = await runCommand(["podman", ...storage, "--storage-driver", "vfs", ...args]);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  const name = `${registry.address}/podman/image:v1`;
  const tar = tarOf({ name: "file", data: Buffer.from("content") });
  await runCommand(["sh", "-c", `cat > ${registry.dir}/root.tar`], { input: tar });
  const id = (await podman("import", join(registry.dir, "root.tar"), name)).split("\n").at(-1);
  await podman("push", "--tls-verify=false", name);
  await podman("manifest", "create", "list");
  await podman("manifest", "add", "--tls-verify=false", "list", `docker://${name}`);
  await podman(
    "manifest",
    "push",
    "--all",
    "--tls-verify=false",
    "list",
    `docker://${registry.address}/podman/list:v1`,
  );
  const list = await call(`${registry.url}/v2/podman/list/manifests/v1`);
  assert.ok(
    [indexType, "application/vnd.docker.distribution.manifest.list.v2+json"].includes(
      list.headers["content-type"] ?? "",
    ),
  );
  await podman("rmi", "--all", "--force");
  await podman("pull", "--tls-verify=false", name);
  assert.equal(await podman("images", "--quiet", "--no-trunc", name), id);
});
