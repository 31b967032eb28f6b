// cp against containers that mean harm. S11: while a process swaps directories and links at three depths, in a root and in nested
// volumes, files go in and out many times; no file of the host is read or changed (CVE-2018-15664, CVE-2026-41568, -42306). S12, S13:
// no program or library of the image is used for any of it (CVE-2019-14271, CVE-2026-41567). S14: a passwd that is a FIFO, a device,
// a link to the host, or huge neither hangs nor fills the daemon.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { directory, file, member, paxHeader, tarOf } from "../support/tar.ts";
import { describeTree } from "../support/tree.ts";

let daemon: TestDaemon;
const host = mkdtempSync(join(tmpdir(), "gantry-swap-"));
before(async () => {
  daemon = await startDaemon();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(host, { recursive: true, force: true });
});

async function run(name: string, script: string, ...args: readonly string[]): Promise<void> {
  const started = await daemon.docker(["run", "-d", "--name", name, ...args, "busybox", "sh", "-c", script]);
  assert.equal(started.code, 0, started.stderr);
  for (let tries = 0; tries < 200; tries++) {
    if ((await daemon.api("HEAD", archivePath(name, "/tmp/ready"))).status === 200) return;
    await sleep(20);
  }
  throw new Error(`${name} is not ready`);
}

const archivePath = (name: string, path: string): string =>
  `/v1.51/containers/${name}/archive?path=${encodeURIComponent(path)}`;

test("S11: a swapper finds no moment in which cp leaves the container", async () => {
  const secret = "canary of the host";
  const canary = join(host, "canary");
  mkdirSync(join(canary, "x", "y"), { recursive: true });
  for (const at of ["f", "x/f", "x/y/f"]) writeFileSync(join(canary, at), secret);
  // The same path as on the host, with other content: what is found there is the container's.
  const inside = `mkdir -p ${canary}/x/y; for f in f x/f x/y/f; do echo inside >${canary}/$f; done`;
  const swap = (path: string): string =>
    `(mkdir -p ${path}; echo inside >${path}/f; ln -s ${canary} ${path}.l; ` +
    `while :; do mv ${path} ${path}.d; mv ${path}.l ${path}; mv ${path} ${path}.l; mv ${path}.d ${path}; done) & `;
  await run(
    "swapper",
    `${inside}; ${swap("/w")}mkdir -p /a/b; ${swap("/a/b/x")}${swap("/vol/n/x")}sleep 0.1; >/tmp/ready; wait`,
    "-v",
    "outer:/vol",
    "-v",
    "inner:/vol/n",
  );
  const before = describeTree(canary);
  const tar = tarOf(file("f", "from cp\n"), file("x/f", "from cp\n"), file("x/y/f", "from cp\n"));
  let read = 0;
  let written = 0;
  const until = performance.now() + 4000;
  for (let n = 0; performance.now() < until || n < 30; n++) {
    const path = ["/w", "/a/b/x", "/vol/n/x", "/w/f", "/a/b/x/f", "/vol/n/x/f"][n % 6] ?? "/";
    const [got, put] = await Promise.all([
      daemon.api("GET", archivePath("swapper", path)),
      daemon.api("PUT", archivePath("swapper", path.replace(/\/f$/, "")), tar),
    ]);
    assert.ok(!got.bytes.includes(secret), `${path}: a file of the host was read`);
    if (got.status === 200) read++;
    if (put.status === 200) written++;
  }
  assert.deepEqual(describeTree(canary), before);
  assert.ok(read > 2 && written > 2, `${read} reads and ${written} writes succeeded`);
  await daemon.docker(["rm", "-f", "-v", "swapper"]);
});

test("S11: an absolute link of the image leads to the container's directory", async () => {
  await run("links", "mkdir -p /run /var; ln -s /run /var/run; >/tmp/ready; sleep 1000");
  assert.equal((await daemon.api("PUT", archivePath("links", "/"), tarOf(file("var/run/x", "y")))).status, 200);
  assert.equal((await daemon.docker(["exec", "links", "cat", "/run/x"])).stdout, "y");
  assert.equal((await daemon.api("PUT", archivePath("links", "/var/run"), tarOf(file("z", "y")))).status, 200);
  assert.equal((await daemon.docker(["exec", "links", "cat", "/run/z"])).stdout, "y");
  await daemon.docker(["rm", "-f", "links"]);
});

