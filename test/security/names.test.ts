// S17: whatever names something in the API (ids, names, references, tags, digests, drivers, plugins, snapshots) never leads to a
// path: hostile strings in every such place are the client's error, and nothing on disk has changed at the end.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";

const root = join(import.meta.dirname, "../..");
const long = "x".repeat(4096);

/** None of them can be the name of anything; all of them are looked up, and given as names. */
const hostile: readonly string[] = [
  "/",
  "//",
  ".",
  "..",
  "...",
  "./.",
  "../",
  "../..",
  "../../etc",
  "../../etc/passwd",
  "a/../../b",
  "a/..",
  "/../x",

  "/etc/passwd",
  "/proc/self/root",
  "/dev/zero",
  "~root",
  "~/x",
  "..\\..\\x",
  "C:\\x",
  "file:///etc/passwd",
  "//h/x",
  "%2e%2e",
  "%2e%2e%2fetc",
  "..%2f..%2fx",
  "%252e%252e%252f",
  "..%c0%afx",
  "%00",
  "..;/x",
  "%0d%0aX: y",
  "%zz",
  "\0",
  "a\0b",
  "../x\0",
  "\u0001",
  "\u001b[31mx",
  "\u007f",
  "\u0085",
  "a\nb",
  "\r\nX: y",
  "x\t",
  " ",
  " x",
  "x y",
  "é",
  "日本",
  "😀",
  "\u202ex",
  "\ufeffx",
  "ａ",
  "../".repeat(1000),
  `../${long}`,
  `/${long}/`,
  `${long}/x`,

  "-",
  "--privileged",
  "-rf",
  "*",
  "[a]*",
  "$(id)",
  "`id`",
  ";id",
  "|id",
  "&&id",
  "'x'",
  '"x"',
  "{{.}}",
  "<x>",
  "x?y#z",
  "sha256:../../x",
  "sha256:",
  "@sha256:x",
  "a@b@c",
  ":",
  "x:/y",
  "__proto__",
  ".hidden",
  "_x",
  "gantry.db/",
];

/** Names that could be given, and are nobody's: only looked up. */
const nobodys: readonly string[] = ["constructor", "toString", "hasOwnProperty", "fs", "0".repeat(64), long];

/** As they stand in a path, not escaped. */
const raw: readonly string[] = ["%2e%2e", "%2e%2e%2f%2e%2e%2fetc", "..%2f", "%00", "%ff%fe", "%c0%ae%c0%ae", "%", "%2"];

let daemon: TestDaemon;
let container: string;

before(async () => {
  daemon = await startDaemon();
  await importImage(daemon, "t", () => {});
  const created = await daemon.api("POST", "/containers/create?name=there", { Image: "t", Cmd: ["true"] });
  assert.equal(created.status, 201, created.text);
  container = (created.json as { readonly Id: string }).Id;
  const volume = await daemon.api("POST", "/volumes/create", { Name: "there" });
  assert.equal(volume.status, 201, volume.text);
  for (const place of [
    daemon.dir,
    daemon.dataRoot,
    join(daemon.dataRoot, "containers"),
    join(daemon.dataRoot, "snapshots"),
  ])
    writeFileSync(join(place, "x"), "canary");
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
}

function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const payload = body === undefined ? "" : JSON.stringify(body);
  const call = request({
    socketPath: daemon.socket,
    agent: false,
    method,
    path,
    headers: {
      "content-length": Buffer.byteLength(payload),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
  });
  call.on("error", reject);
  call.on("response", (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", reject);
    response.on("end", () =>
      resolve({
        status: response.statusCode ?? 0,
        location: response.headers.location,
        text: Buffer.concat(chunks).toString(),
      }),
    );
  });
  call.end(payload);
  return promise;
}

/** What is on disk: the path of everything, and the content of what must not change. The log and the database's own files are left out. */
function treeOf(dir: string): readonly string[] {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries
    .map((entry) => join(relative(dir, entry.parentPath), entry.name))
    .filter((path) => !/^data\/gantry\.db|^run\/|gantryd\.log$/.test(path))
    .map((path) => (path.endsWith("/x") || path === "x" ? `${path} ${readFileSync(join(dir, path), "utf8")}` : path))
    .sort();
}

/** Every "METHOD /path/{with}/placeholders" of the API, and of the routes in the sources. */
function operations(): readonly (readonly [string, string])[] {
  const found = new Set(JSON.parse(readFileSync(join(root, "test/conformance/operations.json"), "utf8")) as string[]);
  const sources = join(root, "src/engine/api");
  for (const file of readdirSync(sources, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
    const text = readFileSync(join(sources, file), "utf8");
    for (const [, method, path] of text.matchAll(/"(GET|HEAD|POST|PUT|DELETE)",\s*"(\/[^"]*)"/g))
      found.add(`${method} ${path}`);
  }
  return [...found]
    .filter((operation) => operation.includes("{"))
    .map((operation): readonly [string, string] => {
      const [method = "", path = ""] = operation.split(" ");
      return [method, path];
    });
}

/** Runs all of them, a few at once. */
async function each<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.toReversed();
  const worker = async (): Promise<void> => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await run(item);
  };
  await Promise.all(Array.from({ length: 6 }, worker));
}

