// The daemon's end of a build's session against our own client's, over a socket.

import assert from "node:assert/strict";
import { once } from "node:events";
import {
  chmodSync,
  createWriteStream,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Duplex, Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { text, buffer } from "node:stream/consumers";
import { test } from "node:test";
import * as fc from "fast-check";
import type { SyncOptions } from "../../src/engine/build/client.ts";
import type { SourceDirectory } from "../../src/engine/build/sources/index.ts";
import { createPair } from "./build-session-pair.ts";

const signal = new AbortController().signal;

function everything(overrides: Partial<SyncOptions> = {}): SyncOptions & { readonly bytes: () => number } {
  let bytes = 0;
  return {
    includePatterns: [],
    excludePatterns: [],
    followPaths: [],
    progress: (now) => {
      bytes = now;
    },
    bytes: () => bytes,
    ...overrides,
  };
}

/** What is below a directory: kind, mode, content or target, seconds; several names of a file have one number. */
function snapshotOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const inodes = new Map<number, string>();
  const visit = (directory: string): void => {
    for (const name of readdirSync(join(root, directory))) {
      const path = directory === "" ? name : `${directory}/${name}`;
      const stat = lstatSync(join(root, path));
      const mode = (stat.mode & 0o7777).toString(8);
      if (stat.isDirectory()) {
        found[path] = `${mode} directory`;
        visit(path);
      } else if (stat.isSymbolicLink()) found[path] = `-> ${readlinkSync(join(root, path))}`;
      else {
        if (!inodes.has(stat.ino)) inodes.set(stat.ino, path);
        found[path] =
          `${mode} ${readFileSync(join(root, path)).toString("hex")} ${stat.mtimeMs} ${stat.nlink > 1 ? inodes.get(stat.ino) : ""}`;
      }
    }
  };
  visit("");
  return found;
}

/** Names in use at the client; hard-linked trees of the daemon's are no links of the client's. */
function withoutLinks(snapshot: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(snapshot).map(([path, value]) => [path, value.split(" ").slice(0, 3).join(" ")]),
  );
}

type Node = { readonly name: string } & (
  | { readonly kind: "file"; readonly size: number; readonly seed: number; readonly mode: number }
  | { readonly kind: "directory"; readonly children: readonly Node[] }
  | { readonly kind: "symlink"; readonly target: string }
  | { readonly kind: "link" }
);

const names = fc.constantFrom("a", "b", "a-b", "a.b", "é", "\u{1f600}", "Z", " sp ace", "*", "x!");
const { tree } = fc.letrec<{ tree: readonly Node[]; node: Node }>((tie) => ({
  tree: fc.uniqueArray(tie("node"), { selector: ({ name }) => name, maxLength: 4 }),
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({
      kind: fc.constant("file" as const),
      name: names,
      size: fc.constantFrom(0, 1, 100, 300_000, 700_000),
      seed: fc.nat(255),
      mode: fc.constantFrom(0o644, 0o755, 0o4711, 0o000),
    }),
    fc.record({
      kind: fc.constant("symlink" as const),
      name: names,
      target: fc.constantFrom("a", "/etc", "../..", "b/é"),
    }),
    fc.record({ kind: fc.constant("link" as const), name: names }),
    fc.record({ kind: fc.constant("directory" as const), name: names, children: tie("tree") }),
  ),
}));

function build(root: string, nodes: readonly Node[], files: string[] = []): void {
  for (const node of nodes) {
    const at = join(root, node.name);
    if (node.kind === "file") {
      writeFileSync(at, Buffer.alloc(node.size, node.seed));
      chmodSync(at, node.mode);
      utimesSync(at, 1_600_000_000 + node.seed + node.size, 1_600_000_000 + node.seed + node.size);
      files.push(at);
    } else if (node.kind === "symlink") symlinkSync(node.target, at);
    else if (node.kind === "link") {
      if (files[0] !== undefined) linkSync(files[0], at);
    } else {
      mkdirSync(at);
      build(at, node.children, files);
    }
  }
}

test("any tree arrives as it is, then any other in its place, and an unchanged one costs no byte", async () => {
  await using pair = await createPair();
  const context = join(pair.work, "context");
  mkdirSync(context);
  const { client } = await pair.join({ directories: new Map([["context", context]]) });
  await fc.assert(
    fc.asyncProperty(tree, fc.boolean(), async (nodes, keepHeld) => {
      rmSync(context, { recursive: true });
      mkdirSync(context);
      build(context, nodes);
      const directory = await client.syncDirectory("context", everything(), signal);
      const sent = withoutLinks(snapshotOf(context));
      assert.deepEqual(withoutLinks(snapshotOf(directory.path)), sent);
      assert.deepEqual(directory.entries.map(({ path }) => path).sort(), Object.keys(sent).sort());
      const again = everything();
      const same = await client.syncDirectory("context", again, signal);
      assert.equal(again.bytes(), 0);
      assert.equal(same.path, directory.path);
      await same[Symbol.asyncDispose]();
      if (!keepHeld) await directory[Symbol.asyncDispose]();
    }),
    { numRuns: 60 },
  );
});

