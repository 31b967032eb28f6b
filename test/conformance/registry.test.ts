// Our registry against the OCI distribution specification 1.1: the four workflows that its conformance suite has (pull, push,
// content discovery, content management), and what the specification says beside them. REGISTRY_URL=http://… looks at another
// registry, to see that the tests suit others too.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
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

let registry: OwnRegistry | undefined;
let base = process.env["REGISTRY_URL"] ?? "";
const repository = `conformance/r${randomBytes(4).toString("hex")}`;
const url = (rest: string): string => `${base}/v2/${repository}/${rest}`;
const absent = digestOf(randomBytes(16));

before(async () => {
  if (base !== "") return;
  registry = await OwnRegistry.start(["--gc-interval", "0"]);
  base = registry.url;
});

after(() => registry?.[Symbol.asyncDispose]());

async function begin(): Promise<string> {
  const answer = await call(url("blobs/uploads/"), { method: "POST", headers: { "content-length": 0 } });
  assert.equal(answer.status, 202);
  return new URL(answer.headers.location ?? "", base).href;
}

function finishing(location: string, digest: string): string {
  const target = new URL(location, base);
  target.searchParams.set("digest", digest);
  return target.href;
}

test("base: GET /v2/ answers 200 with the API's version", async () => {
  const answer = await call(`${base}/v2/`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["docker-distribution-api-version"], "registry/2.0");
});

