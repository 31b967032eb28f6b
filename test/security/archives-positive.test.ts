// Archives that must work: for each the tree has to be what GNU tar makes of it (contents, types, modes, owners, times to the
// nanosecond, links), or what the OCI image-spec says where tar knows nothing (whiteouts). Needs root, tar and python3.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { base256, directory, end, file, gnuLong, hardlink, member, paxHeader, symlink, tarOf } from "../support/tar.ts";
import { describeTree } from "../support/tree.ts";
import { UnpackBench, xattrsOf } from "../support/unpack-bench.ts";

let bench: UnpackBench;
before(() => {
  bench = new UnpackBench();
});
after(() => bench[Symbol.dispose]());

function unpack(archive: Uint8Array): string {
  const run = bench.run(archive);
  assert.equal(run.status, 0, run.said);
  assert.deepEqual(bench.canaryChanges(), []);
  return run.layer;
}

/** Both make the same tree of it. */
function likeTar(title: string, archive: () => Uint8Array, options: { readonly directoryTimes?: boolean } = {}): void {
  it(`unpacks ${title} as tar does`, () => {
    const bytes = archive();
    const layer = unpack(bytes);
    const reference = join(bench.root, "reference");
    rmSync(reference, { recursive: true, force: true });
    mkdirSync(reference, { mode: 0o755 });
    const tar = spawnSync("tar", ["-xpf", "-", "--numeric-owner", "--same-owner", "-C", reference], {
      input: bytes,
      encoding: "utf8",
    });
    assert.equal(tar.status, 0, tar.stderr);
    const [ours, theirs] = [layer, reference].map((root) => {
      const { ".": _, ...rest } = describeTree(root, options);
      return rest;
    });
    assert.deepEqual(ours, theirs);
  });
}

/** As likeTar, where members come back to a directory that was left or has no member: tar leaves those the time of the day. */
function likeTarButForDirectoryTimes(title: string, archive: () => Uint8Array): void {
  likeTar(title, archive, { directoryTimes: false });
}

describe("ordinary members", () => {
  likeTar("nothing at all", () => end);
  likeTar("files of all small sizes", () =>
    tarOf(...[0, 1, 511, 512, 513, 1024, 5000].map((n) => file(`f${n}`, "x".repeat(n)))),
  );
  likeTar("a file larger than the buffer", () => tarOf(file("big", Buffer.alloc(3 << 20, "abcdefg"))));
  likeTar("all modes", () =>
    tarOf(
      ...[0, 0o400, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o6755, 0o1644, 0o7777].map((mode) =>
        file(`f${mode}`, "x", { mode }),
      ),
    ),
  );
  likeTar("modes of directories", () =>
    tarOf(...[0o700, 0o755, 0o1777, 0o2775, 0o500, 0].map((mode) => directory(`d${mode}/`, { mode }))),
  );
  likeTar("files in a directory that nobody may write", () =>
    tarOf(directory("d", { mode: 0o555 }), file("d/f", "x"), directory("d/e"), file("d/e/g", "y")),
  );
  likeTar("files in a set-group-id directory", () =>
    tarOf(directory("d", { mode: 0o2775, gid: 50 }), file("d/f", "x"), directory("d/e"), symlink("d/s", "f")),
  );
  likeTar("owners", () =>
    tarOf(
      file("a", "x", { uid: 1000, gid: 100 }),
      directory("d", { uid: 65534, gid: 65534 }),
      symlink("s", "a", { uid: 7, gid: 8 }),
    ),
  );
  likeTar("set-user-id files of other owners", () => tarOf(file("a", "x", { uid: 1000, gid: 100, mode: 0o6755 })));
  likeTar("times of directories with children", () =>
    tarOf(directory("d", { mtime: 5 }), file("d/f", "x", { mtime: 6 }), directory("d/e", { mtime: 7 }), file("d/e/g")),
  );
  likeTar("names as ustar splits them", () => tarOf(directory("p"), file("n", "x", { prefix: "p" })));
  likeTar("v7 headers", () =>
    tarOf(directory("d/", { format: "v7", type: "\0" }), file("d/f", "x", { format: "v7", type: "\0" })),
  );
  likeTar("contiguous files", () => tarOf(file("c", "x", { type: "7" })));
  likeTar("symbolic links of all kinds", () =>
    tarOf(symlink("a", "b"), symlink("c", "dir/x"), symlink("l", "t".repeat(100))),
  );
  likeTarButForDirectoryTimes("hard links", () =>
    tarOf(directory("d"), file("d/a", "x"), hardlink("b", "d/a"), hardlink("d/c", "b")),
  );
  likeTar("a hard link whose header says a size", () =>
    tarOf(file("a", "x"), hardlink("b", "a", { size: 1 }), file("c", "y")),
  );
  likeTar("device nodes and FIFOs", () =>
    tarOf(
      { name: "null", type: "3", devMajor: 1, devMinor: 3, mode: 0o666 },
      { name: "loop", type: "4", devMajor: 7, devMinor: 200, uid: 5 },
      { name: "fifo", type: "6", mode: 0o600 },
    ),
  );
  likeTar("names with every byte", () =>
    tarOf(
      ...Array.from({ length: 255 }, (_, i) => i + 1)
        .filter((c) => c !== 0x2f && c !== 0x2e)
        .map((c) => file(`n${String.fromCharCode(c)}x`, "x")),
    ),
  );
  likeTarButForDirectoryTimes("names of ./ and //", () =>
    tarOf(directory("./"), directory("./d/"), file(".//d//f", "x"), file("./d/./g", "y")),
  );
  likeTar("the same name twice", () => tarOf(file("a", "first", { mode: 0o600 }), file("a", "second")));
  likeTar("a directory twice: the later metadata counts", () =>
    tarOf(directory("d", { mode: 0o700 }), file("d/f"), directory("d", { mode: 0o755, uid: 3 })),
  );
  likeTar("a file over an empty directory", () => tarOf(directory("d"), file("d", "x")));
  likeTar("a directory over a file", () => tarOf(file("d", "x"), directory("d"), file("d/f", "y")));
  likeTar("a file over a hard link: the other name keeps its content", () =>
    tarOf(file("a", "old"), hardlink("b", "a"), file("b", "new")),
  );
  likeTarButForDirectoryTimes("a file through a symlink to a directory of the layer", () =>
    tarOf(directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "x")),
  );
  likeTar("an archive without end blocks", () => member(file("a", "x")));
  likeTar("an archive with one end block", () => Buffer.concat([member(file("a", "x")), Buffer.alloc(512)]));
  likeTar("a trailing slash on a file's name", () => tarOf(file("d/", "", { mode: 0o755 })));
  it("keeps the metadata of the root", () => {
    const layer = unpack(tarOf(directory("./", { mode: 0o1770, uid: 3, gid: 4, mtime: 77 }), file("f")));
    const stat = statSync(layer);
    assert.deepEqual([stat.mode & 0o7777, stat.uid, stat.gid, stat.mtimeMs], [0o1770, 3, 4, 77_000]);
  });
  it("makes directories that have no member of their own, for root and readable", () => {
    const layer = unpack(tarOf(file("a/b/c", "x")));
    assert.deepEqual([statSync(join(layer, "a")).mode & 0o7777, statSync(join(layer, "a/b")).uid], [0o755, 0]);
  });
  it("tells the bytes of files and links that are there at the end, and the members", () => {
    const run = bench.run(
      tarOf(
        file("a", "12345"),
        file("a", "123"),
        hardlink("b", "a"),
        directory("d"),
        file("d/x", "1234567"),
        file("d", "1"),
        symlink("s", "a"),
      ),
    );
    assert.equal(run.out, "5 7");
  });
});

