import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isEngineError } from "../../base/errors.ts";
import { readConfinedFile } from "./confined-file.ts";
import { checkUserText } from "./user-text.ts";
import { resolveUser } from "./user.ts";

const scratch = mkdtempSync(join(tmpdir(), "gantry-user-"));
after(() => rmSync(scratch, { recursive: true }));
let made = 0;

/** A root directory with these files; "-> x" makes a symbolic link. */
function root(files: Readonly<Record<string, string>>): string {
  const directory = join(scratch, String(made++));
  mkdirSync(directory);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    if (content.startsWith("-> ")) symlinkSync(content.slice(3), join(directory, path));
    else writeFileSync(join(directory, path), content);
  }
  return directory;
}

const passwd =
  "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\nbad:x:4294967296:0::/:\n7:x:9:9::/nine:\n";
const group = "root:x:0:\nwheel:x:10:root,alice\naudio:x:29:alice\nstaff:x:1001:\nbroken:x::alice\n";
const standard = root({ "etc/passwd": passwd, "etc/group": group });

async function failure(user: string, groupAdd: readonly string[] = [], roots = [standard]): Promise<string> {
  try {
    return JSON.stringify(await resolveUser(user, groupAdd, roots));
  } catch (error) {
    assert.ok(isEngineError(error, "InvalidParameter"), String(error));
    return error.message;
  }
}

test("users, groups and additional groups are found as in dockerd (S09)", async () => {
  const cases: Readonly<
    Record<string, readonly [string, readonly string[], number, number, readonly number[], string]>
  > = {
    "root by default": ["", [], 0, 0, [0, 10], "/root"],
    "by name": ["alice", [], 1000, 1001, [1001, 10, 29], "/home/alice"],
    "by id with an entry": ["1000", [], 1000, 1001, [1001, 10, 29], "/home/alice"],
    "by id without an entry": ["4711", [], 4711, 0, [0], "/"],
    "a group named takes the memberships away": ["alice:wheel", [], 1000, 10, [10], "/home/alice"],
    "a group by id without an entry": ["alice:77", [], 1000, 77, [77], "/home/alice"],
    "group_add by name and id": ["4711", ["audio", "29", "88"], 4711, 0, [0, 29, 88], "/"],
    "a name of digits goes before the id": ["7", [], 9, 9, [9], "/nine"],
    "the highest id": ["2147483647:2147483647", [], 2147483647, 2147483647, [2147483647], "/"],
  };
  for (const [title, [user, groupAdd, uid, gid, additionalGids, home]] of Object.entries(cases)) {
    assert.deepEqual(await resolveUser(user, groupAdd, [standard]), { uid, gid, additionalGids, home }, title);
  }
});

test("names without an entry fail with dockerd's texts", async () => {
  assert.equal(await failure("nope"), "unable to find user nope: no matching entries in passwd file");
  assert.equal(await failure("alice:nope"), "unable to find group nope: no matching entries in group file");
  assert.equal(await failure("", ["nope"]), "unable to find group nope: no matching entries in group file");
  assert.equal(await failure("alice", [], [root({})]), "unable to find user alice: no matching entries in passwd file");
});

test("an entry whose id is out of range is no entry (CVE-2024-40635)", async () => {
  assert.equal(await failure("bad"), "unable to find user bad: no matching entries in passwd file");
  assert.equal(await failure("", ["broken"]), "unable to find group broken: no matching entries in group file");
});

test("strings that lenient parsers take for root are refused (S08)", async () => {
  const texts = [
    "0:",
    ":0",
    ":",
    "1000:",
    " 0",
    "0 ",
    "+0",
    "-0",
    "-1",
    "4294967295",
    "4294967296",
    "2147483648",
    "٠",
    "𝟎",
    "0\n",
    "0\0",
    "0x0",
    "1e0",
    "0:0:0",
    "0,0",
    "x".repeat(1 << 20),
    "9".repeat(1 << 20),
  ];
  for (const text of texts) {
    const shown = JSON.stringify(text.slice(0, 20));
    const message = await failure(text);
    assert.doesNotMatch(message, /"uid":/, shown);
    assert.ok(message.length < 400, shown);
    if (!["0x0", "1e0"].includes(text)) assert.notDeepEqual(checkUserText(text), [], shown);
    assert.doesNotMatch(await failure("", [text]), /"uid":/, shown);
  }
  assert.equal(await failure("-1"), "uids and gids must be in range 0-2147483647");
  assert.equal(await failure("4294967296"), "uids and gids must be in range 0-2147483647");
});