/**
 * The client's error. A path that is not clean is led to the clean one, as dockerd does; 501 and 503 come only from operations that
 * there are not, with any name.
 */
function isRefused(method: string, { status, location, text }: Answer): boolean {
  if (status === 301) return location !== undefined && !/\/\/|\/\.{1,2}(\/|$)/.test(location);
  if (status >= 400 && status < 500) return true;
  if (method === "HEAD") return status === 501;
  return (status === 501 && text.includes("is not supported")) || (status === 503 && text.includes("swarm"));
}

const shown = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** Operations that there are not: asked with a few strings only. */
async function isAbsent(method: string, path: string): Promise<boolean> {
  const { status } = await ask(method, path.replaceAll(/\{\w+\}/g, "nobody"), method === "POST" ? {} : undefined);
  return status === 501 || status === 503;
}

test("S17: every name in every path of the API", async () => {
  const before = treeOf(daemon.dir);
  const all = operations();
  assert.ok(all.length > 60, String(all.length));
  const cases: { readonly method: string; readonly pattern: string; readonly path: string }[] = [];
  for (const [method, pattern] of all) {
    // What a valid name starts is a stream, or asks a registry.
    const remote = /^\/distribution\/|\/push$/.test(pattern);
    const encoded = [...hostile, ...(remote ? [] : nobodys)].map((name) => encodeURIComponent(name));
    const absent = await isAbsent(method, pattern);
    for (const placeholder of pattern.match(/\{\w+\}/g) ?? []) {
      for (const [i, name] of [...raw, ...encoded].entries()) {
        const path = pattern.replace(placeholder, () => name).replaceAll(/\{\w+\}/g, "there");
        if (i % 16 === 0 || !absent) cases.push({ method, pattern, path });
      }
    }
  }
  const wrong: string[] = [];
  await each(cases, async ({ method, pattern, path }) => {
    const answer = await ask(method, path, method === "POST" ? {} : undefined);
    if (!isRefused(method, answer))
      wrong.push(`${method} ${pattern} ${shown(path)}: ${answer.status} ${answer.text.slice(0, 200)}`);
  });
  assert.deepEqual(wrong, []);
  assert.deepEqual(treeOf(daemon.dir), before);
});

interface Place {
  readonly what: string;
  readonly ask: (name: string) => Promise<Answer>;
  /** What is a name here though it is in the list. */
  readonly allowed?: RegExp;
}

/** Networks are looked up when a container starts, as in dockerd: its answer, and the container is gone again. */
async function startIn(NetworkMode: string): Promise<Answer> {
  const created = await ask("POST", "/containers/create", { Image: "t", Cmd: ["true"], HostConfig: { NetworkMode } });
  if (created.status !== 201) return created;
  const { Id } = JSON.parse(created.text) as { readonly Id: string };
  const started = await ask("POST", `/containers/${Id}/start`);
  await ask("DELETE", `/containers/${Id}?force=1`);
  return started;
}