test("hard links stay links, and ids are root's", async () => {
  await using pair = await createPair();
  const context = join(pair.work, "context");
  mkdirSync(context);
  writeFileSync(join(context, "b"), "x");
  linkSync(join(context, "b"), join(context, "a"));
  const { client } = await pair.join({ directories: new Map([["context", context]]) });
  await using directory = await client.syncDirectory("context", everything(), signal);
  assert.equal(lstatSync(join(directory.path, "a")).ino, lstatSync(join(directory.path, "b")).ino);
  assert.deepEqual(
    directory.entries.map(({ path, linkName, uid, gid }) => ({ path, linkName, uid, gid })),
    [
      { path: "a", linkName: "", uid: 0, gid: 0 },
      { path: "b", linkName: "a", uid: 0, gid: 0 },
    ],
  );
});

test("patterns choose what is sent: included, excluded, excepted, followed", async () => {
  await using pair = await createPair();
  const context = join(pair.work, "context");
  for (const directory of ["src/deep", "node_modules/x", "doc", "real"])
    mkdirSync(join(context, directory), { recursive: true });
  for (const file of [
    "a.txt",
    "src/m.c",
    "src/deep/n.c",
    "src/deep/o.h",
    "node_modules/x/keep",
    "node_modules/x/drop",
    "doc/ä b",
    "real/file",
  ])
    writeFileSync(join(context, file), file);
  symlinkSync("../real/file", join(context, "doc/link"));
  symlinkSync("/real", join(context, "abs"));
  const { client } = await pair.join({ directories: new Map([["context", context]]) });
  const sync = async (options: Partial<SyncOptions>): Promise<string[]> => {
    await using directory = await client.syncDirectory("context", everything(options), signal);
    return directory.entries.map(({ path }) => path);
  };
  assert.deepEqual(await sync({ excludePatterns: ["node_modules", "!node_modules/x/keep", "**/*.h", "doc", "abs"] }), [
    "a.txt",
    "node_modules",
    "node_modules/x",
    "node_modules/x/keep",
    "real",
    "real/file",
    "src",
    "src/deep",
    "src/deep/n.c",
    "src/m.c",
  ]);
  assert.deepEqual(await sync({ includePatterns: ["src/deep/*.c", "doc/ä b"] }), [
    "doc",
    "doc/ä b",
    "src",
    "src/deep",
    "src/deep/n.c",
  ]);
  assert.deepEqual(await sync({ followPaths: ["doc/link"] }), ["doc", "doc/link", "real", "real/file"]);
  assert.deepEqual(await sync({ followPaths: ["abs/f*", "*.txt"] }), ["a.txt", "abs", "real", "real/file"]);
  assert.deepEqual(await sync({ followPaths: ["missing"] }), []);
  assert.equal(
    (await sync({ followPaths: ["."], excludePatterns: ["*", "!src"] })).join(),
    "src,src/deep,src/deep/n.c,src/deep/o.h,src/m.c",
  );
});

test("of thirty sessions at once that send one directory, one sends it", async () => {
  await using pair = await createPair();
  const context = join(pair.work, "context");
  mkdirSync(context);
  for (let i = 0; i < 50; i++) writeFileSync(join(context, `f${i}`), Buffer.alloc(1000, i));
  const directories = new Map([["context", context]]);
  const counts: (() => number)[] = [];
  const held: SourceDirectory[] = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const { client } = await pair.join({ directories });
      const options = everything();
      counts.push(options.bytes);
      return await client.syncDirectory("context", options, signal);
    }),
  );
  assert.equal(
    counts.reduce((sum, bytes) => sum + bytes(), 0),
    50_000,
  );
  assert.equal(new Set(held.map(({ path }) => path)).size, 1);
  for (const directory of held) await directory[Symbol.asyncDispose]();
});

test("a directory that the client does not offer is not found, in its words", async () => {
  await using pair = await createPair();
  const { client } = await pair.join({});
  await assert.rejects(client.syncDirectory("other", everything(), signal), {
    kind: "NotFound",
    message: 'no access allowed to dir "other"',
  });
});

test("secrets and credentials come over, and their absence is told", async () => {
  await using pair = await createPair();
  const { client } = await pair.join({
    secret: async (id) => (id === "key" ? Buffer.from("value") : undefined),
    credentials: async (host) =>
      host === "https://index.docker.io/v1/"
        ? { username: "u", secret: "p" }
        : host === "token"
          ? { username: "", secret: "t" }
          : undefined,
  });
  assert.deepEqual(await client.secret("key", signal), Uint8Array.from(Buffer.from("value")));
  assert.equal(await client.secret("none", signal), undefined);
  const none = { username: "", password: "", identityToken: "", registryToken: "" };
  assert.deepEqual(await client.credentials("https://index.docker.io/v1/", signal), {
    ...none,
    username: "u",
    password: "p",
    serverAddress: "https://index.docker.io/v1/",
  });
  assert.deepEqual(await client.credentials("token", signal), { ...none, identityToken: "t", serverAddress: "token" });
  assert.equal(await client.credentials("other", signal), undefined);
});

