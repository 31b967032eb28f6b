// The ways in which evil-registry.ts misbehaves, by name. Each sees every request, and either answers it ("done") or leaves it to
// the honest registry. `survivable` says which of them a good client gets the image from all the same.

import { gzipSync } from "node:zlib";
import type { EvilExchange } from "./evil-registry.ts";
import { sha256 } from "./image-archives.ts";

export type Behaviour = (exchange: EvilExchange) => "done" | undefined;

/** Behaviours that a client pulls the image in spite of. */
export const survivable: ReadonlySet<string> = new Set([
  "honest",
  "rst-once",
  "truncated-once",
  "resume-ignored",
  "resume-wrong-range",
  "resume-416",
  "status-429-once",
  "status-503-once",
  "redirect-elsewhere",
  "redirect-relative",
  "tokens-for-one-request",
  "challenge-after-garbage",
  "manifest-as-text",
  "manifest-without-type",
  "swapped-after-head",
]);

const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1);
const octets = { "content-type": "application/octet-stream" };

function is(exchange: EvilExchange, kind: EvilExchange["kind"]): boolean {
  return exchange.kind === kind && !exchange.elsewhere;
}

function isLargeBlob(exchange: EvilExchange): boolean {
  return is(exchange, "blob") && (exchange.good?.bytes.length ?? 0) > 10_000;
}

function answer(
  { response }: EvilExchange,
  status: number,
  headers: Readonly<Record<string, string | string[]>>,
  body: string | Buffer = "",
): "done" {
  response.writeHead(status, headers);
  response.end(body);
  return "done";
}

/** Writes bytes past Node's HTTP, and leaves the connection open. */
function raw({ request }: EvilExchange, text: string | Buffer): "done" {
  request.socket.write(text);
  return "done";
}

function errors(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message, detail: {} }] });
}

const json = { "content-type": "application/json" };

/** A manifest in place of the good one, with a digest that fits. */
function manifestOf(change: (good: Record<string, unknown>) => unknown, mediaType?: string): Behaviour {
  return (exchange) => {
    if (!is(exchange, "manifest")) return undefined;
    const changed = change(JSON.parse(exchange.registry.image.manifest.toString()) as Record<string, unknown>);
    const bytes = Buffer.from(typeof changed === "string" ? changed : JSON.stringify(changed));
    const headers = {
      "content-type": mediaType ?? exchange.registry.image.mediaType,
      "docker-content-digest": `sha256:${sha256(bytes)}`,
    };
    return answer(exchange, 200, headers, bytes);
  };
}

function onManifest(act: (exchange: EvilExchange) => "done" | undefined): Behaviour {
  return (exchange) => (is(exchange, "manifest") ? act(exchange) : undefined);
}

function onLargeBlob(act: (exchange: EvilExchange, good: Buffer) => "done" | undefined): Behaviour {
  return (exchange) =>
    isLargeBlob(exchange) && exchange.good !== undefined ? act(exchange, exchange.good.bytes) : undefined;
}

function redirectBlob(location: (exchange: EvilExchange) => string, status = 307): Behaviour {
  return onLargeBlob((exchange) => answer(exchange, status, { location: location(exchange) }));
}

/** Quickly made: the test's own process serves it. */
function tagsOf(count: number): string {
  return `{"tags":[${'"tag",'.repeat(count - 1)}"tag"]}`;
}

/** Half of a blob, and then what `act` does; ranges are answered as well. */
function brokenBlob(act: (exchange: EvilExchange) => void): Behaviour {
  return onLargeBlob((exchange, good) => {
    const from = Number(/^bytes=(\d+)-$/.exec(exchange.request.headers.range ?? "")?.[1] ?? 0);
    const range = { "content-range": `bytes ${from}-${good.length - 1}/${good.length}` };
    exchange.response.writeHead(from > 0 ? 206 : 200, {
      ...octets,
      ...(from > 0 ? range : {}),
      "content-length": String(good.length - from),
    });
    exchange.response.write(half(good.subarray(from)), () => act(exchange));
    return "done";
  });
}