describe("extended headers", () => {
  likeTarButForDirectoryTimes("PAX paths, links, owners and nanoseconds", () =>
    tarOf(
      file("short", "x", {
        pax: { path: `${"long/".repeat(40)}name`, mtime: "1234567890.123456789", uid: "3000000", gid: "4000000" },
      }),
      symlink("s", "x", { pax: { linkpath: "t".repeat(300) } }),
      file("old", "x", { pax: { mtime: "-1.5" } }),
      file("umläut", "x", { pax: { path: "grüße/日本" } }),
    ),
  );
  likeTar("a PAX size", () => tarOf(file("a", "hello", { size: 0, pax: { size: "5" } }), file("b", "x")));
  likeTarButForDirectoryTimes("a PAX hard link", () =>
    tarOf(
      file("a", "x", { pax: { path: "p".repeat(120) } }),
      hardlink("b", "", { pax: { linkpath: "p".repeat(120) } }),
    ),
  );
  likeTar("unknown PAX keys and comments", () =>
    tarOf(file("a", "x", { pax: { comment: "hello", "VENDOR.key": "v", atime: "1", hdrcharset: "BINARY" } })),
  );
  likeTarButForDirectoryTimes("GNU long names and links", () =>
    tarOf(
      gnuLong("L", `${"d/".repeat(90)}f`),
      file("x", "1"),
      gnuLong("K", "t".repeat(200)),
      symlink("s", "x"),
      gnuLong("L", "l".repeat(180)),
      gnuLong("K", "k".repeat(150)),
      symlink("y", "z"),
    ),
  );
  likeTar("base-256 numbers", () =>
    tarOf(
      file("a", "hello", {
        format: "gnu",
        patch: (h) => {
          base256(2_000_000n, 8).copy(h, 108);
          base256(5n, 12).copy(h, 124);
          base256(5_000_000_000n, 12).copy(h, 136);
        },
      }),
    ),
  );
  likeTar("numbers padded with blanks", () =>
    tarOf(
      file("a", "hello", {
        patch: (h) => {
          h.write("         5 \0", 124);
          h.write("   644 \0", 100);
        },
      }),
    ),
  );
  it("ignores global headers", () => {
    const layer = unpack(tarOf(paxHeader({ path: "global", comment: "x" }, "g"), file("a", "x"), file("b", "y")));
    assert.deepEqual(readdirSync(layer).sort(), ["a", "b"]);
  });
  it("sets capabilities, user attributes and ACLs", () => {
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    const layer = unpack(
      tarOf(
        file("a", "x", {
          uid: 9,
          mode: 0o755,
          pax: { "SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "a\0b\n=c" },
        }),
        directory("d", { pax: { "SCHILY.xattr.user.note": "dir" } }),
      ),
    );
    assert.deepEqual(xattrsOf(join(layer, "a")), {
      "security.capability": capability.toString("hex"),
      "user.note": Buffer.from("a\0b\n=c").toString("hex"),
    });
    assert.deepEqual(xattrsOf(join(layer, "d")), { "user.note": Buffer.from("dir").toString("hex") });
  });
});

describe("sparse files", () => {
  const data = (n: number, c: string): string => c.repeat(n);
  const oldSparse = (
    regions: readonly (readonly [number, number])[],
    realSize: number,
    content: string,
    blocks: Uint8Array = new Uint8Array(0),
    extended = false,
  ): Buffer => {
    const header = member({
      name: "sparse",
      type: "S",
      format: "gnu",
      size: content.length,
      patch: (h) => {
        regions.slice(0, 4).forEach(([offset, length], i) => {
          h.write(`${offset.toString(8).padStart(11, "0")}\0`, 386 + i * 24);
          h.write(`${length.toString(8).padStart(11, "0")}\0`, 398 + i * 24);
        });
        h[482] = extended ? 1 : 0;
        h.write(`${realSize.toString(8).padStart(11, "0")}\0`, 483);
      },
    });
    return Buffer.concat([header, blocks, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)]);
  };
  likeTar("the old GNU format", () =>
    tarOf(
      oldSparse(
        [
          [0, 512],
          [4096, 1024],
          [10_000, 0],
        ],
        10_000,
        data(512, "a") + data(1024, "b"),
      ),
      file("after", "x"),
    ),
  );
  likeTar("the old GNU format with extension blocks", () => {
    const regions = [...Array.from({ length: 10 }, (_, i) => [i * 8192, 512] as const), [100_000, 0] as const];
    const block = Buffer.alloc(512);
    regions.slice(4).forEach(([offset, length], i) => {
      block.write(`${offset.toString(8).padStart(11, "0")}\0`, i * 24);
      block.write(`${length.toString(8).padStart(11, "0")}\0`, i * 24 + 12);
    });
    return tarOf(oldSparse(regions, 100_000, data(5120, "c"), block, true), file("after", "x"));
  });
  likeTarButForDirectoryTimes("format 1.0", () =>
    tarOf(
      file("s", Buffer.from("3\n0\n512\n8192\n100\n20000\n0\n".padEnd(512, "\0") + data(612, "d")), {
        pax: {
          "GNU.sparse.major": "1",
          "GNU.sparse.minor": "0",
          "GNU.sparse.name": "dir/sparse",
          "GNU.sparse.realsize": "20000",
        },
      }),
      file("after", "x"),
    ),
  );
  likeTar("format 0.1", () =>
    tarOf(
      file("s", data(612, "e"), {
        pax: {
          "GNU.sparse.size": "20000",
          "GNU.sparse.numblocks": "3",
          "GNU.sparse.name": "sparse",
          "GNU.sparse.map": "0,512,8192,100,20000,0",
        },
      }),
      file("after", "x"),
    ),
  );
  it("leaves holes", () => {
    const layer = unpack(
      tarOf(
        file("s", Buffer.from("1\n8388608\n1\n".padEnd(512, "\0") + "x"), {
          pax: { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "16777216" },
        }),
      ),
    );
    const stat = statSync(join(layer, "s"));
    assert.deepEqual([stat.size, stat.blocks * 512 < 65_536], [16_777_216, true]);
  });
});

describe("archives that tar itself writes", () => {
  for (const format of ["v7", "ustar", "gnu", "oldgnu", "pax"])
    likeTar(`format ${format}`, () => {
      const source = join(bench.root, `source-${format}`);
      const layer = unpack(
        tarOf(
          directory("d", { mode: 0o2755 }),
          file("d/f", "x".repeat(3000), { mode: 0o4755, uid: 12, gid: 13 }),
          hardlink("h", "d/f"),
          symlink("s", "d/f"),
          ...(format === "v7" ? [] : [{ name: "fifo", type: "6" }]),
        ),
      );
      rmSync(source, { recursive: true, force: true });
      spawnSync("cp", ["-a", layer, source]);
      const tar = spawnSync(
        "tar",
        [
          "-cf",
          "-",
          `--format=${format}`,
          ...(["v7", "ustar"].includes(format) ? [] : ["--sparse"]),
          "--numeric-owner",
          "-C",
          source,
          ".",
        ],
        { maxBuffer: 64 << 20 },
      );
      assert.equal(tar.status, 0, tar.stderr.toString());
      return tar.stdout;
    });
});
