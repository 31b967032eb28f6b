// The files that say what is built: Dockerfile and .dockerignore, from the client's directories, from the request, or from a
// context that is downloaded. Each is an internal vertex, named as buildx shows them.

import { digestOf } from "../../base/digest.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import type { BuildClient, SyncOptions } from "./client.ts";
import { parseIgnoreFile } from "./dockerfile/index.ts";
import type { FrontendRequest } from "./index.ts";
import { readTreeFile } from "./job-tree.ts";
import type { BuildProgress, VertexReporter } from "./progress.ts";

/** A text with its name. */
export interface DefinitionFile {
  readonly filename: string;
  readonly text: string;
}

export interface Definition {
  readonly dockerfile: DefinitionFile;
  /** Of `<Dockerfile>.dockerignore`, where there is one. */
  readonly ignore: string | undefined;
  /** Vertex that warnings belong to. */
  readonly vertex: string;
}

/** Reads a path of a context that was downloaded; undefined when it is not there. */
export type ContextReader = (path: string) => Promise<string | undefined>;

function transfer(report: VertexReporter, id: string): (bytes: number) => void {
  report.status(id, 0, 0, false);
  return (bytes) => report.status(id, bytes, 0, false);
}

async function readDirectory(
  client: BuildClient,
  name: string,
  paths: readonly string[],
  report: VertexReporter,
  id: string,
  signal: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  const told = transfer(report, id);
  let bytes = 0;
  const options: SyncOptions = {
    includePatterns: [],
    excludePatterns: [],
    followPaths: [...paths],
    progress: (sofar) => {
      bytes = sofar;
      told(sofar);
    },
  };
  await using directory = await client.syncDirectory(name, options, signal);
  const texts: (string | undefined)[] = [];
  for (const path of paths) texts.push(await readTreeFile(directory, path));
  report.status(id, bytes, 0, true);
  return texts;
}

function vertexOf(name: string): { readonly digest: string; readonly name: string } {
  return { digest: digestOf(name), name };
}

function cleaned(filename: string): string {
  return filename.replace(/^(?:\.?\/+)+/, "");
}

/** What a missing Dockerfile may be called instead. */
function alternative(filename: string): string | undefined {
  const slash = filename.lastIndexOf("/");
  return filename.slice(slash + 1) === "Dockerfile" ? `${filename.slice(0, slash + 1)}dockerfile` : undefined;
}

/**
 * The Dockerfile, and the ignore file that is its own.
 *
 * @throws NotFound "failed to read dockerfile: open Dockerfile: no such file or directory"
 * @throws Forbidden it is a link that leads out of its directory
 */
export async function loadDefinition(
  request: FrontendRequest,
  client: BuildClient,
  progress: BuildProgress,
  readContext: ContextReader,
  signal: AbortSignal,
): Promise<Definition> {
  const filename = cleaned(request.filename === "" ? "Dockerfile" : request.filename);
  const vertex = vertexOf(`[internal] load build definition from ${filename.split("/").at(-1) ?? filename}`);
  const missing = (cause?: unknown): never => {
    throw new EngineError("NotFound", `failed to read dockerfile: open ${filename}: no such file or directory`, {
      cause,
    });
  };
  const other = alternative(filename);
  const paths = [filename, `${filename}.dockerignore`, ...(other === undefined ? [] : [other])];
  return progress.vertex(vertex, async (report) => {
    const { dockerfile } = request;
    let texts: readonly (string | undefined)[];
    if (dockerfile.kind === "text") texts = [dockerfile.text];
    else if (dockerfile.kind === "context") texts = await Promise.all(paths.map(readContext));
    else {
      try {
        texts = await readDirectory(client, dockerfile.name, paths, report, "transferring dockerfile:", signal);
      } catch (error) {
        const isRemote = request.context.kind === "git" || request.context.kind === "http";
        if (!isEngineError(error, "NotFound") || !isRemote) throw error;
        texts = await Promise.all(paths.map(readContext));
      }
    }
    const text = texts[0] ?? texts[2] ?? missing();
    const name = texts[0] === undefined ? (other ?? filename) : filename;
    return { dockerfile: { filename: name, text }, ignore: texts[1], vertex: vertex.digest };
  });
}

/** Patterns of what a context leaves out. */
export async function loadIgnoreFile(
  directory: string,
  name: string | undefined,
  client: BuildClient,
  progress: BuildProgress,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const label = name === undefined ? "[internal] load .dockerignore" : `[context ${name}] load .dockerignore`;
  return progress.vertex(vertexOf(label), async (report) => {
    const id = "transferring context:";
    const [text] = await readDirectory(client, directory, [".dockerignore"], report, id, signal);
    return text === undefined ? [] : parseIgnoreFile(text);
  });
}
