// File ops of builds. What trees look like after COPY and ADD was recorded from dockerd 28.5's BuildKit with the same Dockerfiles.
// Needs root, tar and python3.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import type { DiffId } from "../../src/base/digest.ts";
import { createFiles, type Files } from "../../src/engine/build/files/index.ts";
import type { FileAction, FileOp } from "../../src/engine/build/graph/index.ts";
import { type BuildLayers, createBuildLayers } from "../../src/engine/build/layers/index.ts";
import type { RunContext, Selector, Snapshot } from "../../src/engine/build/solver/index.ts";
import { byPath, listTar, sourceDirectory } from "../support/build-tree.ts";
import { ImageRoom } from "../support/image-room.ts";
import { packPath, unpackPath } from "../support/unpack-bench.ts";

const copyPath = process.env["GANTRY_COPY"] ?? fileURLToPath(new URL("../../shim/build/gantry-copy", import.meta.url));

type Copy = Extract<FileAction, { readonly action: "copy" }>;
type CopyOptions = Partial<Omit<Copy, "action" | "ownership">> & { readonly chown?: string; readonly chmod?: string };

/** COPY as the Dockerfile frontend asks for it. */
function copy(source: string, destination: string, options: CopyOptions = {}): Copy {
  const { chown, chmod, ...rest } = options;
  return {
    action: "copy",
    input: 1,
    source,
    destination,
    allowWildcard: true,
    required: true,
    parents: false,
    exclude: [],
    followLinks: true,
    unpack: "never",
    ...rest,
    ownership: { chown, chmod },
  };
}

const context = [
  "mkdir -p dir/sub priv ex/d/sub ex2/d deep/x/y",
  "echo a > dir/a.txt; echo b > dir/b.md; echo c > dir/sub/c.md; echo p > priv/p",
  "ln -s a.txt dir/la; ln -s dir ldir; ln -s dir/a.txt lfile; echo top > top.md; echo t > top.txt",
  "printf 'root:x:0:0::/:/bin/sh\\nbob:x:1000:1001::/:/bin/sh\\n' > passwd; printf 'root:x:0:\\nstaff:x:50:\\n' > group",
  "chmod 700 priv dir/sub; chmod 711 ex/d; chmod 750 ex/d/sub; touch ex/d/sub/f",
  "echo 1 > ex/hl1; ln ex/hl1 ex/hl2; mkfifo ex/fifo; ln -s d ex/ld; ln -s /etc/none ex/dangling; ln -s /out ex/abs",
  "echo 1 > deep/x/y/one.c; echo 2 > deep/x/two.c; echo 3 > deep/three.h",
  "tar cf t.tar --mtime='2001-01-01 UTC' dir; gzip -k t.tar; xz -k t.tar; bzip2 -k t.tar; zstd -q t.tar; cp t.tar.gz plain-name; echo no > not.tar.gz",
  "find . -exec touch -h -d '2001-01-01 UTC' {} +",
].join("\n");

