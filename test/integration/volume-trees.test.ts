// Trees of volumes: copied as they are, out of image layers, exchanged while in use, with full disks. Needs root, and for shared blocks
// a kernel with XFS or btrfs and the programs that make them; what is missing is said.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createTrees } from "../../src/engine/volumes/trees.ts";
import { describeTree } from "../support/tree.ts";

const built = (name: string): string => fileURLToPath(new URL(`../../shim/build/${name}`, import.meta.url));
const copyPath = process.env["GANTRY_COPY"] ?? built("gantry-copy");
const trees = createTrees({ copyPath, unpackPath: built("gantry-unpack") });
const { signal } = new AbortController();
const sh = (command: string, cwd: string): string =>
  execFileSync("sh", ["-ec", command], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** Extended attributes of everything below, by getfattr's own encoding. */
function attributesOf(root: string): string {
  const script = [
    "import os, sys",
    "for top, dirs, files in os.walk(b'.'):",
    "  dirs.sort()",
    "  for name in [b''] + sorted(dirs + files):",
    "    path = os.path.join(top, name)",
    "    for attribute in sorted(os.listxattr(path, follow_symlinks=False)):",
    "      print(path, attribute, os.getxattr(path, attribute, follow_symlinks=False))",
  ].join("\n");
  return execFileSync("python3", ["-c", script], { cwd: root, encoding: "utf8" });
}

function setAttribute(path: string, name: string, value: string): void {
  const script =
    "import os, sys; os.setxattr(sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]), follow_symlinks=False)";
  execFileSync("python3", ["-c", script, path, name, value]);
}

/** Trees of everything that a container can make, `<root>/<seed>`: by one process, as a thousand would take their time. */
function makeRandomTrees(root: string, seeds: number): void {
  execFileSync("python3", ["-c", randomTrees, String(seeds)], { cwd: root });
}

const randomTrees = `
import os, random, stat, sys
os.umask(0)
for seed in range(int(sys.argv[1])):
  r, root = random.Random(seed), str(seed)
  os.mkdir(root)
  directories, files = [root], []
  for i in range(60):
    path = os.path.join(r.choice(directories), r.choice(["a b", "\u00fc", "n\\nl", "-f", ".h"]) + str(i))
    kind = r.randrange(8)
    if kind == 0: os.mkdir(path); directories.append(path)
    elif kind == 1: os.symlink(r.choice(["/etc/passwd", "..", "nowhere", "x" * 300]), path)
    elif kind == 2: os.mkfifo(path)
    elif kind == 3: os.mknod(path, r.choice([stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK]) | 0o600, os.makedev(r.randrange(2), r.randrange(300)))
    elif kind == 4 and files: os.link(r.choice(files), path)
    else:
      with open(path, "w") as f: f.write("x" * r.choice([0, 1, 4095, 70000]))
      if r.randrange(4) == 0: os.truncate(path, 3000000 + r.randrange(1000))
      files.append(path)
    if kind in (1, 4): continue
    os.chown(path, r.randrange(3) * 1000, r.randrange(3) * 1000)
    os.chmod(path, r.choice([0o644, 0o4755, 0o2711, 0o1777, 0]))
    if kind > 4 and r.randrange(4) == 0: os.setxattr(path, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    if kind not in (2, 3) and r.randrange(3) == 0: os.setxattr(path, "user.note", b"\\1\\2")
    if r.randrange(5) == 0: os.setxattr(path, "trusted.own", b"x")
  for path in files + directories[::-1]: os.utime(path, ns=(r.randrange(10**18), r.randrange(10**18)))
`;

describe("trees", () => {
  let root: string;
  let number = 0;
  const fresh = (): string => {
    const path = join(root, `d${number++}`);
    mkdirSync(path);
    return path;
  };
  before(() => {
    root = mkdtempSync(join(tmpdir(), "gantry-trees-"));
  });
  after(() => rmSync(root, { recursive: true }));

  it("clone makes the same tree, whatever is in it", async () => {
    const seeds = 8;
    const [from, to] = [fresh(), fresh()];
    makeRandomTrees(from, seeds);
    // Whole, and each for itself: few files are synced in another way than many.
    await trees.clone(from, to, signal);
    assert.deepEqual(describeTree(to), describeTree(from));
    assert.equal(attributesOf(to), attributesOf(from));
    const blocks = (path: string): number => Number(sh("du -s .", path).split("\t")[0]);
    assert.ok(blocks(to) <= blocks(from) + 200, `${blocks(to)} blocks of ${blocks(from)}`);
    for (let seed = 0; seed < 3; seed++) {
      const one = fresh();
      await trees.clone(join(from, String(seed)), one, signal);
      assert.deepEqual(describeTree(one), describeTree(join(from, String(seed))), `seed ${seed}`);
    }
  });

  it("clone keeps default ACLs of directories to themselves, sockets and whiteouts of an inner engine", async () => {
    const [from, to] = [fresh(), fresh()];
    mkdirSync(join(from, "d"));
    writeFileSync(join(from, "d/f"), "f");
    setAttribute(
      join(from, "d"),
      "system.posix_acl_default",
      "0200000001000700ffffffff02000700e803000004000500ffffffff10000700ffffffff20000500ffffffff",
    );
    execFileSync("mknod", [join(from, "whiteout"), "c", "0", "0"]);
    setAttribute(join(from, "d"), "trusted.overlay.opaque", "79");
    sh(`python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('s')"`, from);
    await trees.clone(from, to, signal);
    assert.deepEqual(describeTree(to), describeTree(from));
    assert.equal(attributesOf(to), attributesOf(from));
  });

  it("clone of a tree in use leaves out what vanishes, and never fails for it", async () => {
    const from = fresh();
    const churn = spawn(
      "python3",
      [
        "-c",
        `import os, itertools, shutil
def step(i, k):
  os.makedirs(f"d{k}/e", exist_ok=True)
  with open(f"d{k}/e/f", "w") as f: f.write("x" * (i % 9000))
  if os.path.lexists(f"d{k}/l"): os.unlink(f"d{k}/l")
  os.link(f"d{k}/e/f", f"d{k}/l")
  os.unlink(f"d{k}/e/f")
  if i % 3 == 0: os.symlink("/etc/passwd", f"d{k}/e/f")
  if i % 3 == 1: os.mkfifo(f"d{k}/e/f")
  if i % 3 == 2: shutil.rmtree(f"g{k}", ignore_errors=True); os.rename(f"d{k}", f"g{k}")
  elif i % 5 == 0: os.unlink(f"d{k}/e/f"); os.rmdir(f"d{k}/e"); open(f"d{k}/e", "w").close(); os.unlink(f"d{k}/e")
  elif i % 5 == 1: shutil.rmtree(f"d{k}")
  else: os.unlink(f"d{k}/e/f")
for i in itertools.count(): step(i, i % 31)`,
      ],
      { cwd: from, stdio: "ignore" },
    );
    const ended = new Promise((resolve) => void churn.once("close", resolve));
    try {
      writeFileSync(join(from, "stays"), "here");
      for (let i = 0; i < 20; i++) {
        const to = fresh();
        await trees.clone(from, to, signal);
        assert.equal(readFileSync(join(to, "stays"), "utf8"), "here");
        for (const name of readdirSync(to)) assert.ok(/^(?:[dg]\d+|stays)$/.test(name), name);
        rmSync(to, { recursive: true });
      }
    } finally {
      assert.equal(churn.exitCode, null);
      churn.kill("SIGKILL");
      await ended;
    }
  });

  it("fill copies a path of image layers, resolved inside of them, with the root's owner and mode", async () => {
    const [low, high, outside] = [fresh(), fresh(), fresh()];
    writeFileSync(join(outside, "secret"), "secret");
    mkdirSync(join(low, "data/sub"), { recursive: true });
    mkdirSync(join(high, "data"));
    mkdirSync(join(high, "opaque"));
    mkdirSync(join(low, "opaque"));
    writeFileSync(join(low, "data/gone"), "gone");
    writeFileSync(join(low, "data/sub/f"), "f");
    writeFileSync(join(low, "opaque/hidden"), "hidden");
    writeFileSync(join(high, "data/new"), "new");
    setAttribute(join(high, "opaque"), "trusted.overlay.opaque", "79");
    execFileSync("mknod", [join(high, "data/gone"), "c", "0", "0"]);
    chownSync(join(high, "data"), 33, 34);
    chmodSync(join(high, "data"), 0o2770);
    symlinkSync("/data", join(high, "absolute"));
    symlinkSync(`../../../..${outside}`, join(high, "escape"));
    symlinkSync("loop", join(high, "loop"));
    const fill = async (path: string, ...lower: string[]): Promise<string> => {
      const to = fresh();
      const filled = await trees.fill(lower, path, to, signal);
      const { uid, gid, mode } = lstatSync(to);
      return `${filled} ${uid}:${gid} ${(mode & 0o7777).toString(8)} ${readdirSync(to, {
        recursive: true,
        encoding: "utf8",
      })
        .toSorted((a, b) => (a < b ? -1 : 1))
        .join(" ")} ${attributesOf(to)}`.trim();
    };
    const whole = "true 33:34 2770 new sub sub/f";
    for (const path of ["/data", "absolute/", "/sub/../../data"])
      assert.equal(await fill(path, high, low), whole, path);
    assert.equal(await fill("/opaque", high, low), "true 0:0 755");
    // One layer alone shows what is overlayfs' own.
    assert.equal(await fill("/data", high), "true 33:34 2770 new");
    assert.equal(await fill("/opaque", high), "true 0:0 755");
    for (const path of ["/escape", "/none", "/data/new"])
      assert.equal(await fill(path, high, low), "false 0:0 755", path);
    assert.equal(await fill("/"), "false 0:0 755");
    await assert.rejects(fill("/loop", high, low), { kind: "InvalidParameter" });
  });

  /** A directory with content, what is to come, and both as they should be afterwards. */
  function exchangeable(withAttributes = false): {
    dir: string;
    come: string;
    aside: string;
    was: unknown;
    will: unknown;
  } {
    const [dir, come] = [fresh(), fresh()];
    for (const [path, word] of [
      [dir, "old"],
      [come, "new"],
    ] as const) {
      for (const name of ["same", word]) writeFileSync(join(path, name), word);
      mkdirSync(join(path, word === "old" ? "was-file" : "was-directory"));
      writeFileSync(join(path, word === "old" ? "was-directory" : "was-file"), word);
      symlinkSync("/etc", join(path, "link"));
      chownSync(path, word === "old" ? 1 : 2, 3);
      chmodSync(path, word === "old" ? 0o750 : 0o1777);
      if (withAttributes) setAttribute(path, `user.${word}`, "00");
      utimesSync(path, 1e9, word === "old" ? 1e9 : 2e9);
    }
    return { dir, come, aside: join(root, `aside${number++}`), was: describeTree(dir), will: describeTree(come) };
  }

  it("exchange swaps content, owner, mode, times and attributes, and the directory stays the same one", async () => {
    const { dir, come, aside, was, will } = exchangeable(true);
    const { ino } = lstatSync(dir);
    for (let times = 0; times < 2; times++) {
      await trees.exchange(dir, come, aside);
      assert.deepEqual([describeTree(dir), describeTree(aside)], [will, was]);
      assert.deepEqual([lstatSync(dir).ino, readdirSync(come)], [ino, []]);
      assert.deepEqual([/user\.old/.test(attributesOf(dir)), /user\.new/.test(attributesOf(dir))], [false, true]);
      assert.match(attributesOf(aside), /user\.old/);
    }
    rmSync(come, { recursive: true });
    await trees.exchange(dir, come, aside);
    assert.deepEqual(describeTree(dir), will);
  });

  it("exchange goes on wherever it was cut", async () => {
    const count = 5;
    const withoutRoot = (tree: unknown): unknown => ({ ...(tree as object), ".": undefined });
    for (let cut = 0; cut <= 2 * count + 1; cut++) {
      const { dir, come, aside, was, will } = exchangeable();
      const part = `${aside}.part`;
      // What the kernel has done by then, rename by rename.
      if (cut > 0) mkdirSync(part);
      for (const name of readdirSync(dir).slice(0, Math.min(cut, count))) renameSync(join(dir, name), join(part, name));
      if (cut > count) {
        renameSync(part, aside);
        for (const name of readdirSync(come).slice(0, cut - count - 1)) renameSync(join(come, name), join(dir, name));
      }
      await trees.exchange(dir, come, aside);
      assert.deepEqual(
        [withoutRoot(describeTree(dir)), withoutRoot(describeTree(aside)), readdirSync(come)],
        [withoutRoot(will), withoutRoot(was), []],
        `cut after ${cut}`,
      );
      assert.equal((lstatSync(dir).mode & 0o7777).toString(8), "1777");
      assert.equal(existsSync(part), false);
    }
  });

  it("exchange while somebody makes names again and again: what comes wins", async () => {
    const { dir, come, aside, will } = exchangeable();
    const maker = spawn(
      "sh",
      ["-c", 'while :; do echo live > same; mkdir -p was-file/x; echo > "own$((i=i+1))"; done 2>/dev/null'],
      { cwd: dir, stdio: "ignore" },
    );
    const ended = new Promise((resolve) => void maker.once("close", resolve));
    try {
      while (!existsSync(join(dir, "own5"))) await new Promise((resolve) => setTimeout(resolve, 5));
      await trees.exchange(dir, come, aside);
    } finally {
      maker.kill("SIGKILL");
      await ended;
    }
    const kinds = (tree: Record<string, string>): string =>
      Object.keys(will as object)
        .filter((name) => name !== "." && name !== "same")
        .map((name) => `${name} ${tree[name]?.split(" ")[0]}`)
        .join("\n");
    assert.equal(kinds(describeTree(dir)), kinds(will as Record<string, string>));
    assert.equal(existsSync(`${aside}.late`), false);
  });

  it("exchange inside of the directory leaves its own names alone, and follows no link to them", async () => {
    const { dir, come, was, will } = exchangeable();
    const [comes, goes] = [join(dir, ".come-1"), join(dir, ".goes-1")];
    renameSync(come, comes);
    utimesSync(dir, 1e9, 1e9);
    await trees.exchange(dir, comes, goes);
    assert.deepEqual(describeTree(goes), was);
    await trees.removeIn(dir, ".come-1", ".goes-1", "none");
    assert.deepEqual({ ...describeTree(dir), ".": undefined }, { ...(will as object), ".": undefined });
    const outside = fresh();
    writeFileSync(join(outside, "kept"), "");
    symlinkSync(outside, join(dir, ".come-2"));
    await assert.rejects(trees.exchange(dir, join(dir, ".come-2"), join(dir, ".goes-2")), /Too many levels|Not a dir/);
    await assert.rejects(trees.clone(outside, dir, signal, ".come-2"), /Too many levels|Not a dir/);
    await trees.removeIn(dir, ".come-2");
    assert.deepEqual(readdirSync(outside), ["kept"]);
    assert.equal(existsSync(join(dir, "same")), true);
  });

  it("exchange refuses to begin where it cannot end", async () => {
    const { dir, aside, was } = exchangeable();
    await assert.rejects(trees.exchange(dir, join(root, "none"), aside), { kind: "NotFound" });
    assert.deepEqual(describeTree(dir), was);
  });

  it("size counts files with several names once, isEmpty looks, remove takes trees of any depth", async () => {
    const dir = fresh();
    assert.deepEqual([await trees.size(dir, signal), await trees.isEmpty(dir)], [0, true]);
    writeFileSync(join(dir, "a"), "x".repeat(1000));
    mkdirSync(join(dir, "d"));
    linkSync(join(dir, "a"), join(dir, "d/b"));
    symlinkSync("123", join(dir, "l"));
    assert.deepEqual([await trees.size(dir, signal), await trees.isEmpty(dir)], [1003, false]);
    execFileSync(
      "python3",
      ["-c", "import os\nfor i in range(3000): os.mkdir('d' * 9); os.chdir('d' * 9)\nopen('f', 'w').write('12345')"],
      { cwd: dir },
    );
    assert.equal(await trees.size(dir, signal), 1008);
    await assert.rejects(trees.clone(dir, fresh(), signal), {
      kind: "InvalidParameter",
      message: /nested too deeply|longer than/,
    });
    await trees.remove(dir, join(root, "none"));
    assert.equal(existsSync(dir), false);
  });

  it("an aborted clone ends", async () => {
    const [from, to] = [fresh(), fresh()];
    for (let i = 0; i < 200; i++) writeFileSync(join(from, `f${i}`), "x".repeat(100_000));
    await assert.rejects(trees.clone(from, to, AbortSignal.timeout(1)), { kind: "Cancelled" });
  });
});

/** A file system of its own in a file; undefined where the kernel or the program that makes it is missing. */
function mountImage(
  kind: "ext4" | "xfs" | "btrfs",
  megabytes: number,
): (Disposable & { readonly path: string }) | string {
  if (!readFileSync("/proc/filesystems", "utf8").includes(kind)) return `the kernel has no ${kind}`;
  const directory = mkdtempSync(join(tmpdir(), `gantry-${kind}-`));
  const [image, path] = [join(directory, "image"), join(directory, "mounted")];
  mkdirSync(path);
  writeFileSync(image, "");
  truncateSync(image, megabytes << 20);
  try {
    execFileSync(`mkfs.${kind}`, ["-q", image], { stdio: "ignore" });
    execFileSync("mount", ["-o", "loop", image, path], { stdio: "pipe" });
  } catch (error) {
    rmSync(directory, { recursive: true });
    return `no ${kind}: ${String(error)}`;
  }
  return {
    path,
    [Symbol.dispose]: () => {
      execFileSync("umount", [path]);
      rmSync(directory, { recursive: true });
    },
  };
}

describe("trees on other file systems", () => {
  for (const kind of ["xfs", "btrfs"] as const)
    it(`clone shares the blocks of files on ${kind}`, async (t) => {
      const mounted = mountImage(kind, 320);
      if (typeof mounted === "string") return t.skip(mounted);
      using disk = mounted;
      const [from, to] = [join(disk.path, "from"), join(disk.path, "to")];
      for (const path of [from, to]) mkdirSync(path);
      writeFileSync(join(from, "large"), Buffer.alloc(40 << 20, "x"));
      writeFileSync(join(from, "empty"), "");
      execFileSync("sync", ["-f", from]);
      const free = (): number => statfsSync(disk.path).bavail * statfsSync(disk.path).bsize;
      const before = free();
      assert.deepEqual(await trees.clone(from, to, signal), { bytes: 40 << 20, shared: true });
      assert.deepEqual(describeTree(to), describeTree(from));
      assert.ok(before - free() < 8 << 20, `${before - free()} bytes were used`);
      writeFileSync(join(from, "large"), "other");
      assert.equal(lstatSync(join(to, "large")).size, 40 << 20);
      // From another file system nothing can be shared.
      const elsewhere = mkdtempSync(join(tmpdir(), "gantry-elsewhere-"));
      try {
        assert.deepEqual(await trees.clone(to, elsewhere, signal), { bytes: 40 << 20, shared: false });
      } finally {
        rmSync(elsewhere, { recursive: true });
      }
    });

  it("a full disk is told as such by clone and fill, and leaves a destination that can be removed", async (t) => {
    const mounted = mountImage("ext4", 24);
    if (typeof mounted === "string") return t.skip(mounted);
    using disk = mounted;
    const [from, to] = [join(disk.path, "from"), join(disk.path, "to")];
    for (const path of [from, to]) mkdirSync(path);
    mkdirSync(join(from, "data"));
    writeFileSync(join(from, "data/large"), Buffer.alloc(12 << 20, "x"));
    const full = { kind: "Unavailable", message: /data\/large|large: no space left on device$/ };
    await assert.rejects(trees.clone(from, to, signal), full);
    await trees.remove(to);
    mkdirSync(to);
    const filling = (...layers: readonly string[]): Promise<boolean> => trees.fill(layers, "/data", to, signal);
    await assert.rejects(filling(from), full);
    await trees.remove(to);
    assert.deepEqual(
      readdirSync(disk.path).filter((name) => name !== "lost+found"),
      ["from"],
    );
  });
});
