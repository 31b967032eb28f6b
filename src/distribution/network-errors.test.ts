// What failures of the network are called, and which of them a second attempt at the first contact may mend.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RegistryError } from "./errors.ts";
import { isBreak, networkError } from "./network-errors.ts";

const url = new URL("https://registry.example/v2/?secret=1");

function thrown(code: string): RegistryError {
  const error = networkError("GET", url, Object.assign(new Error(code), { code, hostname: "registry.example" }));
  assert.ok(error instanceof RegistryError);
  return error;
}

test("without DNS the first contact fails at once; a later request may be tried again", () => {
  const error = thrown("EAI_AGAIN");
  assert.equal(
    error.message,
    'Get "https://registry.example/v2/": dial tcp: lookup registry.example: server misbehaving',
  );
  assert.deepEqual([isBreak(error), error.transient], [false, true]);
});

test("a broken connection is tried again", () => {
  for (const code of ["ECONNRESET", "EPIPE"])
    assert.deepEqual([isBreak(thrown(code)), thrown(code).transient], [true, true]);
});

test("a proxy that is not there is named as one", () => {
  const refused = Object.assign(new Error("no"), { code: "ECONNREFUSED", address: "10.0.0.1", port: 3128 });
  assert.equal(
    networkError("GET", url, refused, true).message,
    'Get "https://registry.example/v2/": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused',
  );
});
