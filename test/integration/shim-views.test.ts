// What a container sees beside its root: parts of volumes and of images, found inside of them by the shim, with the attributes of a
// bind of the whole, and gone with the container. And how the runtime's read-only binds treat what is mounted below them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { demux, endContainer, runToEnd, started } from "./shim-client-side.ts";
import { type ContainerSetup, ShimWorld } from "./shim-fixture.ts";

type View = NonNullable<ContainerSetup["views"]>[number];

let world: ShimWorld;
/** A volume's data, as it is on the host. */
let data: string;
/** A directory of the host beside it. */
let canary: string;
before(() => {
  world = new ShimWorld();
  data = join(world.dir, "volume/_data");
  canary = join(world.dir, "canary");
  mkdirSync(join(data, "real/below"), { recursive: true });
  mkdirSync(canary);
  writeFileSync(join(data, "real/file"), "in the volume\n");
  writeFileSync(join(canary, "secret-of-the-host"), "host");
  for (const name of ["below-one", "one", "two"]) mkdirSync(join(world.dir, "layers", name), { recursive: true });
  writeFileSync(join(world.dir, "layers/one/lower"), "1");
  writeFileSync(join(world.dir, "layers/two/upper"), "2");
});
after(async () => {
  await world.dispose();
});

const part = (source: string | undefined, readonly = false): View => ({
  name: "0",
  tree: { kind: "path", path: data, isSocket: false },
  source,
  readonly,
  at: "/m",
});
const layers = (names: readonly string[], source?: string): View => ({
  name: "0",
  tree: { kind: "layers", lower: names.map((name) => join(world.dir, "layers", name)), writable: undefined },
  source,
  readonly: true,
  at: "/m",
});

async function output(script: string, setup: Omit<ContainerSetup, "args">): Promise<string> {
  const ran = await runToEnd(world, { ...setup, args: ["sh", "-c", script] });
  const { stdout, stderr } = demux(ran.output);
  assert.equal(existsSync(join(ran.container.options.runDir, "views")), false);
  return String(stdout) + String(stderr);
}

const hostMounts = (): string =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(world.dir))
    .join("\n");

/** Options of the mount at /m, as the container sees them. */
const optionsOf =
  'while read a; do case "$a" in *\' /m \'*) set -- $a; echo "$6 $7";; esac; done < /proc/self/mountinfo';

test("a directory of a volume is seen alone, can be written, and what is written is the volume's", async () => {
  assert.equal(
    await output("ls /m; echo new > /m/new; cat /m/file", { views: [part("real")] }),
    "below\nfile\nin the volume\n",
  );
  assert.equal(readFileSync(join(data, "real/new"), "utf8"), "new\n");
  rmSync(join(data, "real/new"));
});

test("a part of a volume has the attributes of a bind of all of it, and is ro where the bind of it says so", async () => {
  const whole = { mounts: [{ destination: "/m", type: "bind", source: data, options: ["rbind", "rprivate"] }] };
  const plain = await output(optionsOf, whole);
  assert.match(plain, /^rw,/);
  assert.equal(await output(optionsOf, { views: [part("real")] }), plain);
  const readonly = { ...part("real", true), options: ["bind", "rprivate", "ro"] };
  assert.equal(
    await output(`${optionsOf}; echo x > /m/x`, { views: [readonly] }),
    `${plain.replace(/^rw/, "ro")}sh: can't create /m/x: Read-only file system\n`,
  );
});

test("a file, a socket and a named pipe of a volume can be seen like directories", async () => {
  const server = createServer().listen(join(data, "socket"));
  await once(server, "listening");
  execFileSync("mkfifo", [join(data, "pipe")]);
  assert.equal(await output("cat /m", { views: [part("real/file")] }), "in the volume\n");
  assert.match(await output("ls -l /m", { views: [part("socket")] }), /^s/);
  assert.match(await output("ls -l /m", { views: [part("pipe", true)] }), /^p/);
  server.close();
  rmSync(join(data, "pipe"));
});

