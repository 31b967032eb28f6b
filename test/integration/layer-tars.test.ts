// Layers come back as the tars that they were unpacked from, byte for byte. UnpackBench.run compares every accepted archive
// by itself, so that the whole corpus of test/security is compared as well; here are those that are hard to put together.
// Needs root, tar and prlimit. SEED repeats a run of the random archives, RANDOM_TARS sets their number.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { type DiffId, parseDiffId } from "../../src/base/digest.ts";
import { ImageRoom } from "../support/image-room.ts";
import { randomTar, seededRandom } from "../support/random-tar.ts";
import { directory, end, file, gnuLong, hardlink, member, paxHeader, symlink, tarOf } from "../support/tar.ts";
import { UnpackBench, packPath, unpackPath } from "../support/unpack-bench.ts";

const signal = (): AbortSignal => AbortSignal.timeout(60_000);

describe("recipes", () => {
  let bench: UnpackBench;
  before(() => {
    bench = new UnpackBench();
  });
  after(() => bench[Symbol.dispose]());

  /** Comes back, with this many files aside. */
  function comesBack(title: string, archive: () => Uint8Array, aside = 0): void {
    it(`gives back ${title}`, () => {
      const run = bench.run(archive(), { depth: 1024 });
      assert.equal(run.status, 0, run.said);
      const kept = join(bench.root, "aside");
      assert.equal(existsSync(kept) ? readdirSync(kept).length : 0, aside);
    });
  }

  comesBack("an empty input", () => Buffer.alloc(0));
  comesBack("an archive of nothing", () => end);
  comesBack("a name that came three times", () => tarOf(file("a", "1"), file("a", "22"), file("a", "333")), 2);
  comesBack("a file that a directory replaced", () => tarOf(file("a", "x"), directory("a"), file("a/b", "y")), 1);
  comesBack("a file that a symlink replaced", () => tarOf(file("a", "x"), file("b", "y"), symlink("a", "b")), 1);
  comesBack("a tree that a file replaced", () => tarOf(file("d/e/f", "x"), file("d/g", "y"), file("d", "z")), 2);
  comesBack("a file that a device replaced", () => tarOf(file("n", "x"), { name: "n", type: "3", devMajor: 1 }), 1);
  comesBack("a file whose whiteout follows", () => tarOf(file("a", "x"), file(".wh.a"), directory("d"), file(".wh.d")));
  comesBack(
    "a hard link whose target was replaced",
    () => tarOf(file("a", "x"), hardlink("b", "a"), file("a", "y")),
    1,
  );
  comesBack(
    "a file all of whose names were replaced",
    () => tarOf(file("a", "x"), hardlink("b", "a"), file("b", "y"), file("a", "z")),
    1,
  );
  comesBack("a file that a hard link replaced", () => tarOf(file("a", "x"), file("b", "y"), hardlink("b", "a")), 1);
  comesBack("replaced files without content", () => tarOf(file("a"), file("a"), file("a")));
  comesBack("files behind a symlink that stays", () =>
    tarOf(directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "x")),
  );
  comesBack("files behind a symlink that a directory replaced", () =>
    tarOf(directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "x"), directory("lib"), file("lib/x", "y")),
  );
  comesBack(
    "files behind a symlink to a path that is too long for one call",
    () => {
      const deep = "d".repeat(200);
      const half = Array.from({ length: 15 }, () => deep).join("/");
      return tarOf(
        file("x", "", { pax: { path: `${half}/x` } }),
        symlink("s", "", { pax: { linkpath: half } }),
        file("y", "deep", { pax: { path: `s/${half}/y` } }),
      );
    },
    1,
  );
  comesBack("whiteouts and directories with content", () =>
    tarOf(file(".wh.x", "ignored".repeat(500)), member(file("d/", "ignored too")), file("after", "y")),
  );
  comesBack("global headers between members", () =>
    tarOf(paxHeader({ comment: "c" }, "g"), file("a", "x"), paxHeader({ a: "b" }, "g")),
  );
  comesBack("long names", () =>
    tarOf(gnuLong("L", `${"l/".repeat(200)}f`), file("x", "1"), file("s", "2", { pax: { path: "p".repeat(200) } })),
  );
  comesBack("garbage after the end", () =>
    Buffer.concat([tarOf(file("a", "x")), Buffer.alloc(3000, "\0\0abc\0\0\0\0\0\0\0\0\0d")]),
  );
  comesBack("an end cut short", () => Buffer.concat([member(file("a", "x")), Buffer.alloc(512 + 100)]));
  comesBack("padding that is not zero", () => {
    const archive = tarOf(file("a", "x"));
    archive.fill("padding", 513, 1024);
    return archive;
  });
  comesBack("what stands behind the NULs of a header", () =>
    tarOf(file("a\0behind", "x", { link: "unused", patch: (h) => h.write("end of block", 500) })),
  );
  for (const blocking of ["1", "20", "2000"])
    comesBack(`GNU tar's records of ${blocking} blocks`, () => {
      const { stdout } = spawnSync("tar", ["-b", blocking, "-C", import.meta.dirname, "-cf", "-", "."], {
        maxBuffer: 1 << 28,
      });
      return stdout;
    });

  it("gives back archives made by chance", () => {
    const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    let accepted = 0;
    const count = Number(process.env["RANDOM_TARS"] ?? 150);
    for (let i = 0; i < count; i++) {
      const archive = randomTar(random);
      try {
        if (bench.run(archive).status === 0) accepted++;
      } catch (cause) {
        throw new Error(`archive ${i} of SEED=${seed}`, { cause });
      }
    }
    assert.ok(accepted > count / 20, `SEED=${seed}: only ${accepted} of ${count} were accepted`);
  });

  it("needs no more memory for 200 MB than for nothing", () => {
    const layer = join(bench.root, "large");
    const archive = join(bench.root, "large.tar");
    rmSync(layer, { recursive: true, force: true });
    mkdirSync(join(layer, "fs"), { recursive: true });
    writeFileSync(archive, "");
    for (let i = 0; i < 50; i++) {
      appendFileSync(archive, member(file(`big${i}`, Buffer.alloc(4 << 20, `${i} `))));
      for (let j = 0; j < 100; j++) appendFileSync(archive, member(file(`d${i}/${"n".repeat(80)}${j}`, "x")));
    }
    appendFileSync(archive, end);
    const limited = (command: string): void => {
      const { status, stderr } = spawnSync("prlimit", ["--as=16777216", "sh", "-c", command], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
    };
    limited(`${unpackPath} 100000 1000000000 100 ${layer}/fs ${layer} < ${archive}`);
    assert.ok(statSync(join(layer, "recipe")).size < 50 * 102 * 150);
    limited(`${packPath} recipe ${layer} > ${archive}.new`);
    assert.equal(spawnSync("cmp", [archive, `${archive}.new`]).status, 0);
  });

  it("refuses a damaged recipe with one line, whatever was changed", () => {
    const archive = tarOf(file("a", "x".repeat(3000)), file("d/b", "y"), symlink("s", "a"));
    bench.run(archive);
    const recipe = join(bench.root, "recipe");
    const bytes = spawnSync("cat", [recipe]).stdout;
    const random = seededRandom(7);
    let same = 0;
    for (let i = 0; i < 300; i++) {
      const spoilt = Buffer.from(bytes);
      spoilt[Math.floor(random() * spoilt.length)] = Math.floor(random() * 256);
      writeFileSync(recipe, i % 10 === 0 ? spoilt.subarray(0, i) : spoilt);
      const { status, said, tar } = bench.pack();
      if (status === 0 && tar.equals(archive)) same++;
      else if (status !== 0) assert.match(said, /^[^\n]+$/, `status ${status}`);
      assert.ok(status !== null && status <= 3, `status ${status}`);
    }
    assert.ok(same < 100, "most changes matter");
  });

  it("stops without a word when its reader leaves", () => {
    bench.run(tarOf(file("a", Buffer.alloc(8 << 20, "x"))));
    const { stderr, stdout } = spawnSync(
      "sh",
      ["-c", `{ ${packPath} recipe ${bench.root}; echo "status $?" >&2; } | head -c 10`],
      {
        encoding: "utf8",
      },
    );
    assert.deepEqual([stdout.length, stderr], [10, "status 4\n"]);
  });
});

