import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf } from "../../../base/digest.ts";
import type { Graph, Op, Vertex } from "../graph/index.ts";
import type { ProvenanceFacts } from "./index.ts";
import { renderProvenance } from "./provenance.ts";

const platform = { os: "linux", architecture: "amd64" };
const line = { start: { line: 1, column: 0 }, end: { line: 1, column: 0 } };

function vertexOf(op: Op, inputs: readonly Vertex[] = []): Vertex {
  const digests = inputs.map(({ digest }) => digest);
  return {
    digest: digestOf(JSON.stringify([op, digests])),
    op,
    inputs: digests,
    name: "",
    ranges: [line],
    ignoreCache: false,
  };
}

function graphOf(...vertices: readonly Vertex[]): Graph {
  return { vertices: new Map(vertices.map((vertex) => [vertex.digest, vertex])) };
}

const image = vertexOf({
  kind: "image",
  reference: "docker.io/library/a:1@sha256:1",
  platform,
  imageId: digestOf("a"),
});
const local = vertexOf({ kind: "local", name: "context", includePatterns: [], excludePatterns: [], followPaths: [] });
const step = vertexOf(
  {
    kind: "exec",
    args: ["/bin/sh", "-c", "make"],
    env: ["A=b", "HTTP_PROXY=http://me:word@proxy"],
    ignoredEnv: ["HTTP_PROXY"],
    user: "",
    workingDirectory: "/",
    hostname: "",
    network: "none",
    security: "sandbox",
    mounts: [
      {
        type: "secret",
        id: "key",
        target: "/run/secrets/key",
        env: undefined,
        required: true,
        mode: 0o400,
        uid: 0,
        gid: 0,
      },
      { type: "secret", id: "extra", target: "/x", env: undefined, required: false, mode: 0o400, uid: 0, gid: 0 },
    ],
    scripts: [],
    platform,
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
  },
  [image, local],
);

const facts: ProvenanceFacts = {
  version: "v0.2",
  mode: "min",
  builderId: "",
  ref: "jbro3ej6um6ighr2rvm16zmfc",
  startedAt: "2026-11-28T07:50:25.705785923Z",
  finishedAt: "2026-11-28T07:50:25.873326475Z",
  platform,
  request: { filename: "Dockerfile", "attest:provenance": "mode=min" },
  materials: [],
  dockerfile: { filename: "Dockerfile", source: "FROM scratch\nCOPY a /a\n" },
  graph: graphOf(local),
  reproducible: false,
};

function predicate(more: Partial<ProvenanceFacts>): Record<string, unknown> {
  return renderProvenance({ ...facts, ...more }, platform).predicate as Record<string, unknown>;
}

describe("provenance", () => {
  it("v0.2 is what dockerd 28.5 wrote of the same build, to the byte", () => {
    const attestation = renderProvenance({ ...facts, platform: { os: "linux", architecture: "arm64" } }, platform);
    assert.equal(attestation.predicateType, "https://slsa.dev/provenance/v0.2");
    assert.equal(
      JSON.stringify(attestation.predicate),
      '{"builder":{"id":""},"buildType":"https://mobyproject.org/buildkit@v1","invocation":{"configSource":' +
        '{"entryPoint":"Dockerfile"},"parameters":{"frontend":"dockerfile.v0","locals":[{"name":"context"},' +
        '{"name":"dockerfile"}]},"environment":{"platform":"linux/amd64"}},"metadata":{"buildInvocationID":' +
        '"jbro3ej6um6ighr2rvm16zmfc","buildStartedOn":"2026-11-28T07:50:25.705785923Z","buildFinishedOn":' +
        '"2026-11-28T07:50:25.873326475Z","completeness":{"parameters":true,"environment":true,"materials":false},' +
        '"reproducible":false,"https://mobyproject.org/buildkit@v1#metadata":{}}}',
    );
  });

  it("min leaves out arguments and labels, and says so", () => {
    const request = { "build-arg:A": "secret-like", "label:l": "1", target: "x" };
    const min = predicate({ request });
    const max = predicate({ request, mode: "max" });
    const argsOf = (document: Record<string, unknown>): unknown =>
      (document["invocation"] as { parameters: { args: unknown } }).parameters.args;
    const complete = (document: Record<string, unknown>): unknown =>
      (document["metadata"] as { completeness: { parameters: boolean } }).completeness.parameters;
    assert.deepEqual([argsOf(min), complete(min)], [{ target: "x" }, false]);
    assert.deepEqual([argsOf(max), complete(max)], [request, true]);
  });

  it("has materials once each, without credentials", () => {
    const material = { uri: "https://user:token@git.example/x.git", digest: { sha1: "1" } };
    const { materials } = predicate({ materials: [material, material], graph: graphOf(image) });
    assert.deepEqual(materials, [{ uri: "https://xxxxx:xxxxx@git.example/x.git", digest: { sha1: "1" } }]);
  });

  it("max has steps, source and ids of secrets, and no password of a proxy", () => {
    const document = predicate({
      mode: "max",
      graph: graphOf(image, local, step),
      request: { context: "https://me:word@git.example/x" },
    });
    const { buildConfig, invocation } = document as {
      readonly buildConfig: { readonly llbDefinition: readonly Record<string, unknown>[] };
      readonly invocation: { readonly parameters: { readonly secrets: unknown } };
    };
    assert.deepEqual(invocation.parameters.secrets, [{ id: "extra", optional: true }, { id: "key" }]);
    assert.deepEqual(
      buildConfig.llbDefinition.map(({ id, inputs }) => [id, inputs]),
      [
        ["step0", undefined],
        ["step1", undefined],
        ["step2", ["step0:0", "step1:0"]],
      ],
    );
    const text = JSON.stringify(document);
    assert.match(text, /docker-image:\/\/docker\.io\/library\/a:1@sha256:1/);
    assert.match(text, /"args":\["\/bin\/sh","-c","make"\],"env":\["A=b"\]/);
    assert.ok(text.includes(Buffer.from(facts.dockerfile.source).toString("base64")));
    assert.ok(!text.includes("word"), text);
  });

  it("v1 says the same in its own words", () => {
    const { predicateType, predicate: document } = renderProvenance(
      {
        ...facts,
        version: "v1",
        materials: [{ uri: "pkg:docker/a@1?platform=linux%2Famd64", digest: { sha256: "1" } }],
        graph: graphOf(image),
      },
      platform,
    );
    assert.equal(predicateType, "https://slsa.dev/provenance/v1");
    assert.deepEqual(document, {
      buildDefinition: {
        buildType: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
        externalParameters: {
          configSource: { path: "Dockerfile" },
          request: { frontend: "dockerfile.v0", locals: [{ name: "dockerfile" }] },
        },
        internalParameters: { builderPlatform: "linux/amd64" },
        resolvedDependencies: [{ uri: "pkg:docker/a@1?platform=linux%2Famd64", digest: { sha256: "1" } }],
      },
      runDetails: {
        builder: { id: "" },
        metadata: {
          invocationID: facts.ref,
          startedOn: facts.startedAt,
          finishedOn: facts.finishedAt,
          buildkit_completeness: { request: true, resolvedDependencies: true },
        },
      },
    });
  });
});
