// Contexts that are not the client's: what is at a URL is an archive or a Dockerfile, and a repository is read as it is.

import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import type { Digest } from "../../base/digest.ts";
import { lowerOptions } from "./graph/fixture.ts";
import type { NamedContext } from "./graph/index.ts";
import type { FrontendRequest } from "./index.ts";
import { prepareContext } from "./job-context.ts";
import type { Snapshot, Solution } from "./solver/index.ts";
import type { SourceDirectory, SourceEntry } from "./sources/index.ts";

async function directory(
  t: TestContext,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<SourceDirectory> {
  const path = await mkdtemp(join(tmpdir(), "gantry-context-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  const entries: SourceEntry[] = [];
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(path, name), content);
    entries.push({
      path: name,
      type: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: content.length,
      mtimeNs: 0n,
      linkName: "",
      xattrs: {},
      digest: undefined,
    });
  }
  return { path, entries, [Symbol.asyncDispose]: async () => undefined };
}

/** Solves by handing out snapshots in order; remembers how many were wanted. */
function solving(snapshots: readonly Snapshot[]): {
  readonly solve: (graph: unknown, targets: readonly Digest[]) => Promise<Solution>;
  readonly kinds: string[];
} {
  const kinds: string[] = [];
  return {
    kinds,
    solve: async (graph, [target]) => {
      const { vertices } = graph as {
        readonly vertices: ReadonlyMap<Digest, { readonly op: { readonly kind: string } }>;
      };
      const snapshot = snapshots[kinds.length];
      kinds.push(target === undefined ? "" : (vertices.get(target)?.op.kind ?? ""));
      return {
        get: () =>
          snapshot === undefined
            ? undefined
            : { snapshot, recordId: "r", cached: false, createdAt: "2026-01-01T00:00:00Z" },
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
  };
}

function request(context: NamedContext): FrontendRequest {
  return {
    context,
    dockerfile: { kind: "context" },
    filename: "Dockerfile",
    contextSubdirectory: "",
  } as unknown as FrontendRequest;
}

const url: NamedContext = { kind: "http", url: "https://h/x", filename: "context" };

test("a Dockerfile at a URL is the Dockerfile, and the only file of its context", async (t) => {
  const fetched = await directory(t, { context: "FROM scratch\n" });
  const { solve, kinds } = solving([{ kind: "directory", directory: fetched }]);
  const { context, filename, read } = await prepareContext(
    request(url),
    lowerOptions(),
    { directories: () => [] },
    solve,
  );
  assert.deepEqual(context, { ...url, unpack: false });
  assert.equal(await read(filename), "FROM scratch\n");
  assert.deepEqual(kinds, ["http"]);
});

test("an archive at a URL is unpacked and read from its layers, where a link is refused", async (t) => {
  const fetched = await directory(t, { context: gzipSync("tar") });
  const upper = await directory(t, { Dockerfile: "FROM upper\n" });
  const lower = await directory(t, { Dockerfile: "FROM lower\n", other: "x" });
  await symlink("/etc/passwd", join(upper.path, "link"));
  const { solve, kinds } = solving([
    { kind: "directory", directory: fetched },
    { kind: "layers", layers: [] },
  ]);
  const layers = { directories: () => [upper.path, lower.path] };
  const { context, read } = await prepareContext(request(url), lowerOptions(), layers, solve);
  assert.equal(context, url);
  assert.deepEqual(kinds, ["http", "file"]);
  assert.equal(await read("Dockerfile"), "FROM upper\n");
  assert.equal(await read("other"), "x");
  assert.equal(await read("missing"), undefined);
  await assert.rejects(read("link"), { kind: "Forbidden" });
  await assert.rejects(read("../x"), { kind: "Forbidden" });
});

test("a repository is fetched once and read as it is", async (t) => {
  const checkout = await directory(t, { Dockerfile: "FROM git\n" });
  const { solve, kinds } = solving([{ kind: "directory", directory: checkout }]);
  const git: NamedContext = { kind: "git", remote: "https://h/r.git", ref: "", subdirectory: "" };
  const { read } = await prepareContext(request(git), lowerOptions(), { directories: () => [] }, solve);
  assert.equal(await read("Dockerfile"), "FROM git\n");
  assert.deepEqual(kinds, ["git"]);
});
