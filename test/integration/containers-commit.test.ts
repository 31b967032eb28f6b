// docker commit and export of real containers: what is in the image and in the tar, who stands still meanwhile, what is refused.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";

const daemon = new TestDaemon();
const dir = mkdtempSync(join(tmpdir(), "gantry-commit-"));
before(() => daemon.start());
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

interface ImageJson {
  readonly Id: string;
  readonly Parent: string;
  readonly Author: string;
  readonly Comment: string;
  readonly Architecture: string;
  readonly RepoTags: readonly string[];
  readonly Config: Readonly<Record<string, unknown>>;
  readonly RootFS: { readonly Layers: readonly string[] };
}

async function image(name: string): Promise<ImageJson> {
  const answer = await daemon.api("GET", `/v1.51/images/${name}/json`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as ImageJson;
}

async function start(name: string, command: string, options: readonly string[] = []): Promise<string> {
  return daemon.dockerOk(["run", "-d", "--name", name, ...options, "busybox", "sh", "-c", command]);
}

/** Members of the top layer of an image, in the order of its tar. */
async function topLayer(name: string): Promise<readonly string[]> {
  const { Layers } = (await image(name)).RootFS;
  const archive = await daemon.api("GET", `/v1.51/images/${name}/get`);
  assert.equal(archive.status, 200);
  const blob = `blobs/sha256/${Layers.at(-1)?.slice("sha256:".length)}`;
  const layer = execFileSync("tar", ["-xOf", "-", blob], { input: archive.bytes, maxBuffer: 1 << 28 });
  return execFileSync("tar", ["-tf", "-"], { input: layer, encoding: "utf8" }).trim().split("\n");
}

async function events(since: number): Promise<readonly string[]> {
  const answer = await daemon.api("GET", `/v1.51/events?since=${since}&until=${Math.ceil(Date.now() / 1000) + 1}`);
  return answer.text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { readonly Type: string; readonly Action: string })
    .map(({ Type, Action }) => `${Type} ${Action}`);
}

test("commit brings what was added, changed and deleted as one layer, with what was asked for in the config", async () => {
  const id = await start("one", "mkdir /d; echo x >/d/new; echo y >>/etc/passwd; rm /bin/vi; sleep 1000", [
    "-e",
    "A=1",
  ]);
  for (;;) {
    const listing = await daemon.docker(["exec", "one", "sh", "-c", "ls /d/new; ! ls /bin/vi"]);
    if (listing.code === 0) break;
    await sleep(50);
  }
  const since = Math.floor(Date.now() / 1000);
  const changes = ["-c", 'CMD ["new"]', "-c", "LABEL a=b", "-c", "ENV C=$A"];
  const imageId = await daemon.dockerOk(["commit", "-a", "me", "-m", "why", ...changes, "one", "made/it:1"]);
  const made = await image("made/it:1");
  const base = await image("busybox");
  assert.deepEqual(
    {
      ...made,
      Config: [made.Config["Cmd"], made.Config["Labels"], made.Config["Env"]],
      RootFS: made.RootFS.Layers.length,
    },
    {
      ...made,
      Id: imageId,
      Parent: base.Id,
      Author: "me",
      Comment: "why",
      Architecture: base.Architecture,
      RepoTags: ["made/it:1"],
      Config: [
        ["new"],
        { ...(base.Config["Labels"] as object), a: "b" },
        ["A=1", ...((base.Config["Env"] as []) ?? []), "C=1"],
      ],
      RootFS: base.RootFS.Layers.length + 1,
    },
  );
  assert.deepEqual((await topLayer("made/it:1")).toSorted(), [
    "bin/",
    "bin/.wh.vi",
    "d/",
    "d/new",
    "etc/",
    "etc/passwd",
  ]);
  assert.equal(
    await daemon.dockerOk(["run", "--rm", "made/it:1", "sh", "-c", "cat /d/new; ls /bin/vi 2>&1 | wc -l"]),
    "x\n1",
  );
  const history = JSON.parse((await daemon.api("GET", "/v1.51/images/made/it:1/history")).text) as readonly {
    readonly Id: string;
    readonly CreatedBy: string;
    readonly Comment: string;
  }[];
  assert.deepEqual([history[0]?.Id, history[0]?.Comment, history[1]?.Id], [imageId, "why", base.Id]);
  assert.match(history[0]?.CreatedBy ?? "", /^sh -c mkdir \/d;/);
  const seen = (await events(since)).filter((event) => /pause|commit|image (create|tag)/.test(event));
  assert.deepEqual(seen.slice(0, 5), [
    "container pause",
    "container unpause",
    "image create",
    "image tag",
    "container commit",
  ]);
  await daemon.docker(["rm", "-f", id]);
});

