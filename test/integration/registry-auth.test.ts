// Who may do what on our registry: passwords, rights per repository with its own tokens, tokens of another server, TLS; and the
// logins of skopeo and podman.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { runCommand } from "../support/daemon.ts";
import { type Answer, call, codeOf, digestOf, OwnRegistry, pushBlob, pushManifest } from "../support/own-registry.ts";

const passwords = { alice: "wonder:land", bob: "builder", root: "toor" };
const rules = {
  groups: { team: ["alice", "bob"] },
  rules: [
    { repositories: ["public/**"], users: ["@anyone"], rights: ["pull"] },
    { repositories: ["team/**"], users: ["@team"], rights: ["pull", "push"] },
    { repositories: ["home/{user}/**"], users: ["@users"], rights: ["pull", "push", "delete"] },
    { repositories: ["**"], users: ["root"], rights: ["pull", "push", "delete", "catalog"] },
  ],
};

function basic(user: keyof typeof passwords, password = passwords[user]): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

function makeDirectory(): string {
  return mkdtempSync(join(tmpdir(), "gantry-own-registry-"));
}

function writeHtpasswd(path: string): void {
  const lines = Object.entries(passwords).map(([user, password]) =>
    execFileSync("htpasswd", ["-nbB", user, password], { encoding: "utf8" }).trim(),
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
}

async function startWithRules(): Promise<OwnRegistry> {
  const dir = makeDirectory();
  const [htpasswd, access] = [join(dir, "htpasswd"), join(dir, "access.json")];
  writeHtpasswd(htpasswd);
  writeFileSync(access, JSON.stringify(rules));
  return OwnRegistry.start(["--htpasswd", htpasswd, "--access", access, "--token-service", "tests"], dir);
}

function challengeOf(answer: Answer): Record<string, string> {
  const header = String(answer.headers["www-authenticate"]);
  return Object.fromEntries([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]));
}

interface TokenAnswer {
  readonly token: string;
  readonly expires_in: number;
  readonly refresh_token?: string;
}

async function tokenFor(registry: OwnRegistry, scope: string, headers = {}, more = ""): Promise<TokenAnswer> {
  const query = `service=tests&scope=${encodeURIComponent(scope)}${more}`;
  const answer = await call(`${registry.url}/token?${query}`, { headers });
  assert.equal(answer.status, 200, answer.body.toString());
  return JSON.parse(answer.body.toString("utf8")) as TokenAnswer;
}

function bearer({ token }: TokenAnswer): { authorization: string } {
  return { authorization: `Bearer ${token}` };
}

