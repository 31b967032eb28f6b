import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDigest } from "../base/digest.ts";
import { isLocalAddress, isLocalHostText, publicLookup } from "./address.ts";
import { parseContentRange } from "./blob.ts";
import { isInsecure, planEndpoints, urlOf } from "./endpoint.ts";
import { registryOfAddress } from "./login.ts";
import { parseLocation, withoutCredentials } from "./redirect.ts";
import { splitTerm } from "./search.ts";
import { parseNextLink } from "./tags.ts";
import { parseRealm, parseToken } from "./token.ts";
import { parseUploadRange, withDigest } from "./upload.ts";

const none = { mirrors: [], insecureRegistries: [] };

async function plan(domain: string, access: "pull" | "push", config: Parameters<typeof planEndpoints>[2]) {
  return (await planEndpoints(domain, access, config)).map(
    (endpoint) => `${urlOf(endpoint, "x/tags/list").href}${endpoint.insecure ? " insecure" : ""}`,
  );
}

test("docker.io is registry-1.docker.io, behind its mirrors when something is pulled", async () => {
  const config = { mirrors: ["https://m/a/", "http://n:5000/"], insecureRegistries: [] };
  assert.deepEqual(await plan("docker.io", "pull", config), [
    "https://m/a/v2/x/tags/list",
    "http://n:5000/v2/x/tags/list insecure",
    "https://registry-1.docker.io/v2/x/tags/list",
  ]);
  assert.deepEqual(await plan("docker.io", "push", config), ["https://registry-1.docker.io/v2/x/tags/list"]);
});

test("other registries have https alone; insecure ones http as well", async () => {
  assert.deepEqual(await plan("192.0.2.1:5000", "pull", { ...none, mirrors: ["https://m/"] }), [
    "https://192.0.2.1:5000/v2/x/tags/list",
  ]);
  const both = ["https://192.0.2.1:5000/v2/x/tags/list insecure", "http://192.0.2.1:5000/v2/x/tags/list insecure"];
  assert.deepEqual(await plan("192.0.2.1:5000", "push", { ...none, insecureRegistries: ["192.0.2.1:5000"] }), both);
  assert.deepEqual(await plan("192.0.2.1:5000", "push", { ...none, insecureRegistries: ["192.0.0.0/16"] }), both);
});

test("loopback is insecure, by address or by name; a neighbour's entry does not count", async () => {
  const cases = ["127.0.0.1:5000", "127.9.9.9", "localhost:5000", "[::1]:5000", "192.0.2.1", "[2001:db8::1]:5000"];
  const found = await Promise.all(cases.map((host) => isInsecure(host, ["192.0.2.1:5000", "2001:db8::/33"])));
  assert.deepEqual(found, [true, true, true, true, false, true]);
});

test("local addresses are known in all their forms", () => {
  const local =
    `127.0.0.1 10.1.1.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 ::1 :: fe80::1%eth0 fd00::1
    ::ffff:127.0.0.1 ::ffff:a00:1 64:ff9b::7f00:1 2002:7f00:1:: nonsense`.split(/\s+/);
  assert.deepEqual(
    local.filter((address) => !isLocalAddress(address)),
    [],
  );
  const open = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"];
  assert.deepEqual(open.filter(isLocalAddress), []);
  assert.deepEqual(["localhost", "a.localhost.", "registry.example"].map(isLocalHostText), [true, true, false]);
});

test("a name that has only local addresses is not connected to", async () => {
  const error = await new Promise((resolve) => {
    publicLookup("localhost", { all: true }, (failure) => resolve(failure));
  });
  assert.match(String(error), /refused to follow the registry to localhost/);
});