test("layers are looked through as overlayfs shows them", async () => {
  const lower = root({
    "etc/passwd": "low:x:5:5::/low:\n",
    "etc/group": "low:x:5:\n",
    "usr/passwd": "moved:x:6:6::/:\n",
  });
  const upper = root({ "etc/group": "up:x:8:\n" });
  assert.deepEqual(await resolveUser("low:up", [], [upper, lower]), {
    uid: 5,
    gid: 8,
    additionalGids: [8],
    home: "/low",
  });
  const linked = root({ "etc/passwd": "-> ../usr/./passwd" });
  assert.equal((await resolveUser("moved", [], [linked, lower])).uid, 6);
  const fileOverDirectory = root({ etc: "no directory" });
  assert.match(await failure("low", [], [fileOverDirectory, lower]), /no matching entries/);
});

test("a whiteout hides the layers below", { skip: process.getuid?.() !== 0 && "needs root for mknod" }, async () => {
  const upper = root({ "etc/x": "" });
  execFileSync("mknod", [join(upper, "etc/passwd"), "c", "0", "0"]);
  assert.match(await failure("alice", [], [upper, standard]), /no matching entries/);
});

test("links are resolved inside the root and never lead out of it (S14)", async () => {
  const outside = root({ "etc/passwd": "outside:x:0:0::/:\n", secret: "outside:x:0:0::/:\n" });
  const absolute = root({ "etc/passwd": `-> ${outside}/etc/passwd`, "etc/group": "" });
  assert.match(await failure("outside", [], [absolute]), /no matching entries/);
  const upwards = root({ "etc/passwd": `-> ${"../".repeat(40)}${outside.slice(1)}/secret` });
  assert.match(await failure("outside", [], [upwards]), /no matching entries/);
  const directory = root({ etc: `-> ${outside}/etc` });
  assert.match(await failure("outside", [], [directory]), /no matching entries/);
  const inside = root({ "etc/passwd": "-> /data/passwd", "data/passwd": "inside:x:3:3::/:\n" });
  assert.equal((await resolveUser("inside", [], [inside])).uid, 3);
  const loop = root({ "etc/passwd": "-> passwd" });
  assert.match(await failure("x", [], [loop]), /no matching entries/);
});

test("FIFOs and directories neither block nor are read (S14)", async () => {
  const fifo = root({ "etc/x": "" });
  execFileSync("mkfifo", [join(fifo, "etc/passwd")]);
  assert.equal(await failure("x", [], [fifo]), "/etc/passwd in the container is not a regular file");
  const directory = root({ "etc/passwd/x": "" });
  assert.match(await failure("x", [], [directory]), /no matching entries/);
});

test("a device is not opened (S14)", { skip: process.getuid?.() !== 0 && "needs root for mknod" }, async () => {
  const zero = root({ "etc/x": "" });
  execFileSync("mknod", [join(zero, "etc/passwd"), "c", "1", "5"]);
  assert.equal(await failure("x", [], [zero]), "/etc/passwd in the container is not a regular file");
});

test("at most 1 MiB of a file is read, and a line cut in two is not believed (S14)", async () => {
  const filler = `${"#".repeat(1023)}\n`.repeat(1024);
  const late = root({ "etc/passwd": `${filler}late:x:0:0::/:\n` });
  assert.match(await failure("late", [], [late]), /no matching entries/);
  const cut = root({ "etc/passwd": `${filler.slice(0, -12)}\ncut:x:100000:1::/:\n` });
  assert.match(await failure("cut", [], [cut]), /no matching entries/);
  const sparse = root({ "etc/passwd": passwd });
  truncateSync(join(sparse, "etc/passwd"), 10 * 2 ** 30);
  assert.equal((await resolveUser("alice", [], [sparse])).uid, 1000);
  assert.equal((await readConfinedFile([sparse], "/etc/passwd", 2 ** 20))?.length, 2 ** 20);
});
