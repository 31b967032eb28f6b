// Trees through archives and back, and archives that mean harm: nothing is ever written outside of what was asked for.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { maxMemberBytes, tarEnd, type TarMember, tarPadding, writeMember } from "../tar-headers.ts";
import { packTree } from "./pack.ts";
import { unpackArchive, type UnpackOptions } from "./unpack.ts";

let dir = "";

before(() => {
  dir = mkdtempSync(join(tmpdir(), "cli-copy-"));
});

after(() => rmSync(dir, { recursive: true, force: true }));

function fresh(): string {
  return mkdtempSync(join(dir, "t-"));
}

async function bytesOfTree(path: string, name: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of packTree(path, name)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpack(
  bytes: Buffer,
  options: Partial<UnpackOptions> & { directory: string },
  pieceBytes = 700,
): Promise<string[]> {
  const warnings: string[] = [];
  const defaults = { archiveName: "t", name: "t", keepOwners: false, warn: (text: string) => void warnings.push(text) };
  await unpackArchive(inPieces(bytes, pieceBytes), { ...defaults, ...options });
  return warnings;
}

type Made = Partial<TarMember> & { readonly name: string; readonly body?: string };

function archive(...members: readonly Made[]): Buffer {
  const pieces = members.flatMap(({ body = "", ...member }) => {
    const header = Buffer.alloc(maxMemberBytes);
    const bytes = Buffer.from(body);
    const defaults = { type: "0", mode: 0o644, time: 1e9, uid: 0, gid: 0, linkName: "", major: 0, minor: 0 } as const;
    const end = writeMember(header, 0, { ...defaults, size: bytes.length, ...member });
    return [header.subarray(0, end), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...pieces, tarEnd]);
}

const directory = { type: "5", mode: 0o755 } as const;

test("a tree goes through an archive unharmed: modes, times, links, odd and long names, holes", async () => {
  const source = join(fresh(), "tree");
  mkdirSync(join(source, "sub/empty"), { recursive: true });
  writeFileSync(join(source, "sub/file"), "content");
  chmodSync(join(source, "sub/file"), 0o4751);
  linkSync(join(source, "sub/file"), join(source, "zz-hard"));
  symlinkSync("../../outside", join(source, "up"));
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0x61, 0xff, 0xfe])]), "odd");
  writeFileSync(join(source, "ä €"), "text");
  mkdirSync(join(source, "l".repeat(200), "m".repeat(200)), { recursive: true });
  writeFileSync(join(source, "l".repeat(200), "m".repeat(200), "n".repeat(200)), "deep");
  writeFileSync(join(source, "holes"), "start");
  truncateSync(join(source, "holes"), 8 * 1024 * 1024);
  spawnSync("mkfifo", [join(source, "pipe")]);
  chmodSync(join(source, "sub/empty"), 0o500);
  utimesSync(join(source, "sub/file"), 1e9, 1e9);
  utimesSync(join(source, "sub"), 1.1e9, 1.1e9);

  const bytes = await bytesOfTree(source, "tree");
  const target = fresh();
  assert.deepEqual(await unpack(bytes, { directory: target, archiveName: "tree", name: "copy" }, 60_000), []);
  const seen = (root: string): string =>
    spawnSync("find", [root, "-printf", "%P %y %m %s %l %n\\n"], { encoding: "latin1" })
      .stdout.split("\n")
      .sort()
      .join("\n");
  assert.equal(
    seen(join(target, "copy")).replaceAll(/ d (\d+) \d+/g, " d $1"),
    seen(source).replaceAll(/ d (\d+) \d+/g, " d $1"),
  );
  assert.equal(statSync(join(target, "copy/sub/file")).mtimeMs, 1e12);
  assert.equal(statSync(join(target, "copy/sub")).mtimeMs, 1.1e12);
  assert.equal(statSync(join(target, "copy/zz-hard")).ino, statSync(join(target, "copy/sub/file")).ino);
  assert.ok(statSync(join(target, "copy/holes")).blocks < 4096, "zeros became holes");
  const listed = spawnSync("tar", ["t"], { input: bytes, encoding: "utf8" });
  assert.equal(listed.status, 0, listed.stderr);
  assert.match(listed.stdout, /^tree\/\n/);
});

test("an archive of one small file is as long as docker's", async () => {
  const source = join(fresh(), "f");
  writeFileSync(source, "x");
  assert.equal((await bytesOfTree(source, "f")).length, 2048);
});

test("files larger than a buffer, and sizes around a block, keep their content", async () => {
  const source = join(fresh(), "t");
  mkdirSync(source);
  for (const size of [0, 1, 511, 512, 513, 1024 * 1024 - 1, 3 * 1024 * 1024 + 7])
    writeFileSync(join(source, String(size)), Buffer.alloc(size, `${size} `));
  const target = fresh();
  await unpack(await bytesOfTree(source, "t"), { directory: target });
  for (const name of readdirSync(source))
    assert.ok(readFileSync(join(source, name)).equals(readFileSync(join(target, "t", name))), name);
});