test("a container that nothing was written to gets an image without a layer of its own", async () => {
  await daemon.dockerOk(["create", "--name", "untouched", "busybox", "true"]);
  const id = await daemon.dockerOk(["commit", "untouched"]);
  const made = await image(id);
  const base = await image("busybox");
  assert.deepEqual([made.RootFS, made.Parent, made.RepoTags], [base.RootFS, base.Id, []]);
  const archive = await daemon.api("GET", `/v1.51/images/${id}/get`);
  const config = execFileSync("tar", ["-xOf", "-", `blobs/sha256/${id.slice(7)}`], { input: archive.bytes });
  const { history, container } = JSON.parse(config.toString()) as {
    readonly history: readonly { readonly empty_layer?: boolean }[];
    readonly container: string;
  };
  assert.equal(history.at(-1)?.empty_layer, true);
  assert.match(container, /^[0-9a-f]{64}$/);
  await daemon.docker(["rm", "untouched"]);
});

test("a running container stands still during the commit, unless that was not wanted, and goes on after it", async () => {
  await start("busy", "i=0; while :; do i=$((i+1)); echo $i >/n; mv /n /a; echo $i >/n; mv /n /b; done");
  while ((await daemon.docker(["exec", "busy", "ls", "/b"])).code !== 0) await sleep(20);
  const read = async (name: string): Promise<readonly number[]> =>
    (await daemon.dockerOk(["run", "--rm", name, "sh", "-c", "cat /a /b"])).split("\n").map(Number);
  for (let n = 0; n < 3; n++) {
    await daemon.dockerOk(["commit", "busy", "still:1"]);
    const [a = 0, b = 0] = await read("still:1");
    assert.ok(a === b || a === b + 1, `${a} and ${b} were never there together`);
  }
  const status = async (): Promise<string> => daemon.dockerOk(["inspect", "-f", "{{.State.Status}}", "busy"]);
  assert.equal(await status(), "running");
  const since = Math.floor(Date.now() / 1000) + 1;
  await sleep(1100);
  await daemon.dockerOk(["commit", "--pause=false", "busy", "moving:1"]);
  assert.deepEqual(
    (await events(since)).filter((event) => event.endsWith("pause")),
    [],
  );
  const before = await daemon.dockerOk(["exec", "busy", "cat", "/a"]);
  await sleep(200);
  assert.notEqual(await daemon.dockerOk(["exec", "busy", "cat", "/a"]), before);
  await daemon.dockerOk(["pause", "busy"]);
  await daemon.dockerOk(["commit", "busy", "paused:1"]);
  assert.equal(await status(), "paused");
  await daemon.docker(["rm", "-f", "busy"]);
});

test("a commit that is refused changes nothing and pauses nobody", async () => {
  await start("kept", "sleep 1000");
  const before = await daemon.api("GET", "/v1.51/images/json?all=1");
  const since = Math.floor(Date.now() / 1000) + 1;
  await sleep(1100);
  for (const [query, status, message] of [
    ["container=nope", 404, "No such container: nope"],
    ["container=kept&changes=FOO", 400, "FOO is not a valid change command"],
    ["container=kept&changes=CMD%20x&changes=ENV", 400, "ENV requires at least one argument"],
    ["container=kept&repo=BAD", 400, "invalid reference format: repository name (library/BAD) must be lowercase"],
    ["container=kept&repo=a&tag=b:c", 400, "invalid tag format"],
  ] as const) {
    const answer = await daemon.api("POST", `/v1.51/commit?${query}`);
    assert.deepEqual([answer.status, answer.json], [status, { message }], query);
  }
  assert.equal((await daemon.api("GET", "/v1.51/images/json?all=1")).text, before.text);
  assert.deepEqual(await events(since), []);
  await daemon.docker(["rm", "-f", "kept"]);
});

