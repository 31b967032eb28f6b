// A small application put together by hand with the unmodified docker CLI: a database on an internal network, two replicas of a
// service between the networks, a web server whose ports are published. What people do with networks, and what they read.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cliArgv } from "../support/cli.ts";
import { runCommand, startDaemon, type CommandResult, type TestDaemon } from "../support/daemon.ts";

let daemon: TestDaemon;

before(async () => {
  daemon = await startDaemon();
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** argv of a container that serves one line over HTTP at a port. */
function server(line: string, port: number): readonly string[] {
  return ["busybox", "sh", "-c", `mkdir /srv; echo ${line} >/srv/index.html; exec httpd -f -p ${port} -h /srv`];
}

function docker(...args: readonly string[]): Promise<string> {
  return daemon.dockerOk(args);
}

/** GET from within a container; by nc, since a static busybox has no resolver, without which its wget crashes. */
async function fetchIn(container: string, address: string, port: number): Promise<CommandResult> {
  const line = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 ${address} ${port}`;
  const { code, stdout, stderr } = await daemon.docker(["exec", container, "sh", "-c", line]);
  return { code: stdout.startsWith("HTTP/") ? code : 1, stdout: stdout.split("\r\n\r\n")[1] ?? "", stderr };
}

/** As fetchIn, of the first address that the container finds for a name. */
async function fetchNamed(container: string, name: string, port: number): Promise<CommandResult> {
  const [address] = await addressesOf(container, name);
  return address === undefined
    ? { code: 1, stdout: "", stderr: `${container} does not know ${name}` }
    : fetchIn(container, address, port);
}

/** GET from the host that the daemon runs on. */
function fetchOnHost(url: string): Promise<CommandResult> {
  return daemon.inNamespace(["curl", "-sS", "-m", "3", url]);
}

/** A server needs a moment after its container has started. */
async function served(fetch: () => Promise<CommandResult>): Promise<string> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const { code, stdout, stderr } = await fetch();
    if (code === 0) return stdout.trim();
    if (performance.now() > deadline) throw new Error(`nothing is served: ${stderr}`);
    await sleep(50);
  }
}

/** Addresses that a container finds for a name, sorted. */
async function addressesOf(container: string, name: string): Promise<readonly string[]> {
  const { stdout } = await daemon.docker(["exec", container, "nslookup", "-type=a", name, "127.0.0.11"]);
  return [...stdout.matchAll(/^Address(?: \d+)?: ([\d.]+)$/gm)].map((found) => found[1] ?? "").sort();
}

test("networks are made and listed", async () => {
  const front = await docker("network", "create", "--label", "app=shop", "--subnet", "10.88.1.0/24", "front");
  const back = ["--label", "app=shop", "--subnet", "10.88.2.0/24", "--internal", "back"];
  assert.match(front, /^[0-9a-f]{64}$/);
  assert.match(await docker("network", "create", ...back), /^[0-9a-f]{64}$/);
  const format = "{{.Name}} {{.Driver}} {{.Internal}}";
  assert.equal(
    await docker("network", "ls", "--filter", "label=app=shop", "--format", format),
    "back bridge true\nfront bridge false",
  );
});

test("a service finds the database by its alias, and nobody else reaches it", async () => {
  await docker(
    "run",
    "-d",
    "--name",
    "db",
    "--network",
    "back",
    "--network-alias",
    "database",
    ...server("rows", 5432),
  );
  await docker("run", "-d", "--name", "app1", "--network", "front", "--network-alias", "app", ...server("one", 8000));
  assert.notEqual((await fetchNamed("app1", "database", 5432)).code, 0, "it is not on that network yet");
  await docker("network", "connect", "--alias", "app", "back", "app1");
  assert.equal(await served(() => fetchNamed("app1", "database", 5432)), "rows");
  assert.equal(await served(() => fetchNamed("app1", "db", 5432)), "rows");
  await docker(
    "run",
    "-d",
    "--name",
    "web",
    "--network",
    "front",
    "-p",
    "127.0.0.1:8080:80",
    "-p",
    "8081:80",
    ...server("page", 80),
  );
  const address = await docker("inspect", "-f", "{{.NetworkSettings.Networks.back.IPAddress}}", "db");
  assert.notEqual((await fetchIn("web", address, 5432)).code, 0, "networks are apart from each other");
  assert.notEqual((await fetchNamed("web", "db", 5432)).code, 0, "names of other networks are not known");
});

test("replicas share an alias; each has its own name too", async () => {
  await docker("run", "-d", "--name", "app2", "--network", "front", "--network-alias", "app", ...server("two", 8000));
  const format = "{{.NetworkSettings.Networks.front.IPAddress}}";
  const both = (await docker("inspect", "-f", format, "app1", "app2")).split("\n").sort();
  assert.deepEqual(await addressesOf("web", "app"), both);
  assert.equal(await served(() => fetchNamed("web", "app2", 8000)), "two");
  await docker("rm", "-f", "app2");
  const first = await docker("inspect", "-f", format, "app1");
  assert.deepEqual(await addressesOf("web", "app"), [first], "the one that is gone is no longer an answer");
});

test("published ports are shown, and reached where they are bound", async () => {
  assert.equal(await docker("port", "web"), "80/tcp -> 0.0.0.0:8081\n80/tcp -> 127.0.0.1:8080\n80/tcp -> [::]:8081");
  assert.match(
    await docker("ps", "--filter", "name=web", "--format", "{{.Ports}}"),
    /^0\.0\.0\.0:8081->80\/tcp, 127\.0\.0\.1:8080->80\/tcp, \[::\]:8081->80\/tcp$/,
  );
  for (const url of [
    "http://127.0.0.1:8080/",
    "http://127.0.0.1:8081/",
    "http://[::1]:8081/",
    "http://10.88.1.1:8081/",
  ])
    assert.equal(await served(() => fetchOnHost(url)), "page", url);
  assert.notEqual((await fetchOnHost("http://10.88.1.1:8080/")).code, 0, "that one is bound to 127.0.0.1");
  assert.equal(await served(() => fetchIn("app1", "10.88.1.1", 8081)), "page", "from a neighbour");
  assert.equal(await served(() => fetchIn("web", "10.88.1.1", 8081)), "page", "from itself");
});

test("a port that is taken is refused with its holder's name, and nothing is left", async () => {
  const clash = await daemon.docker(["run", "--rm", "--name", "clash", "-p", "8081:80", "busybox", "true"]);
  assert.equal(clash.code, 125);
  assert.match(clash.stderr, /8081.*port is already allocated.*web/);
  assert.equal(await docker("ps", "-aq", "--filter", "name=clash"), "");
});

test("everything goes on over a restart of the daemon, and of the database", async () => {
  await daemon.restart();
  assert.equal(await served(() => fetchOnHost("http://127.0.0.1:8080/")), "page");
  assert.equal(await served(() => fetchNamed("app1", "database", 5432)), "rows");
  await docker("restart", "-t", "0", "db");
  assert.equal(await served(() => fetchNamed("app1", "database", 5432)), "rows");
});

test("the firewall can be read", async () => {
  const { code, stdout, stderr } = await runCommand([
    ...cliArgv(),
    "-H",
    `unix://${daemon.socket}`,
    "network",
    "rules",
  ]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^table inet gantry \{$/m);
  assert.match(stdout, /^table bridge gantry \{$/m);
  assert.match(stdout, /comment "/);
});

test("a network in use is not removed; one that was left is, and prune takes the rest", async () => {
  const used = await daemon.docker(["network", "rm", "back"]);
  assert.equal(used.code, 1);
  assert.match(used.stderr, /network back has active endpoints \(name:"(?:db|app1)" id:"[0-9a-f]{12}"/);
  await docker("network", "disconnect", "back", "app1");
  assert.notEqual((await fetchNamed("app1", "database", 5432)).code, 0);
  await docker("rm", "-f", "db");
  assert.equal(await docker("network", "rm", "back"), "back");
  await docker("rm", "-f", "web", "app1");
  assert.equal(await docker("network", "prune", "-f", "--filter", "label=app=shop"), "Deleted Networks:\nfront\n");
  assert.equal(await docker("network", "ls", "--filter", "type=custom", "-q"), "");
});
