// Symbolic links of an image, of a container before its restart and of a shared directory, aimed at a canary on the host.
// The canary's path exists inside the image too: otherwise a runtime that resolves a link twice, once inside the root and
// once outside, stops before it does harm, and the test would see nothing.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandResult, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";
import { type Tree, describeTree } from "../support/tree.ts";

let daemon: TestDaemon;
const canary = mkdtempSync(join(tmpdir(), "gantry-canary-"));
let untouched: Tree;

before(async () => {
  daemon = await startDaemon();
  for (const dir of ["pts", "shm", "mqueue"]) mkdirSync(join(canary, dir));
  for (const file of ["file", "null", "console", "hosts"]) writeFileSync(join(canary, file), "untouched\n");
});

beforeEach(() => {
  untouched = describeTree(canary);
});

after(async () => {
  rmSync(canary, { recursive: true, force: true });
  await daemon[Symbol.asyncDispose]();
});

/** The same path inside an image. */
function mirror(root: string): void {
  for (const dir of ["pts", "shm", "mqueue"]) mkdirSync(join(root, canary, dir), { recursive: true });
}

function assertUntouched(what: string): void {
  assert.deepEqual(describeTree(canary), untouched, what);
}

const docker = (...args: readonly string[]): Promise<CommandResult> => daemon.docker(args);

const ways: readonly (readonly string[])[] = [
  [],
  ["--privileged"],
  ["--device", "/dev/null:/dev/extra"],
  ["-t"],
  ["--init"],
  ["--read-only"],
  ["--tmpfs", "/dev/inner"],
];

for (const name of ["dev", "proc", "sys", "etc"]) {
  test(`S03, S04, S05: /${name} as a link to a path of the host that the image has too becomes a directory`, async () => {
    await importImage(daemon, `s04-${name}`, (root) => {
      rmSync(join(root, name), { recursive: true, force: true });
      mirror(root);
      symlinkSync(canary, join(root, name));
    });
    for (const way of ways) {
      const result = await docker("run", "--rm", ...way, `s04-${name}`, "stat", "-c", "%F", `/${name}`);
      assert.equal(result.stdout.trim(), "directory", `${way.join(" ")}: ${result.stderr}`);
      assertUntouched(`/${name} ${way.join(" ")}`);
    }
  });
}

test("S03: /dev/null, /dev/console, /dev/pts as links to a sysctl and to the canary change neither", async () => {
  const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
  await importImage(daemon, "s03", (root) => {
    mirror(root);
    for (const node of ["zero", "tty", "full", "ptmx"])
      symlinkSync("/proc/sys/kernel/core_pattern", join(root, "dev", node));
    for (const node of ["null", "console", "pts", "shm", "mqueue"])
      symlinkSync(join(canary, node), join(root, "dev", node));
  });
  for (const way of ways) {
    const result = await docker(
      "run",
      "--rm",
      ...way,
      "s03",
      "sh",
      "-c",
      "echo x >/dev/null; test -c /dev/null && echo node",
    );
    assert.equal(result.stdout.trim(), "node", result.stderr);
    assertUntouched(way.join(" "));
  }
  assert.equal(readFileSync("/proc/sys/kernel/core_pattern", "utf8"), pattern);
});

