// config.json and credential programs: what is read, what is written, and that secrets stay where they belong.

import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readConfigFile } from "./config-file.ts";
import {
  decodeAuth,
  defaultServer,
  eraseCredentials,
  findCredentials,
  hostnameOf,
  registryAuthOf,
  renderRegistryAuth,
  serverOfReference,
  storeCredentials,
} from "./credentials.ts";

let dir = "";
let stderr = "";
const config = (): string => join(dir, "config.json");
const keeper = (): { configDir: string; env: Record<string, string>; err: (text: string | Buffer) => void } => ({
  configDir: dir,
  env: { PATH: `${dir}:/usr/bin:/bin` },
  err: (text) => void (stderr += text.toString()),
});
const alice = {
  username: "alice",
  password: "s3cret",
  serverAddress: "reg.example:5000",
  identityToken: "",
  registryToken: "",
};

/** A test with an empty configuration directory. Not hooks: without isolation those run for the tests of other files too. */
function scenario(title: string, act: () => Promise<void> | void): void {
  void test(title, async () => {
    dir = mkdtempSync(join(tmpdir(), "gantry-auth-"));
    stderr = "";
    try {
      await act();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
}

/** A program docker-credential-NAME that keeps secrets in a file beside it and writes down its verbs. */
function addHelper(name: string, script?: string): void {
  const path = join(dir, `docker-credential-${name}`);
  const body =
    script ??
    `in=$(cat); echo "$1" >> ${dir}/verbs
case $1 in
store) printf %s "$in" > ${dir}/kept;;
get) if [ -f ${dir}/kept ]; then cat ${dir}/kept; else echo "credentials not found in native keychain"; exit 1; fi;;
erase) rm -f ${dir}/kept;;
esac`;
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

scenario("the file is written whole, for its owner alone, and unknown members keep their place", async () => {
  writeFileSync(config(), '{"zeta":{"b":1},"auths":{"x.example":{"auth":"YTpi","email":"e"}},"psFormat":"{{.ID}}"}', {
    mode: 0o644,
  });
  const kept = await storeCredentials(keeper(), alice);
  assert.equal(kept.plainFile, config());
  assert.equal(statSync(config()).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dir), ["config.json"]);
  const text = readFileSync(config(), "utf8");
  assert.deepEqual(Object.keys(JSON.parse(text) as object), ["zeta", "auths", "psFormat"]);
  assert.match(text, /^\{\n\t"zeta": \{\n\t\t"b": 1\n\t\},\n/);
  assert.deepEqual((JSON.parse(text) as { auths: unknown }).auths, {
    "x.example": { auth: "YTpi", email: "e" },
    "reg.example:5000": { auth: "YWxpY2U6czNjcmV0" },
  });
});

scenario("the same credentials again change nothing; other ones replace them", async () => {
  await storeCredentials(keeper(), alice);
  const before = statSync(config()).ino;
  assert.equal((await storeCredentials(keeper(), alice)).plainFile, "");
  assert.equal(statSync(config()).ino, before);
  await storeCredentials(keeper(), { ...alice, password: "other" });
  assert.equal((await findCredentials(keeper(), "reg.example:5000"))?.password, "other");
});

scenario("a file behind a symbolic link is changed there, the link stays", async () => {
  writeFileSync(join(dir, "real.json"), "{}");
  symlinkSync("real.json", config());
  await storeCredentials(keeper(), alice);
  assert.match(readFileSync(join(dir, "real.json"), "utf8"), /reg\.example/);
  assert.deepEqual(readdirSync(dir).sort(), ["config.json", "real.json"]);
});

scenario("a damaged file is said and never overwritten; its text is not repeated", async () => {
  writeFileSync(config(), '{"auths": {"x": {"auth": "YWxpY2U6czNjcmV0"');
  assert.equal(await findCredentials(keeper(), "x"), undefined);
  assert.equal(stderr, `WARNING: Error parsing config file (${config()}): it is not a JSON object\n`);
  await assert.rejects(storeCredentials(keeper(), alice), /^CliError: not overwriting .*config\.json/);
  assert.equal(readFileSync(config(), "utf8"), '{"auths": {"x": {"auth": "YWxpY2U6czNjcmV0"');
  assert.doesNotMatch(readConfigFile(dir).problem ?? "", /YWx/);
});

scenario("entries are found by name, or by the host of an address that older clients wrote", async () => {
  writeFileSync(
    config(),
    JSON.stringify({
      auths: { "https://old.example/v1/": { auth: "YTpi" }, "t.example": { auth: "YTo=", identitytoken: "IT" } },
    }),
  );
  assert.equal((await findCredentials(keeper(), "old.example"))?.password, "b");
  assert.equal((await findCredentials(keeper(), "t.example"))?.identityToken, "IT");
  assert.equal(await findCredentials(keeper(), "none.example"), undefined);
});

scenario("an entry that is no base64 is named without its text, and the request goes without credentials", async () => {
  writeFileSync(config(), '{"auths":{"x.example":{"auth":"!secret!"}}}');
  assert.equal(Buffer.from(await registryAuthOf(keeper(), "x.example"), "base64url").toString(), "{}");
  assert.match(stderr, /^WARNING: no credentials for x\.example: invalid auth of x\.example/);
  assert.doesNotMatch(stderr, /!secret!/);
});

scenario("a credential program keeps the secret; the file only says that there is one", async () => {
  addHelper("fake");
  writeFileSync(config(), '{"credsStore":"fake"}');
  assert.equal((await storeCredentials(keeper(), alice)).plainFile, "");
  assert.deepEqual(JSON.parse(readFileSync(join(dir, "kept"), "utf8")), {
    ServerURL: "reg.example:5000",
    Username: "alice",
    Secret: "s3cret",
  });
  assert.deepEqual(JSON.parse(readFileSync(config(), "utf8")), {
    credsStore: "fake",
    auths: { "reg.example:5000": {} },
  });
  assert.equal((await findCredentials(keeper(), "reg.example:5000"))?.password, "s3cret");
  await eraseCredentials(keeper(), "reg.example:5000");
  assert.equal(existsSync(join(dir, "kept")), false);
  assert.deepEqual(JSON.parse(readFileSync(config(), "utf8")), { credsStore: "fake", auths: {} });
  assert.equal(await findCredentials(keeper(), "reg.example:5000"), undefined);
  assert.equal(readFileSync(join(dir, "verbs"), "utf8"), "store\nget\nerase\nget\n");
});

scenario("credHelpers come before credsStore, and an empty one means the file", async () => {
  addHelper("fake", 'cat > /dev/null; echo \'{"Username":"<token>","Secret":"T"}\'');
  writeFileSync(
    config(),
    JSON.stringify({
      credsStore: "missing",
      credHelpers: { "a.example": "fake", "b.example": "" },
      auths: { "b.example": { auth: "YTpi" } },
    }),
  );
  assert.equal((await findCredentials(keeper(), "a.example"))?.identityToken, "T");
  assert.equal((await findCredentials(keeper(), "b.example"))?.password, "b");
});

scenario("programs that are missing, fail or answer nonsense are named; secrets are not in the message", async () => {
  writeFileSync(config(), '{"credsStore":"missing"}');
  await assert.rejects(storeCredentials(keeper(), alice), {
    message:
      'error storing credentials - err: exec: "docker-credential-missing": executable file not found in $PATH, out: ``',
  });
  writeFileSync(config(), '{"credsStore":"locked"}');
  addHelper("locked", "cat > /dev/null; echo 'the keyring is locked'; exit 3");
  await assert.rejects(findCredentials(keeper(), "x"), {
    message: "error getting credentials - err: exit status 3, out: `the keyring is locked`",
  });
  addHelper("locked", "cat > /dev/null; echo 'Secret s3cret'");
  await assert.rejects(findCredentials(keeper(), "x"), (error: Error) => !error.message.includes("s3cret"));
  writeFileSync(config(), '{"credsStore":"../evil"}');
  await assert.rejects(findCredentials(keeper(), "x"), /not a name of a program/);
});

scenario("the header is base64url of JSON, for the registry of the reference", () => {
  assert.equal(serverOfReference("busybox"), defaultServer);
  assert.equal(serverOfReference("docker.io/a/b:1"), defaultServer);
  assert.equal(serverOfReference("reg.example:5000/a"), "reg.example:5000");
  assert.equal(hostnameOf("https://reg.example:5000/v2/"), "reg.example:5000");
  assert.deepEqual(JSON.parse(Buffer.from(renderRegistryAuth(alice), "base64url").toString()), {
    username: "alice",
    password: "s3cret",
    serveraddress: "reg.example:5000",
  });
  assert.doesNotMatch(renderRegistryAuth({ ...alice, password: "\u00ff\u00fe???>>>" }), /[+/]/);
  assert.deepEqual(decodeAuth("YTpiOmM="), { username: "a", password: "b:c" });
});