test("htpasswd: everything for those who log in, nothing for others; a changed file counts", async () => {
  const dir = makeDirectory();
  const htpasswd = join(dir, "htpasswd");
  writeHtpasswd(htpasswd);
  await using registry = await OwnRegistry.start(["--htpasswd", htpasswd], dir);
  const base = await call(`${registry.url}/v2/`);
  assert.deepEqual([base.status, codeOf(base)], [401, "UNAUTHORIZED"]);
  assert.match(String(base.headers["www-authenticate"]), /^Basic realm="/);
  assert.equal((await call(`${registry.url}/v2/`, { headers: basic("alice", "wrong") })).status, 401);
  assert.equal((await call(`${registry.url}/v2/`, { headers: basic("alice") })).status, 200);
  assert.equal((await call(`${registry.url}/v2/`, { headers: { authorization: "Bearer x" } })).status, 401);
  for (const path of ["/v2/_catalog", "/v2/a/tags/list", "/metrics"])
    assert.equal((await call(registry.url + path)).status, 401, path);
  assert.equal((await call(`${registry.url}/health`)).status, 200);
  await pushManifest(registry.url, "a", "v1", { config: "{}", layers: [] }, {}, basic("bob"));
  const line = execFileSync("htpasswd", ["-nbB", "alice", "new"], { encoding: "utf8" });
  writeFileSync(`${htpasswd}.new`, line);
  renameSync(`${htpasswd}.new`, htpasswd);
  await sleep(1100);
  assert.equal((await call(`${registry.url}/v2/`, { headers: basic("alice") })).status, 401);
  assert.equal((await call(`${registry.url}/v2/`, { headers: basic("bob") })).status, 401);
  assert.equal((await call(`${registry.url}/v2/`, { headers: basic("alice", "new") })).status, 200);
  writeFileSync(htpasswd, "nonsense");
  await sleep(1100);
  assert.equal((await call(`${registry.url}/v2/`, { headers: basic("alice", "new") })).status, 200);
  assert.doesNotMatch(registry.log, /wonder|builder|YWxpY2U/);
});

test("other requests do not wait for a login that is checked", async () => {
  const dir = makeDirectory();
  const htpasswd = join(dir, "htpasswd");
  writeFileSync(htpasswd, execFileSync("htpasswd", ["-nbB", "-C", "13", "alice", passwords.alice]));
  await using registry = await OwnRegistry.start(["--htpasswd", htpasswd], dir);
  const order: string[] = [];
  const login = call(`${registry.url}/v2/`, { headers: basic("alice") }).then(({ status }) => {
    order.push("login");
    return status;
  });
  for (let i = 0; i < 10; i++) await call(`${registry.url}/v2/`);
  order.push("others");
  assert.equal(await login, 200);
  assert.deepEqual(order, ["others", "login"]);
});

test("rights per repository, with Basic", async () => {
  await using registry = await startWithRules();
  const { digest } = await pushManifest(
    registry.url,
    "public/x",
    "v1",
    { config: "{}", layers: [] },
    {},
    basic("root"),
  );
  await pushManifest(registry.url, "team/x", "v1", { config: "{}", layers: [] }, {}, basic("alice"));
  await pushManifest(registry.url, "home/bob/x", "v1", { config: "{}", layers: [] }, {}, basic("bob"));
  const status = async (method: string, path: string, user?: keyof typeof passwords): Promise<number> => {
    const headers = { "content-length": 0, ...(user === undefined ? {} : basic(user)) };
    return (await call(`${registry.url}/v2/${path}`, { method, headers })).status;
  };
  assert.equal(await status("GET", "public/x/manifests/v1"), 200);
  assert.equal(await status("POST", "public/x/blobs/uploads/"), 401);
  assert.equal(await status("POST", "public/x/blobs/uploads/", "alice"), 403);
  assert.equal(await status("GET", "team/x/manifests/v1"), 401);
  assert.equal(await status("GET", "team/x/manifests/v1", "bob"), 200);
  assert.equal(await status("DELETE", `team/x/manifests/${digest}`, "bob"), 403);
  assert.equal(await status("GET", "home/bob/x/manifests/v1", "alice"), 403);
  assert.equal(await status("DELETE", "home/bob/x/manifests/v1", "bob"), 202);
  assert.equal(await status("GET", "_catalog"), 401);
  assert.equal(await status("GET", "_catalog", "alice"), 403);
  assert.equal(await status("GET", "_catalog", "root"), 200);
});

test("T10: a blob is mounted only by those who may pull it where it is", async () => {
  await using registry = await startWithRules();
  const digest = await pushBlob(registry.url, "home/bob/secret", "secret", basic("bob"));
  const mount = async (user: keyof typeof passwords, to: string): Promise<number> => {
    const url = `${registry.url}/v2/${to}/blobs/uploads/?mount=${digest}&from=home%2Fbob%2Fsecret`;
    return (await call(url, { method: "POST", headers: { "content-length": 0, ...basic(user) } })).status;
  };
  assert.equal(await mount("alice", "team/x"), 202);
  assert.equal((await call(`${registry.url}/v2/team/x/blobs/${digest}`, { headers: basic("alice") })).status, 404);
  assert.equal(await mount("bob", "team/x"), 201);
  // With a token, what counts is its grants.
  const narrow = await tokenFor(registry, "repository:team/y:pull,push", basic("bob"));
  const url = `${registry.url}/v2/team/y/blobs/uploads/?mount=${digest}&from=home%2Fbob%2Fsecret`;
  assert.equal((await call(url, { method: "POST", headers: { "content-length": 0, ...bearer(narrow) } })).status, 202);
  const refused = await call(url, { method: "POST", headers: { "content-length": 0 } });
  assert.equal(challengeOf(refused)["scope"], "repository:team/y:pull,push repository:home/bob/secret:pull");
});

test("the token flow: challenge, token, request; a token grants what was asked for and allowed", async () => {
  await using registry = await startWithRules();
  await pushManifest(registry.url, "team/x", "v1", { config: "{}", layers: [] }, {}, basic("alice"));
  const refused = await call(`${registry.url}/v2/team/x/manifests/v1`);
  assert.deepEqual([refused.status, codeOf(refused)], [401, "UNAUTHORIZED"]);
  assert.deepEqual(challengeOf(refused), {
    realm: `${registry.url}/token`,
    service: "tests",
    scope: "repository:team/x:pull",
  });
  const get = async (headers: Record<string, string>, path = "team/x/manifests/v1") =>
    call(`${registry.url}/v2/${path}`, { headers });
  const token = await tokenFor(registry, "repository:team/x:pull,push,delete", basic("alice"));
  assert.equal(token.refresh_token, undefined);
  assert.equal((await get(bearer(token))).status, 200);
  assert.equal((await get(bearer(token), "")).status, 200);
  const other = await get(bearer(token), "team/y/tags/list");
  assert.deepEqual([other.status, codeOf(other)], [401, "DENIED"]);
  assert.equal(challengeOf(other)["error"], "insufficient_scope");
  const deleting = await call(`${registry.url}/v2/team/x/manifests/v1`, { method: "DELETE", headers: bearer(token) });
  assert.equal(deleting.status, 401);
  const anonymous = await tokenFor(registry, "repository:team/x:pull");
  assert.equal((await get(bearer(anonymous))).status, 401);
  const wrong = await call(`${registry.url}/token?service=tests`, { headers: basic("alice", "wrong") });
  assert.deepEqual([wrong.status, codeOf(wrong)], [401, "UNAUTHORIZED"]);
  assert.equal((await call(`${registry.url}/token?service=other`, { headers: basic("alice") })).status, 400);
  await registry.down();
  await registry.up();
  assert.equal((await get(bearer(token))).status, 200);
});

test("refresh tokens get tokens, and nothing else, until the password changes", async () => {
  await using registry = await startWithRules();
  await pushManifest(registry.url, "team/x", "v1", { config: "{}", layers: [] }, {}, basic("alice"));
  const scope = "repository:team/x:pull";
  const { refresh_token: refresh = "" } = await tokenFor(registry, scope, basic("alice"), "&offline_token=true");
  const asBearer = { authorization: `Bearer ${refresh}` };
  assert.equal((await call(`${registry.url}/v2/`, { headers: asBearer })).status, 401);
  const renew = (): Promise<Answer> =>
    call(`${registry.url}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: refresh,
        service: "tests",
        scope,
      }).toString(),
    });
  const renewed = await renew();
  assert.equal(renewed.status, 200);
  const token = JSON.parse(renewed.body.toString("utf8")) as TokenAnswer;
  assert.equal((await call(`${registry.url}/v2/team/x/tags/list`, { headers: bearer(token) })).status, 200);
  const asPassword = await call(`${registry.url}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "password",
      username: "bob",
      password: "builder",
      service: "tests",
    }).toString(),
  });
  assert.equal(asPassword.status, 200);
  writeFileSync(join(registry.dir, "htpasswd"), execFileSync("htpasswd", ["-nbB", "alice", "changed"]));
  await sleep(1100);
  assert.equal((await renew()).status, 401);
});

