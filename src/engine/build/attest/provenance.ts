// Provenance of a build, laid out as BuildKit lays it out: what was asked for, of what it was made, when and by whom. Mode min
// leaves out build arguments, labels and steps. Values of secrets are in no fact that comes here.
// Sources: SLSA provenance v0.2 and v1; BuildKit, docs/attestations/slsa-provenance.md and slsa-definitions.md.

import type { Platform } from "../../../spec/oci/image.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import type { Graph, Op, Vertex } from "../graph/index.ts";
import type { Attestation, ProvenanceFacts } from "./index.ts";

const buildType02 = "https://mobyproject.org/buildkit@v1";
const buildType1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/** Of the request, but of no account for what comes out, or of this host alone. */
const leftOut =
  /^(?:filename|source|cmdline|requestid|frontend\.caps|local-sessionid:.*|attest:.*|cgroup-parent|image-resolve-mode|platform|cache-imports|cache-from|multi-platform)$/;
const detailed = /^(?:build-arg|label):/;

/** @param builder the platform on which it was built, whatever it was built for */
export function renderProvenance(facts: ProvenanceFacts, builder: Platform): Attestation {
  return facts.version === "v1"
    ? { predicateType: "https://slsa.dev/provenance/v1", predicate: predicate1(facts, builder) }
    : { predicateType: "https://slsa.dev/provenance/v0.2", predicate: predicate02(facts, builder) };
}

interface Request {
  readonly args: Readonly<Record<string, string>>;
  readonly locals: readonly { readonly name: string }[];
  readonly secrets: readonly { readonly id: string; readonly optional?: true }[];
  readonly ssh: readonly { readonly id: string; readonly optional?: true }[];
  /** Nothing of the request was left out. */
  readonly complete: boolean;
}

function requestOf({ request, graph, mode }: ProvenanceFacts): Request {
  const known = Object.entries(request).filter(([key]) => !leftOut.test(key));
  const told = known.filter(([key]) => mode === "max" || !detailed.test(key)).sort(byName);
  const locals = new Set(["dockerfile"]);
  const mounts = [...graph.vertices.values()].flatMap(({ op }) => {
    if (op.kind === "local") locals.add(op.name);
    return op.kind === "exec" ? op.mounts : [];
  });
  const named = (type: "secret" | "ssh"): Request["secrets"] => {
    const found = mounts.flatMap((mount) => (mount.type === type ? [mount] : []));
    const required = new Map<string, boolean>();
    for (const mount of found) required.set(mount.id, (required.get(mount.id) ?? false) || mount.required);
    return [...required].sort(byName).map(([id, must]) => (must ? { id } : { id, optional: true }));
  };
  return {
    args: Object.fromEntries(told.map(([key, value]) => [key, redact(value)])),
    locals: [...locals].sort().map((name) => ({ name })),
    secrets: mode === "max" ? named("secret") : [],
    ssh: mode === "max" ? named("ssh") : [],
    complete: told.length === known.length,
  };
}

