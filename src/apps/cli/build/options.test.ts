import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../../../base/flags.ts";
import { CliError } from "../command.ts";
import { parseCsv } from "./csv.ts";
import { buildFlags } from "./flags.ts";
import { planBuild } from "./options.ts";

const plan = (words: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  planBuild(parseFlags(buildFlags, words), env);

test("a build without flags goes into the image store", () => {
  assert.deepEqual(plan(["."]), {
    attributes: {},
    outputs: [{ type: "moby", attributes: {}, destination: undefined }],
    cacheFrom: [],
    cacheTo: [],
    entitlements: [],
    secrets: [],
    agents: new Map(),
    directories: new Map(),
    layouts: new Map(),
    question: undefined,
    progress: "auto",
  });
});

test("flags become the attributes that BuildKit's frontend knows", () => {
  const { attributes, directories, entitlements } = plan(
    [
      "--target",
      "app",
      "--platform",
      "linux/amd64,linux/arm64",
      "--add-host",
      "db:10.0.0.1",
      "--network",
      "host",
      "--build-arg",
      "A=1",
      "--build-arg",
      "B",
      "--build-arg",
      "NONE",
      "--label",
      "x=y=z",
      "--shm-size",
      "64m",
      "--build-context",
      "lib=../lib",
      "--build-context",
      "base=docker-image://busybox",
      "--no-cache-filter",
      "a",
      "--no-cache-filter",
      "b",
      "--pull",
      "--provenance=mode=max",
      "--sbom=true",
      "--ulimit",
      "nofile=5:6",
      ".",
    ],
    { B: "two", SOURCE_DATE_EPOCH: "1700000000" },
  );
  assert.deepEqual(attributes, {
    "build-arg:SOURCE_DATE_EPOCH": "1700000000",
    target: "app",
    platform: "linux/amd64,linux/arm64",
    "add-hosts": "db=10.0.0.1",
    ulimit: "nofile=5:6",
    "shm-size": "67108864",
    "force-network-mode": "host",
    "image-resolve-mode": "pull",
    "no-cache": "a,b",
    "build-arg:A": "1",
    "build-arg:B": "two",
    "label:x": "y=z",
    "context:lib": "local:lib",
    "context:base": "docker-image://busybox",
    "attest:provenance": "mode=max",
    "attest:sbom": "",
  });
  assert.deepEqual(directories, new Map([["lib", "../lib"]]));
  assert.deepEqual(entitlements, ["network.host"]);
});

test("outputs carry the names of --tag where they name an image", () => {
  const { outputs } = plan(["-t", "a", "-t", "b:1", "-o", "type=tar,dest=out.tar", "-o", "dir", "--push", "."]);
  assert.deepEqual(outputs, [
    { type: "tar", attributes: {}, destination: "out.tar" },
    { type: "local", attributes: {}, destination: "dir" },
    { type: "image", attributes: { name: "a,b:1", push: "true" }, destination: undefined },
  ]);
});

test("secrets, agents and caches are read as docker reads them", () => {
  const { secrets, agents, cacheFrom, cacheTo } = plan(
    [
      "--secret",
      "id=a,src=/x",
      "--secret",
      "id=b,env=TOKEN",
      "--secret",
      "type=env,id=c,src=C",
      "--ssh",
      "default",
      "--cache-from",
      "user/app:cache",
      "--cache-to",
      "type=local,dest=/c,mode=max",
      ".",
    ],
    { SSH_AUTH_SOCK: "/agent" },
  );
  assert.deepEqual(secrets, [
    { id: "a", path: "/x", env: undefined },
    { id: "b", path: undefined, env: "TOKEN" },
    { id: "c", path: undefined, env: "C" },
  ]);
  assert.deepEqual(agents, new Map([["default", "/agent"]]));
  assert.deepEqual(cacheFrom, [{ type: "registry", attributes: { ref: "user/app:cache" }, directory: undefined }]);
  assert.deepEqual(cacheTo, [{ type: "local", attributes: { mode: "max" }, directory: "/c" }]);
});

test("what is wrong is refused by its flag", () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [["--call", "x", "."], /--call/],
    [["--progress", "x", "."], /--progress/],
    [["--secret", "src=/x", "."], /has no id/],
    [["--secret", "id=a,color=red", "."], /unexpected key 'color'/],
    [["--build-context", "lib", "."], /NAME=PATH/],
    [["-o", "type=local", "."], /dest is required/],
    [["-o", "dest=x", "."], /type is required/],
    [["--cache-to", "type=local", "."], /dest is required/],
    [["--annotation", "x", "."], /KEY=VALUE/],
    [["--ssh", "default", "."], /ssh-agent/],
    [["--add-host", "x", "."], /NAME:IP/],
  ];
  for (const [words, message] of refused)
    assert.throws(
      () => plan(words),
      (error) => error instanceof CliError && message.test(error.message),
      words.join(" "),
    );
});

test("fields of CSV may be quoted", () => {
  assert.deepEqual(parseCsv('a=1,"b=x,y","c=""q"""'), ["a=1", "b=x,y", 'c="q"']);
  for (const bad of ['"a', '"a"b', 'a"b']) assert.throws(() => parseCsv(bad), CliError, bad);
});