test("pull: blobs by digest, whole and in ranges; unknown ones are 404", async () => {
  const bytes = randomBytes(1000);
  const digest = await pushBlob(base, repository, bytes);
  const head = await call(url(`blobs/${digest}`), { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.headers["content-length"], "1000");
  assert.equal(head.headers["docker-content-digest"], digest);
  assert.equal(head.body.length, 0);
  const whole = await call(url(`blobs/${digest}`));
  assert.deepEqual([whole.status, whole.body], [200, bytes]);
  const part = await call(url(`blobs/${digest}`), { headers: { range: "bytes=10-19" } });
  assert.deepEqual([part.status, part.body], [206, bytes.subarray(10, 20)]);
  assert.equal(part.headers["content-range"], "bytes 10-19/1000");
  const tail = await call(url(`blobs/${digest}`), { headers: { range: "bytes=-5" } });
  assert.deepEqual([tail.status, tail.body], [206, bytes.subarray(995)]);
  const beyond = await call(url(`blobs/${digest}`), { headers: { range: "bytes=1000-" } });
  assert.equal(beyond.status, 416);
  const stale = await call(url(`blobs/${digest}`), { headers: { range: "bytes=10-19", "if-range": '"other"' } });
  assert.deepEqual([stale.status, stale.body], [200, bytes]);
  for (const method of ["GET", "HEAD"]) assert.equal((await call(url(`blobs/${absent}`), { method })).status, 404);
  assert.equal(codeOf(await call(url(`blobs/${absent}`))), "BLOB_UNKNOWN");
});

test("pull: manifests by tag and digest are the bytes that were pushed; unknown ones are 404", async () => {
  const { digest, bytes } = await pushManifest(base, repository, "pull", { config: "{}", layers: ["layer"] });
  for (const reference of ["pull", digest]) {
    const got = await call(url(`manifests/${reference}`), { headers: { accept: manifestType } });
    assert.deepEqual([got.status, got.body], [200, bytes]);
    assert.equal(got.headers["content-type"], manifestType);
    assert.equal(got.headers["docker-content-digest"], digest);
    const head = await call(url(`manifests/${reference}`), { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-length"]], [200, String(bytes.length)]);
  }
  for (const reference of ["nosuchtag", absent]) {
    const answer = await call(url(`manifests/${reference}`));
    assert.deepEqual([answer.status, codeOf(answer)], [404, "MANIFEST_UNKNOWN"]);
    assert.equal((await call(url(`manifests/${reference}`), { method: "HEAD" })).status, 404);
  }
});

test("push: a blob by POST and PUT, where the location may have a query of its own", async () => {
  const bytes = randomBytes(500);
  const put = await call(finishing(await begin(), digestOf(bytes)), { method: "PUT", body: bytes });
  assert.equal(put.status, 201);
  assert.ok(put.headers.location?.endsWith(`/blobs/${digestOf(bytes)}`));
  assert.deepEqual((await call(new URL(put.headers.location ?? "", base).href)).body, bytes);
});

test("push: a blob in one POST, or 202 to go on with", async () => {
  const bytes = randomBytes(500);
  const post = await call(url(`blobs/uploads/?digest=${digestOf(bytes)}`), { method: "POST", body: bytes });
  assert.ok(post.status === 201 || post.status === 202);
  assert.notEqual(post.headers.location, undefined);
});

test("push: a blob in one stream without Content-Range", async () => {
  const bytes = randomBytes(5000);
  const patch = await call(await begin(), { method: "PATCH", body: bytes });
  assert.equal(patch.status, 202);
  assert.equal(patch.headers.range, "0-4999");
  const put = await call(finishing(patch.headers.location ?? "", digestOf(bytes)), {
    method: "PUT",
    headers: { "content-length": 0 },
  });
  assert.equal(put.status, 201);
});

test("push: a blob in chunks; one out of order is 416, the status says where to go on", async () => {
  const bytes = randomBytes(200_000);
  const middle = 100_000;
  const location = await begin();
  const early = await call(location, {
    method: "PATCH",
    body: bytes.subarray(middle),
    headers: { "content-range": `${middle}-${bytes.length - 1}` },
  });
  assert.equal(early.status, 416);
  const first = await call(location, {
    method: "PATCH",
    body: bytes.subarray(0, middle),
    headers: { "content-range": `0-${middle - 1}` },
  });
  assert.deepEqual([first.status, first.headers.range], [202, `0-${middle - 1}`]);
  const again = await call(new URL(first.headers.location ?? "", base).href, {
    method: "PATCH",
    body: bytes.subarray(0, middle),
    headers: { "content-range": `0-${middle - 1}` },
  });
  assert.equal(again.status, 416);
  const status = await call(new URL(first.headers.location ?? "", base).href);
  assert.deepEqual([status.status, status.headers.range], [204, `0-${middle - 1}`]);
  const put = await call(finishing(status.headers.location ?? "", digestOf(bytes)), {
    method: "PUT",
    body: bytes.subarray(middle),
    headers: { "content-range": `${middle}-${bytes.length - 1}` },
  });
  assert.equal(put.status, 201);
  assert.deepEqual((await call(url(`blobs/${digestOf(bytes)}`))).body, bytes);
});

test("push: an upload can be cancelled; afterwards it is unknown", async () => {
  const location = await begin();
  assert.equal((await call(location, { method: "DELETE" })).status, 204);
  const answer = await call(location);
  assert.deepEqual([answer.status, codeOf(answer)], [404, "BLOB_UPLOAD_UNKNOWN"]);
});

test("push: a wrong digest is refused", async () => {
  const put = await call(finishing(await begin(), absent), { method: "PUT", body: "other bytes" });
  assert.deepEqual([put.status, codeOf(put)], [400, "DIGEST_INVALID"]);
  assert.equal((await call(url(`blobs/${absent}`))).status, 404);
});

test("push: a blob is mounted from another repository, else an upload begins", async () => {
  const bytes = randomBytes(300);
  const digest = await pushBlob(base, `${repository}-other`, bytes);
  const from = encodeURIComponent(`${repository}-other`);
  const headers = { "content-length": 0 };
  const mounted = await call(url(`blobs/uploads/?mount=${digest}&from=${from}`), { method: "POST", headers });
  assert.equal(mounted.status, 201);
  assert.deepEqual((await call(url(`blobs/${digest}`))).body, bytes);
  const missing = await call(url(`blobs/uploads/?mount=${absent}&from=${from}`), { method: "POST", headers });
  assert.equal(missing.status, 202);
  const anonymous = await call(url(`blobs/uploads/?mount=${absent}`), { method: "POST", headers });
  assert.equal(anonymous.status, 202);
});

test("push: a manifest is stored by tag and by digest, and must be complete", async () => {
  const { digest, bytes, answer } = await pushManifest(base, repository, "push", { config: "{}", layers: [] });
  assert.ok(answer.headers.location?.includes(`/${repository}/manifests/`));
  assert.equal(answer.headers["docker-content-digest"], digest);
  const headers = { "content-type": manifestType };
  const other = await call(url(`manifests/${absent}`), { method: "PUT", body: bytes, headers });
  assert.deepEqual([other.status, codeOf(other)], [400, "DIGEST_INVALID"]);
  const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: absent, size: 2 };
  const incomplete = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: [] });
  const refused = await call(url("manifests/push2"), { method: "PUT", body: incomplete, headers });
  assert.ok([400, 404].includes(refused.status));
  assert.equal(codeOf(refused), "MANIFEST_BLOB_UNKNOWN");
});

test("discovery: tags in lexical order, limited by n, from last on, with a link to the next page", async () => {
  const name = `${repository}-tags`;
  for (const tag of ["b", "c", "a", "d"]) await pushManifest(base, name, tag, { config: "{}", layers: [] });
  const list = async (query: string): Promise<{ tags: string[]; link: string | undefined }> => {
    const answer = await call(`${base}/v2/${name}/tags/list${query}`);
    assert.equal(answer.status, 200);
    const { tags } = JSON.parse(answer.body.toString("utf8")) as { tags: string[] };
    return { tags, link: answer.headers["link"] as string | undefined };
  };
  assert.deepEqual((await list("")).tags, ["a", "b", "c", "d"]);
  assert.deepEqual((await list("?n=0")).tags, []);
  const page = await list("?n=3");
  assert.deepEqual(page.tags, ["a", "b", "c"]);
  const next = /^<([^>]+)>; rel="next"$/.exec(page.link ?? "")?.[1] ?? "";
  assert.deepEqual(await list(new URL(next, base).search), { tags: ["d"], link: undefined });
  assert.deepEqual((await list("?n=2&last=b")).tags, ["c", "d"]);
  assert.equal((await call(`${base}/v2/${repository}-none/tags/list`)).status, 404);
});

