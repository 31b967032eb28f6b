import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isEngineError } from "../../base/errors.ts";
import { parseCredentials, parseRegistryAuth, parseRegistryConfig } from "./registry-auth.ts";

const none = { username: "", password: "", identityToken: "", registryToken: "", serverAddress: "" };

function auth(value: unknown, encoding: BufferEncoding = "base64url"): ReturnType<typeof parseRegistryAuth> {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return parseRegistryAuth({ headers: { "x-registry-auth": Buffer.from(text).toString(encoding) } });
}

describe("parseRegistryAuth", () => {
  it("reads passwords and tokens, whatever the case of the names", () => {
    assert.deepEqual(auth({ username: "u", password: "p", serveraddress: "r:5000" }), {
      ...none,
      username: "u",
      password: "p",
      serverAddress: "r:5000",
    });
    assert.deepEqual(auth({ IdentityToken: "i" }), { ...none, identityToken: "i" });
    assert.deepEqual(auth({ registrytoken: "t" }), { ...none, registryToken: "t" });
  });

  it("reads both alphabets of base64, with and without padding", () => {
    const value = { username: "ü?>~ÿ", password: "pässwörd>>>???" };
    assert.deepEqual(auth(value, "base64"), auth(value));
    assert.equal(auth(value)?.password, value.password);
  });

  it("takes what says nothing, and what cannot be read, for no credentials", () => {
    assert.equal(parseRegistryAuth({ headers: {} }), undefined);
    for (const value of [{}, { username: "" }, { serveraddress: "r" }, { username: 1 }, [], "null", "{", "", "\0"])
      assert.equal(auth(value), undefined, JSON.stringify(value));
    assert.equal(parseRegistryAuth({ headers: { "x-registry-auth": "%%%" } }), undefined);
  });
});

describe("parseRegistryConfig", () => {
  it("reads credentials by registry, leaving out what cannot be read", () => {
    const config = { "r:5000": { username: "u", password: "p" }, bad: 1, empty: {} };
    const header = Buffer.from(JSON.stringify(config)).toString("base64url");
    assert.deepEqual(
      [...parseRegistryConfig({ headers: { "x-registry-config": header } })],
      [["r:5000", { ...none, username: "u", password: "p" }]],
    );
    assert.equal(parseRegistryConfig({ headers: { "x-registry-config": "W10=" } }).size, 0);
    assert.equal(parseRegistryConfig({ headers: {} }).size, 0);
  });
});

describe("parseCredentials", () => {
  it("says which field is wrong, and not what is in it", () => {
    assert.throws(
      () => parseCredentials({ username: "u", password: ["secret"] }),
      (error) =>
        isEngineError(error, "InvalidParameter") && /password/.test(error.message) && !/secret/.test(error.message),
    );
  });
});
