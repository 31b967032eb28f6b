// docker cp and docker diff with the unmodified docker CLI and over the API: containers that run, are paused, were stopped, were never started;
// volumes in volumes, tmpfs, read-only mounts, owners, compressed and broken uploads. Needs root and the docker CLI.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { directory, file, tarOf } from "../support/tar.ts";

let daemon: TestDaemon;
const host = mkdtempSync(join(tmpdir(), "gantry-cp-"));
before(async () => {
  daemon = await startDaemon();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(host, { recursive: true, force: true });
});

const at = (name: string, path: string): string => `/v1.51/containers/${name}/archive?path=${encodeURIComponent(path)}`;

async function docker(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.docker(args);
  assert.equal(code, 0, `docker ${args.join(" ")}: ${stderr}`);
  return stdout;
}

async function put(name: string, path: string, tar: Uint8Array, status = 200, query = ""): Promise<string> {
  const answer = await daemon.api("PUT", `${at(name, path)}${query}`, tar);
  assert.equal(answer.status, status, answer.text);
  return (answer.json as { readonly message?: string } | undefined)?.message ?? "";
}

test("cp goes in and out of a container that runs, is paused, was stopped and runs again: volumes, tmpfs and all", async () => {
  writeFileSync(join(host, "file"), "content\n", { mode: 0o640 });
  const volumes = ["-v", "outer:/vol", "-v", "inner:/vol/n", "--tmpfs", "/tm"];
  await docker("run", "-d", "--name", "life", ...volumes, "busybox", "sleep", "1000");
  const paths = ["/f", "/vol/f", "/vol/n/f"];
  const both = async (suffix: string, more: readonly string[] = []): Promise<void> => {
    for (const path of [...paths, ...more]) {
      await docker("cp", join(host, "file"), `life:${path}${suffix}`);
      await docker("cp", `life:${path}${suffix}`, join(host, "back"));
      assert.equal(readFileSync(join(host, "back"), "utf8"), "content\n");
    }
  };
  await both("1", ["/tm/f"]);
  await docker("pause", "life");
  await both("2", ["/tm/f"]);
  await docker("unpause", "life");
  assert.equal(await docker("exec", "life", "cat", "/tm/f1", "/tm/f2", "/vol/n/f2"), "content\n".repeat(3));
  await docker("stop", "-t", "0", "life");
  await both("3");
  await docker("start", "life");
  assert.equal(await docker("exec", "life", "cat", "/f3", "/vol/f3", "/vol/n/f3"), "content\n".repeat(3));
  await docker("rm", "-f", "life");
});

test("a volume is filled through a container that was never started, at a place that the image lacks", async () => {
  await docker("create", "--name", "helper", "-v", "seed:/none/such", "busybox", "true");
  assert.equal((await daemon.api("HEAD", at("helper", "/none/such"))).status, 200);
  await put("helper", "/none/such", tarOf(file("a", "seeded")));
  await docker("rm", "helper");
  assert.equal(await docker("run", "--rm", "-v", "seed:/s", "busybox", "cat", "/s/a"), "seeded");
});

test("what is mounted read-only is refused, what is mounted is not replaced, and both types of clashes have dockerd's words", async () => {
  const tar = tarOf(file("x", "y"));
  await docker(
    "create",
    "--name",
    "ro",
    "--read-only",
    "-v",
    "outer:/vol",
    "-v",
    "inner:/ro:ro",
    "busybox",
    "sleep",
    "1000",
  );
  for (const start of [false, true]) {
    if (start) await docker("start", "ro");
    assert.equal(await put("ro", "/", tar, 400), "container rootfs is marked read-only");
    assert.equal(await put("ro", "/ro", tar, 400), "mounted volume is marked read-only");
    await put("ro", "/vol", tar);
  }
  await docker("run", "-d", "--name", "rw", "-v", "outer:/vol", "busybox", "sleep", "1000");
  await put("rw", "/vol", tarOf(file("kept", "1")));
  assert.equal(await put("rw", "/", tarOf(file("vol", "x")), 500), "RemoveAll vol: device or resource busy");
  assert.equal(await docker("exec", "rw", "cat", "/vol/kept"), "1");
  const keep = "&noOverwriteDirNonDir=true";
  await put("rw", "/tmp", tarOf(directory("d"), file("f", "1")));
  const clashes = [
    await put("rw", "/tmp", tarOf(file("d", "")), 500, keep),
    await put("rw", "/tmp", tarOf(directory("f")), 500, keep),
  ];
  assert.deepEqual(clashes, [
    'cannot overwrite directory "d" with non-directory "/tmp"',
    'cannot overwrite non-directory "f" with directory "/tmp"',
  ]);
  assert.equal(await put("rw", "/tmp/f", tar, 400), "extraction point is not a directory");
  assert.equal(await put("rw", "/no", tar, 404), "Could not find the file /no in container rw");
  await docker("rm", "-f", "ro", "rw");
});