test("tokens of another server: signed by its key, for this service, with the grants in them", async () => {
  const dir = makeDirectory();
  const [own, stranger] = [0, 1].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
  writeFileSync(join(dir, "key.pem"), own?.publicKey.export({ type: "spki", format: "pem" }) ?? "");
  const flags = ["--token-realm", "https://auth.example/token", "--token-service", "here", "--token-issuer", "there"];
  await using registry = await OwnRegistry.start([...flags, "--token-cert", join(dir, "key.pem")], dir);
  const now = Math.floor(Date.now() / 1000);
  const make = (key: KeyObject | undefined, header: object, claims: object): { authorization: string } => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const all = { iss: "there", aud: "here", exp: now + 3600, nbf: now - 1, ...claims };
    const signed = `${part({ typ: "JWT", alg: "RS256", ...header })}.${part(all)}`;
    const signature = key === undefined ? "" : sign("sha256", Buffer.from(signed), key).toString("base64url");
    return { authorization: `Bearer ${signed}.${signature}` };
  };
  const access = [{ type: "repository", name: "a", actions: ["pull", "push"] }];
  const good = make(own?.privateKey, {}, { sub: "me", access });
  await pushManifest(registry.url, "a", "v1", { config: "{}", layers: [] }, {}, good);
  const get = async (headers: Record<string, string>) =>
    (await call(`${registry.url}/v2/a/tags/list`, { headers })).status;
  assert.equal(await get(good), 200);
  const jwk = stranger?.publicKey.export({ format: "jwk" });
  for (const bad of [
    make(stranger?.privateKey, {}, { access }),
    make(stranger?.privateKey, { jwk }, { access }),
    make(undefined, { alg: "none" }, { access }),
    make(own?.privateKey, {}, { access, aud: "elsewhere" }),
    make(own?.privateKey, {}, { access, exp: now - 3600 }),
    make(own?.privateKey, {}, { access: [{ ...access[0], name: "b" }] }),
  ])
    assert.equal(await get(bad), 401);
  const refused = challengeOf(await call(`${registry.url}/v2/a/tags/list`));
  assert.deepEqual(refused, { realm: "https://auth.example/token", service: "here", scope: "repository:a:pull" });
  assert.equal((await call(`${registry.url}/token`)).status, 404);
});