/** The first request for a large blob ends in its middle; what comes later is `then`'s. */
function brokenOnce(then: (exchange: EvilExchange, good: Buffer) => "done" | undefined): Behaviour {
  const broken = brokenBlob(({ request }) => request.socket.destroy());
  return onLargeBlob((exchange, good) =>
    exchange.request.headers.range === undefined && !repeated(exchange) ? broken(exchange) : then(exchange, good),
  );
}

function repeated({ registry, request }: EvilExchange): boolean {
  return registry.requests.filter(({ path, method }) => path === request.url && method === request.method).length > 1;
}

/** 401 with a challenge for whatever carries no (or a refused) Authorization. */
function guarded(
  challenge: (exchange: EvilExchange) => string,
  accepts: (exchange: EvilExchange) => boolean,
): Behaviour {
  return (exchange) => {
    if (exchange.elsewhere || exchange.kind === "token" || accepts(exchange)) return undefined;
    const headers = { ...json, "www-authenticate": challenge(exchange) };
    return answer(exchange, 401, headers, errors("UNAUTHORIZED", "authentication required"));
  };
}

const never = (): boolean => false;
const bearer = ({ registry }: EvilExchange): string => `Bearer realm="http://${registry.address}/token",service="evil"`;

function tokenAnswer(act: (exchange: EvilExchange) => "done" | undefined): Behaviour {
  const guard = guarded(bearer, never);
  return (exchange) => (is(exchange, "token") ? act(exchange) : guard(exchange));
}

function endless(exchange: EvilExchange, head: Readonly<Record<string, string>>, status = 200): "done" {
  const { response } = exchange;
  response.writeHead(status, head);
  const block = Buffer.alloc(64 << 10, 0x20);
  const pump = (): void => {
    while (!response.destroyed && response.write(block));
  };
  response.on("drain", pump);
  pump();
  return "done";
}

function drip(exchange: EvilExchange, bytes: Buffer, head: Readonly<Record<string, string>>): "done" {
  let at = 0;
  exchange.response.writeHead(200, { ...head, "content-length": String(bytes.length) });
  exchange.response.flushHeaders();
  exchange.every(20, () => void exchange.response.write(bytes.subarray(at, ++at)));
  return "done";
}

const statusAlways =
  (status: number, headers: Readonly<Record<string, string>> = {}, body = ""): Behaviour =>
  (exchange) =>
    exchange.kind === "ping" ? undefined : answer(exchange, status, headers, body);

const statusOnce =
  (status: number, headers: Readonly<Record<string, string>> = {}): Behaviour =>
  (exchange) =>
    exchange.kind !== "ping" && exchange.count === 0 ? answer(exchange, status, headers) : undefined;

const list = "application/vnd.oci.image.index.v1+json";

