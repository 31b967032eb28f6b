// Writable layers as layers' tars, and whole file systems: what containers do to their root is done here through an overlay
// in a mount namespace of its own. Needs root, python3, strace and tar.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { type ChainId, type DiffId, parseDiffId } from "../../src/base/digest.ts";
import type { OverlayDirs } from "../../src/engine/snapshots/index.ts";
import { ImageRoom } from "../support/image-room.ts";
import { seededRandom } from "../support/random-tar.ts";
import { base, deeds, setXattr } from "../support/root-deeds.ts";
import { directory, file, tarOf } from "../support/tar.ts";
import { packPath } from "../support/unpack-bench.ts";

describe("writable layers", () => {
  let room: ImageRoom;
  let chain: ChainId;
  let count = 0;
  const signal = (): AbortSignal => AbortSignal.timeout(60_000);
  const read = async (tar: Readable): Promise<Buffer> => Buffer.concat(await tar.toArray());
  const digestOf = (tar: Uint8Array): DiffId => parseDiffId(`sha256:${createHash("sha256").update(tar).digest("hex")}`);

  before(async () => {
    room = await ImageRoom.open();
    chain = await room.snapshots.unpack(undefined, digestOf(base), Readable.from([base]), signal());
  });
  after(() => room.close());

  async function writable(top: ChainId | undefined): Promise<{ readonly key: string; readonly dirs: OverlayDirs }> {
    const key = `container${++count}`;
    const prepared = await room.snapshots.prepare(key, top);
    await room.store.commit(prepared.changes);
    return { key, dirs: prepared.dirs };
  }

  /** Runs in the merged root, or, without layers below, in the upper directory. */
  function run({ lower, upper, work }: OverlayDirs, lines: string): void {
    const mounted = `mount -t overlay overlay -o index=off,lowerdir=${lower.join(":")},upperdir=${upper},workdir=${work} ${upper} && cd ${upper} && cd .`;
    const script = `set -e; umask 022; ${lower.length === 0 ? `cd ${upper}` : mounted}; ${lines || ":"}`;
    const { status, stderr } = spawnSync("unshare", ["--mount", "--propagation", "private", "sh", "-c", script], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  }

  /** The layer that the container's changes are, over its chain. */
  async function commit(
    key: string,
    under: ChainId | undefined,
  ): Promise<{ readonly top: ChainId; readonly tar: Buffer }> {
    const staged = await room.snapshots.stageWritable(key, 1 << 30, signal());
    try {
      using _ = await room.snapshots.lock();
      const below = under === undefined ? [] : [{ diffId: digestOf(base), staged: undefined }];
      const placed = await room.snapshots.place([...below, { diffId: staged.diffId, staged }]);
      await room.store.commit(placed.changes);
      placed.committed();
      const top = placed.top as ChainId;
      const tar = await read(room.snapshots.tar(top, signal()));
      assert.deepEqual([tar.length, digestOf(tar)], [staged.tarBytes, staged.diffId]);
      return { top, tar };
    } finally {
      await staged.release();
    }
  }

  /** The layer over the chain shows what the container saw, and packing twice gives the same bytes. */
  async function sameAgain(lines: string): Promise<Buffer> {
    const container = await writable(chain);
    run(container.dirs, lines);
    const { top, tar } = await commit(container.key, chain);
    const twice = await room.snapshots.stageWritable(container.key, 1 << 30, signal());
    assert.equal(twice.diffId, digestOf(tar));
    await twice.release();
    const seen = await read(room.snapshots.export(container.key, signal()));
    const child = await writable(top);
    assert.ok((await read(room.snapshots.export(child.key, signal()))).equals(seen));
    const listed = spawnSync("tar", ["-tf", "-"], { input: seen, encoding: "utf8" });
    assert.equal(listed.status, 0, listed.stderr);
    return tar;
  }

  const list = (tar: Uint8Array): readonly string[] =>
    spawnSync("tar", ["--quoting-style=literal", "-tf", "-"], { input: tar, encoding: "utf8" })
      .stdout.split("\n")
      .slice(0, -1);

  for (const [title, lines] of Object.entries(deeds))
    it(`keeps ${title}`, async () => {
      await sameAgain(lines);
    });

  it("keeps what chance does", async () => {
    const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    const random = seededRandom(seed);
    const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? "";
    const paths = [
      "etc/passwd",
      "etc",
      "usr/lib/a",
      "usr/lib",
      "var/cache",
      "opt/tree/f",
      "opt",
      "x",
      "x/y",
      "var/z",
      "lib",
    ];
    const verbs = [
      (p: string) => `rm -rf ${p}`,
      (p: string) => `mkdir -p ${p}`,
      (p: string) => `echo ${random()} > ${p}`,
      (p: string) => `ln -f ${p} ${pick(paths)}`,
      (p: string) => `ln -sfn ${pick(paths)} ${p}`,
      (p: string) => `mv -T ${p} ${pick(paths)}`,
      (p: string) => `cp -a ${p} ${pick(paths)}`,
      (p: string) => `chmod ${Math.floor(random() * 0o7777).toString(8)} ${p}`,
      (p: string) => `mknod ${p} c 1 3`,
    ];
    for (let round = 0; round < 12; round++) {
      const deed = Array.from(
        { length: 15 },
        () => `{ ${(verbs[Math.floor(random() * verbs.length)] ?? verbs[0])?.(pick(paths))}; } 2>/dev/null || :`,
      );
      try {
        await sameAgain(deed.join("; "));
      } catch (cause) {
        throw new Error(`SEED=${seed}, round ${round}: ${deed.join("; ")}`, { cause });
      }
    }
  });

  it("is an archive of nothing when nothing was done", async () => {
    assert.deepEqual(await sameAgain(""), Buffer.alloc(1024));
  });

  it("names whiteouts, opaque directories and links as registries expect them, sorted, without ./", async () => {
    const tar = await sameAgain(
      "rm etc/gone; rm -r var/cache; mkdir var/cache; echo x > var/cache/new; ln var/cache/new link",
    );
    assert.deepEqual(list(tar), [
      "etc/",
      "etc/.wh.gone",
      "link",
      "var/",
      "var/cache/",
      "var/cache/.wh..wh..opq",
      "var/cache/new",
    ]);
  });

  const made =
    "touch .dockerenv; mkdir -p dev proc sys etc; touch etc/hosts etc/hostname etc/resolv.conf; ln -s /proc/mounts etc/mtab";

  it("does not carry what the engine itself made to mount on", async () => {
    const container = await writable(chain);
    run(container.dirs, made);
    assert.deepEqual((await commit(container.key, chain)).tar, Buffer.alloc(1024));
    const changed = await writable(chain);
    run(changed.dirs, `${made}; echo x > etc/issue; echo y > .dockerenv; chmod 700 dev`);
    assert.deepEqual(list((await commit(changed.key, chain)).tar), [".dockerenv", "dev/", "etc/", "etc/issue"]);
    const bare = await writable(undefined);
    run(bare.dirs, made);
    assert.deepEqual((await commit(bare.key, undefined)).tar, Buffer.alloc(1024));
    const mode = await writable(chain);
    run(mode.dirs, `${made}; chmod 711 etc`);
    assert.deepEqual(list((await commit(mode.key, chain)).tar), ["etc/"]);
  });

  it("carries the root only when its mode or owner are not an unpacked layer's own", async () => {
    const tar = await sameAgain("chmod 1700 .; chown 3:4 .");
    assert.deepEqual(list(tar), ["./"]);
  });

  it("over a root of another mode or owner is empty without a change, and carries that root with one", async () => {
    const own = tarOf(directory("./", { mode: 0o700, uid: 3, gid: 4 }), file("f", "x"));
    const top = await room.snapshots.unpack(undefined, digestOf(own), Readable.from([own]), signal());
    const stage = async (lines: string): Promise<DiffId> => {
      const container = await writable(top);
      run(container.dirs, lines);
      const staged = await room.snapshots.stageWritable(container.key, 1 << 30, signal());
      await staged.release();
      return staged.diffId;
    };
    const empty = digestOf(Buffer.alloc(1024));
    assert.equal(await stage(""), empty);
    assert.equal(await stage("mkdir etc; : > etc/hosts; chmod 755 etc/hosts"), empty);
    assert.notEqual(await stage("chmod 755 ."), empty);
    const changed = await writable(top);
    run(changed.dirs, "echo y > g");
    const staged = await room.snapshots.stageWritable(changed.key, 1 << 30, signal());
    using _ = await room.snapshots.lock();
    const placed = await room.snapshots.place([
      { diffId: digestOf(own), staged: undefined },
      { diffId: staged.diffId, staged },
    ]);
    await room.store.commit(placed.changes);
    placed.committed();
    await staged.release();
    assert.deepEqual(list(await read(room.snapshots.tar(placed.top as ChainId, signal()))), ["./", "g"]);
    const { upper } = (await writable(placed.top)).dirs;
    const { mode, uid, gid } = statSync(upper);
    assert.deepEqual([mode & 0o7777, uid, gid], [0o700, 3, 4]);
  });

  it("leaves sockets out, as dockerd does", async () => {
    const container = await writable(chain);
    run(container.dirs, `python3 -c 'import socket;socket.socket(socket.AF_UNIX).bind("etc/s")'; echo x > etc/t`);
    assert.deepEqual(list((await commit(container.key, chain)).tar), ["etc/", "etc/t"]);
  });

  it("does not carry what speaks to overlayfs", async () => {
    const container = await writable(chain);
    run(container.dirs, `echo x > f; ${setXattr("f", "user.ok", "41")}`);
    run(
      { ...container.dirs, lower: [] },
      `${setXattr("f", "user.overlay.origin", "41")}; ${setXattr("f", "trusted.foreign", "41")}`,
    );
    const { tar } = await commit(container.key, chain);
    assert.equal(tar.includes("SCHILY.xattr.user.ok"), true);
    assert.equal(tar.includes("overlay") || tar.includes("foreign"), false);
  });

  it("fails clearly where another kernel's redirects would make it wrong", async () => {
    const container = await writable(chain);
    run(container.dirs, "mkdir d");
    run({ ...container.dirs, lower: [] }, setXattr("d", "trusted.overlay.redirect", "41"));
    await assert.rejects(room.snapshots.stageWritable(container.key, 1 << 30, signal()), {
      kind: "System",
      message: /d has the attribute trusted\.overlay\.redirect/,
    });
  });

  it("refuses names that would be whiteouts in a layer, and exports them", async () => {
    const container = await writable(chain);
    run(container.dirs, "echo x > .wh.etc");
    await assert.rejects(room.snapshots.stageWritable(container.key, 1 << 30, signal()), {
      kind: "InvalidParameter",
      message: /\.wh\.etc: a layer cannot hold/,
    });
    assert.equal(list(await read(room.snapshots.export(container.key, signal()))).includes(".wh.etc"), true);
  });

  it("refuses changes that are larger than allowed", async () => {
    const container = await writable(chain);
    run(container.dirs, "truncate -s 2M big");
    await assert.rejects(room.snapshots.stageWritable(container.key, 1 << 20, signal()), { kind: "InvalidParameter" });
    assert.deepEqual(room.remains().tmp, []);
  });

  it("says so when the container is removed before its export has ended", async () => {
    const container = await writable(chain);
    // Needs the chain, which would go with its last container.
    await writable(chain);
    // More than the pipe and the stream hold.
    run(container.dirs, "head -c 3000000 /dev/zero > big");
    const tar = room.snapshots.export(container.key, signal());
    await once(tar, "readable");
    const removal = room.snapshots.removal(container.key);
    await room.store.commit(removal.changes);
    await removal.discard();
    await assert.rejects(read(tar), /was removed while it was read/);
  });

  it("exports a container without layers below it", async () => {
    const container = await writable(undefined);
    run(container.dirs, "mkdir d; echo x > d/f; ln d/f g");
    const tar = await read(room.snapshots.export(container.key, signal()));
    assert.deepEqual(list(tar), ["d/", "d/f", "g"]);
  });

  it("exports while the container's overlay is mounted and written to, and nothing stays mounted", async () => {
    const container = await writable(chain);
    // Only ours: other programs' mounts come and go.
    const mounts = (): readonly string[] =>
      readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(room.dataRoot));
    const before = mounts();
    run(
      container.dirs,
      `( i=0; while [ $i -lt 300 ]; do echo $i > f$((i % 7)); rm -f f$((i * 3 % 7)); mkdir -p d$i; i=$((i+1)); done ) & ${packPath} export ${container.dirs.upper} ${container.dirs.lower.join(" ")} > /dev/null; wait`,
    );
    assert.equal(list(await read(room.snapshots.export(container.key, signal()))).includes("d299/"), true);
    assert.deepEqual(mounts(), before);
  });

  it("gives the same on kernels without the new ways of mounting", async () => {
    const container = await writable(chain);
    run(container.dirs, "rm etc/gone; echo x > new; mknod dev c 1 3");
    const { upper, lower } = container.dirs;
    const pack = (args: readonly string[], missing: string): Buffer => {
      const inject = missing === "" ? [] : ["strace", "-qq", "-o", "/dev/null", "-e", `inject=${missing}:error=ENOSYS`];
      const [program = "", ...rest] = [...inject, packPath, ...args, upper, ...lower];
      const { status, stdout, stderr } = spawnSync(program, rest, { maxBuffer: 1 << 28 });
      assert.equal(status, 0, stderr.toString());
      return stdout;
    };
    assert.ok(pack(["export"], "fsopen").equals(pack(["export"], "")));
    assert.ok(pack(["diff"], "mount_setattr").equals(pack(["diff"], "")));
    assert.ok(pack(["diff"], "open_tree").equals(pack(["diff"], "")));
  });

  it("is a tar that GNU tar unpacks to what the container saw", async () => {
    const container = await writable(chain);
    const titles = ["a changed file", "a new tree", "hard links among new and old files", "owners, modes, set-user-id"];
    const more = [
      "device nodes and FIFOs",
      "times to the nanosecond, before 1970 and far away",
      "long names and links",
    ];
    run(container.dirs, [...titles, ...more, "sparse files"].map((title) => deeds[title] ?? "false").join("; "));
    const tar = await read(room.snapshots.export(container.key, signal()));
    const { upper, lower } = container.dirs;
    const script = `set -e -o pipefail
      describe() {
        (cd $1; find . -mindepth 1 ! -type d -printf '%P|%y|%m|%U|%G|%s|%T@|%l|%n\n' -o -mindepth 1 -printf '%P|%y|%m|%U|%G|%T@\n' | LC_ALL=C sort
         find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
      }
      mkdir ${room.dataRoot}/unpacked
      tar -xpf - --numeric-owner --same-owner -C ${room.dataRoot}/unpacked
      mount -t overlay overlay -o index=off,ro,lowerdir=${[upper, ...lower].join(":")} ${upper}
      diff <(describe ${room.dataRoot}/unpacked) <(describe ${upper}) >&2`;
    const { status, stderr } = spawnSync("unshare", ["--mount", "--propagation", "private", "bash", "-c", script], {
      input: tar,
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr.slice(0, 2000));
  });
});