test("the body's config takes the place of the container's, and is filled up from it", async () => {
  await daemon.dockerOk(["create", "--name", "conf", "-e", "A=1", "-e", "B=2", "-w", "/tmp", "busybox", "old"]);
  const answer = await daemon.api("POST", "/v1.51/commit?container=conf&repo=conf", {
    Env: ["A=9"],
    Entrypoint: ["e"],
    ExposedPorts: { "80/tcp": {} },
  });
  assert.equal(answer.status, 201, answer.text);
  const { Config } = await image("conf:latest");
  assert.deepEqual(
    [Config["Env"], Config["Entrypoint"], Config["Cmd"], Config["WorkingDir"], Config["ExposedPorts"]],
    [
      [
        "A=9",
        ...((await daemon.dockerOk(["inspect", "-f", "{{json .Config.Env}}", "conf"])).match(/[BP]\w*=[^"]*/g) ?? []),
      ],
      ["e"],
      null,
      "/tmp",
      { "80/tcp": {} },
    ],
  );
  await daemon.docker(["rm", "conf"]);
});

test("a daemon that is killed while it had a container paused for a commit wakes it", async () => {
  // A release bundle has no failpoints.
  await using killed = new TestDaemon({ fromSource: true });
  await killed.start({ GANTRY_FAILPOINTS: "container.commit.paused=kill9" });
  const counting = "i=0; while :; do i=$((i+1)); echo $i >/n; mv /n /t; done";
  await killed.dockerOk(["run", "-d", "--name", "cut", "busybox", "sh", "-c", counting]);
  while ((await killed.docker(["exec", "cut", "ls", "/t"])).code !== 0) await sleep(20);
  await killed.api("POST", "/v1.51/commit?container=cut&repo=cut").catch(() => undefined);
  await killed.end("SIGKILL");
  await killed.start();
  assert.equal(await killed.dockerOk(["inspect", "-f", "{{.State.Status}}", "cut"]), "running");
  const before = await killed.dockerOk(["exec", "cut", "cat", "/t"]);
  await sleep(200);
  assert.notEqual(await killed.dockerOk(["exec", "cut", "cat", "/t"]), before);
  assert.equal((await killed.api("GET", "/v1.51/images/cut/json")).status, 404);
  assert.deepEqual((await killed.api("GET", "/gantry/check")).json, []);
});

test("export is the file system of a container, running or not, as one tar", async () => {
  await start(
    "tree",
    "mkdir /d; ln /bin/busybox /d/hard; echo x >/d/f; chown 5:6 /d/f; rm /bin/vi; touch /ready; sleep 1000",
  );
  while ((await daemon.docker(["exec", "tree", "ls", "/ready"])).code !== 0) await sleep(50);
  const names = async (): Promise<readonly string[]> => {
    const answer = await daemon.api("GET", "/v1.51/containers/tree/export");
    assert.equal(answer.headers["content-type"], "application/octet-stream");
    return execFileSync("tar", ["--numeric-owner", "-tvf", "-"], { input: answer.bytes, encoding: "utf8" })
      .trim()
      .split("\n")
      .map((line) => line.replace(/^(\S+ \S+) +(\S+) .*? (\S+(?: -> \S+| link to \S+)?)$/, "$1 $3"));
  };
  const running = await names();
  assert.ok(running.includes("-rw-r--r-- 5/6 d/f"), running.join("\n"));
  assert.ok(!running.some((line) => line.endsWith(" bin/vi")));
  assert.ok(!running.some((line) => / (?:proc|sys)\/./.test(line)));
  assert.equal(running.filter((line) => / d\/hard\b/.test(line)).length, 1);
  await daemon.dockerOk(["stop", "-t", "0", "tree"]);
  assert.deepEqual(await names(), running);
  // What was exported is a root file system.
  const tar = await daemon.api("GET", "/v1.51/containers/tree/export");
  const imported = await daemon.api("POST", "/v1.51/images/create?fromSrc=-&repo=again", tar.bytes);
  assert.equal(imported.status, 200, imported.text);
  assert.equal(await daemon.dockerOk(["run", "--rm", "again", "cat", "/d/f"]), "x");
  await daemon.docker(["rm", "-f", "tree"]);
});

test("a client that hangs up during an export or a save leaves no process behind", async () => {
  await start("big", "dd if=/dev/zero of=/zeros bs=1M count=64 2>/dev/null; touch /ready; sleep 1000");
  while ((await daemon.docker(["exec", "big", "ls", "/ready"])).code !== 0) await sleep(50);
  await daemon.dockerOk(["commit", "big", "big:1"]);
  for (const path of ["/containers/big/export", "/images/big:1/get"]) {
    const socket = connect(daemon.socket);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: d\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
    const packers = (): string => {
      try {
        return execFileSync("pgrep", ["-P", String(daemon.pid), "-f", "gantry-pack"], { encoding: "utf8" });
      } catch {
        return "";
      }
    };
    for (let wait = 0; packers() !== "" && wait < 100; wait++) await sleep(50);
    assert.equal(packers(), "", path);
  }
  await daemon.docker(["rm", "-f", "big"]);
});

test("import downloads what a URL names, and says how far it is", async () => {
  await daemon.dockerOk(["create", "--name", "source", "busybox"]);
  const tar = (await daemon.api("GET", "/v1.51/containers/source/export")).bytes;
  const socket = join(dir, "files.sock");
  const server = createServer((request, response) => {
    if (request.url === "/moved") response.writeHead(302, { Location: "/tar" }).end();
    else if (request.url === "/tar") response.writeHead(200, { "Content-Length": tar.length }).end(tar);
    else response.writeHead(404).end("not here");
  }).listen(socket);
  // The daemon is in a network namespace of its own: a forwarder there reaches this server.
  const forwarder = spawn(
    "nsenter",
    [
      `--net=/run/netns/${daemon.netns}`,
      process.execPath,
      "-e",
      `const n=require("net");n.createServer(c=>{const u=n.connect(${JSON.stringify(socket)});c.pipe(u).pipe(c);c.on("error",()=>{});u.on("error",()=>{})}).listen(8000,"127.0.0.1",()=>console.log("up"))`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    await new Promise((resolve) => forwarder.stdout.once("data", resolve));
    const answer = await daemon.api(
      "POST",
      "/v1.51/images/create?fromSrc=http://127.0.0.1:8000/moved&repo=url&changes=CMD%20x",
    );
    const lines = answer.text
      .trim()
      .split("\r\n")
      .map((line) => JSON.parse(line) as { readonly status: string });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(lines[0]?.status, "Downloading from http://127.0.0.1:8000/moved");
    assert.deepEqual((lines.at(-2) as { readonly progressDetail?: unknown }).progressDetail, {
      current: tar.length,
      total: tar.length,
    });
    const { Id, Comment } = await image("url");
    assert.deepEqual([lines.at(-1)?.status, Comment], [Id, "Imported from http://127.0.0.1:8000/moved"]);
    const missing = await daemon.api("POST", "/v1.51/images/create?fromSrc=127.0.0.1:8000/nope&repo=url");
    assert.deepEqual(
      [missing.status, missing.json],
      [404, { message: "failed to GET http://127.0.0.1:8000/nope with status 404 Not Found: not here" }],
    );
  } finally {
    forwarder.kill();
    server.close();
    await daemon.docker(["rm", "source"]);
  }
});
