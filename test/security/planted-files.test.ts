// S18: whatever an image, or a container in its stopped files, has put in the places of files that the engine gives a container or
// makes for it (hosts, hostname, resolv.conf, mtab, .dockerenv, targets of mounts, the working directory): links to the host, hard
// links, pipes, devices, directories. Nothing of the host changes, no other file of the container does, and nothing waits for a pipe.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { busyboxRoot } from "../support/image.ts";
import { end, member } from "../support/tar.ts";
import { describeTree } from "../support/tree.ts";

let daemon: TestDaemon;
const canary = mkdtempSync(join(tmpdir(), "gantry-planted-"));
const files = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", ".dockerenv"];
const script =
  "cat /etc/other; grep -c localhost /etc/hosts; for f in hosts hostname resolv.conf; do echo x >/etc/$f; done; cat /etc/other";

before(async () => {
  writeFileSync(join(canary, "file"), "of the host\n");
  mkdirSync(join(canary, "directory"));
  daemon = await startDaemon();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(canary, { recursive: true, force: true });
});

/** What stands in the place of each file; the container's own file beside it must stay as it is. */
const plants: Readonly<Record<string, (name: string) => Buffer>> = {
  absolute: (name) => member({ name, type: "2", link: join(canary, "file") }),
  relative: (name) => member({ name, type: "2", link: `${"../".repeat(20)}${canary.slice(1)}/file` }),
  magic: (name) => member({ name, type: "2", link: `/proc/self/root${canary}/file` }),
  dangling: (name) => member({ name, type: "2", link: join(canary, "new") }),
  hard: (name) => member({ name, type: "1", link: "etc/other" }),
  pipe: (name) => member({ name, type: "6" }),
  device: (name) => member({ name, type: "3", devMajor: 1, devMinor: 5 }),
  directory: (name) => member({ name, type: "5", mode: 0o755 }),
};

/** An image's tar without its end, so that members can be added: later ones replace earlier ones. */
function plainRoot(): Buffer {
  const root = busyboxRoot();
  try {
    for (const at of ["etc/other", `${canary.slice(1)}/file`]) {
      mkdirSync(join(root, at, ".."), { recursive: true });
      writeFileSync(join(root, at), "other\n");
    }
    const names = readdirSync(root);
    const tar = execFileSync("tar", ["-C", root, "--numeric-owner", "-cf", "-", ...names], { maxBuffer: 1 << 28 });
    let size = tar.length;
    while (tar.subarray(size - 512, size).every((byte) => byte === 0)) size -= 512;
    return tar.subarray(0, size);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function runPlanted(name: string): Promise<void> {
  const start = performance.now();
  const { code, stdout, stderr } = await daemon.docker(["start", "-a", name]);
  assert.ok(performance.now() - start < 20_000, `${name} waits for something`);
  if (code === 0) assert.match(stdout, /^other\n[1-9]\nother\n$/, `${name}: ${stderr}`);
  else assert.match(stderr, /not a directory|is a directory|no such|not permitted|exists/i, name);
  await daemon.dockerOk(["rm", "-f", "-v", name]);
}

test("S18: files that the engine gives a container, where an image or cp has put something else in their places", async () => {
  const plain = plainRoot();
  const untouched = describeTree(canary);
  for (const [kind, plant] of Object.entries(plants)) {
    const planted = Buffer.concat(files.map(plant));
    const image = await daemon.api(
      "POST",
      `/images/create?fromSrc=-&repo=${kind}`,
      Buffer.concat([plain, planted, end]),
    );
    assert.ok(image.status === 200 && !image.text.includes("errorDetail"), image.text);
    await daemon.dockerOk(["create", "--name", `image-${kind}`, kind, "sh", "-c", script]);
    await runPlanted(`image-${kind}`);
    assert.deepEqual(describeTree(canary), untouched, kind);

    if (!["absolute", "pipe", "directory"].includes(kind)) continue;
    const name = `cp-${kind}`;
    await daemon.dockerOk(["create", "--name", name, "absolute", "sh", "-c", script]);
    const put = await daemon.api("PUT", `/v1.51/containers/${name}/archive?path=/`, Buffer.concat([planted, end]));
    assert.equal(put.status, 200, put.text);
    await runPlanted(name);
    assert.deepEqual(describeTree(canary), untouched, name);
  }
});