test("links in a volume lead on inside of it and nowhere else", async () => {
  symlinkSync("/", join(data, "root"));
  symlinkSync("/real", join(data, "absolute"));
  symlinkSync("../../../../../../../../../real", join(data, "above"));
  symlinkSync(`/proc/self/root${canary}`, join(data, "magic"));
  symlinkSync(canary, join(data, "out"));
  symlinkSync("nowhere", join(data, "dangling"));
  symlinkSync("loop", join(data, "loop"));
  for (const source of ["absolute", "above", "root/real", "root/absolute/below/..", "../real", "real/../../../real"])
    assert.match(await output("ls /m", { views: [part(source)] }), /^below\nfile\n/, source);
  for (const source of ["out", "magic", `..${canary}`, "dangling", `root${canary}`, "missing", "real/missing"]) {
    const path = `${data}/${source}`;
    await assert.rejects(world.shims.spawn(world.prepare({ args: ["true"], views: [part(source)] })), {
      kind: "NotFound",
      message: `cannot access path ${path}: lstat ${path}: no such file or directory`,
    });
  }
  await assert.rejects(world.shims.spawn(world.prepare({ args: ["true"], views: [part("loop")] })), {
    kind: "System",
    message: `error while resolving symlinks in combined path "${data}/loop": too many links`,
  });
  await assert.rejects(world.shims.spawn(world.prepare({ args: ["true"], views: [part("real/file/x")] })), {
    kind: "System",
    message: `error while resolving symlinks in combined path "${data}/real/file/x": not a directory`,
  });
});

test("an image of one layer and of several can be seen, wholly and in part, and never written", async () => {
  const refused = "sh: can't create /m/x: Read-only file system\n";
  assert.equal(await output("ls /m; echo x > /m/x", { views: [layers(["one"])] }), `lower\n${refused}`);
  assert.equal(await output("ls /m; echo x > /m/x", { views: [layers(["two", "one"])] }), `lower\nupper\n${refused}`);
  assert.equal(await output("cat /m", { views: [layers(["two", "one"], "lower")] }), "1");
  const capable = { capabilities: ["CAP_SYS_ADMIN"] };
  const remount = "mount -o remount,rw,bind /m 2>/dev/null; mount -o remount,rw /m 2>/dev/null; echo x > /m/x";
  assert.match(await output(remount, { views: [layers(["one"])], ...capable }), /Read-only file system/);
  assert.deepEqual(readdirSync(join(world.dir, "layers/one")), ["lower"]);
});

test("views show on the host neither before nor while the container runs, and vanish with it and with a failed start", async () => {
  const quiet = hostMounts();
  const views = [
    part("real"),
    { ...layers(["one"]), name: "1", at: "/i" },
    { ...part("real/file"), name: "2", at: "/f" },
  ];
  const c = await world.spawn({ args: ["sleep", "1000"], views });
  assert.equal(hostMounts(), quiet);
  await started(c.shim);
  assert.equal(hostMounts(), quiet);
  await endContainer(c);
  assert.equal(hostMounts(), quiet);
  assert.deepEqual(readdirSync(c.options.runDir), ["config.json"]);

  const options = world.prepare({ args: ["true"], views: [...views, { ...part("missing"), name: "3", at: "/x" }] });
  await assert.rejects(world.shims.spawn(options), { kind: "NotFound" });
  assert.equal(hostMounts(), quiet);
  assert.deepEqual(readdirSync(options.runDir), ["config.json"]);

  const abandoned = await world.spawn({ args: ["true"], views });
  await abandoned.shim.abandon();
  await abandoned.shim.gone;
  assert.deepEqual(readdirSync(abandoned.options.runDir), ["config.json"]);
});

test("a view with a target is a step's: a container that asks for one is refused", async () => {
  const options = world.prepare({ args: ["true"], views: [part("real")] });
  const views = options.views?.map((view) => ({ ...view, target: "/m" }));
  await assert.rejects(world.shims.spawn({ ...options, views }), /invalid target of a view/);
});

test("a read-only bind of the runtime covers what is mounted below it where that is asked for, and only then", async () => {
  const host = join(world.dir, "mounted");
  mkdirSync(join(host, "sub"), { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "shim-views", join(host, "sub")]);
  try {
    const write = "for f in /m/top /m/sub/x; do if echo x > $f; then echo wrote $f; fi; done 2>/dev/null";
    const bound = (...options: string[]): Promise<string> =>
      output(write, { mounts: [{ destination: "/m", type: "bind", source: host, options }] });
    assert.equal(await bound("rbind", "rprivate"), "wrote /m/top\nwrote /m/sub/x\n");
    assert.equal(await bound("rbind", "rprivate", "ro"), "wrote /m/sub/x\n");
    assert.equal(await bound("rbind", "rprivate", "ro", "rro"), "");
    // Without its submounts there is only the directory below. (To crun 1.8 any "r" of a propagation is one of the bind as well.)
    assert.equal(await bound("bind", "private", "ro"), "");
    assert.equal(await bound("bind", "private"), "wrote /m/top\nwrote /m/sub/x\n");
    assert.deepEqual(readdirSync(join(host, "sub")), ["x"]);
  } finally {
    execFileSync("umount", [join(host, "sub")]);
  }
  assert.deepEqual(readdirSync(join(host, "sub")), ["x"]);
});
