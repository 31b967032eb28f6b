// Graphs that clients hand us: those that we gave them as opaque ones ("what solve x returned"), and single sources, by which bake
// reads its files from repositories and downloads. Any other LLB is refused. Source: BuildKit's package pb; its source identifiers.

import { createHash } from "node:crypto";
import { parseDigest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import type { MessageInit, MessageOf } from "../../grpc/index.ts";
import { Definition, Op } from "../../spec/buildkit/ops.ts";
import type { GitOp, HttpOp, LocalOp } from "../build/graph/index.ts";
import { parseGitUrl } from "../build/sources/git-url.ts";

const resultScheme = "gantry-result://";

export type ParsedDefinition =
  | { readonly kind: "result"; readonly id: string }
  | { readonly kind: "source"; readonly op: GitOp | HttpOp | LocalOp }
  | { readonly kind: "scratch" };

/** A graph of one source that names a result. */
export function renderResultDefinition(id: string): MessageInit<typeof Definition> {
  const op = Op.encode({ source: { identifier: resultScheme + id } });
  const terminal = Op.encode({ inputs: [{ digest: digest(op), index: 0 }] });
  return { def: [op, terminal], metadata: { [digest(op)]: {}, [digest(terminal)]: {} } };
}

/** @throws NotImplemented LLB that is neither; InvalidParameter malformed */
export function parseDefinition(definition: MessageOf<typeof Definition>): ParsedDefinition {
  const last = definition.def.at(-1);
  if (last === undefined) return { kind: "scratch" };
  const terminal = Op.decode(last);
  const wanted = terminal.inputs[0]?.digest;
  if (wanted === undefined) return parseSource(terminal);
  const bytes = definition.def.find((each) => digest(each) === wanted);
  if (bytes === undefined) throw new EngineError("InvalidParameter", `invalid definition: no op ${wanted}`);
  return parseSource(Op.decode(bytes));
}

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function parseSource(op: MessageOf<typeof Op>): ParsedDefinition {
  const { source } = op;
  if (source === undefined) {
    const kind =
      (["exec", "file", "build", "merge", "diff"] as const).find((name) => op[name] !== undefined) ?? "unknown";
    throw new EngineError("NotImplemented", `LLB is not supported (${kind} op): use the dockerfile frontend`);
  }
  const { identifier, attrs } = source;
  if (identifier.startsWith(resultScheme)) return { kind: "result", id: identifier.slice(resultScheme.length) };
  const [, scheme = "", rest = ""] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s.exec(identifier) ?? [];
  if (scheme === "git") return { kind: "source", op: gitOp(attrs.get("git.fullurl") ?? "", rest, attrs) };
  if (scheme === "http" || scheme === "https") return { kind: "source", op: httpOp(identifier, attrs) };
  if (scheme === "local")
    return {
      kind: "source",
      op: {
        kind: "local",
        name: rest,
        includePatterns: patterns(attrs.get("local.includepattern")),
        excludePatterns: patterns(attrs.get("local.excludepatterns")),
        followPaths: patterns(attrs.get("local.followpaths")),
      },
    };
  throw new EngineError("NotImplemented", `LLB is not supported (source ${identifier}): use the dockerfile frontend`);
}

function gitOp(fullUrl: string, rest: string, attrs: ReadonlyMap<string, string>): GitOp {
  // "host/path#ref:subdir"; the attribute has how it is reached.
  const fragment = rest.includes("#") ? rest.slice(rest.indexOf("#")) : "";
  const git = parseGitUrl(`${fullUrl === "" ? `https://${rest.split("#", 1)[0] ?? ""}` : fullUrl}${fragment}`);
  if (git === undefined) throw new EngineError("InvalidParameter", `invalid git source ${rest}`);
  return {
    kind: "git",
    remote: git.remote,
    ref: git.ref,
    subdirectory: git.subdirectory,
    keepGitDir: attrs.get("git.keepgitdir") === "true",
    checksum: attrs.get("git.checksum"),
  };
}

function httpOp(url: string, attrs: ReadonlyMap<string, string>): HttpOp {
  const checksum = attrs.get("http.checksum");
  return {
    kind: "http",
    url,
    filename:
      attrs.get("http.filename") ?? decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "") ?? "download",
    checksum: checksum === undefined ? undefined : parseDigest(checksum),
    mode: 0o600,
  };
}

function patterns(json: string | undefined): readonly string[] {
  if (json === undefined || json === "") return [];
  try {
    const value: unknown = JSON.parse(json);
    if (Array.isArray(value)) return value.map(String);
  } catch {
    // As below.
  }
  throw new EngineError("InvalidParameter", `malformed patterns of a local source: ${json}`);
}
