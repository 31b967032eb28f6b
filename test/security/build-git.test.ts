// B06, B07: sources from git, over git's own daemon, smart http with a password, and dumb http, all on loopback.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { duplexPair } from "node:stream";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { GitOp } from "../../src/engine/build/graph/index.ts";
import { createGitRunner } from "../../src/engine/build/sources/git.ts";
import type { SourceDirectory } from "../../src/engine/build/sources/index.ts";
import { jobOf, runSource, type SourcesWorld, sourcesWorld } from "./build-sources.ts";

const env = {
  ...process.env,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@b",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@b",
  GIT_AUTHOR_DATE: "1700000000 +0000",
  GIT_COMMITTER_DATE: "1700000000 +0000",
};

let served: string;
let world: SourcesWorld;
let daemon: ChildProcess;
let daemonUrl = "";
let smartUrl = "";
let dumbUrl = "";
const seen: string[] = [];
const commits: Record<string, string> = {};

function git(cwd: string, ...words: string[]): string {
  return execFileSync("git", ["-c", "protocol.file.allow=always", ...words], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  })
    .toString()
    .trim();
}

function makeRepositories(): void {
  const library = join(served, "library");
  mkdirSync(library);
  git(library, "init", "-q", "-b", "main");
  writeFileSync(join(library, "lib.txt"), "library\n");
  git(library, "add", ".");
  git(library, "commit", "-q", "-m", "library");

  const main = join(served, "main");
  mkdirSync(join(main, "sub", "deep"), { recursive: true });
  git(main, "init", "-q", "-b", "main");
  writeFileSync(join(main, "a.txt"), "one\n");
  writeFileSync(join(main, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(join(main, "sub", "deep", "b.txt"), "b\n");
  symlinkSync("a.txt", join(main, "link"));
  symlinkSync("/etc", join(main, "etc"));
  symlinkSync("sub", join(main, "sublink"));
  git(main, "add", ".");
  git(main, "commit", "-q", "-m", "first");
  commits["first"] = git(main, "rev-parse", "HEAD");
  git(main, "tag", "-a", "v1", "-m", "v1");
  git(main, "tag", "both");
  writeFileSync(join(main, "a.txt"), "two\n");
  git(main, "commit", "-q", "-a", "-m", "second");
  commits["second"] = git(main, "rev-parse", "HEAD");
  git(main, "branch", "both");
  git(main, "checkout", "-q", "-b", "modules");
  git(main, "submodule", "--quiet", "add", "../library", "vendor/library");
  git(main, "commit", "-q", "-a", "-m", "modules");
  commits["modules"] = git(main, "rev-parse", "HEAD");
  git(main, "checkout", "-q", "-b", "hooked", "main");
  writeFileSync(join(main, ".gitattributes"), "*.txt filter=lfs\n");
  git(main, "add", ".");
  git(main, "commit", "-q", "-m", "filter");
  git(main, "checkout", "-q", "main");
  for (const [name, url] of [
    ["evil-file", served],
    ["evil-ext", `ext::sh -c touch% ${served}/pwned`],
    ["evil-option", `--upload-pack=touch ${served}/pwned`],
  ] as const) {
    git(main, "checkout", "-q", "-b", name, "main");
    writeFileSync(join(main, ".gitmodules"), `[submodule "x"]\n\tpath = x\n\turl = ${url}\n`);
    git(main, "add", ".gitmodules");
    git(main, "update-index", "--add", "--cacheinfo", `160000,${commits["first"]},x`);
    git(main, "commit", "-q", "-m", name);
    git(main, "checkout", "-q", "-f", "main");
  }
  for (const name of ["main", "library"]) {
    git(served, "clone", "-q", "--bare", name, `${name}.git`);
    git(join(served, `${name}.git`), "update-server-info");
    git(join(served, `${name}.git`), "config", "http.receivepack", "false");
  }
}

async function freePort(): Promise<number> {
  const probe = createTcpServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  probe.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

/** Smart http is git's own CGI behind a password; dumb http gives files. */
const server = createServer((request, response) => {
  seen.push(`${request.url} ${request.headers.authorization ?? ""}`);
  const url = new URL(request.url ?? "/", "http://x");
  if (url.pathname.startsWith("/dumb/")) {
    const path = join(served, url.pathname.slice("/dumb/".length));
    if (!existsSync(path) || lstatSync(path).isDirectory()) response.writeHead(404).end();
    else response.end(readFileSync(path));
    return;
  }
  const token = Buffer.from("x-access-token:hush").toString("base64");
  if (request.headers.authorization?.toLowerCase() !== `basic ${token}`.toLowerCase()) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
    return;
  }
  const backend = spawn("git", ["http-backend"], {
    env: {
      ...env,
      GIT_PROJECT_ROOT: served,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname.slice("/smart".length),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
    },
  });
  request.pipe(backend.stdin);
  const output: Buffer[] = [];
  backend.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  backend.on("close", () => {
    const all = Buffer.concat(output);
    const end = all.indexOf("\r\n\r\n");
    const headers = all
      .subarray(0, end)
      .toString()
      .split("\r\n")
      .map((line) => line.split(": "));
    const status = headers.find(([name]) => name === "Status")?.[1];
    response.writeHead(
      status === undefined ? 200 : Number.parseInt(status, 10),
      Object.fromEntries(headers.filter(([name]) => name !== "Status")),
    );
    response.end(all.subarray(end + 4));
  });
});

before(async () => {
  served = mkdtempSync(join(tmpdir(), "gantry-git-"));
  world = await sourcesWorld();
  makeRepositories();
  const port = await freePort();
  daemon = spawn(
    "git",
    ["daemon", "--export-all", `--base-path=${served}`, "--listen=127.0.0.1", `--port=${port}`, served],
    {
      env,
      stdio: "ignore",
      detached: true,
    },
  );
  daemonUrl = `git://127.0.0.1:${port}`;
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  smartUrl = `${http}/smart`;
  dumbUrl = `${http}/dumb`;
  for (let tries = 0; tries < 100; tries++) {
    try {
      git(served, "ls-remote", `${daemonUrl}/main.git`);
      break;
    } catch {
      await sleep(50);
    }
  }
});
after(() => {
  if (daemon.pid !== undefined) process.kill(-daemon.pid, "SIGKILL");
  server.close();
  server.closeAllConnections();
  world[Symbol.dispose]();
  rmSync(served, { recursive: true, force: true });
});

function op(more: Partial<GitOp> = {}): GitOp {
  return {
    kind: "git",
    remote: `${daemonUrl}/main.git`,
    ref: "",
    subdirectory: "",
    keepGitDir: false,
    checksum: undefined,
    ...more,
  };
}
function runner() {
  return createGitRunner(world);
}
function namesOf(directory: SourceDirectory): readonly string[] {
  return directory.entries.map(({ path }) => path);
}
const textOf = (directory: SourceDirectory, path: string) => readFileSync(join(directory.path, path), "utf8");

test("branches, tags, annotated tags, full refs and commits are the commits that they name", async () => {
  for (const [ref, commit] of [
    ["", "second"],
    ["main", "second"],
    ["v1", "first"],
    ["refs/tags/v1", "first"],
    ["refs/heads/main", "second"],
    ["both", "second"],
    ["refs/tags/both", "first"],
    [commits["first"] ?? "", "first"],
  ] as const) {
    const { key, directory } = await runSource(runner(), op({ ref }));
    assert.equal(key, commits[commit], ref);
    assert.equal(textOf(directory, "a.txt"), commit === "first" ? "one\n" : "two\n", ref);
    await directory[Symbol.asyncDispose]();
  }
  await assert.rejects(runSource(runner(), op({ ref: "nothing" })), { kind: "NotFound" });
});

test("a checkout has git's files only, of root, with the commit's time", async () => {
  const { directory } = await runSource(runner(), op());
  assert.deepEqual(
    directory.entries.map(({ path, type, mode, uid, gid, mtimeNs, linkName }) => [
      path,
      type,
      mode,
      uid,
      gid,
      mtimeNs,
      linkName,
    ]),
    (
      [
        ["a.txt", "file", 0o644, ""],
        ["etc", "symlink", 0o777, "/etc"],
        ["link", "symlink", 0o777, "a.txt"],
        ["run.sh", "file", 0o755, ""],
        ["sub", "directory", 0o755, ""],
        ["sub/deep", "directory", 0o755, ""],
        ["sub/deep/b.txt", "file", 0o644, ""],
        ["sublink", "symlink", 0o777, "sub"],
      ] as const
    ).map(([path, type, mode, linkName]) => [path, type, mode, 0, 0, 1_700_000_000_000_000_000n, linkName]),
  );
});

test("the repository is kept, and what is kept can be removed", async () => {
  const sources = runner();
  await runSource(sources, op({ ref: commits["second"] ?? "" }));
  const kept = (await sources.reclaimable.list()).find(({ description }) => description.endsWith("/main.git"));
  assert.equal(kept?.type, "source.git.checkout");
  assert.equal(kept?.inUse, false);
  assert.ok((await sources.reclaimable.remove(kept?.id ?? "")) > 0);
  const { key } = await runSource(sources, op());
  assert.equal(key, commits["second"]);
});

test("subdirectories: what is below them, and only that", async () => {
  const { directory } = await runSource(runner(), op({ subdirectory: "/sub/./deep/" }));
  assert.deepEqual(namesOf(directory), ["b.txt"]);
});

test("B06: a subdirectory never leads out of the repository", async () => {
  for (const subdirectory of [
    "etc",
    "etc/ssl",
    "sublink",
    "../x",
    "sub/../../x",
    ".git",
    "sub/.GIT",
    "a.txt",
    "nothing",
    "link",
    "a\0b",
  ])
    await assert.rejects(runSource(runner(), op({ subdirectory })), (error: unknown) => {
      assert.ok(error instanceof Error && "kind" in error);
      assert.ok(error.kind === "InvalidParameter" || error.kind === "NotFound", `${subdirectory}: ${error.message}`);
      return true;
    });
});

test("--keep-git-dir gives a repository that stands alone", async () => {
  const { key, directory } = await runSource(runner(), op({ keepGitDir: true, ref: "main" }));
  assert.notEqual(key, commits["second"]);
  assert.equal(existsSync(join(directory.path, ".git", "objects", "info", "alternates")), false);
  const copy = join(served, "copy");
  execFileSync("cp", ["-a", directory.path, copy]);
  assert.equal(git(copy, "-c", "safe.directory=*", "rev-parse", "HEAD"), commits["second"]);
  assert.equal(git(copy, "-c", "safe.directory=*", "status", "--porcelain"), "");
  rmSync(copy, { recursive: true });
});

test("submodules come along, without their git directories", async () => {
  const { key, directory } = await runSource(runner(), op({ ref: "modules" }));
  assert.equal(key, commits["modules"]);
  assert.equal(textOf(directory, "vendor/library/lib.txt"), "library\n");
  assert.ok(!namesOf(directory).some((path) => path.endsWith(".git")));
});

test("a checksum is a commit, or its beginning", async () => {
  await runSource(runner(), op({ ref: "v1", checksum: commits["first"]?.slice(0, 12) }));
  await assert.rejects(runSource(runner(), op({ ref: "main", checksum: commits["first"] })), {
    message: `expected checksum to match ${commits["first"]}, got ${commits["second"]}`,
  });
  await assert.rejects(runSource(runner(), op({ checksum: "-x" })), { kind: "InvalidParameter" });
});

test("dumb http, which can fetch neither one commit nor shallowly", async () => {
  for (const ref of ["main", "v1", commits["first"] ?? ""]) {
    const { directory } = await runSource(runner(), op({ remote: `${dumbUrl}/main.git`, ref }));
    assert.ok(namesOf(directory).includes("a.txt"));
  }
});

test("tokens and headers reach the server, and nothing else", async () => {
  const remote = `${smartUrl}/main.git`;
  const host = new URL(smartUrl).host;
  await assert.rejects(runSource(runner(), op({ remote })), { kind: "System" });
  await assert.rejects(runSource(runner(), op({ remote }), jobOf({ GIT_AUTH_TOKEN: "wrong" })), { kind: "System" });
  const header = `basic ${Buffer.from("x-access-token:hush").toString("base64")}`;
  const accepted: readonly Readonly<Record<string, string>>[] = [
    { GIT_AUTH_TOKEN: "hush\n" },
    { [`GIT_AUTH_TOKEN.${host}`]: "hush", GIT_AUTH_TOKEN: "wrong" },
    { GIT_AUTH_HEADER: header },
  ];
  for (const secrets of accepted) {
    const log: Buffer[] = [];
    const { directory } = await runSource(runner(), op({ remote, keepGitDir: true }), jobOf(secrets), log);
    assert.ok(!Buffer.concat(log).includes("hush"));
    assert.equal(textOf(directory, "a.txt"), "two\n");
    await directory[Symbol.asyncDispose]();
  }
  const encoded = Buffer.from("x-access-token:hush").toString("base64");
  for (const secret of ["hush", encoded])
    assert.throws(() => execFileSync("grep", ["-rlF", secret, world.dataRoot]), { status: 1 }, "a secret was written");
  seen.length = 0;
  await runSource(
    runner(),
    op({ remote: `${dumbUrl}/main.git`, ref: "both" }),
    jobOf({ "GIT_AUTH_TOKEN.example.com": "hush" }),
  );
  assert.ok(seen.length > 0 && seen.every((line) => !line.includes("asic")));
});

test("ssh: the client's agent is reached, no configuration of this host is read, and hosts are remembered in a file of our own", async () => {
  const bin = mkdtempSync(join(tmpdir(), "gantry-ssh-"));
  const record = join(bin, "record");
  const askAgent = `const s=require("net").connect(process.env.SSH_AUTH_SOCK);s.write("who");s.on("data",d=>{require("fs").appendFileSync(${JSON.stringify(record)},d+"\\n");s.end()})`;
  writeFileSync(join(bin, "ask.cjs"), askAgent);
  writeFileSync(
    join(bin, "ssh"),
    `#!/bin/sh\nprintf '%s\\n' "$@" >>${record}\n"${process.execPath}" ${bin}/ask.cjs\nfor last; do :; done\nexec sh -c "$last"\n`,
    { mode: 0o755 },
  );
  const before = process.env["PATH"];
  process.env["PATH"] = `${bin}:${before}`;
  try {
    const { client, ...job } = jobOf();
    const connectAgent = async () => {
      const [ours, theirs] = duplexPair();
      theirs.once("data", (data: Buffer) => theirs.end(`agent heard ${data.toString()}`));
      return ours;
    };
    const withAgent = { ...job, client: { ...client, hasAgent: async () => true, connectAgent } };
    const { key } = await runSource(
      runner(),
      op({ remote: `ssh://git@127.0.0.1${served}/main.git`, ref: "v1" }),
      withAgent,
    );
    assert.equal(key, commits["first"]);
    const told = readFileSync(record, "utf8");
    assert.match(told, /^-F\nnone\n-o\nBatchMode=yes\n-o\nStrictHostKeyChecking=accept-new\n/);
    assert.ok(told.includes(`UserKnownHostsFile="${join(world.dataRoot, "build", "git", "known_hosts")}"\n`));
    assert.ok(told.includes("agent heard who\n"));
  } finally {
    process.env["PATH"] = before;
    rmSync(bin, { recursive: true });
  }
});

test("B07: options, commands and local paths are refused before git sees them", async () => {
  for (const remote of [
    "--upload-pack=touch pwned",
    `ext::sh -c touch% ${served}/pwned`,
    `file://${served}/main.git`,
    `${served}/main.git`,
    "ssh://-oProxyCommand=x/y",
  ])
    await assert.rejects(runSource(runner(), op({ remote })), { kind: "InvalidParameter" }, remote);
  for (const ref of ["--upload-pack=touch pwned", "-x", "a b", "a..b"])
    await assert.rejects(runSource(runner(), op({ ref })), { kind: "InvalidParameter" }, ref);
  await assert.rejects(runSource(runner(), op({ remote: "git@127.0.0.1:x.git" })), { kind: "Forbidden" });
});

test("B07: a submodule cannot be on this host, a command or an option", async () => {
  for (const ref of ["evil-file", "evil-ext", "evil-option"]) {
    await assert.rejects(runSource(runner(), op({ ref })), { kind: "System" }, ref);
    assert.ok(!existsSync(join(served, "pwned")));
  }
});

test("B07: the user's configuration, hooks and filters do not run", async () => {
  const home = mkdtempSync(join(tmpdir(), "gantry-home-"));
  const before = process.env["HOME"];
  writeFileSync(
    join(home, ".gitconfig"),
    `[core]\n\thooksPath = ${home}\n[filter "lfs"]\n\tsmudge = touch ${home}/smudged; cat\n\trequired = true\n`,
  );
  writeFileSync(join(home, "post-checkout"), `#!/bin/sh\ntouch ${home}/hooked\n`, { mode: 0o755 });
  process.env["HOME"] = home;
  try {
    const { directory } = await runSource(runner(), op({ ref: "hooked" }));
    assert.equal(textOf(directory, "a.txt"), "two\n");
    assert.deepEqual(readdirSync(home).toSorted(), [".gitconfig", "post-checkout"]);
  } finally {
    process.env["HOME"] = before;
    rmSync(home, { recursive: true });
  }
});

test("a build that is given up ends git, and leaves nothing behind", async () => {
  const abort = new AbortController();
  const hanging = createTcpServer(() => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  hanging.listen(0, "127.0.0.1", resolve);
  await promise;
  const remote = `git://127.0.0.1:${(hanging.address() as AddressInfo).port}/x`;
  setTimeout(() => abort.abort(new Error("given up")), 200);
  await assert.rejects(runner().key(op({ remote }), jobOf(), abort.signal), /given up/);
  hanging.close();
  assert.deepEqual(readdirSync(join(world.dataRoot, "build", "git", "tmp")), []);
});