function places(): readonly Place[] {
  const q = encodeURIComponent;
  const tag = /^_/;
  const create = (what: string, config: (name: string) => object): Place => ({
    what: `containers/create ${what}`,
    ask: (name) => ask("POST", "/containers/create", { Image: "t", Cmd: ["true"], ...config(name) }),
  });
  const host = (what: string, config: (name: string) => object): Place =>
    create(what, (name) => ({ HostConfig: config(name) }));
  const query = (method: string, path: (name: string) => string, body?: (name: string) => unknown): Place => ({
    what: `${method} ${path("NAME")}`,
    ask: (name) => ask(method, path(q(name)), body?.(name)),
  });
  return [
    query(
      "POST",
      (name) => `/containers/create?name=${name}`,
      () => ({ Image: "t", Cmd: ["true"] }),
    ),
    create("Image", (Image) => ({ Image })),
    { what: "start in a network", ask: startIn, allowed: /^[^.%/]*$/ },
    host("PidMode container", (name) => ({ PidMode: `container:${name}` })),
    host("IpcMode container", (name) => ({ IpcMode: `container:${name}` })),
    host("Runtime", (Runtime) => ({ Runtime })),
    host("LogConfig.Type", (Type) => ({ LogConfig: { Type } })),
    host("Isolation", (Isolation) => ({ Isolation })),
    host("CgroupnsMode", (CgroupnsMode) => ({ CgroupnsMode })),
    host("UsernsMode", (UsernsMode) => ({ UsernsMode })),
    host("VolumesFrom", (name) => ({ VolumesFrom: [name] })),
    host("Links", (name) => ({ Links: [`${name}:alias`] })),
    host("RestartPolicy.Name", (Name) => ({ RestartPolicy: { Name } })),
    host("VolumeDriver", (VolumeDriver) => ({ VolumeDriver, Binds: ["new:/m"] })),
    { ...host("Binds", (name) => ({ Binds: [`${name}:/m`] })), allowed: /^\// },
    host("Mounts of type volume", (Source) => ({ Mounts: [{ Type: "volume", Source, Target: "/m" }] })),
    host("Mounts of type image", (Source) => ({ Mounts: [{ Type: "image", Source, Target: "/m" }] })),
    host("Mounts.VolumeOptions.DriverConfig", (Name) => ({
      Mounts: [{ Type: "volume", Source: "new", Target: "/m", VolumeOptions: { DriverConfig: { Name } } }],
    })),
    query(
      "POST",
      () => "/volumes/create",
      (Name) => ({ Name }),
    ),
    query(
      "POST",
      () => "/volumes/create",
      (Driver) => ({ Name: "new", Driver }),
    ),
    query(
      "POST",
      () => "/volumes/there/snapshots",
      (Name) => ({ Name }),
    ),
    query("POST", (name) => `/volumes/there/restore?snapshot=${name}`),
    query("GET", (name) => `/volumes/there/export?snapshot=${name}`),
    query("POST", (name) => `/volumes/import?name=${name}`),
    query("POST", (name) => `/containers/there/rename?name=${name}`),
    query("POST", (name) => `/containers/there/kill?signal=${name}`),
    query("POST", (name) => `/images/t/tag?repo=${name}`),
    { ...query("POST", (name) => `/images/t/tag?repo=r&tag=${name}`), allowed: tag },
    query("POST", (name) => `/images/create?fromImage=${name}`),
    { ...query("POST", (name) => `/images/create?fromImage=t&tag=${name}`), allowed: tag },
    query("POST", (name) => `/images/create?fromSrc=-&repo=${name}`),
    query("GET", (name) => `/images/get?names=${name}`),
    query("POST", (name) => `/commit?container=${name}`),
    query("POST", (name) => `/commit?container=there&repo=${name}`),
    { ...query("POST", (name) => `/commit?container=there&repo=r&tag=${name}`), allowed: tag },
    query(
      "POST",
      () => "/networks/create",
      (Driver) => ({ Name: "n", Driver }),
    ),
    query(
      "POST",
      () => "/networks/create",
      (Driver) => ({ Name: "n", IPAM: { Driver } }),
    ),
    query(
      "POST",
      () => "/networks/create",
      (Network) => ({ Name: "n", ConfigFrom: { Network } }),
    ),
    query(
      "POST",
      () => "/networks/bridge/connect",
      (Container) => ({ Container }),
    ),
    query(
      "POST",
      () => "/networks/bridge/disconnect",
      (Container) => ({ Container }),
    ),
    query(
      "POST",
      (name) => `/networks/${name}/connect`,
      () => ({ Container: container }),
    ),
  ];
}

test("S17: every name in a query or a body", async () => {
  const before = treeOf(daemon.dir);
  const cases = places().flatMap((place) =>
    hostile.filter((name) => place.allowed?.test(name) !== true).map((name) => ({ place, name })),
  );
  const wrong: string[] = [];
  await each(cases, async ({ place, name }) => {
    const answer = await place.ask(name);
    if (!isRefused("POST", answer))
      wrong.push(`${place.what} ${shown(name)}: ${answer.status} ${answer.text.slice(0, 200)}`);
  });
  assert.deepEqual(wrong, []);
  assert.deepEqual(treeOf(daemon.dir), before);
});