function outcome(call: () => { readonly href: string }): string {
  try {
    return call().href;
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
}

test("a Location is followed to http and https, and down to http only where the registry is insecure", () => {
  const from = new URL("https://r/v2/x");
  assert.deepEqual(
    [
      "/y?a=%2B+b",
      "https://u:p@other/z#f",
      "http://other/",
      "file:///etc/passwd",
      "",
      "http://[::bad",
      "https://169.254.169.254/",
    ].map((location) => outcome(() => parseLocation(location, from, false))),
    [
      "https://r/y?a=%2B+b",
      "https://other/z",
      "refused to follow r from https to http",
      "refused to follow r to file://: only http and https are",
      "r answered without a valid Location",
      "r answered without a valid Location",
      "refused to follow the registry to 169.254.169.254: a local address that is not the registry's",
    ],
  );
  assert.equal(parseLocation("http://other/", from, true).href, "http://other/");
});

test("no credential goes on to another origin", () => {
  assert.deepEqual(withoutCredentials({ Authorization: "x", cookie: "y", accept: "z" }), { accept: "z" });
});

test("a realm is https, or http where the registry is; never anything else, and without a user", () => {
  const secure = new URL("https://r/");
  const realms = ["https://u:p@auth/token?x=1", "http://auth/token", "file:///etc/passwd", "::::"];
  assert.deepEqual(
    realms.map((realm) => outcome(() => parseRealm(realm, secure, false))),
    [
      "https://auth/token?x=1",
      "r: refused to ask for a token at http://auth: https is needed",
      "r: refused to ask for a token at file://: https is needed",
      'r: invalid token realm "::::"',
    ],
  );
  assert.equal(parseRealm("http://auth/token", new URL("http://r/"), false).href, "http://auth/token");
});

test("a token has a name of two, and a life", () => {
  const parse = (value: unknown) => parseToken(Buffer.from(JSON.stringify(value)), new URL("https://auth/"));
  assert.deepEqual(
    [parse({ token: "a", access_token: "b" }), parse({ access_token: "b", refresh_token: "r" })].map((token) => [
      token.value,
      token.refreshToken,
    ]),
    [
      ["a", ""],
      ["b", "r"],
    ],
  );
  const life = (seconds: unknown) =>
    Math.round((parse({ token: "a", expires_in: seconds }).expiresAtMs - performance.now()) / 1000);
  assert.deepEqual([life(undefined), life(300), life(20), life(-5), life(1e12)], [54, 290, 18, 54, 86_390]);
  assert.throws(() => parse({ token: "a\r\nx: y" }), { message: /did not include a token/ });
});

test("ranges are read strictly", () => {
  assert.deepEqual(parseContentRange("bytes 5-9/10"), { offset: 5, sizeBytes: 10 });
  assert.deepEqual(parseContentRange("bytes 5-9/*"), { offset: 5, sizeBytes: undefined });
  for (const text of ["", "bytes 9-5/10", "bytes 5-10/10", "bytes -5-9/10", "lines 5-9/10", "bytes */10"])
    assert.equal(parseContentRange(text), undefined, text);
  assert.deepEqual(["0-0", "0-9", "bytes=0-9", "1-9", "", "0-x"].map(parseUploadRange), [
    0,
    10,
    10,
    undefined,
    undefined,
    undefined,
  ]);
});

test("the query of an upload stays as the registry wrote it", () => {
  const digest = parseDigest(`sha256:${"a".repeat(64)}`);
  const suffix = `digest=sha256%3A${"a".repeat(64)}`;
  assert.equal(
    withDigest(new URL("https://r/u?_state=a%2Bb%3D&x=+"), digest).href,
    `https://r/u?_state=a%2Bb%3D&x=+&${suffix}`,
  );
  assert.equal(withDigest(new URL("https://r/u"), digest).href, `https://r/u?${suffix}`);
});

test("the next page is the link that says so", () => {
  assert.equal(
    parseNextLink(`</a>; rel="prev", </v2/x/tags/list?n=1&last=b>; rel="next"`),
    "/v2/x/tags/list?n=1&last=b",
  );
  assert.equal(parseNextLink("</b>; rel=next"), "/b");
  assert.equal(parseNextLink("</b>; rel=nextish, garbage <"), undefined);
});

test("a server address and a search term name their registry as in dockerd", () => {
  assert.deepEqual(
    ["", "https://index.docker.io/v1/", "index.docker.io", "https://r:5/v1/", "r.example"].map(registryOfAddress),
    ["docker.io", "docker.io", "docker.io", "r:5", "r.example"],
  );
  assert.throws(() => registryOfAddress("https://a b/"), { message: /unable to parse server address/ });
  assert.deepEqual(["x", "library/x", "a/x", "r.example/x", "localhost/a/b"].map(splitTerm), [
    { domain: "docker.io", query: "x" },
    { domain: "docker.io", query: "x" },
    { domain: "docker.io", query: "a/x" },
    { domain: "r.example", query: "x" },
    { domain: "localhost", query: "a/b" },
  ]);
  assert.throws(() => splitTerm("http://a/x"), {
    message: "invalid repository name: repository name (http://a/x) should not have a scheme",
  });
});
