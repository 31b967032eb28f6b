// Volume plugins through the daemon: what dockerd 28.5 does with the same plugin, and that no answer of one harms the daemon. Needs root
// and the docker CLI.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";
import { VolumePlugin } from "../support/volume-plugin.ts";

let daemon: TestDaemon;
let plugin: VolumePlugin;
let volumes: string;
let socket: string;

before(async () => {
  daemon = new TestDaemon();
  const dir = join(daemon.dir, "plugins");
  mkdirSync(dir);
  daemon.writeConfig({ "plugin-dirs": [dir] });
  volumes = join(daemon.dir, "plugin-volumes");
  socket = join(dir, "box.sock");
  plugin = new VolumePlugin({ directory: volumes, scope: "global" });
  await plugin.listen(socket);
  await daemon.start();
  await importImage(daemon, "t", (root) => {
    mkdirSync(join(root, "data"));
    writeFileSync(join(root, "data/of-the-image"), "image");
  });
});

after(async () => {
  try {
    await daemon[Symbol.asyncDispose]();
  } finally {
    await plugin.close();
  }
});

const said = (json: unknown): string => (json as { readonly message: string }).message;

test("a plugin's volume is made, shown with its status, listed and removed as dockerd does", async () => {
  const created = await daemon.api("POST", "/volumes/create", {
    Name: "v1",
    Driver: "box",
    DriverOpts: { size: "1G" },
    Labels: { a: "b" },
  });
  assert.equal(created.status, 201, created.text);
  assert.deepEqual(plugin.bodies("VolumeDriver.Create"), [{ Name: "v1", Opts: { size: "1G" } }]);
  const again = await daemon.api("POST", "/volumes/create", { Name: "v1", Driver: "box" });
  assert.equal(again.status, 201, again.text);
  assert.equal(plugin.bodies("VolumeDriver.Create").length, 1);
  const { json } = await daemon.api("GET", "/volumes/v1");
  assert.deepEqual(json, {
    Name: "v1",
    Driver: "box",
    Mountpoint: join(volumes, "v1"),
    CreatedAt: "2026-01-02T03:04:05Z",
    Status: { users: 0 },
    Labels: { a: "b" },
    Scope: "global",
    Options: { size: "1G" },
  });
  assert.equal(await daemon.dockerOk(["volume", "ls", "-q", "-f", "driver=box"]), "v1");
  assert.match(
    await daemon.dockerOk(["info", "-f", "{{json .Plugins.Volume}}"]),
    /^\["box","local"\]$|^\["local","box"\]$/,
  );
  const other = await daemon.api("POST", "/volumes/create", { Name: "v1", Driver: "local" });
  assert.equal(other.status, 409, other.text);
  assert.equal(await daemon.dockerOk(["volume", "rm", "v1"]), "v1");
  assert.deepEqual(readdirSync(volumes), []);
});

test("a container has it, filled from the image; each container is a user with its own ID, told when it ends", async () => {
  const run = ["run", "-d", "--volume-driver", "box", "-v", "v2:/data", "t", "sleep", "1000"];
  const [one, two] = [await daemon.dockerOk(run), await daemon.dockerOk(run)];
  assert.equal(readFileSync(join(volumes, "v2/of-the-image"), "utf8"), "image");
  await daemon.dockerOk(["exec", one, "sh", "-c", "echo hello >/data/f"]);
  assert.equal(await daemon.dockerOk(["exec", two, "cat", "/data/f"]), "hello");
  const users = plugin.mounts.get("v2") ?? [];
  assert.equal(new Set(users).size, 2);
  assert.match(await daemon.dockerOk(["inspect", "-f", "{{json .Mounts}}", one]), /"Driver":"box"/);
  const busy = await daemon.api("DELETE", "/volumes/v2");
  assert.equal(busy.status, 409, busy.text);
  await daemon.dockerOk(["rm", "-f", one]);
  assert.equal(plugin.mounts.get("v2")?.length, 1);
  await daemon.dockerOk(["rm", "-f", two]);
  assert.deepEqual(plugin.mounts.get("v2"), []);
  await daemon.dockerOk(["volume", "rm", "v2"]);
});

test("an anonymous volume of a plugin goes with its container", async () => {
  const mount = "type=volume,volume-driver=box,dst=/anon,volume-opt=k=v";
  await daemon.dockerOk(["run", "--rm", "--mount", mount, "t", "touch", "/anon/x"]);
  assert.deepEqual(plugin.bodies("VolumeDriver.Create").at(-1)?.["Opts"], { k: "v" });
  assert.deepEqual(readdirSync(volumes), []);
});

