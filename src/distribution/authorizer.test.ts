// Tokens, mirrors and logins against a registry and a token service on loopback.

import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { silentLogger } from "../base/log.ts";
import { parseNamed } from "../base/reference.ts";
import { type Credentials, createDistribution, type Distribution, type DistributionConfig } from "./index.ts";
import { TokenCache } from "./token.ts";
import { RemoteRepository } from "./repository.ts";
import { Transport } from "./transport.ts";

const user: Credentials = { username: "u", password: "p", identityToken: "", registryToken: "", serverAddress: "" };
const basic = `Basic ${Buffer.from("u:p").toString("base64")}`;
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", size: 2, digest: digestOf("{}") },
    layers: [],
  }),
);

function config(more: Partial<DistributionConfig> = {}): DistributionConfig {
  return {
    mirrors: [],
    insecureRegistries: [],
    certsDirectories: [],
    httpProxy: "",
    httpsProxy: "",
    noProxy: "",
    userAgent: "test",
    maxAttempts: 3,
    stallTimeoutMs: 2000,
    retryDelayScale: 0.001,
    ...more,
  };
}

interface Fake {
  readonly address: string;
  readonly requests: { readonly line: string; readonly authorization: string | undefined; body: string }[];
}

/** A server, and what it was asked. */
async function serving(
  answer: (request: IncomingMessage, response: ServerResponse, url: URL, body: string) => void,
  run: (fake: Fake) => Promise<void>,
): Promise<void> {
  const requests: Fake["requests"] = [];
  const server: Server = createServer((request, response) => {
    const entry = { line: `${request.method} ${request.url}`, authorization: request.headers.authorization, body: "" };
    requests.push(entry);
    request.setEncoding("utf8").on("data", (text: string) => (entry.body += text));
    request.on("end", () => answer(request, response, new URL(request.url ?? "/", "http://x"), entry.body));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  try {
    await run({ address: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  }
}

function sendManifest(response: ServerResponse): void {
  response.setHeader("content-type", "application/vnd.oci.image.manifest.v1+json");
  response.end(manifest);
}

function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

/** A registry that takes the tokens which its token service gives; each is good for `uses` requests. */
function guarded(uses: number, token: (url: URL, body: string, n: number) => unknown) {
  let given = 0;
  const left = new Map<string, number>();
  return (request: IncomingMessage, response: ServerResponse, url: URL, body: string): void => {
    if (url.pathname === "/token") {
      given += 1;
      left.set(`Bearer t${given}`, uses);
      return sendJson(response, token(url, body, given));
    }
    const key = request.headers.authorization ?? "";
    const rest = left.get(key) ?? 0;
    if (rest > 0) {
      left.set(key, rest - 1);
      return url.pathname === "/v2/" ? void response.end() : sendManifest(response);
    }
    response.setHeader("www-authenticate", `Bearer realm="http://${request.headers.host}/token",service="reg"`);
    sendJson(response, { errors: [{ code: "UNAUTHORIZED", message: "authentication required", detail: {} }] }, 401);
  };
}

async function using(distribution: Distribution, run: (distribution: Distribution) => Promise<void>): Promise<void> {
  try {
    await run(distribution);
  } finally {
    distribution.close();
  }
}

const { signal } = new AbortController();
const client = (more?: Partial<DistributionConfig>): Distribution =>
  createDistribution({ config: () => config(more), logger: silentLogger });

test("a token is asked for once for its scope, with the password, and renewed when it is refused", () =>
  serving(
    guarded(2, (_url, _body, n) => ({ token: `t${n}`, expires_in: 300 })),
    (fake) =>
      using(client(), async (distribution) => {
        const repository = await distribution.repository(parseNamed(`${fake.address}/a/b`), "pull", user, signal);
        for (let i = 0; i < 3; i++) await repository.manifest("latest", signal);
        const scope = "scope=repository%3Aa%2Fb%3Apull";
        assert.deepEqual(
          fake.requests.map(({ line, authorization }) => [line, authorization]),
          [
            ["GET /v2/", undefined],
            [`GET /token?account=u&${scope}&service=reg`, basic],
            ["GET /v2/a/b/manifests/latest", "Bearer t1"],
            ["GET /v2/a/b/manifests/latest", "Bearer t1"],
            ["GET /v2/a/b/manifests/latest", "Bearer t1"],
            [`GET /token?account=u&${scope}&service=reg`, basic],
            ["GET /v2/a/b/manifests/latest", "Bearer t2"],
          ],
        );
      }),
  ));

test("a mount asks for the right to read the other repository as well", () =>
  serving(
    guarded(9, (_url, _body, n) => ({ token: `t${n}` })),
    (fake) =>
      using(client(), async (distribution) => {
        const repository = await distribution.repository(parseNamed(`${fake.address}/a`), "push", user, signal);
        await repository.mountBlob(digestOf("x"), "b/c", signal);
        const scopes = new URL(fake.requests[1]?.line.slice(4) ?? "", "http://x").searchParams.getAll("scope");
        assert.deepEqual(scopes, ["repository:a:pull,push", "repository:b/c:pull"]);
      }),
  ));

test("a refresh token is posted and never in a URL; a login asks for one", () =>
  serving(
    guarded(9, (_url, _body, n) => ({ access_token: `t${n}`, refresh_token: "fresh" })),
    (fake) =>
      using(client(), async (distribution) => {
        const login = await distribution.login({ ...user, serverAddress: fake.address }, signal);
        assert.deepEqual(login, { status: "Login Succeeded", identityToken: "fresh" });
        assert.match(fake.requests[1]?.line ?? "", /[?&]offline_token=true(&|$)/);
        const identity = { ...user, username: "<token>", password: "", identityToken: "secret" };
        const repository = await distribution.repository(parseNamed(`${fake.address}/a`), "pull", identity, signal);
        await repository.manifest("latest", signal);
        const post = fake.requests.find(({ line }) => line === "POST /token");
        assert.deepEqual(Object.fromEntries(new URLSearchParams(post?.body)), {
          grant_type: "refresh_token",
          refresh_token: "secret",
          service: "reg",
          client_id: "docker",
          scope: "repository:a:pull",
        });
        assert.ok(fake.requests.every(({ line }) => !line.includes("secret")));
      }),
  ));

test("a ready token is used as it is, and not exchanged", () =>
  serving(
    guarded(9, () => ({})),
    (fake) =>
      using(client(), async (distribution) => {
        const ready = { ...user, registryToken: "mine" };
        const repository = await distribution.repository(parseNamed(`${fake.address}/a`), "pull", ready, signal);
        await assert.rejects(repository.manifest("latest", signal), { kind: "Unauthorized" });
        assert.deepEqual(
          fake.requests.map(({ line, authorization }) => [line, authorization]),
          [
            ["GET /v2/", undefined],
            ["GET /v2/a/manifests/latest", "Bearer mine"],
          ],
        );
      }),
  ));

test("a refused login is told in dockerd's words", () =>
  serving(
    (request, response, url) => {
      if (url.pathname === "/token") return sendJson(response, { details: "incorrect username or password" }, 401);
      response.setHeader("www-authenticate", `Bearer realm="http://${request.headers.host}/token"`);
      sendJson(response, {}, 401);
    },
    (fake) =>
      using(client(), (distribution) =>
        assert.rejects(distribution.login({ ...user, serverAddress: fake.address }, signal), {
          kind: "Unauthorized",
          message: `Get "http://${fake.address}/v2/": unauthorized: incorrect username or password`,
        }),
      ),
  ));

test("many requests at once share one token", () =>
  serving(
    guarded(99, (_url, _body, n) => ({ token: `t${n}` })),
    (fake) =>
      using(client(), async (distribution) => {
        const repository = await distribution.repository(parseNamed(`${fake.address}/a`), "pull", user, signal);
        await Promise.all(Array.from({ length: 8 }, () => repository.manifest("latest", signal)));
        assert.equal(fake.requests.filter(({ line }) => line.includes("/token")).length, 1);
      }),
  ));

test("a mirror is asked first, without credentials, and left for the registry when it fails", () =>
  serving(
    (_request, response) => sendJson(response, { errors: [{ code: "MANIFEST_UNKNOWN", message: "no" }] }, 404),
    (mirror) =>
      serving(
        (request, response) => {
          if (request.headers.authorization === basic) return sendManifest(response);
          response.setHeader("www-authenticate", "Basic realm=x");
          sendJson(response, {}, 401);
        },
        async (registry) => {
          const transport = new Transport();
          const at = (address: string, isMirror: boolean) => ({
            url: new URL(`http://${address}`),
            isMirror,
            insecure: true,
          });
          const repository = new RemoteRepository(
            { transport, tokens: new TokenCache(transport), config: config(), logger: silentLogger },
            parseNamed("busybox"),
            "pull",
            [at(mirror.address, true), at(registry.address, false)],
            user,
          );
          assert.ok((await repository.manifest("latest", signal)).bytes.equals(manifest));
          assert.equal(mirror.requests.at(-1)?.line, "GET /v2/library/busybox/manifests/latest");
          assert.ok(mirror.requests.every(({ authorization }) => authorization === undefined));
          transport.close();
        },
      ),
  ));

test("a registry that nobody serves is told at once, in dockerd's words", () =>
  using(client(), (distribution) =>
    assert.rejects(distribution.repository(parseNamed("127.0.0.1:1/x"), "pull", undefined, signal), {
      kind: "Unavailable",
      message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    }),
  ));

test("a registry with a proxy is asked through it", () =>
  serving(
    (request, response) => (request.url === "http://registry.invalid/v2/" ? response.end() : sendManifest(response)),
    (fake) =>
      using(
        client({ httpProxy: `http://me:pw@${fake.address}`, insecureRegistries: ["registry.invalid"] }),
        async (distribution) => {
          const repository = await distribution.repository(parseNamed("registry.invalid/x"), "pull", undefined, signal);
          await repository.manifest("latest", signal);
          assert.deepEqual(
            fake.requests.map(({ line }) => line),
            ["GET http://registry.invalid/v2/", "GET http://registry.invalid/v2/x/manifests/latest"],
          );
        },
      ),
  ));

test("a search asks the old API of the registry in the term, and tells where there is none", () =>
  serving(
    (_request, response, url) =>
      url.pathname === "/v1/search" && url.searchParams.get("q") !== "none"
        ? sendJson(response, {
            results: [{ name: "a/b", description: "d", star_count: 3, is_official: true, extra: 1 }, { name: "c" }],
          })
        : sendJson(response, {}, 404),
    (fake) =>
      using(client(), async (distribution) => {
        assert.deepEqual(await distribution.search(`${fake.address}/b&n=1`, 0, user, signal), [
          { name: "a/b", description: "d", star_count: 3, is_official: true, is_automated: false },
          { name: "c", description: "", star_count: 0, is_official: false, is_automated: false },
        ]);
        assert.deepEqual(
          fake.requests.map(({ line, authorization }) => [line, authorization]),
          [["GET /v1/search?q=b%26n%3D1&n=25", basic]],
        );
        await assert.rejects(distribution.search(`${fake.address}/none`, 5, undefined, signal), {
          message: "Unexpected status code 404",
        });
        await assert.rejects(distribution.search("127.0.0.1:1/x", 5, undefined, signal), {
          kind: "InvalidParameter",
          message: `invalid registry endpoint "http://127.0.0.1:1/v1/". HTTPS attempt: Get "https://127.0.0.1:1/v1/search": dial tcp 127.0.0.1:1: connect: connection refused. HTTP attempt: Get "http://127.0.0.1:1/v1/search": dial tcp 127.0.0.1:1: connect: connection refused`,
        });
        await assert.rejects(distribution.search("x", 101, undefined, signal), {
          message: "limit 101 is outside the range of [1, 100]",
        });
      }),
  ));