test("copyUIDGID gives files to the container's user; compressed tars are taken, cut ones refused", async () => {
  await docker("run", "-d", "--name", "owned", "-u", "1234:567", "busybox", "sleep", "1000");
  const tar = tarOf(file("f", "x", { uid: 33, gid: 44, mode: 0o4711 }));
  const owner = (): Promise<string> => docker("exec", "owned", "stat", "-c", "%u:%g %a", "/tmp/f");
  await put("owned", "/tmp", tar, 200, "&copyUIDGID=1");
  assert.equal(await owner(), "1234:567 4711\n");
  await put("owned", "/tmp", gzipSync(tar));
  assert.equal(await owner(), "33:44 4711\n");
  assert.match(await put("owned", "/tmp", tar.subarray(0, 513), 400), /^unexpected EOF/);
  assert.match(await put("owned", "/tmp", gzipSync(tar).subarray(0, 40), 400), /unexpected EOF/);
  await put("owned", "/tmp", Buffer.alloc(0));
  await docker("rm", "-f", "owned");
});

test("a client that hangs up in the middle of an upload leaves no process and no lock", async () => {
  await docker("create", "--name", "hung", "busybox", "true");
  const socket = connect(daemon.socket);
  socket.on("error", () => undefined);
  const head = `PUT ${at("hung", "/tmp")} HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n`;
  socket.write(head);
  const first = await new Promise<Buffer>((resolve) => void socket.once("data", resolve));
  assert.match(first.toString(), /^HTTP\/1\.1 100 Continue/);
  socket.write(tarOf(file("f", Buffer.alloc(99_000))).subarray(0, 50_000));
  await sleep(100);
  socket.destroy();
  // The lock of a stopped container is free again.
  await put("hung", "/tmp", tarOf(file("g", "x")));
  await docker("rm", "hung");
});

test("diff has what was added, changed and deleted, of a container that runs and after its end", async () => {
  const script =
    "rm -r /etc/network /bin/ar; mkdir /new; >/new/f; chmod 700 /tmp; mkdir /etc/d; >/tmp/gone; rm /tmp/gone; " +
    "rm -r /var/spool; mkdir /var/spool; >/tmp/ready; exec sleep 1000";
  await docker("run", "-d", "--name", "diff", "-v", "outer:/data", "busybox", "sh", "-c", script);
  for (let tries = 0; (await daemon.api("HEAD", at("diff", "/tmp/ready"))).status !== 200; tries++) {
    assert.ok(tries < 200, "the container did not do its work");
    await sleep(20);
  }
  const expected = [
    "A /data",
    "A /etc/d",
    "A /new",
    "A /new/f",
    "A /tmp/ready",
    "C /bin",
    "C /etc",
    "C /tmp",
    "D /bin/ar",
  ];
  const seen = async (): Promise<readonly string[]> =>
    (await docker("diff", "diff"))
      .trim()
      .split("\n")
      .filter((line) => !/network|spool|\/var/.test(line))
      .toSorted();
  assert.deepEqual(await seen(), expected);
  await docker("stop", "-t", "0", "diff");
  assert.deepEqual(await seen(), expected);
  await docker("rm", "diff");
});