test("S12, S13: no program and no library of the image is used, compressed or not, running or not", async () => {
  const marker = join(host, "marker");
  const names = ["gzip", "gunzip", "unpigz", "xz", "zstd", "bzip2", "tar", "mount", "nsenter", "chroot"];
  // All that is run from the image leaves a marker, in the container as well as, with the same path, on the host.
  const trojan =
    `mkdir -p ${host} /usr/bin /usr/sbin /sbin /lib /lib64 /usr/lib /usr/local/bin; ` +
    `for d in /bin /sbin /usr/bin /usr/sbin /usr/local/bin; do for p in ${names.join(" ")}; do rm -f $d/$p; ` +
    `printf '#!/bin/sh\\n>${marker}\\n' >$d/$p; chmod 755 $d/$p; done; done; ` +
    `echo passwd: files evil >/etc/nsswitch.conf; echo /lib/evil.so >/etc/ld.so.preload; ` +
    `for l in libnss_files.so.2 libnss_evil.so.2 evil.so; do cp /bin/busybox /lib/$l; cp /bin/busybox /lib64/$l; done`;
  await run("trojan", `${trojan}; >/tmp/ready; sleep 1000`, "-u", "0");
  const plain = tarOf(file("f", "x"));
  const bodies = [plain, gzipSync(plain), zstdCompressSync(plain)];
  const all = async (): Promise<void> => {
    for (const body of bodies) {
      const put = await daemon.api("PUT", `${archivePath("trojan", "/tmp")}&copyUIDGID=1`, body);
      assert.equal(put.status, 200, put.text);
    }
    assert.equal((await daemon.api("GET", archivePath("trojan", "/etc"))).status, 200);
    assert.equal((await daemon.api("HEAD", archivePath("trojan", "/lib"))).status, 200);
    assert.equal((await daemon.api("GET", "/v1.51/containers/trojan/changes")).status, 200);
    assert.equal((await daemon.api("GET", "/v1.51/containers/trojan/export")).status, 200);
  };
  await all();
  assert.notEqual((await daemon.docker(["exec", "trojan", "/bin/busybox", "test", "-e", marker])).code, 0);
  await daemon.docker(["stop", "-t", "0", "trojan"]);
  await all();
  assert.ok(!existsSync(marker));
  assert.equal((await daemon.api("HEAD", archivePath("trojan", marker))).status, 404);
  await daemon.docker(["rm", "-f", "trojan"]);
});

test("S14: a passwd that is no file of a sane size is refused or read in part, at once", async () => {
  const name = "etc/passwd";
  const sparse = paxHeader({ "GNU.sparse.size": String(10 * 2 ** 30), "GNU.sparse.map": "0,0" });
  const kinds: readonly (readonly [string, Buffer])[] = [
    ["fifo", tarOf(member({ name, type: "6" }))],
    ["device", tarOf(member({ name, type: "3", devMajor: 1, devMinor: 5 }))],
    ["host", tarOf(member({ name, type: "2", link: "/proc/1/root/etc/passwd" }))],
    ["sparse", Buffer.concat([sparse, tarOf(file(name))])],
    ["directory", tarOf(directory(name))],
  ];
  await run("reader", ">/tmp/ready; sleep 1000", "-u", "nobody");
  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]);
  const started = rss();
  for (const [kind, archive] of kinds) {
    const made = await daemon.api("PUT", archivePath("reader", "/"), archive);
    assert.equal(made.status, 200, `${kind}: ${made.text}`);
    const answer = await daemon.api("PUT", `${archivePath("reader", "/tmp")}&copyUIDGID=1`, tarOf(file("f", "x")));
    assert.equal(answer.status, 400, `${kind}: ${answer.text}`);
    assert.match(answer.text, /failed to look up user \\"nobody\\" in container/, kind);
    // The file itself goes out as what it is, without being opened.
    if (kind !== "sparse") assert.equal((await daemon.api("GET", archivePath("reader", "/etc"))).status, 200, kind);
  }
  assert.ok(rss() - started < 96 << 10, "the daemon keeps its size");
  await daemon.docker(["rm", "-f", "reader"]);
});