describe("file ops", () => {
  let room: ImageRoom;
  let layers: BuildLayers;
  let files: Files;
  let root: string;
  let input: Snapshot;
  const began = Date.now();
  const signal = (): AbortSignal => AbortSignal.timeout(60_000);
  const run = { job: { clampTimes: undefined }, vertex: { digest: "sha256:step" } } as unknown as RunContext;

  before(async () => {
    room = await ImageRoom.open();
    layers = createBuildLayers({ snapshots: room.snapshots, store: room.store });
    files = createFiles({ layers, copyPath, unpackPath, packPath, dataRoot: room.dataRoot });
    root = mkdtempSync(join(tmpdir(), "gantry-context-"));
    execFileSync("sh", ["-ec", `umask 022; cd ${root}; ${context}`]);
    input = { kind: "directory", directory: sourceDirectory(root) };
  });
  after(async () => {
    rmSync(root, { recursive: true, force: true });
    await room.close();
  });

  async function step(
    base: readonly DiffId[],
    actions: readonly FileAction[],
    source = input,
  ): Promise<readonly DiffId[]> {
    const op: FileOp = { kind: "file", actions, hasBase: true };
    const made = await files.runner.run(op, [{ kind: "layers", layers: base }, source], run, signal());
    assert.equal(made.kind, "layers");
    return made.kind === "layers" ? made.layers : [];
  }

  /** One step for each list of actions; what the tree looks like at the end. */
  async function tree(...steps: readonly (readonly FileAction[])[]): Promise<readonly string[]> {
    let stack: readonly DiffId[] = [];
    for (const actions of steps) stack = await step(stack, actions);
    return show(stack);
  }

  let shown = 0;
  async function show(stack: readonly DiffId[]): Promise<readonly string[]> {
    const key = `look${++shown}`;
    const prepared = await room.snapshots.prepare(key, layers.chainId(stack));
    await room.store.commit(prepared.changes);
    return listTar(Buffer.concat(await room.snapshots.export(key, signal()).toArray()), began);
  }

  const old = "2001-01-01";
  const dirContent = (at: string): readonly string[] => [
    `-rw-r--r-- 0/0 2 ${old} ${at}a.txt`,
    `-rw-r--r-- 0/0 2 ${old} ${at}b.md`,
    `lrwxrwxrwx 0/0 0 ${old} ${at}la -> a.txt`,
    `drwx------ 0/0 0 ${old} ${at}sub/`,
    `-rw-r--r-- 0/0 2 ${old} ${at}sub/c.md`,
  ];

  it("copies a directory's content into a new directory", async () => {
    assert.deepEqual(await tree([copy("/priv", "/new")]), [
      `drwxr-xr-x 0/0 0 ${old} new/`,
      `-rw-r--r-- 0/0 2 ${old} new/p`,
    ]);
    assert.deepEqual(await tree([copy("/priv", "/new/x/")]), [
      "drwxr-xr-x 0/0 0 now new/",
      `drwxr-xr-x 0/0 0 ${old} new/x/`,
      `-rw-r--r-- 0/0 2 ${old} new/x/p`,
    ]);
  });

  it("follows a source that is a link and keeps links inside", async () => {
    const [, ...wildcard] = await tree([copy("/l*", "/d/")]);
    const expected = [...dirContent("d/"), `-rw-r--r-- 0/0 2 ${old} d/lfile`].sort(byPath);
    assert.deepEqual(wildcard, expected);
  });

  it("excludes below what is copied, with exceptions", async () => {
    const [, ...rest] = await tree([copy("/dir", "/p/", { exclude: ["sub", "!sub/c.md"] })]);
    assert.deepEqual(rest.slice(0, 3), dirContent("p/").slice(0, 3));
    assert.deepEqual(rest.slice(3), ["drwx------ 0/0 0 now p/sub/", `-rw-r--r-- 0/0 2 ${old} p/sub/c.md`]);
    const [, ...without] = await tree([copy("/dir", "/d/", { exclude: ["*.md"] })]);
    assert.deepEqual(
      without,
      dirContent("d/").filter((line) => !line.endsWith("b.md")),
    );
    const [, ...deep] = await tree([copy("/dir", "/d/", { exclude: ["**/*.md"] })]);
    assert.deepEqual(
      deep,
      dirContent("d/").filter((line) => !line.endsWith(".md")),
    );
  });

  it("looks names of owners up in the tree", async () => {
    const accounts = [copy("/passwd", "/etc/passwd"), copy("/group", "/etc/group")];
    const owners = [
      copy("/priv", "/d/", { chown: "bob" }),
      copy("/priv", "/e/", { chown: "7" }),
      copy("/priv", "/f/f/", { chown: "bob:staff" }),
    ];
    const lines = (await tree(accounts, owners)).filter((line) => !line.includes("etc"));
    assert.deepEqual(lines, [
      `drwxr-xr-x 1000/1001 0 ${old} d/`,
      `-rw-r--r-- 1000/1001 2 ${old} d/p`,
      `drwxr-xr-x 7/7 0 ${old} e/`,
      `-rw-r--r-- 7/7 2 ${old} e/p`,
      "drwxr-xr-x 1000/50 0 now f/",
      `drwxr-xr-x 1000/50 0 ${old} f/f/`,
      `-rw-r--r-- 1000/50 2 ${old} f/f/p`,
    ]);
    await assert.rejects(tree([copy("/priv", "/d/", { chown: "bob" })]), { message: "invalid user index: -1" });
    await assert.rejects(tree(accounts, [copy("/priv", "/d/", { chown: "jim" })]), {
      message: "unable to find user jim: no matching entries in passwd file",
    });
  });

  it("changes modes in octal and by symbols", async () => {
    assert.deepEqual(await tree([copy("/dir/sub", "/s/", { chmod: "640" })]), [
      `drw-r----- 0/0 0 ${old} s/`,
      `-rw-r----- 0/0 2 ${old} s/c.md`,
    ]);
    assert.deepEqual(
      await tree([copy("/top.md", "/x", { chmod: "4755" }), copy("/top.md", "/y", { chmod: "g+s,o-r" })]),
      [`-rwsr-xr-x 0/0 4 ${old} x`, `-rw-r-S--- 0/0 4 ${old} y`],
    );
    assert.deepEqual((await tree([copy("/dir", "/s/", { chmod: "u=rwX,go=rX" })])).slice(-2), [
      `drwxr-xr-x 0/0 0 ${old} s/sub/`,
      `-rw-r--r-- 0/0 2 ${old} s/sub/c.md`,
    ]);
  });

  it("keeps owner and mode of a directory that was there, and its content's are the source's", async () => {
    const lines = await tree([copy("/ex", "/s/")], [copy("/priv", "/s/d", { chmod: "700", chown: "5:6" })]);
    assert.deepEqual(
      lines.filter((line) => line.includes("s/d/")),
      [
        `drwx--x--x 0/0 0 ${old} s/d/`,
        `-rwx------ 5/6 2 ${old} s/d/p`,
        `drwxr-x--- 0/0 0 ${old} s/d/sub/`,
        `-rw-r--r-- 0/0 0 ${old} s/d/sub/f`,
      ],
    );
    assert.ok(lines.includes(`hrw-r--r-- 0/0 0 ${old} s/hl2 link to s/hl1`));
    assert.ok(lines.some((line) => line.startsWith("prw-r--r--")));
    const over = await tree([copy("/ex", "/s/")], [copy("/ex2", "/s/", { chmod: "644" })]);
    assert.ok(over.includes(`drw-r--r-- 0/0 0 ${old} s/d/`));
  });

  it("follows links of the destination inside of its root, dangling ones too", async () => {
    const made = await tree([copy("/ex", "/s/")], [copy("/dir", "/s/abs"), copy("/top.md", "/s/dangling")]);
    const outside = made.filter((line) => !line.includes(" s/"));
    assert.deepEqual(outside, [
      "drwxr-xr-x 0/0 0 now etc/",
      `-rw-r--r-- 0/0 4 ${old} etc/none`,
      `drwxr-xr-x 0/0 0 ${old} out/`,
      ...dirContent("out/"),
    ]);
  });

  it("fails as BuildKit does", async () => {
    const fails = (message: string, ...steps: readonly (readonly FileAction[])[]): Promise<void> =>
      assert.rejects(tree(...steps), { message });
    await fails("cannot copy to non-directory: /d/x", [copy("/top.md", "/d/x")], [copy("/dir", "/d/x")]);
    await fails("mkdir /d/a.txt: not a directory", [copy("/dir", "/d")], [copy("/priv/p", "/d/a.txt/")]);
    await fails("cannot replace to directory /s/a.txt with file", [copy("/priv", "/s/a.txt")], [copy("/dir", "/s")]);
    await fails("cannot copy to non-directory: /s/sub", [copy("/top.md", "/s/sub")], [copy("/dir", "/s")]);
    for (const missing of ["/nope", "/ex/d/nope", "/ex/dangling"])
      await fails(`failed to calculate checksum of ref sha256:step: "${missing}": not found`, [copy(missing, "/s")]);
    await fails("[z: syntax error in pattern", [copy("/[z", "/s/")]);
    assert.deepEqual(await tree([copy("/nope*", "/s/", { required: false })]), []);
  });

  it("keeps parents from the pivot on, with any number of directories for **", async () => {
    const paths = async (source: string): Promise<readonly string[]> =>
      (await tree([copy(source, "/p/", { parents: true })])).map((line) => line.split(" ")[4] as string);
    assert.deepEqual(await paths("/dir/sub"), ["p/", "p/dir/", "p/dir/sub/", "p/dir/sub/c.md"]);
    assert.deepEqual(await paths("/deep/./x/y/one.c"), ["p/", "p/x/", "p/x/y/", "p/x/y/one.c"]);
    assert.deepEqual(await paths("/deep/./**/*.c"), ["p/", "p/x/", "p/x/two.c", "p/x/y/", "p/x/y/one.c"]);
    assert.deepEqual(await paths("/**/*.h"), ["p/", "p/deep/", "p/deep/three.h"]);
  });

  it("unpacks archives by content, and copies what is none", async () => {
    const expected = ["drwxr-xr-x 0/0 0 now s/", `drwxr-xr-x 0/0 0 ${old} s/dir/`, ...dirContent("s/dir/")];
    for (const name of ["t.tar", "t.tar.gz", "t.tar.xz", "t.tar.bz2", "t.tar.zst", "plain-name"])
      assert.deepEqual(await tree([copy(`/${name}`, "/s", { unpack: "archives" })]), expected, name);
    const owned = await tree([copy("/t.tar", "/s/", { unpack: "archives", chown: "3:4" })]);
    assert.ok(owned.every((line) => line.includes(" 3/4 ")));
    assert.deepEqual(await tree([copy("/not.tar.gz", "/s/", { unpack: "archives" })]), [
      "drwxr-xr-x 0/0 0 now s/",
      `-rw-r--r-- 0/0 3 ${old} s/not.tar.gz`,
    ]);
  });

  it("bounds what archives of one op unpack to, and says whose fault it is", async () => {
    const source = mkdtempSync(join(tmpdir(), "gantry-context-"));
    try {
      const lines = [
        "truncate -s 700000 a b; tar cf - a | gzip > a.tgz; tar cf - b | gzip > b.tgz; rm a b",
        "truncate -s 8T bomb; tar -S -cf - bomb | gzip > bomb.tgz; rm bomb",
      ];
      execFileSync("sh", ["-ec", `cd ${source}; ${lines.join("; ")}`]);
      const from: Snapshot = { kind: "directory", directory: sourceDirectory(source) };
      const small = createFiles({
        layers,
        copyPath,
        unpackPath,
        packPath,
        dataRoot: room.dataRoot,
        maxLayerBytes: 1_000_000,
      });
      const add = (by: Files, name: string): Promise<Snapshot> => {
        const actions = [copy(name, "/d/", { unpack: "archives" })];
        const op: FileOp = { kind: "file", actions, hasBase: true };
        return by.runner.run(op, [{ kind: "layers", layers: [] }, from], run, signal());
      };
      await add(small, "/a.tgz");
      await assert.rejects(add(small, "/[ab].tgz"), {
        kind: "InvalidParameter",
        message: '"/b.tgz": the layer\'s files are larger than the 300000 bytes allowed',
      });
      await assert.rejects(add(files, "/bomb.tgz"), { kind: "Unavailable", message: /^"\/bomb\.tgz": no space left/ });
      assert.deepEqual(readdirSync(join(room.dataRoot, "tmp")), []);
    } finally {
      rmSync(source, { recursive: true });
    }
  });

  it("adds links and names in any encoding under the names that were asked for", async () => {
    const source = mkdtempSync(join(tmpdir(), "gantry-context-"));
    try {
      const odd = Buffer.concat([Buffer.from(`${source}/o`), Buffer.from([0xe9, 0xff])]);
      writeFileSync(odd, "odd");
      execFileSync("sh", ["-ec", `cd ${source}; mkdir d; echo x > d/x; ln -s d/x link`]);
      const directory = { path: source, entries: [], [Symbol.asyncDispose]: () => Promise.resolve() };
      const stack = await step([], [copy("/[lo]*", "/in/", { unpack: "archives" })], { kind: "directory", directory });
      const [top] = layers.directories(stack) as [string];
      const names = readdirSync(join(top, "in"), { encoding: "buffer" }).map((name) => name.toString("hex"));
      assert.deepEqual(names.sort(), [Buffer.from("link").toString("hex"), "6fe9ff"].sort());
      assert.equal(readFileSync(join(top, "in", "link"), "utf8"), "x\n");
    } finally {
      rmSync(source, { recursive: true });
    }
  });

  it("leaves whiteouts of an archive out, in whatever form, also where there is nothing to hide", async () => {
    const source = mkdtempSync(join(tmpdir(), "gantry-context-"));
    try {
      const lines = "mkdir t; echo x > t/kept; touch t/.wh.gone; mknod t/null c 0 0; tar cf t.tar -C t .";
      execFileSync("sh", ["-ec", `cd ${source}; ${lines}`]);
      const from: Snapshot = { kind: "directory", directory: sourceDirectory(source) };
      const add = copy("/t.tar", "/", { unpack: "archives" });
      const alone: FileOp = { kind: "file", actions: [{ ...add, input: 0 }], hasBase: false };
      const linked = await files.runner.run(alone, [from], run, signal());
      assert.equal(linked.kind, "layers");
      for (const stack of [linked.kind === "layers" ? linked.layers : [], await step([], [add], from)]) {
        const [top] = layers.directories(stack) as [string];
        assert.deepEqual(readdirSync(top), ["kept"]);
      }
    } finally {
      rmSync(source, { recursive: true });
    }
  });

  it("makes directories and files, and nothing where all is there", async () => {
    const none = { chown: undefined, chmod: undefined };
    const made = await step(
      [],
      [
        { action: "mkdir", path: "/w/x", mode: 0o755, ownership: none },
        {
          action: "mkfile",
          path: "/w/f",
          mode: 0o640,
          content: "hello\n",
          ownership: { chown: "5", chmod: undefined },
        },
      ],
    );
    assert.deepEqual(await show(made), [
      "drwxr-xr-x 0/0 0 now w/",
      "-rw-r----- 5/5 6 now w/f",
      "drwxr-xr-x 0/0 0 now w/x/",
    ]);
    assert.deepEqual(await step(made, [{ action: "mkdir", path: "/w/x", mode: 0o755, ownership: none }]), made);
    await assert.rejects(step(made, [{ action: "mkdir", path: "/w/f/x", mode: 0o755, ownership: none }]), {
      message: "mkdir /w/f/x: not a directory",
    });
  });

  it("copies attributes, capabilities, holes and large files", async () => {
    const source = mkdtempSync(join(tmpdir(), "gantry-context-"));
    try {
      const lines = [
        "echo x > ping; truncate -s 5M sparse; echo y >> sparse; head -c 3000000 /dev/urandom > large",
        `python3 -c 'import os;os.setxattr("ping","security.capability",bytes.fromhex("0100000200040000000000000000000000000000"));os.setxattr("ping","user.note",b"n")'`,
      ];
      execFileSync("sh", ["-ec", `cd ${source}; ${lines.join("; ")}`]);
      const stack = await step([], [copy("/", "/in/")], { kind: "directory", directory: sourceDirectory(source) });
      const [top] = layers.directories(stack) as [string];
      for (const name of ["sparse", "large"])
        assert.ok(readFileSync(join(top, "in", name)).equals(readFileSync(join(source, name))));
      const script =
        "import os,sys;p=sys.argv[1];print(sorted(os.listxattr(p+'/ping')),os.stat(p+'/sparse').st_blocks<100)";
      assert.equal(
        execFileSync("python3", ["-c", script, join(top, "in")], { encoding: "utf8" }),
        "['security.capability', 'user.note'] True\n",
      );
    } finally {
      rmSync(source, { recursive: true });
    }
  });

  it("gives a directory and layers with the same tree the same digest, which times do not change", async () => {
    const select = (path: string, more: Partial<Selector["sources"][number]> = {}): Selector => ({
      sources: [{ path, allowWildcard: true, followLinks: true, parents: false, exclude: [], ...more }],
    });
    const stack = await step([], [copy("/", "/")]);
    const made: Snapshot = { kind: "layers", layers: stack };
    const digest = (snapshot: Snapshot, selector: Selector): Promise<string> =>
      files.contentDigest(snapshot, selector, signal());
    const selectors = [
      select("/"),
      select("/dir"),
      select("/l*"),
      select("/deep/./**/*.c", { parents: true }),
      select("/dir", { exclude: ["**/*.md"] }),
      select("/nope"),
    ];
    const seen = new Set<string>();
    for (const selector of selectors) {
      const one = await digest(input, selector);
      assert.equal(await digest(made, selector), one, JSON.stringify(selector));
      seen.add(one);
    }
    assert.equal(seen.size, selectors.length);

    // What lies elsewhere does not count; what is selected does: data, mode, owner, names.
    const changes: readonly (readonly [string, boolean])[] = [
      ["touch dir/a.txt", true],
      ["echo x > top.md", true],
      ["echo x > dir/a.txt", false],
      ["chmod 600 dir/b.md", false],
      ["chown 5 dir/b.md", false],
      ["mv dir/b.md dir/c.md", false],
      ["rm dir/la; ln -s b.md dir/la", false],
      ["touch dir/new", false],
    ];
    for (const [line, same] of changes) {
      const other = mkdtempSync(join(tmpdir(), "gantry-context-"));
      try {
        execFileSync("sh", ["-ec", `cp -a ${root}/. ${other}; cd ${other}; ${line}`]);
        const changed = await digest({ kind: "directory", directory: sourceDirectory(other) }, select("/dir"));
        assert.equal(changed === (await digest(input, select("/dir"))), same, line);
      } finally {
        rmSync(other, { recursive: true });
      }
    }
  });

  it("shares files of a kept directory once, and only those that keep owner and mode", () => {
    const dir = mkdtempSync(join(tmpdir(), "gantry-share-"));
    try {
      execFileSync("sh", ["-ec", `cd ${dir}; mkdir -p in/d up work; echo a > in/a; echo b > in/d/b; ln -s a in/l`]);
      const actions = [
        ["/", "/", ""],
        ["/a", "/again", ""],
        ["/a", "/owned", "5:6"],
      ].flatMap(([source = "", to = "", owner = ""]) => ["copy", "0", source, "", "0", to, owner, ""]);
      const words = ["share", "0", `${dir}/up`, `${dir}/work`, "1", "1", `${dir}/in`, ...actions];
      execFileSync(copyPath, ["apply"], { input: words.map((word) => `${word}\0`).join("") });
      const inode = (path: string): number => statSync(join(dir, path)).ino;
      assert.deepEqual([inode("up/a"), inode("up/d/b")], [inode("in/a"), inode("in/d/b")]);
      assert.equal(new Set(["up/a", "up/again", "up/owned"].map(inode)).size, 3);
      assert.equal(statSync(join(dir, "up/owned")).uid, 5);
      assert.equal(statSync(join(dir, "in/a")).uid, process.getuid?.());
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("tells which part of an input a step reads", () => {
    const op: FileOp = { kind: "file", actions: [copy("/a", "/b"), copy("/c", "/d", { input: 2 })], hasBase: true };
    assert.equal(files.runner.selector?.(op, 0), undefined);
    assert.deepEqual(
      files.runner.selector?.(op, 2)?.sources.map(({ path }) => path),
      ["/c"],
    );
  });

  it("copies 20,000 files", async () => {
    const many = mkdtempSync(join(tmpdir(), "gantry-context-"));
    try {
      for (let d = 0; d < 200; d++) {
        mkdirSync(join(many, `d${d}`));
        for (let f = 0; f < 100; f++) writeFileSync(join(many, `d${d}`, `f${f}`), `${d} ${f}`);
      }
      const source: Snapshot = { kind: "directory", directory: sourceDirectory(many) };
      const stack = await step([], [copy("/", "/app/")], source);
      assert.equal((await show(stack)).length, 20_201);
    } finally {
      rmSync(many, { recursive: true });
    }
  });
});
