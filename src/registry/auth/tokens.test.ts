import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac, generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { libtrustKeyId, parseTokenKeys, tokenKey } from "./token-keys.ts";
import { signToken, verifyToken } from "./tokens.ts";

const rules = { issuer: "issuer", service: "service" };
const ec = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
// Read when the file is loaded, which may be minutes before a test runs: what is said of it is hours away.
const now = Math.floor(Date.now() / 1000);
const access = [{ type: "repository", name: "a", actions: ["pull"] }];
const good = { iss: "issuer", aud: "service", sub: "me", exp: now + 7200, nbf: now, access };

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function make(header: object, claims: object, key: KeyObject | Buffer | undefined): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  if (key === undefined) return `${signed}.`;
  const signature = Buffer.isBuffer(key)
    ? createHmac("sha256", key).update(signed).digest()
    : sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

const trusted = [tokenKey(ec.publicKey), tokenKey(rsa.publicKey)];

test("RS256 and ES256 tokens of trusted keys are taken", () => {
  const expected = { subject: "me", access, use: undefined, proof: undefined };
  assert.deepEqual(verifyToken(make({ alg: "ES256" }, good, ec.privateKey), trusted, rules), expected);
  assert.deepEqual(verifyToken(make({ alg: "RS256" }, good, rsa.privateKey), trusted, rules), expected);
  const kid = libtrustKeyId(rsa.publicKey);
  assert.match(kid, /^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
  assert.deepEqual(
    verifyToken(make({ alg: "RS256", kid }, { ...good, aud: ["x", "service"] }, rsa.privateKey), trusted, rules),
    expected,
  );
  const { token } = signToken(ec.privateKey, ec.publicKey, rules, { ...expected, subject: "me" }, 60);
  assert.deepEqual(verifyToken(token, trusted, rules), expected);
});

test("T10: no algorithm, another algorithm and keys that a token brings along are refused", () => {
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = stranger.publicKey.export({ format: "jwk" });
  const pem = rsa.publicKey.export({ type: "spki", format: "pem" });
  const refused: [string, string][] = [
    ["alg none", make({ alg: "none" }, good, undefined)],
    ["alg none with a signature", make({ alg: "none" }, good, rsa.privateKey)],
    ["no alg", make({}, good, rsa.privateKey)],
    ["HS256 with the public key as the secret", make({ alg: "HS256" }, good, Buffer.from(pem))],
    ["ES256 with an RSA key", make({ alg: "ES256" }, good, rsa.privateKey)],
    ["a stranger's key", make({ alg: "RS256" }, good, stranger.privateKey)],
    ["a stranger's key as jwk", make({ alg: "RS256", jwk }, good, stranger.privateKey)],
    ["jwk with a trusted kid", make({ alg: "RS256", jwk, kid: trusted[1]?.ids[0] }, good, stranger.privateKey)],
    ["jku", make({ alg: "RS256", jku: "http://127.0.0.1/keys" }, good, stranger.privateKey)],
    ["crit", make({ alg: "RS256", crit: ["x"] }, good, rsa.privateKey)],
    ["x5c of nothing", make({ alg: "RS256", x5c: ["AAAA"] }, good, rsa.privateKey)],
    ["two parts", make({ alg: "RS256" }, good, rsa.privateKey).split(".").slice(0, 2).join(".")],
    ["four parts", `${make({ alg: "RS256" }, good, rsa.privateKey)}.x`],
    [
      "other claims",
      make({ alg: "RS256" }, good, rsa.privateKey).replace(encode(good), encode({ ...good, sub: "you" })),
    ],
    ["no JSON", `${Buffer.from("x").toString("base64url")}.e30.AAAA`],
    ["nothing", ""],
  ];
  for (const [what, token] of refused)
    assert.throws(() => verifyToken(token, trusted, rules), /the token is not valid/, what);
});

test("tokens for others, of others, expired or not valid yet are refused", () => {
  const claims: [string, object, RegExp][] = [
    ["issuer", { iss: "other" }, /issuer/],
    ["no issuer", { iss: undefined }, /issuer/],
    ["service", { aud: "other" }, /service/],
    ["expired", { exp: now - 100 }, /expired/],
    ["no exp", { exp: undefined }, /exp is no time/],
    ["exp as text", { exp: `${now + 100}` }, /exp is no time/],
    ["not yet", { nbf: now + 7200 }, /not valid yet/],
    ["access", { access: [{ type: "repository" }] }, /./],
  ];
  for (const [what, change, message] of claims)
    assert.throws(
      () => verifyToken(make({ alg: "ES256" }, { ...good, ...change }, ec.privateKey), trusted, rules),
      message,
      what,
    );
});

const dir = mkdtempSync(join(tmpdir(), "gantry-tokens-"));
after(() => rmSync(dir, { recursive: true, force: true }));

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
}

before(() => {
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "root.key",
    "-out",
    "root.crt",
    "-subj",
    "/CN=root",
  );
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf");
  openssl(
    "x509",
    "-req",
    "-in",
    "leaf.csr",
    "-CA",
    "root.crt",
    "-CAkey",
    "root.key",
    "-CAcreateserial",
    "-out",
    "leaf.crt",
  );
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "other.key",
    "-out",
    "other.crt",
    "-subj",
    "/CN=root",
  );
});

test("x5c is taken when it ends at a trusted certificate, and not otherwise", () => {
  const keys = parseTokenKeys(readFileSync(join(dir, "root.crt")));
  const der = (name: string): string => new X509Certificate(readFileSync(join(dir, name))).raw.toString("base64");
  const key = (name: string): string => readFileSync(join(dir, name), "utf8");
  const token = (x5c: readonly string[], keyFile: string): string => {
    const signed = `${encode({ alg: "RS256", x5c })}.${encode(good)}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), key(keyFile)).toString("base64url")}`;
  };
  assert.equal(verifyToken(token([der("leaf.crt")], "leaf.key"), keys, rules).subject, "me");
  assert.equal(verifyToken(token([der("leaf.crt"), der("root.crt")], "leaf.key"), keys, rules).subject, "me");
  assert.equal(verifyToken(token([der("root.crt")], "root.key"), keys, rules).subject, "me");
  assert.throws(() => verifyToken(token([der("other.crt")], "other.key"), keys, rules), /trusted key/);
  assert.throws(() => verifyToken(token([der("leaf.crt"), der("root.crt")], "other.key"), keys, rules), /trusted key/);
  assert.throws(() => verifyToken(token([der("other.crt"), der("root.crt")], "other.key"), keys, rules), /trusted key/);
});

test("key files hold certificates and public keys; other keys are refused", () => {
  const pem = ec.publicKey.export({ type: "spki", format: "pem" });
  assert.equal(parseTokenKeys(Buffer.from(`${pem}${readFileSync(join(dir, "root.crt"), "utf8")}`)).length, 2);
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ type: "spki", format: "pem" });
  assert.throws(() => parseTokenKeys(Buffer.from(small)), /2048/);
  assert.throws(() => parseTokenKeys(Buffer.from("nothing")), /no certificate/);
});