describe("the snapshotter", () => {
  let room: ImageRoom;
  before(async () => {
    room = await ImageRoom.open();
  });
  after(() => room.close());

  const digestOf = (tar: Uint8Array): DiffId => parseDiffId(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
  const read = async (tar: Readable): Promise<Buffer> => Buffer.concat(await tar.toArray());
  const fsOf = (top: Parameters<typeof room.snapshots.chainDirs>[0]): string =>
    join(room.snapshots.chainDirs(top)[0] ?? "", "fs");

  it("gives back a layer's tar and its length, also after a restart and from a second place in a chain", async () => {
    const tar = tarOf(file("a", "first"), file("a", "second"), file("d/f", "x".repeat(5000)));
    const base = await room.snapshots.unpack(undefined, digestOf(tar), Readable.from([tar]), signal());
    const again = await room.snapshots.unpack(base, digestOf(tar), Readable.from([tar]), signal());
    const look = async (): Promise<void> => {
      for (const chainId of [base, again]) {
        assert.equal(room.snapshots.tarBytes(chainId), tar.length);
        assert.ok((await read(room.snapshots.tar(chainId, signal()))).equals(tar));
      }
    };
    await look();
    // Without a container on them they would be collected at the next start.
    await room.store.commit((await room.snapshots.prepare("keeper", again)).changes);
    room = await room.reopen();
    await look();
    assert.deepEqual(await room.snapshots.check(() => [again], false), []);
  });

  it("ends with DataLoss when a file's content, size or presence was changed", async () => {
    const tar = tarOf(file("a", "x".repeat(3000)), file("b", "y"));
    const id = await room.snapshots.unpack(undefined, digestOf(tar), Readable.from([tar]), signal());
    const path = join(fsOf(id), "a");
    const { atime, mtime } = statSync(path);
    const lost = (message: RegExp): Promise<void> =>
      assert.rejects(read(room.snapshots.tar(id, signal())), (error: Error & { kind?: string }) => {
        assert.equal(error.kind, "DataLoss");
        assert.match(error.message, message);
        assert.match(error.message, new RegExp(digestOf(tar)));
        return true;
      });
    writeFileSync(path, `${"x".repeat(2999)}z`);
    utimesSync(path, atime, mtime);
    await lost(/were changed/);
    writeFileSync(path, "short");
    await lost(/\/a of the layer was changed/);
    rmSync(path);
    await lost(/\/a of the layer: No such file/);
    mkdirSync(path);
    await lost(/\/a of the layer was changed/);
    rmSync(path, { recursive: true });
    writeFileSync(path, "x".repeat(3000));
    assert.ok((await read(room.snapshots.tar(id, signal()))).equals(tar));
    rmSync(join(fsOf(id), "..", "recipe"));
    await lost(/recipe/);
    const found = (await room.snapshots.check(() => [id], false)).filter(({ invariant }) => invariant === "F10");
    assert.match(found.map(({ detail }) => detail).join("\n"), /recipe.*missing/);
  });

  it("keeps a layer while its tar is read, and lets go when the reader leaves", async () => {
    const tar = tarOf(file("a", Buffer.alloc(4 << 20, "x")));
    const id = await room.snapshots.unpack(undefined, digestOf(tar), Readable.from([tar]), signal());
    const stream = room.snapshots.tar(id, signal());
    await new Promise((resolve) => stream.once("readable", resolve));
    await room.snapshots.collect([]);
    assert.equal(room.snapshots.has(id), true);
    stream.destroy();
    await new Promise((resolve) => stream.once("close", resolve));
    await room.snapshots.collect([]);
    assert.equal(room.snapshots.has(id), false);
    assert.throws(() => room.snapshots.tar(id, signal()), { kind: "DataLoss" });
    assert.throws(() => room.snapshots.tarBytes(id), { kind: "DataLoss" });
  });

  it("refuses layers larger than the configuration allows, and leaves nothing", async () => {
    const small = await ImageRoom.open({ maxLayerBytes: 1 << 20 });
    try {
      const tar = tarOf(file("a", Buffer.alloc(2 << 20)));
      await assert.rejects(
        small.snapshots.stage(Readable.from([tar]), { claimed: undefined, maxBytes: 1 << 30 }, signal()),
        { kind: "InvalidParameter", message: "the layer's files are larger than the 1048576 bytes allowed" },
      );
      assert.deepEqual(small.remains().tmp, []);
    } finally {
      await small.close();
    }
  });

  it("ends with Cancelled when it is aborted", async () => {
    const tar = tarOf(file("a", Buffer.alloc(32 << 20, "x")));
    const id = await room.snapshots.unpack(undefined, digestOf(tar), Readable.from([tar]), signal());
    const abort = new AbortController();
    const stream = room.snapshots.tar(id, abort.signal);
    let seen = 0;
    await assert.rejects(
      async () => {
        for await (const chunk of stream) {
          seen += (chunk as Buffer).length;
          abort.abort();
        }
      },
      { kind: "Cancelled" },
    );
    assert.ok(seen < tar.length);
  });
});
