import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Misbehaviour, VolumePlugin, type VolumePluginOptions } from "../../../test/support/volume-plugin.ts";
import { silentLogger } from "../../base/log.ts";
import { volumeDriverSuite } from "../volumes/suite.ts";
import { createPlugins, type Plugins } from "./index.ts";
import { defaultPluginTiming, type PluginTiming } from "./timing.ts";

class World implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), "plugins-"));
  readonly sockets = join(this.dir, "sockets");
  readonly specs = join(this.dir, "specs");
  readonly specs2 = join(this.dir, "specs2");
  readonly plugins: Plugins;
  readonly warnings: string[] = [];
  readonly #running: VolumePlugin[] = [];

  constructor(timing: Partial<PluginTiming> = {}) {
    for (const path of [this.sockets, this.specs, this.specs2]) mkdirSync(path);
    this.plugins = createPlugins({
      directories: { sockets: [this.sockets], specs: [this.specs, this.specs2] },
      logger: {
        ...silentLogger,
        warn: (message, fields) => this.warnings.push(`${message} ${JSON.stringify(fields)}`),
      },
      timing: { ...defaultPluginTiming, firstPauseMs: 20, giveUpMs: 200, ...timing },
    });
  }

  async serve(where: string | number, options: Partial<VolumePluginOptions> = {}): Promise<VolumePlugin> {
    const plugin = new VolumePlugin({ directory: join(this.dir, "volumes"), ...options });
    await plugin.listen(where);
    this.#running.push(plugin);
    return plugin;
  }

  async serveOnPort(options: Partial<VolumePluginOptions>): Promise<{ readonly port: number }> {
    const plugin = new VolumePlugin({ directory: join(this.dir, "volumes"), ...options });
    this.#running.push(plugin);
    return { port: await plugin.listen(0) };
  }

  /** A plugin p at its socket. */
  p(options: Partial<VolumePluginOptions> = {}): Promise<VolumePlugin> {
    return this.serve(join(this.sockets, "p.sock"), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.plugins.close();
    for (const plugin of this.#running) await plugin.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

test("a plugin is activated once, and asked with dockerd's headers and bodies", async () => {
  await using world = new World();
  const plugin = await world.p({ scope: "global" });
  assert.deepEqual(world.plugins.activated("VolumeDriver"), []);
  const [driver, same] = await Promise.all([world.plugins.volumeDriver("p"), world.plugins.volumeDriver("p")]);
  assert.equal(driver, same);
  assert.deepEqual(world.plugins.activated("VolumeDriver"), ["p"]);
  assert.deepEqual(world.plugins.activated("authz"), []);
  assert.equal(await driver.scope(), "global");
  await driver.create("v", { a: "b" });
  await driver.create("v", {});
  const mountpoint = join(world.dir, "volumes/v");
  assert.equal(await driver.mount("v", "user1"), mountpoint);
  assert.equal(await driver.mount("v", "user2"), mountpoint);
  assert.equal(await driver.mount("v", "user2"), mountpoint);
  assert.deepEqual(plugin.mounts.get("v"), ["user1", "user2"]);
  assert.deepEqual(await driver.get("v"), {
    name: "v",
    mountpoint,
    createdAt: "2026-01-02T03:04:05Z",
    status: { users: 2 },
  });
  assert.deepEqual(await driver.list(), [{ name: "v", mountpoint, createdAt: "2026-01-02T03:04:05Z" }]);
  await driver.unmount("v", "user1");
  await assert.rejects(driver.remove("v"), { kind: "System", message: "volume v is mounted" });
  await driver.unmount("v", "user2");
  await driver.remove("v");
  await assert.rejects(driver.get("v"), { kind: "NotFound", message: "no such volume" });
  const [first, second] = plugin.calls;
  assert.deepEqual(
    { method: first?.method, ...first?.headers },
    {
      method: "Plugin.Activate",
      accept: "application/vnd.docker.plugins.v1.2+json",
      connection: "close",
      "content-length": "0",
      host: "plugin.moby.localhost",
    },
  );
  assert.deepEqual([second?.method, second?.body], ["VolumeDriver.Capabilities", {}]);
  assert.deepEqual(plugin.bodies("VolumeDriver.Create"), [{ Name: "v", Opts: { a: "b" } }]);
  assert.deepEqual(plugin.bodies("VolumeDriver.Mount")[1], { Name: "v", ID: "user2" });
  assert.equal(plugin.bodies("Plugin.Activate").length, 1);
});

test("sockets come before specifications, name.sock before name/name.sock, and directories in their order", async () => {
  await using world = new World();
  const serve = async (where: string, scope: string) => {
    const plugin = await world.serve(join(world.dir, where), { scope });
    return plugin;
  };
  await serve("elsewhere-spec.sock", "spec");
  writeFileSync(join(world.specs2, "p.spec"), "tcp://127.0.0.1:1");
  const activations: string[] = [];
  const ask = async (what: string) => {
    const plugins = createPlugins({
      directories: { sockets: [world.sockets], specs: [world.specs, world.specs2] },
      logger: silentLogger,
      timing: { ...defaultPluginTiming, giveUpMs: 0 },
    });
    try {
      await plugins.volumeDriver("p");
      activations.push(what);
    } catch (error) {
      activations.push(error instanceof Error ? error.message : "");
    } finally {
      plugins.close();
    }
  };
  await ask("second directory");
  writeFileSync(join(world.specs, "p.json"), JSON.stringify({ Name: "p", addr: "unix:///nowhere.sock" }));
  await ask("json");
  writeFileSync(join(world.specs, "p.spec"), `unix://${join(world.dir, "elsewhere-spec.sock")}\n`);
  await ask("spec");
  mkdirSync(join(world.sockets, "p"));
  const inner = await world.serve(join(world.sockets, "p/p.sock"));
  await ask("inner socket");
  assert.equal(inner.calls.length, 1);
  const outer = await world.p();
  await ask("socket");
  assert.deepEqual([inner.calls.length, outer.calls.length], [1, 1]);
  assert.deepEqual(activations, [
    'Post "http://127.0.0.1:1/Plugin.Activate": dial tcp 127.0.0.1:1: connect: connection refused',
    'Post "http://plugin.moby.localhost/Plugin.Activate": dial unix /nowhere.sock: connect: no such file or directory',
    "spec",
    "inner socket",
    "socket",
  ]);
});

test("names that lead elsewhere, and names that are nowhere, are not found at once", async () => {
  await using world = new World();
  await world.serve(join(world.dir, "outside.sock"));
  mkdirSync(join(world.sockets, "a"));
  await world.serve(join(world.sockets, "a/b.sock"));
  for (const name of [
    "",
    ".",
    "..",
    "../outside",
    "a/b",
    "/a",
    "a\0",
    ".hidden",
    "%2e%2e",
    "é",
    "x".repeat(129),
    "nope",
  ]) {
    await assert.rejects(world.plugins.volumeDriver(name), {
      kind: "NotFound",
      message: `plugin ${JSON.stringify(name)} not found`,
    });
  }
});

test("names are listed from sockets and specifications, each once, in order", async () => {
  await using world = new World();
  assert.deepEqual(await world.plugins.names(), []);
  await world.serve(join(world.sockets, "b.sock"));
  mkdirSync(join(world.sockets, "a"));
  await world.serve(join(world.sockets, "a/a.sock"));
  mkdirSync(join(world.sockets, "empty"));
  writeFileSync(join(world.sockets, "file.sock"), "");
  writeFileSync(join(world.specs, "c.json"), "{}");
  writeFileSync(join(world.specs, "b.spec"), "");
  writeFileSync(join(world.specs, ".hidden.spec"), "");
  writeFileSync(join(world.specs, "README"), "");
  mkdirSync(join(world.specs2, "d"));
  writeFileSync(join(world.specs2, "d/d.spec"), "");
  assert.deepEqual(await world.plugins.names(), ["a", "b", "c", "d"]);
});

test("a specification that cannot be used says what is wrong with it", async () => {
  await using world = new World();
  const file = join(world.specs, "p.spec");
  const json = join(world.specs, "q.json");
  const complaints: string[] = [];
  const ask = async (name: string) => {
    const message = await world.plugins.volumeDriver(name).then(
      () => "activated",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );
    complaints.push(message.replace(`${world.specs}/`, ""));
  };
  for (const text of [
    "nonsense",
    "",
    "ftp://x:1",
    "unix://relative",
    "tcp://",
    "tcp://u:p@h:1",
    `unix:///${"x".repeat(200)}`,
  ]) {
    writeFileSync(file, text);
    await ask("p");
  }
  rmSync(file);
  symlinkSync("/dev/zero", file);
  await ask("p");
  rmSync(file);
  writeFileSync(file, "x".repeat(70_000));
  await ask("p");
  for (const value of [
    "{bad",
    "[]",
    '{"Addr": 5}',
    '{"Addr": "unix:///x", "TLS": {}}',
    '{"Addr": "tcp://127.0.0.1:1", "TLSConfig": {}}',
    '{"Addr": "https://127.0.0.1:1", "TLSConfig": {"CertFile": "/x"}}',
    '{"Addr": "https://127.0.0.1:1", "TLSConfig": {"InsecureSkipVerify": "no"}}',
    '{"Addr": "https://127.0.0.1:1", "TLSConfig": {"MinVersion": 771}}',
    '{"Addr": "https://127.0.0.1:1", "TLSConfig": {"CAFile": "/not/there"}}',
  ]) {
    writeFileSync(json, value);
    await ask("q");
  }
  const needed = "unix:///path, tcp://host:port or https://host:port is needed";
  const spec = (what: string) => `plugin specification ${what}`;
  assert.deepEqual(
    complaints.map((text) => text.replace(/no JSON: .*/, "no JSON")),
    [
      spec(`p.spec: "nonsense" is no address: ${needed}`),
      spec(`p.spec: "" is no address: ${needed}`),
      spec(`p.spec: "ftp://x:1" is no address: ${needed}`),
      spec('p.spec: "unix://relative" is no socket: unix:///absolute/path is needed'),
      spec(`p.spec: "tcp://" is no address: ${needed}`),
      spec("p.spec: an address with credentials is not supported"),
      spec(`p.spec: the path of the socket is longer than 107 bytes: /${"x".repeat(199)}`),
      spec("p.spec: not a regular file"),
      spec("p.spec: larger than 64 KiB"),
      spec("q.json: no JSON"),
      spec("q.json: not an object"),
      spec("q.json: Addr must be a string"),
      spec('q.json: unknown member "TLS"'),
      spec('q.json: TLSConfig needs an https:// address: "tcp://127.0.0.1:1" is not encrypted'),
      spec("q.json: TLSConfig needs CertFile and KeyFile together"),
      spec("q.json: TLSConfig.InsecureSkipVerify must be true or false"),
      spec("q.json: TLSConfig.MinVersion is not supported"),
      "could not load TLS file of a plugin: ENOENT: no such file or directory, open '/not/there'",
    ],
  );
});

test("tcp addresses are reached, with the host that they name", async () => {
  await using world = new World();
  const port = await (async () => {
    const plugin = new VolumePlugin({ directory: join(world.dir, "volumes") });
    const listening = await plugin.listen(0);
    await plugin.close();
    return listening;
  })();
  writeFileSync(join(world.specs, "p.spec"), `tcp://localhost:${port}/ignored`);
  const plugin = await world.serve(port);
  await (await world.plugins.volumeDriver("p")).create("v", {});
  assert.equal(plugin.calls[0]?.headers.host, `localhost:${port}`);
});

test("TLS is verified where TLSConfig is there, and the client shows its certificate", async () => {
  await using world = new World();
  const file = (name: string) => join(world.dir, name);
  for (const name of ["server", "client"]) {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file(`${name}.key`)];
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
    execFileSync("openssl", ["req", "-x509", "-days", "2", ...key, ...subject, "-out", file(`${name}.pem`)], {
      stdio: "ignore",
    });
  }
  const read = (name: string) => readFileSync(file(name));
  const tls = { key: read("server.key"), cert: read("server.pem"), ca: read("client.pem"), requestCert: true };
  const { port } = await world.serveOnPort({ tls: { ...tls, rejectUnauthorized: false } });
  const client = { CertFile: file("client.pem"), KeyFile: file("client.key") };
  const ask = async (name: string, value: unknown) => {
    writeFileSync(join(world.specs, name), typeof value === "string" ? value : JSON.stringify(value));
    return world.plugins.volumeDriver(name.replace(/\..*/, "")).then(
      () => "activated",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );
  };
  const Addr = `https://127.0.0.1:${port}`;
  assert.equal(await ask("mutual.json", { Addr, TLSConfig: { ...client, CAFile: file("server.pem") } }), "activated");
  assert.equal(await ask("blind.json", { Addr, TLSConfig: { ...client, InsecureSkipVerify: true } }), "activated");
  assert.match(await ask("system.json", { Addr, TLSConfig: client }), /^Post "https:.*self-signed certificate/);
  assert.match(await ask("wrong.json", { Addr, TLSConfig: { CAFile: file("client.pem") } }), /self-signed certificate/);
  assert.equal(await ask("unverified.spec", Addr), "activated");
  writeFileSync(file("junk.pem"), "junk");
  assert.match(
    await ask("junk.json", {
      Addr,
      TLSConfig: { CAFile: file("server.pem"), CertFile: file("junk.pem"), KeyFile: file("junk.pem") },
    }),
    /^plugin "junk": /,
  );
});

test("what implements no volumes is refused by dockerd's words, and asked again when it was replaced", async () => {
  await using world = new World();
  const network = await world.p({ implements: ["NetworkDriver"] });
  await assert.rejects(world.plugins.volumeDriver("p"), {
    kind: "System",
    message:
      'legacy plugin: Plugin does not implement the requested driver: plugin="p", requested implementation="VolumeDriver"',
  });
  assert.deepEqual(world.plugins.activated("NetworkDriver"), ["p"]);
  await network.close();
  await world.p();
  await world.plugins.volumeDriver("p");
  assert.deepEqual(world.plugins.activated("NetworkDriver"), []);
});

test("a plugin that is just starting is tried again; one that was given up is tried once, until it answers", async () => {
  await using world = new World({ giveUpMs: 20_000 });
  const plugin = await world.p();
  const driver = await world.plugins.volumeDriver("p");
  await plugin.close();
  const created = driver.create("v", {});
  while (world.warnings.length === 0) await sleep(5);
  await plugin.listen(join(world.sockets, "p.sock"));
  await created;
  assert.match(world.warnings.join("\n"), /plugin cannot be reached .*no such file or directory/);

  await using hasty = new World({ giveUpMs: 400 });
  const dead = await hasty.p();
  const other = await hasty.plugins.volumeDriver("p");
  await dead.close();
  const unreached = {
    kind: "System",
    message: `Post "http://plugin.moby.localhost/VolumeDriver.Remove": dial unix ${hasty.sockets}/p.sock: connect: no such file or directory`,
  };
  await assert.rejects(other.remove("v"), unreached);
  const pauses = hasty.warnings.length;
  assert.ok(pauses >= 1 && pauses <= 4, String(pauses));
  await assert.rejects(other.remove("v"), unreached);
  assert.equal(hasty.warnings.length, pauses);
  // It comes back as name/name.sock.
  mkdirSync(join(hasty.sockets, "p"));
  await dead.listen(join(hasty.sockets, "p/p.sock"));
  await other.create("v", {});
  await other.remove("v");
});

test("a list does not wait for a dead plugin", async () => {
  await using world = new World();
  const plugin = await world.p();
  const driver = await world.plugins.volumeDriver("p");
  await plugin.close();
  await assert.rejects(driver.list(), /VolumeDriver\.List": dial unix .*: connect: no such file or directory/);
  assert.equal(await driver.scope(), "local");
  assert.deepEqual(await world.plugins.names(), ["p"]);
  assert.doesNotMatch(world.warnings.join("\n"), /cannot be reached/);
});

test("bad answers are clear errors, each within its time", async () => {
  await using world = new World({ longMs: 400, shortMs: 400, activateMs: 400 });
  const plugin = await world.p();
  const driver = await world.plugins.volumeDriver("p");
  await driver.create("v", {});
  const answer = (body: unknown): Misbehaviour => ({ kind: "answer", body });
  const unusable = (what: string) => `the plugin's answer cannot be used: ${what}`;
  const list = () => driver.list();
  const get = () => driver.get("v");
  const mount = () => driver.mount("v", "u");
  const create = () => driver.create("new", {});
  const cases: readonly (readonly [string, () => Promise<unknown>, Misbehaviour, string | RegExp])[] = [
    ["Create", create, answer({ Err: "quota exceeded" }), "quota exceeded"],
    ["Create", create, answer({ err: "quota exceeded" }), "quota exceeded"],
    ["Create", create, { kind: "answer", status: 500, body: { Err: "boom" } }, "VolumeDriver.Create: boom"],
    ["Create", create, { kind: "text", status: 500, text: "boom\n" }, "VolumeDriver.Create: boom"],
    [
      "Create",
      create,
      { kind: "text", status: 302, text: "" },
      "VolumeDriver.Create: the plugin answered with status 302",
    ],
    ["Create", create, answer({ Err: 5 }), `VolumeDriver.Create: ${unusable("Err is no string")}`],
    ["Create", create, answer([]), `VolumeDriver.Create: ${unusable("it is no object")}`],
    ["Create", create, { kind: "text", text: "" }, /^VolumeDriver\.Create: the plugin's answer is no JSON/],
    ["Create", create, { kind: "text", text: "<html>" }, /^VolumeDriver\.Create: the plugin's answer is no JSON/],
    ["Create", create, { kind: "silence" }, "VolumeDriver.Create: the plugin has not answered within 1 s"],
    [
      "Create",
      create,
      { kind: "endless", chunk: " ", everyMs: 10 },
      "VolumeDriver.Create: the plugin has not answered within 1 s",
    ],
    [
      "Create",
      create,
      { kind: "text", text: " ".repeat(1_100_000) },
      "VolumeDriver.Create: the plugin's answer is larger than 1 MiB",
    ],
    [
      "Create",
      create,
      { kind: "cut" },
      'Post "http://plugin.moby.localhost/VolumeDriver.Create": connection reset by peer',
    ],
    ["Create", create, { kind: "cut", after: '{"Err"' }, "VolumeDriver.Create: the plugin's answer broke off"],
    ["Get", get, answer({ Err: "boom" }), "no such volume"],
    ["Get", get, answer({ Volume: null }), "no such volume"],
    ["Get", get, answer({ Volume: [] }), `VolumeDriver.Get: ${unusable("a volume is no object")}`],
    [
      "Get",
      get,
      answer({ Volume: { Name: "../v" } }),
      `VolumeDriver.Get: ${unusable('"../v" is no name for a volume')}`,
    ],
    ["Get", get, answer({ Volume: { Name: "w" } }), "VolumeDriver.Get: the plugin answered for volume w in place of v"],
    [
      "Get",
      get,
      answer({ Volume: { Name: "v", Mountpoint: 5 } }),
      `VolumeDriver.Get: ${unusable("Mountpoint is no string")}`,
    ],
    [
      "Get",
      get,
      answer({ Volume: { Name: "v", CreatedAt: "yesterday" } }),
      `VolumeDriver.Get: ${unusable('"yesterday" is no time of RFC 3339')}`,
    ],
    ["Get", get, answer({ Volume: { Name: "v", Status: 1 } }), `VolumeDriver.Get: ${unusable("Status is no object")}`],
    [
      "Get",
      get,
      { kind: "text", text: `{"Volume":{"Name":"v","Status":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}}` },
      `VolumeDriver.Get: ${unusable("Status is nested more than 20 deep")}`,
    ],
    [
      "Mount",
      mount,
      answer({ Mountpoint: "rel/x" }),
      `VolumeDriver.Mount: ${unusable('the mountpoint "rel/x" is no absolute path')}`,
    ],
    [
      "Mount",
      mount,
      answer({ Mountpoint: "/" }),
      `VolumeDriver.Mount: ${unusable("the mountpoint is the root of the host")}`,
    ],
    [
      "Mount",
      mount,
      answer({ Mountpoint: "//.//" }),
      `VolumeDriver.Mount: ${unusable("the mountpoint is the root of the host")}`,
    ],
    [
      "Mount",
      mount,
      answer({ Mountpoint: "/tmp/../etc" }),
      `VolumeDriver.Mount: ${unusable('the mountpoint "/tmp/../etc" has ".." in it')}`,
    ],
    [
      "Mount",
      mount,
      answer({ Mountpoint: "/tmp/\0" }),
      `VolumeDriver.Mount: ${unusable('the mountpoint "/tmp/\\u0000" is no path')}`,
    ],
    ["Mount", mount, answer({ Mountpoint: `/${"x".repeat(5000)}` }), /the mountpoint "\/x{199}…" is no path$/],
    ["Mount", mount, answer({}), "VolumeDriver.Mount: the plugin names no mountpoint of volume v"],
    [
      "Mount",
      mount,
      answer({ Mountpoint: "/not/there" }),
      /^VolumeDriver\.Mount: the mountpoint that the plugin names: ENOENT/,
    ],
    [
      "List",
      list,
      answer({ Volumes: {} }),
      "VolumeDriver.List: the plugin's answer cannot be used: Volumes is no list",
    ],
    ["List", list, answer({ Err: "boom" }), "boom"],
  ];
  for (const [verb, ask, what, message] of cases) {
    plugin.behave();
    plugin.misbehave(`VolumeDriver.${verb}`, what);
    await assert.rejects(ask(), { message }, `${verb} ${JSON.stringify(what).slice(0, 200)}`);
  }
  plugin.behave();
  assert.deepEqual(plugin.mounts.get("v") ?? [], []);
  assert.equal(plugin.bodies("VolumeDriver.Unmount").length, 8);
  assert.equal((await driver.get("v")).name, "v");
});

test("a bad handshake is an error, and made anew by the next who asks", async () => {
  await using world = new World({ activateMs: 400 });
  const plugin = await world.p();
  for (const [what, message] of [
    [
      { kind: "answer", body: { Implements: "VolumeDriver" } },
      "Plugin.Activate: the plugin's answer cannot be used: Implements is no list of strings",
    ],
    [{ kind: "answer", body: 5 }, "Plugin.Activate: the plugin's answer cannot be used: it is no object"],
    [{ kind: "silence" }, "Plugin.Activate: the plugin has not answered within 1 s"],
  ] as const) {
    plugin.misbehave("Plugin.Activate", what);
    await assert.rejects(world.plugins.volumeDriver("p"), { kind: "System", message });
  }
  plugin.behave();
  await world.plugins.volumeDriver("p");
});

test("volumes of a list that cannot be used are left out and logged; the others are listed", async () => {
  await using world = new World();
  const plugin = await world.p();
  const driver = await world.plugins.volumeDriver("p");
  const volumes = [
    { Name: "../x" },
    { Name: "pool/x" },
    null,
    "x",
    { Name: "ok", mountpoint: "/mnt//ok/" },
    { Name: "rel", Mountpoint: "a" },
  ];
  plugin.misbehave("VolumeDriver.List", { kind: "answer", body: { Volumes: volumes } });
  assert.deepEqual(await driver.list(), [
    { name: "pool/x", mountpoint: "" },
    { name: "ok", mountpoint: "/mnt/ok" },
  ]);
  assert.deepEqual(world.warnings, [
    'volumes of a plugin are left out {"plugin":"p","volumes":4,"first":"VolumeDriver.List: the plugin\'s answer cannot be used: \\"../x\\" is no name for a volume"}',
  ]);
  plugin.misbehave("VolumeDriver.List", { kind: "answer", body: { Volumes: null } });
  assert.deepEqual(await driver.list(), []);
});

test("volumes are local where a plugin does not say", async () => {
  for (const body of [{}, { Capabilities: { Scope: "universe" } }, { Capabilities: 5 }, { Err: "what?" }]) {
    await using world = new World();
    const plugin = await world.p();
    plugin.misbehave("VolumeDriver.Capabilities", { kind: "answer", body });
    assert.equal(await (await world.plugins.volumeDriver("p")).scope(), "local");
  }
});

test("closing ends what is under way", async () => {
  await using world = new World();
  const plugin = await world.p();
  const driver = await world.plugins.volumeDriver("p");
  plugin.misbehave("VolumeDriver.Get", { kind: "silence" });
  const asked = assert.rejects(driver.get("v"), { kind: "Cancelled", message: "the daemon is stopping" });
  while (plugin.bodies("VolumeDriver.Get").length === 0) await sleep(5);
  world.plugins.close();
  await asked;
});

/** Titles do not depend on the subject's driver. */
const titles = volumeDriverSuite({
  name: "plugin",
  create: () => Promise.reject(new Error("not to be run")),
  options: {},
  deletesData: true,
  refused: {},
}).map(({ title }) => title);

for (const [i, title] of titles.entries()) {
  test(title, async () => {
    await using world = new World();
    const plugin = await world.p();
    plugin.refusedOption = "nonsense";
    const create = () =>
      createPlugins({
        directories: { sockets: [world.sockets], specs: [] },
        logger: silentLogger,
      }).volumeDriver("p");
    const suite = volumeDriverSuite({
      name: "plugin",
      create,
      options: { size: "1G" },
      deletesData: true,
      refused: { nonsense: "1" },
    });
    assert.deepEqual(await suite[i]?.run(), []);
  });
}
