// 127.0.0.11 in containers of a whole daemon: names that come and go, upstream servers, the daemon's death, what may not leave.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

async function startWithImage(): Promise<TestDaemon> {
  const daemon = await startDaemon({ args: ["--embedded-image="] });
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  return daemon;
}

interface Upstream extends AsyncDisposable {
  /** What it was asked, "ADDRESS TYPE NAME" each. */
  readonly asked: readonly string[];
}

/** Name servers in the daemon's namespace. */
async function startUpstream(daemon: TestDaemon, ...addresses: readonly string[]): Promise<Upstream> {
  const program = join(import.meta.dirname, "../support/dns-upstream.ts");
  const argv = [`--net=/run/netns/${daemon.netns}`, process.execPath, program, ...addresses];
  const child: ChildProcess = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
  const asked: string[] = [];
  let ready = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("exit", (code) => reject(new Error(`the upstream server has ended with ${code}`)));
  child.stdout?.on("data", (chunk: Buffer) => {
    for (const line of chunk.toString().split("\n").filter(Boolean))
      if (!line.endsWith(" ready")) asked.push(line);
      else if (++ready === addresses.length) resolve();
  });
  await promise;
  return {
    asked,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill();
      await ended;
    },
  };
}

async function run(daemon: TestDaemon, name: string, ...args: readonly string[]): Promise<string> {
  return daemon.dockerOk(["run", "-d", "--name", name, ...args, "busybox", "sleep", "1000"]);
}

/** Addresses of a name (for PTR: names of an address) as a container gets them, sorted; "" where it has none. */
async function lookUp(daemon: TestDaemon, container: string, name: string, type = "a"): Promise<string> {
  const { stdout } = await daemon.docker(["exec", container, "nslookup", `-type=${type}`, name, "127.0.0.11"]);
  // The first two lines are about the server.
  const lines = stdout.split("\n").slice(2).join("\n");
  return [...lines.matchAll(/^(?:Address: |.*\tname = )(.*)$/gm)]
    .map(([, found = ""]) => found)
    .toSorted()
    .join(" ");
}

test("containers of a network find each other by name, alias, id and link; PTR leads back; the default bridge has no names", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "front"]);
  const web = await run(daemon, "web", "--network", "front", "--network-alias", "www", "--hostname", "webhost");
  await run(daemon, "db", "--network", "front", "--network-alias", "www", "--link", "web:shop");
  assert.match(await daemon.dockerOk(["exec", "db", "cat", "/etc/resolv.conf"]), /^nameserver 127\.0\.0\.11$/m);
  for (const name of ["web", "WEB", "web.front", web.slice(0, 12), "shop", "webhost"])
    assert.equal(await lookUp(daemon, "db", name), "10.61.0.2", name);
  assert.equal(await lookUp(daemon, "db", "www"), "10.61.0.2 10.61.0.3");
  assert.equal(await lookUp(daemon, "db", "web", "aaaa"), "");
  assert.equal(await lookUp(daemon, "db", "2.0.61.10.in-addr.arpa", "ptr"), "web.front");
  assert.equal(await lookUp(daemon, "web", "shop"), "", "links are the linking container's own");
  await daemon.dockerOk(["exec", "db", "ping", "-c", "1", "-W", "2", "web"]);
  await run(daemon, "plain");
  assert.doesNotMatch(await daemon.dockerOk(["exec", "plain", "cat", "/etc/resolv.conf"]), /127\.0\.0\.11/);
  assert.equal(statSync(join(daemon.execRoot, "dns.sock")).mode & 0o777, 0o600);
});

test("names come and go with connect, disconnect, rename and the end of containers", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "front"]);
  await daemon.dockerOk(["network", "create", "--subnet", "10.62.0.0/24", "back"]);
  await run(daemon, "asker", "--network", "front");
  await run(daemon, "db", "--network", "back");
  assert.equal(await lookUp(daemon, "asker", "db"), "");
  await daemon.dockerOk(["network", "connect", "--alias", "store", "front", "db"]);
  assert.equal(await lookUp(daemon, "asker", "db"), "10.61.0.3");
  assert.equal(await lookUp(daemon, "asker", "store"), "10.61.0.3");
  await daemon.dockerOk(["network", "connect", "back", "asker"]);
  assert.equal(await lookUp(daemon, "asker", "db.back"), "10.62.0.2");
  await daemon.dockerOk(["network", "disconnect", "front", "db"]);
  assert.equal(await lookUp(daemon, "asker", "store"), "");
  assert.equal(await lookUp(daemon, "asker", "db"), "10.62.0.2");
  await daemon.dockerOk(["rename", "db", "data"]);
  assert.equal(await lookUp(daemon, "asker", "data"), "10.62.0.2");
  await daemon.dockerOk(["rm", "-f", "data"]);
  assert.equal(await lookUp(daemon, "asker", "data"), "");
});