test("after kill -9 of the daemon a running container's volume is still mounted for it once, and is let go at its end", async () => {
  const run = ["run", "-d", "--volume-driver", "box", "-v", "v3:/data", "t", "sleep", "1000"];
  const id = await daemon.dockerOk(run);
  const users = plugin.mounts.get("v3");
  assert.equal(users?.length, 1);
  await daemon.kill9();
  await daemon.start();
  assert.deepEqual(plugin.mounts.get("v3"), users);
  assert.equal((await daemon.api("DELETE", "/volumes/v3")).status, 409);
  await daemon.dockerOk(["rm", "-f", id]);
  assert.deepEqual(plugin.mounts.get("v3"), []);
  await daemon.dockerOk(["volume", "rm", "v3"]);
});

test("a plugin that went away is a warning of the list, and works again when it is back", async () => {
  await daemon.dockerOk(["volume", "create", "-d", "box", "v4"]);
  await plugin.close();
  const list = await daemon.api("GET", "/volumes");
  await daemon.restart();
  const later = await daemon.api("GET", "/volumes");
  const removed = await daemon.api("DELETE", "/volumes/v4");
  await plugin.listen(socket);
  assert.deepEqual([list.status, later.status, removed.status], [200, 200, 404]);
  const notFound = 'plugin "box" not found';
  assert.deepEqual((later.json as { readonly Warnings: unknown }).Warnings, [`list box: ${notFound}`]);
  assert.equal(said(removed.json), `remove v4: error looking up volume plugin box: ${notFound}`);
  const { Warnings } = list.json as { readonly Warnings: readonly string[] | null };
  assert.match(Warnings?.join("\n") ?? "", /^list box: .*VolumeDriver\.List.*no such file or directory$/);
  assert.equal(await daemon.dockerOk(["volume", "ls", "-q"]), "v4");
  await daemon.dockerOk(["run", "--rm", "-v", "v4:/x", "t", "true"]);
  await daemon.dockerOk(["volume", "rm", "v4"]);
});

test("drivers that there are not are refused by dockerd's words, nothing is left of the container", async () => {
  for (const name of ["nope", "../box", "plugins/box", "a\0b", "x".repeat(5000)]) {
    const { status, json } = await daemon.api("POST", "/volumes/create", { Name: "w", Driver: name });
    assert.equal(status, 404, name);
    assert.match(said(json), /^create w: error looking up volume plugin .* not found$/s);
  }
  const failed = await daemon.api("POST", "/containers/create", {
    Image: "t",
    Cmd: ["true"],
    HostConfig: { VolumeDriver: "nope", Binds: ["w:/x"] },
  });
  assert.deepEqual(
    [failed.status, said(failed.json)],
    [404, 'create w: error looking up volume plugin nope: plugin "nope" not found'],
  );
  assert.equal(await daemon.dockerOk(["ps", "-aq"]), "");
  assert.equal(await daemon.dockerOk(["volume", "ls", "-q"]), "");
});

test("what a plugin answers badly is the request's error; the daemon goes on, and nothing stays mounted", async () => {
  await daemon.dockerOk(["volume", "create", "-d", "box", "v5"]);
  const run = ["run", "--rm", "-v", "v5:/x", "t", "true"];
  for (const [body, message] of [
    [{ Err: "cannot mount" }, /cannot mount/],
    [{ Mountpoint: "/" }, /the mountpoint is the root of the host/],
    [{ Mountpoint: "rel" }, /the mountpoint "rel" is no absolute path/],
    [{ Mountpoint: "/not/there" }, /ENOENT: no such file or directory/],
    [{ Mountpoint: ["/tmp"] }, /Mountpoint is no string/],
  ] as const) {
    plugin.misbehave("VolumeDriver.Mount", { kind: "answer", body });
    const result = await daemon.docker(run);
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, message);
  }
  plugin.behave();
  assert.deepEqual(plugin.mounts.get("v5") ?? [], []);
  plugin.misbehave("VolumeDriver.List", { kind: "answer", body: { Volumes: [null, { Name: "../x" }, 5] } });
  assert.equal(await daemon.dockerOk(["volume", "ls", "-q"]), "v5");
  plugin.misbehave("VolumeDriver.Get", { kind: "text", text: "[".repeat(200_000) });
  assert.equal((await daemon.api("GET", "/volumes/v5")).status, 500);
  plugin.behave();
  plugin.misbehave("VolumeDriver.Remove", { kind: "answer", body: { Err: "held by somebody" } });
  const kept = await daemon.api("DELETE", "/volumes/v5");
  assert.deepEqual([kept.status, said(kept.json)], [500, "remove v5: held by somebody"]);
  plugin.behave();
  assert.equal(existsSync(join(volumes, "v5")), true);
  await daemon.dockerOk(["volume", "rm", "v5"]);
  assert.equal(existsSync(join(volumes, "v5")), false);
});