test("an agent's connection carries bytes both ways to its end", async () => {
  await using pair = await createPair();
  const { client } = await pair.join({
    agent: async (id) =>
      id === "default"
        ? Duplex.from(async function* (input: AsyncIterable<Buffer>) {
            for await (const chunk of input) yield Buffer.from(chunk.toString().toUpperCase());
          })
        : undefined,
  });
  assert.equal(await client.hasAgent("default", signal), true);
  assert.equal(await client.hasAgent("other", signal), false);
  const agent = await client.connectAgent("default", signal);
  agent.write("hel");
  assert.equal((await once(agent, "data"))[0].toString(), "HEL");
  agent.end("lo");
  assert.equal(await text(agent), "LO");
});

test("an upload is pulled once, and another is not found", async () => {
  await using pair = await createPair();
  const data = Buffer.alloc(3_000_000, 7);
  const { client } = await pair.join({ uploads: new Map([["/one", Readable.from([data])]]) });
  assert.deepEqual(await buffer(await client.upload("http://buildkit-session/one", signal)), data);
  await assert.rejects(client.upload("http://buildkit-session/one", signal), { kind: "NotFound" });
  await assert.rejects(client.upload("http://buildkit-session/two", signal), { kind: "NotFound" });
});

test("an output stream arrives whole with its metadata, and a failing receiver fails the sender", async () => {
  await using pair = await createPair();
  let seen: Readonly<Record<string, string>> = {};
  const { client } = await pair.join({
    outputs: new Map([
      [
        0,
        {
          kind: "stream" as const,
          async open(metadata: Readonly<Record<string, string>>) {
            seen = metadata;
            return createWriteStream(join(pair.work, "out.tar"));
          },
        },
      ],
      [
        1,
        {
          kind: "stream" as const,
          async open() {
            throw new Error("no room");
          },
        },
      ],
    ]),
  });
  const data = Buffer.alloc(5_000_000, 3);
  const output = await client.sendStream(0, { "containerimage.digest": "sha256:1" }, signal);
  output.end(data);
  await finished(output);
  assert.deepEqual(readFileSync(join(pair.work, "out.tar")), data);
  assert.deepEqual(seen, { "containerimage.digest": "sha256:1" });
  const refused = await client.sendStream(1, {}, signal);
  refused.end(data);
  await assert.rejects(finished(refused), /no room/);
});

test("an output directory is put beside what is there, and through no symlink", async () => {
  await using pair = await createPair();
  const [made, out, outside] = ["made", "out", "outside"].map((name) => join(pair.work, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [made, out, outside]) mkdirSync(directory);
  build(made, [
    { kind: "file", name: "a", size: 10, seed: 1, mode: 0o755 },
    {
      kind: "directory",
      name: "d",
      children: [
        { kind: "file", name: "big", size: 700_000, seed: 2, mode: 0o644 },
        { kind: "link", name: "l" },
      ],
    },
    { kind: "symlink", name: "s", target: "/etc" },
  ]);
  writeFileSync(join(out, "kept"), "kept");
  writeFileSync(join(outside, "a"), "mine");
  symlinkSync(outside, join(out, "d"));
  symlinkSync(join(outside, "a"), join(out, "a"));
  const { client } = await pair.join({ outputs: new Map([[0, { kind: "directory" as const, path: out }]]) });
  await client.sendDirectory(0, made, () => {}, signal);
  assert.equal(readFileSync(join(out, "kept"), "utf8"), "kept");
  assert.deepEqual(readdirSync(outside), ["a"]);
  assert.equal(readFileSync(join(outside, "a"), "utf8"), "mine");
  rmSync(join(out, "kept"));
  assert.deepEqual(snapshotOf(out), snapshotOf(made));
});

test("a session that comes late is waited for; one that left is not found", async () => {
  await using pair = await createPair();
  const ends = await pair.sockets();
  const waiting = pair.sessions.client("late", signal);
  pair.sessions.accept(ends.daemon, { "x-docker-expose-session-uuid": "late" });
  assert.equal((await waiting).sessionId, "late");
  const again = await pair.sockets();
  assert.throws(() => pair.sessions.accept(again.daemon, { "x-docker-expose-session-uuid": "late" }), {
    kind: "InvalidParameter",
  });
  ends.client.destroy();
  await once(ends.daemon, "close");
  await assert.rejects(pair.sessions.client("late", AbortSignal.timeout(200)));
});

test("a client that leaves in the middle ends the transfer, and the next one works", async () => {
  await using pair = await createPair();
  const context = join(pair.work, "context");
  mkdirSync(context);
  writeFileSync(join(context, "big"), Buffer.alloc(40_000_000, 1));
  const directories = new Map([["context", context]]);
  const first = await pair.join({ directories });
  await assert.rejects(
    first.client.syncDirectory("context", everything({ progress: () => first.leave() }), signal),
    (error: { kind?: string }) => error.kind === "Unavailable" || error.kind === "Cancelled",
  );
  const { client } = await pair.join({ directories });
  await using directory = await client.syncDirectory("context", everything(), signal);
  assert.equal(lstatSync(join(directory.path, "big")).size, 40_000_000);
  assert.equal(existsSync(join(pair.contexts, "3")), false);
});