/** Every way, by its name. */
export const behaviours = {
  honest: () => undefined,

  // Time.
  silent: onManifest(() => "done"),
  "silent-ping": (exchange) => (is(exchange, "ping") ? "done" : undefined),
  "slow-head": onManifest((exchange) => {
    raw(exchange, "HTTP/1.1 200 OK\r\nx: ");
    exchange.every(20, () => void exchange.request.socket.write("a"));
    return "done";
  }),
  "slow-manifest": onManifest((exchange) =>
    drip(exchange, exchange.registry.image.manifest, exchange.good?.headers ?? {}),
  ),
  "slow-blob": onLargeBlob((exchange, good) => drip(exchange, good, octets)),
  "silent-blob": brokenBlob(() => {}),

  // Length.
  "endless-manifest": onManifest((exchange) => endless(exchange, exchange.good?.headers ?? {})),
  "endless-blob": onLargeBlob((exchange) => endless(exchange, octets)),
  "endless-error": onManifest((exchange) => endless(exchange, json, 404)),
  "endless-head": onManifest((exchange) => {
    raw(exchange, "HTTP/1.1 200 OK\r\n");
    exchange.every(1, () => void exchange.request.socket.write(`x-${"a".repeat(4000)}: b\r\n`));
    return "done";
  }),
  "huge-header": onManifest((exchange) => answer(exchange, 200, { "x-huge": "a".repeat(1 << 20) })),
  "short-length": onLargeBlob((exchange, good) =>
    answer(exchange, 200, { ...octets, "content-length": String(good.length >> 1) }, half(good)),
  ),
  "longer-than-said": onLargeBlob((exchange, good) => {
    const both = Buffer.concat([good, good]);
    return answer(exchange, 200, octets, both);
  }),

  // Broken connections.
  "rst-once": brokenOnce(() => undefined),
  "rst-always": brokenBlob(({ request }) => void request.socket.resetAndDestroy()),
  "rst-manifest": onManifest((exchange) => {
    exchange.request.socket.resetAndDestroy();
    return "done";
  }),
  "truncated-once": brokenOnce(() => undefined),
  "truncated-always": brokenBlob(({ request }) => void request.socket.end()),
  "resume-ignored": brokenOnce((exchange, good) => answer(exchange, 200, octets, good)),
  "resume-lies": brokenOnce((exchange, good) => {
    const from = Number(/\d+/.exec(exchange.request.headers.range ?? "")?.[0] ?? 0);
    const range = `bytes ${from}-${good.length - 1}/${good.length}`;
    return answer(exchange, 206, { ...octets, "content-range": range }, good.subarray(0, good.length - from));
  }),
  "resume-wrong-range": brokenOnce((exchange, good) =>
    exchange.request.headers.range === undefined
      ? undefined
      : answer(
          exchange,
          206,
          { ...octets, "content-range": `bytes 7-${good.length - 1}/${good.length}` },
          good.subarray(7),
        ),
  ),
  "resume-416": brokenOnce((exchange) =>
    exchange.request.headers.range === undefined ? undefined : answer(exchange, 416, {}),
  ),

  // Digests and encodings.
  "wrong-digest-manifest": onManifest((exchange) => {
    const changed = Buffer.from(`${exchange.registry.image.manifest.toString()} `);
    return answer(
      exchange,
      200,
      { "content-type": exchange.registry.image.mediaType, "docker-content-digest": exchange.registry.image.digest },
      changed,
    );
  }),
  "wrong-digest-blob": onLargeBlob((exchange, good) => {
    const changed = Buffer.from(good);
    changed[changed.length - 100] = (changed[changed.length - 100] ?? 0) ^ 1;
    return answer(exchange, 200, octets, changed);
  }),
  "no-digest-at-all": onManifest((exchange) =>
    answer(
      exchange,
      200,
      { "content-type": exchange.registry.image.mediaType, "docker-content-digest": "sha256:../../x" },
      exchange.registry.image.manifest,
    ),
  ),
  "swapped-after-head": onManifest((exchange) =>
    exchange.request.method === "HEAD"
      ? answer(exchange, 200, {
          "content-type": exchange.registry.image.mediaType,
          "docker-content-digest": `sha256:${"a".repeat(64)}`,
          "content-length": "5",
        })
      : undefined,
  ),
  "gzip-manifest": onManifest((exchange) =>
    answer(
      exchange,
      200,
      { ...exchange.good?.headers, "content-encoding": "gzip" },
      gzipSync(exchange.registry.image.manifest),
    ),
  ),
  "gzip-bomb-blob": onLargeBlob((exchange) =>
    answer(exchange, 200, { ...octets, "content-encoding": "gzip" }, gzipSync(Buffer.alloc(32 << 20))),
  ),

  // Documents.
  "schema-1": manifestOf(
    () => ({ schemaVersion: 1, name: "x", tag: "latest", architecture: "amd64", fsLayers: [], history: [] }),
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
  ),
  "manifest-and-index": manifestOf((good) => ({ ...good, manifests: [] })),
  "index-as-manifest": manifestOf(() => ({ schemaVersion: 2, mediaType: list, manifests: [] })),
  "manifest-as-index": manifestOf((good) => good, list),
  "other-type-in-document": manifestOf((good) => ({
    ...good,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
  })),
  "unknown-type": manifestOf((good) => good, "application/vnd.evil"),
  "manifest-as-text": manifestOf((good) => good, "text/plain; charset=utf-8"),
  "manifest-without-type": onManifest((exchange) => answer(exchange, 200, {}, exchange.registry.image.manifest)),
  "key-twice": manifestOf((good) => JSON.stringify(good).replace('"layers"', '"layers":[],"layers"')),
  "deep-json": manifestOf(() => `{"schemaVersion":2,"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`),
  "html-manifest": manifestOf(() => "<html>Please log in</html>", "text/html"),
  "evil-layer-digest": manifestOf((good) => ({
    ...good,
    layers: [
      { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", size: 1, digest: "sha256:../../../etc/passwd" },
    ],
  })),
  "foreign-layer": manifestOf((good) => ({
    ...good,
    layers: [
      {
        mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        size: 10,
        digest: `sha256:${"b".repeat(64)}`,
        urls: ["http://127.0.0.1:9/foreign"],
      },
    ],
  })),

  // Redirects.
  "redirect-relative": onLargeBlob((exchange) =>
    exchange.url.search === "" ? answer(exchange, 302, { location: `${exchange.url.pathname}?again` }) : undefined,
  ),
  "redirect-elsewhere": redirectBlob(({ registry, url }) => `http://${registry.elsewhere}${url.pathname}`),
  "redirect-loop": redirectBlob(({ url }) => url.href),
  "redirect-long": redirectBlob(({ url, count }) => `${url.pathname}?n=${count}`),
  "redirect-file": redirectBlob(() => "file:///etc/passwd"),
  "redirect-gopher": redirectBlob(() => "gopher://127.0.0.1:70/x"),
  "redirect-metadata": redirectBlob(() => "http://169.254.169.254/latest/meta-data/"),
  "redirect-nowhere": redirectBlob(() => "http://[::bad"),
  "redirect-without-location": onLargeBlob((exchange) => answer(exchange, 307, {})),

  // Authentication.
  "401-loop": guarded(bearer, never),
  "401-loop-basic": guarded(() => `Basic realm="evil"`, never),
  "401-on-blobs": (exchange) => (is(exchange, "blob") ? guarded(bearer, never)(exchange) : undefined),
  "challenge-garbage": guarded(() => `,,;"\\", Bearer realm="\\, =x=y="", ="`, never),
  "challenge-after-garbage": guarded(
    (exchange) => `Negotiate abc==, "x", ${bearer(exchange)}`,
    ({ request }) => request.headers.authorization?.startsWith("Bearer ") === true,
  ),
  "realm-file": guarded(() => `Bearer realm="file:///etc/passwd"`, never),
  "realm-garbage": guarded(() => `Bearer realm="::::"`, never),
  "realm-metadata": guarded(() => `Bearer realm="http://169.254.169.254/token"`, never),
  "token-loop": tokenAnswer((exchange) => answer(exchange, 401, { "www-authenticate": bearer(exchange) })),
  "token-redirects": tokenAnswer((exchange) => answer(exchange, 307, { location: exchange.url.href })),
  "token-no-json": tokenAnswer((exchange) => answer(exchange, 200, json, "<html>")),
  "token-empty": tokenAnswer((exchange) => answer(exchange, 200, json, "{}")),
  "token-endless": tokenAnswer((exchange) => endless(exchange, json)),
  "token-silent": tokenAnswer(() => "done"),
  "token-injects": tokenAnswer((exchange) => answer(exchange, 200, json, JSON.stringify({ token: "a\r\nx-evil: 1" }))),
  "tokens-for-one-request": (exchange) => {
    const { registry, request } = exchange;
    const given = request.headers.authorization;
    const used = registry.requests.filter(({ authorization }) => given !== undefined && authorization === given).length;
    return guarded(bearer, () => given?.startsWith("Bearer ") === true && used <= 1)(exchange);
  },

  // Statuses.
  "status-429-once": statusOnce(429, { "retry-after": "0" }),
  "status-429-for-ever": statusAlways(
    429,
    { ...json, "retry-after": "1000000000" },
    errors("TOOMANYREQUESTS", "slow down"),
  ),
  "status-503-once": statusOnce(503),
  "status-500-for-ever": statusAlways(500),
  "status-501": statusAlways(501),
  "status-402": statusAlways(402, { "content-type": "text/html" }, "<b>pay</b>"),
  "status-999": onManifest((exchange) => raw(exchange, "HTTP/1.1 999 Evil\r\ncontent-length: 0\r\n\r\n")),
  "status-206-manifest": onManifest((exchange) =>
    answer(exchange, 206, exchange.good?.headers ?? {}, half(exchange.registry.image.manifest)),
  ),

  // HTTP.
  "no-http": onManifest((exchange) => {
    raw(exchange, "SSH-2.0-OpenSSH_9.2\r\n");
    return "done";
  }),
  upgrade: onManifest((exchange) =>
    raw(exchange, "HTTP/1.1 101 Switching Protocols\r\nupgrade: evil\r\nconnection: upgrade\r\n\r\n"),
  ),
  "continue-for-ever": onManifest((exchange) => {
    exchange.every(20, () => void exchange.request.socket.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"));
    return "done";
  }),
  "bad-chunks": onLargeBlob((exchange) =>
    raw(exchange, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzzz\r\nx"),
  ),
  "negative-length": onManifest((exchange) => raw(exchange, "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nx")),
  "two-lengths": onManifest((exchange) =>
    raw(exchange, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"),
  ),

  // Lists of tags; the image itself is honest.
  "tags-loop": (exchange) =>
    is(exchange, "tags")
      ? answer(exchange, 200, { ...json, link: `<${exchange.url.pathname}?n=1&last=a>; rel="next"` }, `{"tags":["a"]}`)
      : undefined,
  "tags-for-ever": (exchange) =>
    is(exchange, "tags")
      ? answer(
          exchange,
          200,
          { ...json, link: `<${exchange.url.pathname}?last=${exchange.count}>; rel="next"` },
          tagsOf(9_999),
        )
      : undefined,
  "tags-elsewhere": (exchange) =>
    is(exchange, "tags")
      ? answer(
          exchange,
          200,
          { ...json, link: `<http://${exchange.registry.elsewhere}/x>; rel="next"` },
          `{"tags":["a"]}`,
        )
      : undefined,
  "tags-control": (exchange) =>
    is(exchange, "tags") ? answer(exchange, 200, json, `{"tags":["a\\u001b[31m"]}`) : undefined,
  "tags-million": (exchange) => (is(exchange, "tags") ? answer(exchange, 200, json, tagsOf(1_000_000)) : undefined),

  // Uploads; pulls are honest.
  "upload-lost": (exchange) =>
    is(exchange, "upload") && exchange.request.method === "PATCH" && exchange.count === 1
      ? answer(exchange, 404, json, errors("BLOB_UPLOAD_UNKNOWN", "gone"))
      : undefined,
  "upload-broken": (exchange) => {
    if (!is(exchange, "upload") || exchange.request.method !== "PATCH" || exchange.count !== 1) return undefined;
    let bytes = Buffer.alloc(0);
    exchange.request.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 100_000) return;
      exchange.registry.uploads.set(exchange.url.pathname, bytes.subarray(0, 100_000));
      exchange.request.socket.resetAndDestroy();
    });
    return "done";
  },
  "upload-too-much": (exchange) =>
    is(exchange, "upload") && Number(exchange.request.headers["content-length"]) > 20_000_000
      ? answer(exchange, 413, {})
      : undefined,
  "upload-keeps-nothing": (exchange) => {
    if (!is(exchange, "upload") || exchange.request.method !== "PATCH") return undefined;
    exchange.request.resume();
    exchange.request.on("end", () => answer(exchange, 202, { location: exchange.url.href, range: "0-0" }));
    return "done";
  },
  "upload-elsewhere": (exchange) => {
    const { registry, request, url } = exchange;
    if (!is(exchange, "upload") || request.method !== "POST") return undefined;
    const name = `${url.pathname}elsewhere`;
    registry.uploads.set(name, Buffer.alloc(0));
    return answer(exchange, 202, { location: `http://${registry.elsewhere}${name}?state=a%3Db` });
  },
  "upload-to-file": (exchange) =>
    is(exchange, "upload") && exchange.request.method === "POST"
      ? answer(exchange, 202, { location: "file:///etc/passwd" })
      : undefined,
} as const satisfies Readonly<Record<string, Behaviour>>;

export type BehaviourName = keyof typeof behaviours;
