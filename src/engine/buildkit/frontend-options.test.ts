import assert from "node:assert/strict";
import { test } from "node:test";
import { hostArchitecture } from "../../spec/oci/platform.ts";
import type { NamedContext } from "../build/graph/index.ts";
import { parseCsv, parseFrontendOptions } from "./frontend-options.ts";

const none = (): undefined => undefined;

function parse(options: Readonly<Record<string, string>>, input: (name: string) => NamedContext | undefined = none) {
  return parseFrontendOptions(new Map(Object.entries(options)), input, []);
}

test("without options it is the Dockerfile and the context of the client, for this host", () => {
  assert.deepEqual(parse({}), {
    request: {
      target: "",
      platforms: [{ os: "linux", architecture: hostArchitecture() }],
      buildArgs: new Map(),
      labels: {},
      noCache: false,
      networkMode: "default",
      hostname: "",
      limits: {
        extraHosts: [],
        shmSizeBytes: undefined,
        ulimits: [],
        cgroupParent: undefined,
        memoryBytes: undefined,
        memorySwapBytes: undefined,
        cpuShares: undefined,
        cpuPeriodUs: undefined,
        cpuQuotaUs: undefined,
        cpusetCpus: undefined,
        cpusetMems: undefined,
      },
      sourceDateEpoch: undefined,
      cacheMountNamespace: "",
      filename: "Dockerfile",
      dockerfile: { kind: "directory", name: "dockerfile" },
      context: { kind: "local", name: "context" },
      contextSubdirectory: "",
      namedContexts: new Map(),
      pull: "missing",
      cacheImports: [],
      attest: { provenance: undefined, sbom: false },
      subrequest: undefined,
      raw: {},
    },
    directories: new Map(),
    inlineCache: false,
  });
});

test("every option has its effect", () => {
  const { request, directories, inlineCache } = parse({
    target: "app",
    platform: "linux/arm64,linux/arm/v7",
    "build-arg:A": "1=2",
    "build-arg:SOURCE_DATE_EPOCH": "1700000000",
    "build-arg:BUILDKIT_INLINE_CACHE": "1",
    "build-arg:BUILDKIT_CACHE_MOUNT_NS": "ns",
    "label:a:b": "c",
    "no-cache": "one,two",
    "force-network-mode": "host",
    hostname: "h",
    "add-hosts": '"a=1.2.3.4",b=::1',
    "shm-size": "1048576",
    ulimit: "nofile=1024:2048,nproc=-1",
    "cgroup-parent": "/p",
    memory: "5",
    filename: "sub/Df",
    dockerfilekey: "df",
    contextsubdir: "sub",
    "image-resolve-mode": "pull",
    "cache-imports": '[{"Type":"registry","Attrs":{"ref":"r/c"}}]',
    "attest:provenance": "mode=min,version=v1",
    "attest:sbom": "",
    "local-sessionid:context": "s1",
    requestid: "frontend.lint",
    "multi-platform": "true",
  });
  assert.deepEqual(request.platforms, [
    { os: "linux", architecture: "arm64" },
    { os: "linux", architecture: "arm", variant: "v7" },
  ]);
  assert.equal(request.buildArgs.get("A"), "1=2");
  assert.equal(request.sourceDateEpoch, 1_700_000_000);
  assert.equal(request.cacheMountNamespace, "ns");
  assert.deepEqual(request.labels, { "a:b": "c" });
  assert.deepEqual(request.noCache, ["one", "two"]);
  assert.equal(request.networkMode, "host");
  assert.equal(request.hostname, "h");
  assert.deepEqual(request.limits.extraHosts, ["a:1.2.3.4", "b:::1"]);
  assert.equal(request.limits.shmSizeBytes, 1_048_576);
  assert.deepEqual(request.limits.ulimits, [
    { Name: "nofile", Soft: 1024, Hard: 2048 },
    { Name: "nproc", Soft: -1, Hard: -1 },
  ]);
  assert.equal(request.limits.cgroupParent, "/p");
  assert.equal(request.limits.memoryBytes, 5);
  assert.equal(request.filename, "sub/Df");
  assert.deepEqual(request.dockerfile, { kind: "directory", name: "df" });
  assert.equal(request.contextSubdirectory, "sub");
  assert.equal(request.pull, "always");
  assert.deepEqual(request.cacheImports, [{ type: "registry", attributes: { ref: "r/c" } }]);
  assert.deepEqual(request.attest, { provenance: { mode: "min", version: "v1" }, sbom: true });
  assert.equal(request.subrequest, "lint");
  assert.equal(directories.get("context"), "s1");
  assert.equal(inlineCache, true);
});

