// B06: downloads of a build, from a hostile server on loopback.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Digest } from "../../src/base/digest.ts";
import type { HttpOp } from "../../src/engine/build/graph/index.ts";
import { createHttpRunner } from "../../src/engine/build/sources/http.ts";
import { jobOf, runSource, type SourcesWorld, sourcesWorld } from "./build-sources.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let world: SourcesWorld;
let handler: Handler = (_request, response) => response.end();
let requests: IncomingMessage[] = [];
const server = createServer((request, response) => {
  requests.push(request);
  handler(request, response);
});
let base = "";

before(async () => {
  world = await sourcesWorld();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
  world[Symbol.dispose]();
});

function runner(maxBytes?: number) {
  return createHttpRunner({ ...world, ...(maxBytes === undefined ? {} : { maxBytes }) });
}
function op(path: string, more: Partial<HttpOp> = {}): HttpOp {
  return { kind: "http", url: base + path, filename: "file", checksum: undefined, mode: 0o600, ...more };
}
const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}` as Digest;

test("a download is one file, of root, with the mode asked for and the server's time; unchanged it is not sent again", async () => {
  const modified = "Wed, 21 Oct 2015 07:28:00 GMT";
  handler = (request, response) => {
    response.setHeader("etag", '"one"');
    response.setHeader("last-modified", modified);
    if (request.headers["if-none-match"] === '"one"') response.writeHead(304).end();
    else response.end("hello");
  };
  requests = [];
  const http = runner();
  const first = await runSource(http, op("/a"));
  const { mtimeNs, ...entry } = first.directory.entries[0] ?? assert.fail("no entry");
  assert.deepEqual(
    [first.directory.entries.length, entry.path, entry.mode, entry.uid, entry.size, entry.digest, mtimeNs],
    [1, "file", 0o600, 0, 5, digestOf("hello"), BigInt(Date.parse(modified)) * 1_000_000n],
  );
  assert.equal(readFileSync(join(first.directory.path, "file"), "utf8"), "hello");
  assert.equal(statSync(join(first.directory.path, "file")).mode & 0o7777, 0o600);
  assert.equal(requests.length, 1, "key and run of one build ask once");
  const second = await runSource(runner(), op("/a"));
  assert.equal(second.key, first.key);
  assert.equal(requests.length, 2);
  const [entryOfStore] = await http.reclaimable.list();
  assert.equal(entryOfStore?.description, `download of ${base}/a`);
  assert.ok((await http.reclaimable.remove(entryOfStore?.id ?? "")) > 0);
  assert.deepEqual(await http.reclaimable.list(), []);
  await first.directory[Symbol.asyncDispose]();
  await second.directory[Symbol.asyncDispose]();
});

test("changed content gives another key, also with the same size and time", async () => {
  let text = "one";
  handler = (_request, response) => response.end(text);
  const first = await runSource(runner(), op("/c"));
  text = "two";
  const second = await runSource(runner(), op("/c"));
  assert.notEqual(first.key, second.key);
  assert.equal(readFileSync(join(first.directory.path, "file"), "utf8"), "one");
  assert.equal(readFileSync(join(second.directory.path, "file"), "utf8"), "two");
});

test("a checksum is verified, and asks nobody when it is here", async () => {
  handler = (_request, response) => response.end("right");
  const good = op("/sum", { checksum: digestOf("right") });
  await runSource(runner(), good);
  requests = [];
  await runSource(runner(), good);
  assert.equal(requests.length, 0);
  await assert.rejects(runSource(runner(), op("/other", { checksum: digestOf("wrong") })), {
    message: `digest mismatch ${digestOf("right")}: ${digestOf("wrong")}`,
  });
});

test("B06: no name leads out, neither the build's nor the server's", async () => {
  handler = (_request, response) => {
    response.setHeader("content-disposition", 'attachment; filename="../../evil"');
    response.end("x");
  };
  await assert.rejects(runSource(runner(), op("/n", { filename: "" })), { kind: "InvalidParameter" });
  for (const filename of ["../x", "/etc/x", "a/b", "..", "."])
    await assert.rejects(runSource(runner(), op("/m", { filename })), { kind: "InvalidParameter" }, filename);
  handler = (_request, response) => response.end("x");
  await assert.rejects(runSource(runner(), op("/..%2f..%2fevil", { filename: "" })), { kind: "InvalidParameter" });
});

test("redirects are bounded, stay with http, and credentials stay with their host", async () => {
  handler = (_request, response) => response.writeHead(302, { location: "/loop" }).end();
  await assert.rejects(runSource(runner(), op("/loop")), /stopped after 10 redirects/);
  for (const location of ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:1"]) {
    handler = (_request, response) => response.writeHead(302, { location }).end();
    await assert.rejects(runSource(runner(), op("/elsewhere")), { kind: "InvalidParameter" }, location);
  }
  requests = [];
  handler = (request, response) =>
    request.url === "/from"
      ? response.writeHead(307, { location: `${base.replace("127.0.0.1", "localhost")}/to` }).end()
      : response.end("ok");
  await runSource(runner(), { ...op("/from"), url: `${base.replace("//", "//user:pass@")}/from` });
  assert.deepEqual(
    requests.map(({ url, headers }) => [url, headers.authorization]),
    [
      ["/from", `Basic ${Buffer.from("user:pass").toString("base64")}`],
      ["/to", undefined],
    ],
  );
});

test("what is too large, broken off or refused is an error that does not show the query", async () => {
  handler = (_request, response) => response.end("x".repeat(100));
  await assert.rejects(runSource(runner(50), op("/big")), /larger than 50 bytes/);
  handler = (_request, response) => {
    response.write("x".repeat(100));
    response.flushHeaders();
    setTimeout(() => response.destroy(), 20);
  };
  await assert.rejects(runSource(runner(50), op("/endless")), /larger than 50 bytes/);
  handler = (_request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("x");
    setTimeout(() => response.destroy(), 20);
  };
  await assert.rejects(runSource(runner(), op("/short")), { kind: "Unavailable" });
  handler = (_request, response) => response.writeHead(404).end();
  await assert.rejects(runSource(runner(), op("/no?token=secret")), (error: unknown) => {
    assert.ok(error instanceof Error && "kind" in error);
    assert.equal(error.kind, "NotFound");
    assert.ok(!error.message.includes("secret"));
    return true;
  });
  for (const url of ["file:///etc/passwd", "x", "ftp://h/x"])
    await assert.rejects(runSource(runner(), { ...op(""), url }), { kind: "InvalidParameter" }, url);
});

test("a server whose certificate nobody signed is refused, one that is trusted is not", async () => {
  const key = join(world.dataRoot, "key.pem");
  const certificate = join(world.dataRoot, "certificate.pem");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", [...words, ...subject, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  const secure = createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (_request, response) =>
    response.end("safe"),
  );
  const { promise, resolve } = Promise.withResolvers<void>();
  secure.listen(0, "127.0.0.1", resolve);
  await promise;
  const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/x`;
  const trusted = getCACertificates("default");
  try {
    await assert.rejects(runSource(runner(), { ...op(""), url }), { kind: "Unavailable", message: /certificate/ });
    setDefaultCACertificates([...trusted, readFileSync(certificate, "utf8")]);
    const { directory } = await runSource(runner(), { ...op(""), url });
    assert.equal(readFileSync(join(directory.path, "file"), "utf8"), "safe");
  } finally {
    setDefaultCACertificates(trusted);
    secure.close();
    secure.closeAllConnections();
  }
});

test("a build that is given up stops its download", async () => {
  handler = (_request, response) => void response.write("x");
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error("given up")), 50);
  await assert.rejects(runner().key(op("/hang"), jobOf(), abort.signal), /given up/);
});
