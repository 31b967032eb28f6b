// Mounts: nothing of a container shows on the host, nothing of the host is kept busy by a shim, and a host with shared
// mounts keeps its propagation into and out of containers. Runs itself again in a mount namespace with shared mounts.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { all, collect, demux, endContainer, runToEnd, started } from "./shim-client-side.ts";
import { ShimWorld } from "./shim-fixture.ts";

const shared = process.env["GANTRY_TEST_SHARED_MOUNTS"] === "1";

if (!shared)
  test("all of this holds on a host whose mounts are shared", () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const inner = spawnSync(
      "unshare",
      ["--mount", "--propagation", "shared", process.execPath, "--test", import.meta.filename],
      { env: { ...env, GANTRY_TEST_SHARED_MOUNTS: "1" }, encoding: "utf8" },
    );
    assert.equal(inner.status, 0, inner.stdout + inner.stderr);
  });

let world: ShimWorld;
before(() => {
  world = new ShimWorld();
});
after(async () => {
  await world.dispose();
});

const mounts = (): string => readFileSync("/proc/self/mountinfo", "utf8");

/** The mounts that could be a shim's work, without those that others make meanwhile. */
const ours = (): readonly string[] =>
  mounts()
    .split("\n")
    .filter((line) => line.includes(world.dir) || line.includes("/sys/fs/cgroup"));

test("the container's root, the network file and the hidden hierarchy show on the host neither before nor after the start", async () => {
  const before = ours();
  const c = await world.spawn({ args: ["sleep", "1000"], network: world.bridgeNetwork("mounted000") });
  assert.deepEqual(ours(), before);
  await started(c.shim);
  assert.deepEqual(ours(), before);
  await endContainer(c);
  assert.deepEqual(ours(), before);
});

test("a shim whose container runs has no mount namespace of its own: it keeps nothing of the host busy", async () => {
  const busy = join(world.dir, "busy");
  mkdirSync(busy);
  execFileSync("mount", ["-t", "tmpfs", "shim-test", busy]);
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  await c.shim.state(); // leaving comes after run's answer
  assert.equal(readlinkSync(`/proc/${c.shim.identity.pid}/ns/mnt`), readlinkSync("/proc/self/ns/mnt"));
  execFileSync("umount", [busy]);
  for (const pid of [c.shim.identity.pid, process.pid])
    assert.equal(readFileSync(`/proc/${pid}/mounts`, "utf8").includes("shim-test"), false);
  const exec = await runToEnd(world, { args: ["echo", "still"] });
  assert.equal(demux(exec.output).stdout.toString(), "still\n");
  await endContainer(c);
});

test("a mount made in a container shows on the host through an rshared bind, where the host shares it", {
  skip: !shared,
}, async () => {
  const dir = join(world.dir, "bound");
  mkdirSync(join(dir, "inner"), { recursive: true });
  execFileSync("mount", ["--bind", dir, dir]);
  execFileSync("mount", ["--make-shared", dir]);
  const options = world.prepare({
    args: ["sh", "-c", "mount -t tmpfs from-inside /bound/inner && sleep 1000"],
    mounts: [{ destination: "/bound", type: "bind", source: dir, options: ["rbind", "rshared"] }],
    rootfsPropagation: "shared",
    capabilities: ["CAP_SYS_ADMIN"],
  });
  const shim = await world.shims.spawn(options);
  await started(shim);
  for (let i = 0; i < 200 && !mounts().includes("from-inside"); i++) await new Promise((r) => setTimeout(r, 10));
  assert.match(mounts(), /from-inside/);
  execFileSync("umount", [join(dir, "inner")]);
  await endContainer({ shim });
  execFileSync("umount", [dir]);
});

test("a mount made on the host shows in a container through an rslave bind, where the host shares it", {
  skip: !shared,
}, async () => {
  const dir = join(world.dir, "slave");
  mkdirSync(join(dir, "inner"), { recursive: true });
  const c = await world.spawn({
    args: ["sh", "-c", "while ! grep -q from-outside /proc/self/mounts; do sleep 0.01; done; echo seen"],
    mounts: [{ destination: "/bound", type: "bind", source: dir, options: ["rbind", "rslave"] }],
    rootfsPropagation: "slave",
  });
  const { duplex } = await c.shim.attach("init", { ...all, stdin: false });
  const output = collect(duplex);
  await started(c.shim);
  execFileSync("mount", ["-t", "tmpfs", "from-outside", join(dir, "inner")]);
  assert.equal(demux(await output).stdout.toString(), "seen\n");
  await c.shim.gone;
  execFileSync("umount", [join(dir, "inner")]);
});

test("a hidden cgroup2 hierarchy stays where it is on the host", {
  skip: !existsSync("/sys/fs/cgroup/unified/cgroup.procs"),
}, async () => {
  await runToEnd(world, { args: ["true"] });
  assert.ok(existsSync("/sys/fs/cgroup/unified/cgroup.procs"));
});

test("a read-only root refuses writes", async () => {
  const ran = await runToEnd(world, { args: ["sh", "-c", "echo x > /file || echo refused"], readonlyRoot: true });
  assert.match(demux(ran.output).stdout.toString(), /refused/);
});