test("a file that is there is replaced, not written into; a directory stays a directory", async () => {
  const target = fresh();
  writeFileSync(join(target, "elsewhere"), "safe");
  mkdirSync(join(target, "t"));
  symlinkSync("../elsewhere", join(target, "t/f"));
  mkdirSync(join(target, "t/d"));
  writeFileSync(join(target, "t/d/kept"), "");
  const good = archive({ name: "t/", ...directory }, { name: "t/f", body: "new" }, { name: "t/d/", ...directory });
  await unpack(good, { directory: target });
  assert.equal(readFileSync(join(target, "elsewhere"), "utf8"), "safe");
  assert.equal(readFileSync(join(target, "t/f"), "utf8"), "new");
  assert.ok(existsSync(join(target, "t/d/kept")));
  await assert.rejects(unpack(archive({ name: "t/d", body: "x" }), { directory: target }), {
    message: `cannot overwrite directory "${target}/t/d" with non-directory "${target}"`,
  });
  await assert.rejects(unpack(archive({ name: "t/f/", ...directory }), { directory: target }), {
    message: `cannot overwrite non-directory "${target}/t/f" with directory "${target}"`,
  });
  await assert.rejects(
    unpack(archive({ name: "t/d", type: "2", linkName: "/" }), { directory: target }),
    /cannot overwrite directory/,
  );
});

const hostile: readonly (readonly [string, readonly Made[], RegExp])[] = [
  ["a name with ..", [{ name: "t/../../evil", body: "x" }], /outside of "t"/],
  ["a name that begins with ..", [{ name: "../evil", body: "x" }], /outside of "t"/],
  ["an absolute name", [{ name: "/evil", body: "x" }], /outside of "t"/],
  ["another name than the one asked for", [{ name: "evil", body: "x" }], /outside of "t"/],
  ["a name that only begins alike", [{ name: "t-evil", body: "x" }], /outside of "t"/],
  [
    "a file below a link of the archive",
    [
      { name: "t/", ...directory },
      { name: "t/l", type: "2", linkName: "../out" },
      { name: "t/l/evil", body: "x" },
    ],
    /cannot write below ".*t\/l": it is no directory/,
  ],
  [
    "a file below an absolute link of the archive",
    [
      { name: "t", type: "2", linkName: "OUT" },
      { name: "t/evil", body: "x" },
    ],
    /cannot write below/,
  ],
  [
    "a directory in a link's place",
    [
      { name: "t", type: "2", linkName: "OUT" },
      { name: "t/", ...directory },
    ],
    /cannot overwrite non-directory/,
  ],
  [
    "a hard link to something outside",
    [
      { name: "t/", ...directory },
      { name: "t/h", type: "1", linkName: "../victim" },
    ],
    /outside of "t"/,
  ],
  [
    "a hard link over a link of the archive",
    [
      { name: "t/", ...directory },
      { name: "t/l", type: "2", linkName: "OUT" },
      { name: "t/h", type: "1", linkName: "t/l/victim" },
    ],
    /cannot write below/,
  ],
  [
    "a hard link to a file of the archive's name that is not there",
    [{ name: "t/h", type: "1", linkName: "t/nope" }],
    /ENOENT/,
  ],
  ["a kind of member that nobody knows", [{ name: "t/x", type: "9" as "0" }], /unhandled tar header type "9"/],
];

for (const [what, members, expected] of hostile)
  test(`an archive cannot write outside: ${what}`, async () => {
    const root = fresh();
    const [target, out] = [join(root, "target"), join(root, "out")];
    mkdirSync(target);
    mkdirSync(out);
    for (const victim of [join(out, "victim"), join(root, "victim"), join(target, "victim")])
      writeFileSync(victim, "untouched");
    const bytes = archive(
      ...members.map((member) => (member.linkName === "OUT" ? { ...member, linkName: out } : member)),
    );
    await assert.rejects(unpack(bytes, { directory: target }), expected);
    assert.deepEqual(readdirSync(out), ["victim"]);
    assert.deepEqual(readdirSync(root).sort(), ["out", "target", "victim"]);
    assert.deepEqual(
      readdirSync(target).filter((name) => name !== "t"),
      ["victim"],
    );
    assert.equal(readFileSync(join(out, "victim"), "utf8"), "untouched");
  });

test("a link of the archive that is followed by a file of its name is replaced", async () => {
  const [target, out] = [fresh(), fresh()];
  writeFileSync(join(out, "victim"), "untouched");
  const link = { name: "t", type: "2", linkName: join(out, "victim") } as const;
  await unpack(archive(link, { name: "t", body: "x" }), { directory: target });
  assert.equal(readFileSync(join(out, "victim"), "utf8"), "untouched");
  assert.equal(readFileSync(join(target, "t"), "utf8"), "x");
});

test("a file whose archive ends too early is not left behind half", async () => {
  const target = fresh();
  const whole = archive({ name: "t", body: "x".repeat(5000) });
  await assert.rejects(unpack(whole.subarray(0, 3000), { directory: target }), /unexpected end of the archive/);
  assert.deepEqual(readdirSync(target), []);
});

test("links lead wherever they led: they are content", async () => {
  const target = fresh();
  await unpack(archive({ name: "t", type: "2", linkName: "../../up" }), { directory: target });
  assert.equal(readlinkSync(join(target, "t")), "../../up");
  assert.ok(lstatSync(join(target, "t")).isSymbolicLink());
});

test("what a directory holds goes into the directory that was named, whose mode stays", async () => {
  const target = fresh();
  chmodSync(target, 0o700);
  await unpack(archive({ name: "./", ...directory }, { name: "./a", body: "1" }, { name: "b", body: "2" }), {
    directory: target,
    archiveName: ".",
    name: ".",
  });
  assert.deepEqual(readdirSync(target).sort(), ["a", "b"]);
  assert.equal(statSync(target).mode & 0o777, 0o700);
});