test("S03: a directory given as /dev by the client, full of links, leads nowhere", async () => {
  const dev = mkdtempSync(join(tmpdir(), "gantry-dev-"));
  try {
    for (const node of ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue"])
      symlinkSync(join(canary, node === "pts" || node === "shm" || node === "mqueue" ? node : "file"), join(dev, node));
    await importImage(daemon, "s03-given", mirror);
    for (const way of ways) {
      await docker("run", "--rm", ...way, "-v", `${dev}:/dev`, "s03-given", "true");
      assertUntouched(way.join(" "));
    }
  } finally {
    rmSync(dev, { recursive: true, force: true });
  }
});

test("S03: mounts into a directory that another container swaps for a link stay inside, 200 times", async () => {
  const shared = mkdtempSync(join(tmpdir(), "gantry-shared-"));
  try {
    await importImage(daemon, "s03-race", mirror);
    const swap = `cd /s; mkdir -p d; while :; do mv d e; ln -s ${canary} d; rm d; mv e d; done`;
    await daemon.dockerOk(["run", "-d", "--name", "swapper", "-v", `${shared}:/s`, "s03-race", "sh", "-c", swap]);
    const create = await daemon.api("POST", "/containers/create?name=s03-victim", {
      Image: "s03-race",
      Cmd: ["true"],
      HostConfig: {
        Binds: [`${shared}:/s`, `${daemon.configFile}:/s/d/pts/file`, `${shared}:/s/d/shm`],
        Tmpfs: { "/s/d/mqueue": "" },
      },
    });
    assert.equal(create.status, 201, create.text);
    let started = 0;
    for (let round = 0; round < 200; round++) {
      const { status } = await daemon.api("POST", "/containers/s03-victim/start");
      if (status === 204) started++;
      await daemon.api("POST", "/containers/s03-victim/wait");
      assertUntouched(`round ${round}`);
    }
    assert.ok(started > 0, "no start won the race: nothing was tried");
    await daemon.dockerOk(["rm", "-f", "swapper", "s03-victim"]);
  } finally {
    rmSync(shared, { recursive: true, force: true });
  }
});

test("S16, S18: targets of binds, tmpfs, devices and the working directory are resolved inside of the container", async () => {
  await importImage(daemon, "s18-targets", (root) => {
    mirror(root);
    symlinkSync(canary, join(root, "absolute"));
    symlinkSync(`${"../".repeat(12)}${canary.slice(1)}`, join(root, "relative"));
    symlinkSync("/proc/1/root", join(root, "init"));
    symlinkSync("/proc/self/cwd", join(root, "cwd"));
    symlinkSync("/..", join(root, "up"));
  });
  for (const link of ["absolute", "relative", "init", "cwd", "up"]) {
    for (const path of [`/${link}/new`, `/${link}/pts`, `/${link}/new/deep`, `/${link}${canary}/new`]) {
      for (const way of [
        ["-v", `${daemon.configFile}:${path}`],
        ["--tmpfs", path],
        ["--device", `/dev/null:${path}`],
        ["-w", path],
      ]) {
        await docker("run", "--rm", ...way, "s18-targets", "true");
        assertUntouched(way.join(" "));
      }
    }
  }
});

test("S18: hosts, hostname, resolv.conf, mtab and .dockerenv as links, pipes and directories of the image", async () => {
  for (const target of [
    join(canary, "file"),
    `${"../".repeat(12)}${canary.slice(1)}/file`,
    "/proc/sys/kernel/core_pattern",
  ]) {
    await importImage(daemon, "s18-files", (root) => {
      mirror(root);
      writeFileSync(join(root, canary, "file"), "of the image\n");
      for (const file of ["hosts", "hostname", "resolv.conf", "mtab"]) symlinkSync(target, join(root, "etc", file));
      symlinkSync(target, join(root, ".dockerenv"));
    });
    const script = `cat /etc/hosts; for f in hosts hostname resolv.conf mtab; do echo broken >/etc/$f; done; echo broken >/.dockerenv; cat ${canary}/file`;
    const { stdout, stderr } = await docker("run", "--rm", "s18-files", "sh", "-c", script);
    assert.match(stdout, /localhost/, stderr);
    assertUntouched(target);
  }
});

test("S18: a container that puts links in place of its own /etc and restarts leads the engine nowhere", async () => {
  await importImage(daemon, "s18-restart", mirror);
  const script = `mv /etc /old; ln -s ${canary} /etc; rm -f /.dockerenv; ln -s ${canary}/file /.dockerenv; while :; do sleep 1000; done`;
  await daemon.dockerOk(["run", "-d", "--name", "s18", "s18-restart", "sh", "-c", script]);
  for (let round = 0; round < 3; round++) {
    await sleep(300);
    const restarted = await docker("restart", "-t", "0", "s18");
    assert.equal(restarted.code, 0, restarted.stderr);
    assertUntouched(`restart ${round}`);
  }
  await daemon.dockerOk(["rm", "-f", "s18"]);
});