/** Credentials in URLs, as BuildKit hides them. */
function redact(text: string): string {
  return text.replaceAll(/:\/\/[^/@\s]+@/g, "://xxxxx:xxxxx@");
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function parametersOf(request: Request): object {
  return {
    frontend: "dockerfile.v0",
    ...(Object.keys(request.args).length === 0 ? {} : { args: request.args }),
    ...(request.secrets.length === 0 ? {} : { secrets: request.secrets }),
    ...(request.ssh.length === 0 ? {} : { ssh: request.ssh }),
    ...(request.locals.length === 0 ? {} : { locals: request.locals }),
  };
}

/** What depends on a directory of the client alone cannot be fetched again. */
function hasAllMaterials({ graph }: ProvenanceFacts): boolean {
  return [...graph.vertices.values()].every(({ op }) => op.kind !== "local" && op.kind !== "oci-layout");
}

function materialsOf({ materials }: ProvenanceFacts): readonly { readonly uri: string; readonly digest: unknown }[] {
  const distinct = new Map(
    materials.map((material) => [`${material.uri} ${JSON.stringify(material.digest)}`, material]),
  );
  return [...distinct].sort(byName).map(([, { uri, digest }]) => ({ uri: redact(uri), digest }));
}

function predicate02(facts: ProvenanceFacts, builder: Platform): unknown {
  const request = requestOf(facts);
  const materials = materialsOf(facts);
  return {
    builder: { id: facts.builderId },
    buildType: buildType02,
    ...(materials.length === 0 ? {} : { materials }),
    invocation: {
      configSource: { entryPoint: facts.dockerfile.filename },
      parameters: parametersOf(request),
      environment: { platform: renderPlatform(builder) },
    },
    ...(facts.mode === "max" ? { buildConfig: buildConfigOf(facts.graph) } : {}),
    metadata: {
      buildInvocationID: facts.ref,
      buildStartedOn: facts.startedAt,
      buildFinishedOn: facts.finishedAt,
      completeness: { parameters: request.complete, environment: true, materials: hasAllMaterials(facts) },
      reproducible: facts.reproducible,
      [`${buildType02}#metadata`]: facts.mode === "max" ? { source: sourceOf(facts) } : {},
    },
  };
}

function predicate1(facts: ProvenanceFacts, builder: Platform): unknown {
  const request = requestOf(facts);
  const materials = materialsOf(facts);
  return {
    buildDefinition: {
      buildType: buildType1,
      externalParameters: { configSource: { path: facts.dockerfile.filename }, request: parametersOf(request) },
      internalParameters: {
        ...(facts.mode === "max" ? { buildConfig: buildConfigOf(facts.graph) } : {}),
        builderPlatform: renderPlatform(builder),
      },
      ...(materials.length === 0 ? {} : { resolvedDependencies: materials }),
    },
    runDetails: {
      builder: { id: facts.builderId },
      metadata: {
        invocationID: facts.ref,
        startedOn: facts.startedAt,
        finishedOn: facts.finishedAt,
        ...(facts.mode === "max" ? { buildkit_metadata: { source: sourceOf(facts) } } : {}),
        buildkit_completeness: { request: request.complete, resolvedDependencies: hasAllMaterials(facts) },
        ...(facts.reproducible ? { buildkit_reproducible: true } : {}),
      },
    },
  };
}

/** The Dockerfile, and which of its lines each step is. */
function sourceOf({ dockerfile, graph }: ProvenanceFacts): unknown {
  const locations = [...graph.vertices.values()].map(({ ranges }, index) => [
    `step${index}`,
    { locations: ranges.length === 0 ? [] : [{ ranges: ranges.map(linesOf) }] },
  ]);
  return {
    locations: Object.fromEntries(locations),
    infos: [
      {
        filename: dockerfile.filename,
        language: "Dockerfile",
        data: Buffer.from(dockerfile.source).toString("base64"),
      },
    ],
  };
}

function linesOf({ start, end }: Vertex["ranges"][number]): unknown {
  return { start: { line: start.line }, end: { line: end.line } };
}

/** Steps in an order in which they can be carried out. */
function buildConfigOf(graph: Graph): unknown {
  const names = new Map([...graph.vertices.keys()].map((digest, index) => [digest, `step${index}`]));
  const steps = [...graph.vertices.values()].map((vertex) => ({
    id: names.get(vertex.digest),
    op: renderOp(vertex),
    ...(vertex.inputs.length === 0 ? {} : { inputs: vertex.inputs.map((input) => `${names.get(input) ?? input}:0`) }),
  }));
  return { llbDefinition: steps, digestMapping: Object.fromEntries([...names].sort(byName)) };
}

function renderOp({ op }: Vertex): unknown {
  switch (op.kind) {
    case "exec":
      return { Op: { exec: renderExec(op) }, platform: platformOf(op.platform), constraints: {} };
    case "file":
      return { Op: { file: { actions: op.actions } }, constraints: {} };
    case "merge":
      return { Op: { merge: {} }, constraints: {} };
    case "image":
    case "local":
    case "http":
    case "git":
    case "oci-layout":
      return { Op: { source: { identifier: identifierOf(op) } }, constraints: {} };
  }
}

function platformOf(platform: { readonly architecture: string; readonly os: string }): unknown {
  return { Architecture: platform.architecture, OS: platform.os };
}

function renderExec(op: Extract<Op, { kind: "exec" }>): unknown {
  // Proxies may carry a password, and say nothing of what comes out.
  const env = op.env.filter((pair) => !op.ignoredEnv.includes(pair.split("=", 1)[0] ?? ""));
  return {
    meta: { args: op.args, env, cwd: op.workingDirectory, ...(op.user === "" ? {} : { user: op.user }) },
    mounts: op.mounts.map((mount) => ({
      mountType: mount.type,
      ...("target" in mount && mount.target !== undefined ? { dest: mount.target } : {}),
    })),
    network: op.network,
    security: op.security,
  };
}

function identifierOf(op: Exclude<Op, { kind: "exec" | "file" | "merge" }>): string {
  switch (op.kind) {
    case "image":
      return `docker-image://${op.reference}`;
    case "local":
      return `local://${op.name}`;
    case "http":
      return redact(op.url);
    case "git":
      return `git://${op.remote.replace(/^[a-z+]+:\/\//, "").replace(/^[^@/]*@/, "")}${op.ref === "" ? "" : `#${op.ref}`}`;
    case "oci-layout":
      return `oci-layout://${op.storeId}@${op.digest}`;
  }
}