test("contexts are directories, images, layouts, repositories, downloads and results", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const result: NamedContext = { kind: "local", name: "stands for a result" };
  const { request } = parse(
    {
      context: "https://example.com/x.tar",
      "context:Dir": "local:dir",
      "context:img": "docker-image://alpine:3",
      "context:lay": `oci-layout://store1:latest@${digest}`,
      "context:git": "https://example.com/r.git#main:sub",
      "context:base::linux/amd64": "input:base",
    },
    (name) => (name === "base" ? result : undefined),
  );
  assert.deepEqual(request.context, { kind: "http", url: "https://example.com/x.tar", filename: "context" });
  assert.deepEqual(request.dockerfile, { kind: "context" });
  assert.deepEqual(
    request.namedContexts,
    new Map<string, NamedContext>([
      ["dir", { kind: "local", name: "dir" }],
      ["img", { kind: "image", reference: "alpine:3" }],
      ["lay", { kind: "oci-layout", storeId: "store1", reference: `store1:latest@${digest}` }],
      ["git", { kind: "git", remote: "https://example.com/r.git", ref: "main", subdirectory: "sub" }],
      ["base::linux/amd64", result],
    ]),
  );
});

test("buildx's own provenance makes no index", () => {
  assert.equal(parse({ "attest:provenance": "mode=min,inline-only=true" }).request.attest.provenance, undefined);
  assert.equal(parse({ "attest:provenance": "disabled=true" }).request.attest.provenance, undefined);
});

test("what cannot be done is refused by its name", () => {
  for (const [options, message] of [
    [{ device: "x" }, /"device" is not supported/],
    [{ "build-arg:BUILDKIT_SYNTAX": "foreign/frontend" }, /BUILDKIT_SYNTAX.*"foreign\/frontend"/],
    [{ "image-resolve-mode": "x" }, /invalid image-resolve-mode: x/],
    [{ "force-network-mode": "x" }, /invalid netmode x/],
    [{ ulimit: "x" }, /invalid ulimit argument: x/],
    [{ "shm-size": "1g" }, /failed to parse shm-size/],
    [{ "add-hosts": "x" }, /invalid key-value pair x/],
    [{ requestid: "x" }, /unsupported request x/],
    [{ "cache-imports": "{" }, /cache-imports/],
    [{ "cache-imports": '[{"Type":"gha"}]' }, /"gha" is not supported/],
    [{ "attest:provenance": "mode=x" }, /invalid mode "x"/],
    [{ "attest:x": "" }, /unsupported attestation type "x"/],
    [{ "attest:sbom": "generator=own" }, /generator "own"/],
    [{ "build-arg:SOURCE_DATE_EPOCH": "x" }, /invalid SOURCE_DATE_EPOCH/],
    [{ "context:a": "oci-layout://x" }, /has no digest/],
    [{ "context:a": "input:b" }, /no input b/],
    [{ "context:a": "foo" }, /unsupported context source foo/],
    [{ platform: "windows/amd64" }, /operating system is not supported/],
  ] as const)
    assert.throws(() => parse(options), { message });
});

test("the built-in frontend goes by its images' names", () => {
  for (const name of ["docker/dockerfile", "docker/dockerfile:1", "docker.io/docker/dockerfile:1.20-labs"])
    parse({ "build-arg:BUILDKIT_SYNTAX": name, source: name });
});

test("comma separated values may be quoted", () => {
  assert.deepEqual(parseCsv('a,"b,c","d""e",'), ["a", "b,c", 'd"e', ""]);
  assert.throws(() => parseCsv('"a'), /malformed/);
});
