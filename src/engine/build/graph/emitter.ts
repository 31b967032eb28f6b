// Vertices as they come into being: each once, its inputs before it. Local directories are asked for once per build, with all
// the paths that any instruction reads.

import type { Digest } from "../../../base/digest.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { DockerfileError, type Range } from "../dockerfile/index.ts";
import type { Graph, LowerOptions, NamedContext, Op, Vertex } from "./index.ts";
import { vertexDigest } from "./vertex.ts";

/** Paths that are read of each local directory: by the directory's name. "/" is all of it. */
export type ReadPaths = Map<string, Set<string>>;

export class Emitter {
  readonly vertices = new Map<Digest, Vertex>();
  readonly options: LowerOptions;
  /** Those of an earlier pass: what the transfer is limited to. */
  readonly readable: ReadPaths;
  /** Those of this pass. */
  readonly read: ReadPaths = new Map();

  constructor(options: LowerOptions, readable: ReadPaths) {
    this.options = options;
    this.readable = readable;
  }

  get graph(): Graph {
    return { vertices: this.vertices };
  }

  add(op: Op, inputs: readonly Digest[], name: string, ranges: readonly Range[], ignoreCache = false): Digest {
    const digest = vertexDigest(op, inputs);
    const before = this.vertices.get(digest);
    if (before === undefined) this.vertices.set(digest, { digest, op, inputs, name, ranges, ignoreCache });
    else if (ignoreCache && !before.ignoreCache) this.vertices.set(digest, { ...before, ignoreCache });
    return digest;
  }

  /** A tree with nothing in it, where one is needed as an input. */
  emptyTree(): Digest {
    return this.add({ kind: "file", actions: [], hasBase: false }, [], "[internal] empty tree", []);
  }

  /** The same tree as layers, where a directory of a source would be written to or be an image. */
  asLayers(digest: Digest, ranges: readonly Range[]): Digest {
    const vertex = this.vertices.get(digest);
    if (vertex === undefined || !["local", "git", "http"].includes(vertex.op.kind)) return digest;
    const op: Op = {
      kind: "file",
      hasBase: false,
      actions: [
        {
          action: "copy",
          input: 0,
          source: "/",
          destination: "/",
          allowWildcard: false,
          required: true,
          parents: false,
          exclude: [],
          followLinks: false,
          unpack: "never",
          ownership: { chown: undefined, chmod: undefined },
        },
      ],
    };
    return this.add(op, [digest], `[internal] copying ${vertex.name.replace(/^\[[^\]]*\] /, "")}`, ranges);
  }

  /** The main context's tree. */
  mainContext(): Digest {
    return this.context(this.options.mainContext, "", this.options.buildPlatform, []).result;
  }

  /** Notes what of the main context is read. */
  readMain(path: string): void {
    if (this.options.mainContext.kind === "local") this.note(this.options.mainContext.name, path);
  }

  /** Notes what of a named local directory is read. */
  note(directory: string, path: string): void {
    const paths = this.read.get(directory) ?? new Set();
    paths.add(path);
    this.read.set(directory, paths);
  }

  /**
   * The tree of a context that is no image.
   *
   * @param name the named context's; "" for the main one
   */
  context(
    context: NamedContext,
    name: string,
    platform: Platform,
    ranges: readonly Range[],
  ): { readonly result: Digest } {
    if (context.kind === "local") return { result: this.local(context.name, name, ranges) };
    if (context.kind === "git") {
      const { remote, ref, subdirectory } = context;
      const url = `${remote}${ref === "" && subdirectory === "" ? "" : `#${ref}`}${subdirectory === "" ? "" : `:${subdirectory}`}`;
      const label = name === "" ? `[internal] load git source ${url}` : `[context ${name}] load git source ${url}`;
      const keepGitDir = this.options.buildArgs.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
      const op: Op = {
        kind: "git",
        remote,
        ref,
        subdirectory,
        keepGitDir: keepGitDir !== undefined && /^(?:1|t|true)$/i.test(keepGitDir),
        checksum: undefined,
      };
      return { result: this.add(op, [], label, ranges) };
    }
    if (context.kind === "http") {
      const label = name === "" ? "[internal] load remote build context" : `[context ${name}] load from ${context.url}`;
      const { url, filename } = context;
      const download = this.add({ kind: "http", url, filename, checksum: undefined, mode: 0o600 }, [], label, ranges);
      if (context.unpack === false) return { result: download };
      const unpacked: Op = {
        kind: "file",
        hasBase: false,
        actions: [
          {
            action: "copy",
            input: 0,
            source: `/${filename}`,
            destination: "/",
            allowWildcard: false,
            required: true,
            parents: false,
            exclude: [],
            followLinks: false,
            unpack: "always",
            ownership: { chown: undefined, chmod: undefined },
          },
        ],
      };
      return { result: this.add(unpacked, [download], "[internal] extracting remote build context", ranges) };
    }
    if (context.kind === "result") {
      const { draft, graph } = context;
      for (const [digest, vertex] of graph.vertices) this.vertices.set(digest, vertex);
      return { result: draft.result ?? this.emptyTree() };
    }
    throw new DockerfileError(`context ${name} is an image: ${platform.architecture}`, ranges);
  }

  private local(directory: string, name: string, ranges: readonly Range[]): Digest {
    const paths = this.readable.get(directory);
    const everything = paths === undefined || paths.has("/");
    const isMain = name === "";
    const op: Op = {
      kind: "local",
      name: directory,
      includePatterns: [],
      excludePatterns: isMain
        ? this.options.ignorePatterns
        : (this.options.contextIgnorePatterns?.get(directory) ?? []),
      followPaths: everything ? [] : [...paths].map((path) => path.replace(/^\/+/, "")).sort(),
    };
    const label = isMain ? "[internal] load build context" : `[context ${name}] load from client`;
    return this.add(op, [], label, ranges);
  }
}