test("what is not known here is asked of the host's side; --dns of the host's loopback works; local names never leave (N09)", async () => {
  await using daemon = await startWithImage();
  await using upstream = await startUpstream(daemon, "127.0.0.53", "127.0.0.3!");
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "front"]);
  const dns = ["--network", "front", "--dns", "127.0.0.3", "--dns", "127.0.0.53", "--dns-search", "corp.example"];
  await run(daemon, "asker", ...dns);
  await run(daemon, "db", "--network", "front");
  assert.equal(await lookUp(daemon, "asker", "www.example"), "192.0.2.77", "the first server never answers");
  assert.ok(upstream.asked.includes("127.0.0.53 A www.example"));
  const before = upstream.asked.length;
  const ping = await daemon.docker(["exec", "asker", "ping", "-c", "1", "-W", "2", "db"]);
  assert.match(ping.stdout, /^PING db \((?!192\.0\.2\.77)/);
  for (const type of ["a", "aaaa", "mx", "txt", "any"]) await lookUp(daemon, "asker", "db", type);
  for (const last of [3, 200]) await lookUp(daemon, "asker", `${last}.0.61.10.in-addr.arpa`, "ptr");
  assert.deepEqual(upstream.asked.slice(before), []);
});

test("from an internal network nothing is asked outside (N07)", async () => {
  await using daemon = await startWithImage();
  await using upstream = await startUpstream(daemon, "127.0.0.53");
  await daemon.dockerOk(["network", "create", "--internal", "inner"]);
  await run(daemon, "one", "--network", "inner", "--dns", "127.0.0.53");
  await run(daemon, "two", "--network", "inner");
  assert.notEqual(await lookUp(daemon, "one", "two"), "");
  for (const type of ["a", "txt", "mx"]) assert.equal(await lookUp(daemon, "one", "secret.evil.example", type), "");
  assert.deepEqual(upstream.asked, []);
});

test("a daemon that is killed and comes back knows all names before it answers: none is asked outside meanwhile", async () => {
  await using daemon = await startWithImage();
  await using upstream = await startUpstream(daemon, "127.0.0.53");
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "front"]);
  for (const name of ["web", "db", "queue"]) await run(daemon, name, "--network", "front");
  const loop = "while :; do for i in web db queue; do nslookup -type=a $i. 127.0.0.11; done; done";
  await daemon.dockerOk(
    ["run", "-d", "--name", "asker", "--network", "front", "--dns", "127.0.0.53", "busybox", "sh", "-c"].concat(loop),
  );
  for (let i = 0; i < 2; i++) {
    await sleep(500);
    await daemon.kill9();
    await daemon.start();
  }
  const deadline = performance.now() + 20_000;
  while ((await lookUp(daemon, "asker", "web")) !== "10.61.0.2" && performance.now() < deadline) await sleep(50);
  assert.equal(await lookUp(daemon, "asker", "web"), "10.61.0.2");
  const { stdout } = await daemon.docker(["logs", "asker"]);
  assert.match(stdout, /Address: 10\.61\.0\.4/);
  assert.doesNotMatch(stdout, /NXDOMAIN|192\.0\.2\.77/);
  assert.deepEqual(upstream.asked, []);
});

test("port 53 is the container's own", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "front"]);
  await run(daemon, "own", "--network", "front");
  const script = [
    "nc -l -p 53 -e echo mine &",
    "sleep 0.3",
    "nc 127.0.0.1 53 </dev/null",
    "nslookup -type=a own 127.0.0.11",
  ].join("\n");
  const { stdout } = await daemon.docker(["exec", "own", "sh", "-c", script]);
  assert.match(stdout, /^mine$/m);
  assert.match(stdout, /^Address: 10\.61\.0\.2$/m);
});