test("discovery: referrers of a subject, also one that is not there, filtered by type", async () => {
  const { digest: subject, bytes } = await pushManifest(base, repository, "subject", { config: "{}", layers: [] });
  const descriptor = { mediaType: manifestType, digest: subject, size: bytes.length };
  const blobs = { config: "{}", layers: [] };
  const more = { artifactType: "application/x.signature", subject: descriptor, annotations: { by: "me" } };
  const first = await pushManifest(base, repository, undefined, blobs, more);
  assert.equal(first.answer.headers["oci-subject"], subject);
  const second = await pushManifest(base, repository, undefined, blobs, { subject: descriptor });
  const list = async (query: string, of = subject) => {
    const answer = await call(url(`referrers/${of}${query}`));
    assert.deepEqual([answer.status, answer.headers["content-type"]], [200, indexType]);
    const { manifests } = JSON.parse(answer.body.toString("utf8")) as { manifests: Record<string, unknown>[] };
    return { manifests, filters: answer.headers["oci-filters-applied"] };
  };
  const all = await list("");
  assert.deepEqual(new Set(all.manifests.map(({ digest }) => digest)), new Set([first.digest, second.digest]));
  assert.equal(all.manifests.length, 2);
  const filtered = await list(`?artifactType=${encodeURIComponent("application/x.signature")}`);
  assert.deepEqual(filtered, {
    filters: "artifactType",
    manifests: [
      {
        mediaType: manifestType,
        digest: first.digest,
        size: first.bytes.length,
        artifactType: "application/x.signature",
        annotations: { by: "me" },
      },
    ],
  });
  const byConfig = await list(`?artifactType=${encodeURIComponent("application/vnd.oci.image.config.v1+json")}`);
  assert.deepEqual(
    byConfig.manifests.map(({ digest }) => digest),
    [second.digest],
  );
  assert.deepEqual((await list("", absent)).manifests, []);
  const page = await call(url(`referrers/${subject}?n=1`));
  const next = /^<([^>]+)>; rel="next"$/.exec((page.headers["link"] as string | undefined) ?? "")?.[1] ?? "";
  assert.equal((await list(new URL(next, base).search)).manifests.length, 1);
  assert.equal((await call(url("referrers/nonsense"))).status, 400);
});

test("management: tags, manifests and blobs are deleted, each once", async () => {
  const name = `${repository}-delete`;
  const at = (rest: string): string => `${base}/v2/${name}/${rest}`;
  const { digest } = await pushManifest(base, name, "one", { config: "{}", layers: ["gone"] });
  await pushManifest(base, name, "two", { config: "{}", layers: ["gone"] });
  const remove = (rest: string): Promise<number> => call(at(rest), { method: "DELETE" }).then(({ status }) => status);
  assert.equal(await remove("manifests/one"), 202);
  assert.equal((await call(at("manifests/one"))).status, 404);
  assert.equal((await call(at(`manifests/${digest}`))).status, 200);
  assert.equal(await remove(`manifests/${digest}`), 202);
  assert.equal((await call(at("manifests/two"))).status, 404);
  assert.equal(await remove(`manifests/${digest}`), 404);
  const blob = digestOf("gone");
  assert.equal(await remove(`blobs/${blob}`), 202);
  assert.equal((await call(at(`blobs/${blob}`))).status, 404);
  assert.equal(await remove(`blobs/${blob}`), 404);
});

test("errors: names, tags and digests that are none, and methods that there are not", async () => {
  const cases: [string, string, number, string][] = [
    ["GET", "/v2/UPPER/tags/list", 400, "NAME_INVALID"],
    ["GET", `/v2/${repository}/manifests/.tag`, 400, "TAG_INVALID"],
    ["GET", `/v2/${repository}/blobs/sha256:abc`, 400, "DIGEST_INVALID"],
    ["GET", `/v2/${repository}/blobs/md5:${"0".repeat(32)}`, 400, "DIGEST_INVALID"],
    ["PUT", `/v2/${repository}/tags/list`, 405, "UNSUPPORTED"],
    ["POST", `/v2/${repository}/blobs/${absent}`, 405, "UNSUPPORTED"],
    ["GET", "/v2/only/a/name", 404, "UNSUPPORTED"],
    ["GET", `/v2/${repository}/tags/list?n=-1`, 400, "PAGINATION_NUMBER_INVALID"],
    ["GET", `/v2/${repository}/tags/list?n=1e9`, 400, "PAGINATION_NUMBER_INVALID"],
    ["GET", "/v2/_catalog?n=x", 400, "PAGINATION_NUMBER_INVALID"],
  ];
  for (const [method, path, status, code] of cases) {
    const answer = await call(base + path, { method, headers: { "content-length": 0 } });
    assert.deepEqual([answer.status, codeOf(answer)], [status, code], `${method} ${path}`);
  }
});