test("TLS: certificates that change are taken on SIGHUP, unusable ones are not, TLS 1.1 is refused", async () => {
  const dir = makeDirectory();
  const make = (name: string): void => {
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
    const files = ["-keyout", join(dir, `${name}.key`), "-out", join(dir, `${name}.crt`)];
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files], {
      stdio: "ignore",
    });
  };
  for (const name of ["server", "client", "next"]) make(name);
  const path = (name: string): string => join(dir, name);
  const tls = ["--tls-cert", path("server.crt"), "--tls-key", path("server.key")];
  await using registry = await OwnRegistry.start(tls, dir);
  assert.match(registry.url, /^https:/);
  const ca = readFileSync(path("server.crt"));
  assert.equal((await call(`${registry.url}/v2/`, { ca })).status, 200);
  const next = readFileSync(path("next.crt"));
  renameSync(path("next.crt"), path("server.crt"));
  renameSync(path("next.key"), path("server.key"));
  registry.signal("SIGHUP");
  await registry.logged(/the TLS files were read again/);
  await assert.rejects(call(`${registry.url}/v2/`, { ca }));
  assert.equal((await call(`${registry.url}/v2/`, { ca: next })).status, 200);
  writeFileSync(path("server.key"), "nonsense");
  registry.signal("SIGHUP");
  await registry.logged(/the TLS files are not usable/);
  assert.equal((await call(`${registry.url}/v2/`, { ca: next })).status, 200);
  await assert.rejects(
    new Promise((resolve, reject) => {
      const port = Number(new URL(registry.url).port);
      connect({ port, host: "127.0.0.1", ca: next, maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }, () =>
        resolve(0),
      ).on("error", reject);
    }),
  );
});

test("clients without a certificate are refused where they need one", async () => {
  const dir = makeDirectory();
  const subject = ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"];
  for (const name of ["server", "client"])
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        ...subject,
        "-keyout",
        join(dir, `${name}.key`),
        "-out",
        join(dir, `${name}.crt`),
      ],
      { stdio: "ignore" },
    );
  const tls = ["--tls-cert", join(dir, "server.crt"), "--tls-key", join(dir, "server.key")];
  await using registry = await OwnRegistry.start([...tls, "--tls-client-ca", join(dir, "client.crt")], dir);
  await assert.rejects(call(`${registry.url}/v2/`, { ca: readFileSync(join(dir, "server.crt")) }));
  const own = ["--cert", join(dir, "client.crt"), "--key", join(dir, "client.key")];
  const curl = await runCommand(["curl", "-sf", "--cacert", join(dir, "server.crt"), ...own, `${registry.url}/v2/`]);
  assert.equal(curl.code, 0, curl.stderr);
});

test("skopeo and podman log in, and push where they may", async () => {
  await using registry = await startWithRules();
  const layout = join(registry.dir, "layout");
  const { digest } = await pushManifest(
    registry.url,
    "public/x",
    "v1",
    {
      config: JSON.stringify({
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: [digestOf("")] },
      }),
      layers: [""],
    },
    {},
    basic("root"),
  );
  const authfile = ["--authfile", join(registry.dir, "auth.json")];
  const run = (...argv: readonly string[]) => runCommand(argv);
  const copied = await run(
    "skopeo",
    "copy",
    "--src-tls-verify=false",
    `docker://${registry.address}/public/x:v1`,
    `dir:${layout}`,
  );
  assert.equal(copied.code, 0, copied.stderr);
  const denied = await run(
    "podman",
    "login",
    ...authfile,
    "--tls-verify=false",
    "-u",
    "alice",
    "-p",
    "wrong",
    registry.address,
  );
  assert.notEqual(denied.code, 0);
  const login = await run(
    "podman",
    "login",
    ...authfile,
    "--tls-verify=false",
    "-u",
    "alice",
    "-p",
    "wonder:land",
    registry.address,
  );
  assert.equal(login.code, 0, login.stderr);
  const copy = (to: string) =>
    run(
      "skopeo",
      "copy",
      ...authfile,
      "--preserve-digests",
      "--dest-tls-verify=false",
      `dir:${layout}`,
      `docker://${registry.address}/${to}:v1`,
    );
  const allowed = await copy("team/x");
  assert.equal(allowed.code, 0, allowed.stderr);
  const inTeam = await call(`${registry.url}/v2/team/x/manifests/v1`, { headers: basic("bob") });
  assert.equal(inTeam.headers["docker-content-digest"], digest);
  const refused = await copy("home/bob/x");
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /denied|unauthorized|authentication required/i);
});
