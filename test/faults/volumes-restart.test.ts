// What running containers have mounted when the daemon is killed: file systems of options, parts of them, images. It stays theirs, is
// unmounted on the host with the last one's end, and what somebody unmounts by hand meanwhile is told. Needs root.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountsUnder, readMounts } from "../../src/engine/kernel/mountinfo.ts";
import { buildBundle } from "../support/bundle.ts";
import { type ApiResult, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";
import { file, tarOf } from "../support/tar.ts";

const bundle = buildBundle();
let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon({ bundle: bundle.dir });
  await importImage(daemon, "shown", (root) => {
    mkdirSync(join(root, "part"));
    writeFileSync(join(root, "part/file"), "of the image");
  });
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  bundle[Symbol.dispose]();
});

async function ok(status: number, method: string, path: string, body?: object | Uint8Array): Promise<ApiResult> {
  const answer = await daemon.api(method, path, body);
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer;
}

const dataOf = (volume: string): string => join(daemon.dataRoot, "volumes", volume, "_data");
const mounted = (): readonly string[] =>
  mountsUnder(readMounts(), join(daemon.dataRoot, "volumes"))
    .map(({ mountPoint }) => mountPoint)
    .toSorted();

interface Mount {
  readonly Type: "volume" | "image";
  readonly Source: string;
  readonly Target: string;
  readonly VolumeOptions?: { readonly Subpath: string };
  readonly ImageOptions?: { readonly Subpath: string };
}

async function run(name: string, mounts: readonly Mount[], more: object = {}): Promise<void> {
  await ok(201, "POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    Cmd: ["sleep", "100000"],
    StopSignal: "SIGKILL",
    HostConfig: { NetworkMode: "none", Mounts: mounts, ...more },
  });
  await ok(204, "POST", `/containers/${name}/start`);
}

async function make(volume: string): Promise<void> {
  await ok(201, "POST", "/volumes/create", { Name: volume, DriverOpts: { type: "tmpfs", device: "tmpfs" } });
}

async function pidOf(name: string): Promise<number> {
  const { json } = await ok(200, "GET", `/containers/${name}/json`);
  return (json as { readonly State: { readonly Pid: number } }).State.Pid;
}

/** A file as the container sees it. */
async function sees(name: string, path: string, content: string): Promise<void> {
  const { text } = await ok(200, "GET", `/containers/${name}/archive?path=${path}`);
  assert.ok(text.includes(content), `${name} sees something else at ${path}`);
}

async function becomes(paths: readonly string[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (String(mounted()) !== String(paths) && performance.now() < deadline) await sleep(20);
  assert.deepEqual(mounted(), paths);
}

async function findings(): Promise<readonly string[]> {
  const { json } = await ok(200, "GET", "/gantry/check");
  return (json as readonly { readonly invariant: string; readonly subject: string; readonly detail: string }[]).map(
    ({ invariant, subject, detail }) => `${invariant} ${subject} ${detail}`,
  );
}

test("mounts of running containers outlive kill -9 of the daemon, and go with the last one's end", async () => {
  await make("shared");
  await make("again");
  await run("whole", [{ Type: "volume", Source: "shared", Target: "/whole" }]);
  await ok(200, "PUT", "/containers/whole/archive?path=/whole", tarOf(file("part/file", "of the volume")));
  const part: Mount = { Type: "volume", Source: "shared", Target: "/part", VolumeOptions: { Subpath: "part" } };
  await run("part", [part]);
  await run("image", [{ Type: "image", Source: "shown", Target: "/image", ImageOptions: { Subpath: "part" } }]);
  await run("again", [{ Type: "volume", Source: "again", Target: "/again" }], {
    RestartPolicy: { Name: "unless-stopped" },
  });
  const lost = await pidOf("again");
  const allSee = async (): Promise<void> => {
    await sees("whole", "/whole/part/file", "of the volume");
    await sees("part", "/part/file", "of the volume");
    await sees("image", "/image/file", "of the image");
  };

  await daemon.kill9();
  process.kill(lost, "SIGKILL");
  await daemon.start();
  await allSee();
  await becomes([dataOf("again"), dataOf("shared")]);
  assert.notEqual(await pidOf("again"), lost);
  await ok(409, "DELETE", "/images/shown");
  await ok(409, "DELETE", "/volumes/shared");
  assert.deepEqual(await findings(), []);

  // The next daemon mounts a new one on the host, for those who come; who has the old one keeps it.
  await daemon.kill9();
  execFileSync("umount", ["-l", dataOf("shared")]);
  await daemon.start();
  await allSee();
  await becomes([dataOf("again"), dataOf("shared")]);
  assert.deepEqual(readdirSync(dataOf("shared")), []);
  assert.deepEqual(await findings(), []);

  execFileSync("umount", ["-l", dataOf("again")]);
  const told = "F11 volume again is used, and somebody has unmounted it: restart the containers that use it";
  assert.deepEqual(await findings(), [told]);
  await ok(204, "POST", "/containers/again/restart");
  await becomes([dataOf("again"), dataOf("shared")]);

  await ok(204, "POST", "/containers/whole/stop");
  await ok(204, "POST", "/containers/again/stop");
  await becomes([dataOf("shared")]);
  await ok(204, "POST", "/containers/part/stop");
  await becomes([]);
  await ok(204, "POST", "/containers/image/stop");

  // Nobody uses it: mounted by hand, or left by a daemon that was killed between an end and an unmount.
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", dataOf("again")]);
  assert.deepEqual(await findings(), ["F11 volume again is mounted, and nobody uses it"]);
  await daemon.kill9();
  await daemon.start();
  assert.deepEqual(mounted(), []);

  for (const name of ["whole", "part", "image", "again"]) await ok(204, "DELETE", `/containers/${name}`);
  for (const volume of ["shared", "again"]) await ok(204, "DELETE", `/volumes/${volume}`);
  await ok(200, "DELETE", "/images/shown");
  assert.deepEqual(await findings(), []);
});
