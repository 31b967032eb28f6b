// A user's session with the unmodified docker CLI: what people type, and what they expect to read.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";

let daemon: TestDaemon;

before(async () => {
  daemon = await startDaemon();
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

test("docker version and info print both sides without a complaint", async () => {
  const version = await daemon.dockerOk([
    "version",
    "--format",
    "{{.Server.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}",
  ]);
  assert.match(version, /^1\.51 linux\/(amd64|arm64)$/);
  const info = await daemon.docker(["info"]);
  assert.equal(info.code, 0, info.stderr);
  assert.match(info.stdout, /Server Version: /);
  assert.doesNotMatch(info.stdout + info.stderr, /ERROR|errors pretty printing/);
});

test("run prints the container's output and passes its exit code on", async () => {
  const hello = await daemon.docker(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"]);
  assert.deepEqual(hello, { code: 7, stdout: "out\n", stderr: "err\n" });
});

test("run of a missing command is 127, of a directory 126, of a bad flag 125", async () => {
  const missing = await daemon.docker(["run", "--rm", "busybox", "no-such-command"]);
  assert.equal(missing.code, 127, missing.stderr);
  assert.match(missing.stderr, /executable file not found in \$PATH/);
  const directory = await daemon.docker(["run", "--rm", "busybox", "/etc"]);
  assert.equal(directory.code, 126, directory.stderr);
  assert.match(directory.stderr, /permission denied|is a directory/i);
  const bad = await daemon.docker(["run", "--rm", "--memory", "1m", "busybox", "true"]);
  assert.equal(bad.code, 125, bad.stderr);
  assert.match(bad.stderr, /Minimum memory limit allowed is 6MB/);
  assert.equal(await daemon.dockerOk(["ps", "-aq"]), "", "a refused container is not left behind");
});

test("stdin goes in, and its end ends the container", async () => {
  const cat = await daemon.docker(["run", "--rm", "-i", "busybox", "cat"], { input: "one\ntwo\n" });
  assert.deepEqual(cat, { code: 0, stdout: "one\ntwo\n", stderr: "" });
});

test("a detached container is listed, executed in, logged, stopped and removed", async () => {
  const id = await daemon.dockerOk([
    "run",
    "-d",
    "--name",
    "web",
    "busybox",
    "sh",
    "-c",
    "echo ready; trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done",
  ]);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.equal(await daemon.dockerOk(["ps", "--format", "{{.Names}} {{.Image}} {{.State}}"]), "web busybox running");
  assert.equal(await daemon.dockerOk(["exec", "web", "echo", "inside"]), "inside");
  assert.equal((await daemon.docker(["exec", "web", "sh", "-c", "exit 9"])).code, 9);
  assert.equal(await daemon.dockerOk(["exec", "-e", "A=b", "-w", "/tmp", "web", "sh", "-c", "echo $A $PWD"]), "b /tmp");
  assert.equal(await daemon.dockerOk(["exec", "-i", "web", "cat"], { input: "x" }), "x");
  const top = await daemon.dockerOk(["top", "web"]);
  assert.match(top.split("\n")[0] ?? "", /^UID\s+PID\s+PPID\s+C\s+STIME\s+TTY\s+TIME\s+CMD$/);
  assert.equal(await daemon.dockerOk(["stop", "web"]), "web");
  assert.equal(await daemon.dockerOk(["logs", "web"]), "ready\nbye");
  assert.equal(
    await daemon.dockerOk(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}", "web"]),
    "exited 3 false",
  );
  assert.equal(await daemon.dockerOk(["start", "web"]), "web");
  assert.equal(await daemon.dockerOk(["port", "web"]), "");
  const refused = await daemon.docker(["rm", "web"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /container is running: stop the container before removing or force remove/);
  assert.equal(await daemon.dockerOk(["rename", "web", "web2"]), "");
  assert.equal(await daemon.dockerOk(["pause", "web2"]), "web2");
  assert.match(await daemon.dockerOk(["ps"]), /\(Paused\)/);
  assert.equal(await daemon.dockerOk(["unpause", "web2"]), "web2");
  assert.equal(await daemon.dockerOk(["kill", "web2"]), "web2");
  assert.equal(await daemon.dockerOk(["wait", "web2"]), "137");
  assert.equal(await daemon.dockerOk(["rm", "web2"]), "web2");
  assert.equal(await daemon.dockerOk(["ps", "-aq"]), "");
});

test("logs follows to the end and understands tail, since and timestamps", async () => {
  await daemon.dockerOk([
    "run",
    "-d",
    "--name",
    "talk",
    "busybox",
    "sh",
    "-c",
    "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done",
  ]);
  assert.equal(await daemon.dockerOk(["logs", "-f", "talk"]), "line 1\nline 2\nline 3\nline 4\nline 5");
  assert.equal(await daemon.dockerOk(["logs", "--tail", "2", "talk"]), "line 4\nline 5");
  assert.match(
    await daemon.dockerOk(["logs", "-t", "--tail", "1", "talk"]),
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line 5$/,
  );
  assert.equal(await daemon.dockerOk(["logs", "--since", "10m", "--until", "1s", "--tail", "0", "talk"]), "");
  await daemon.dockerOk(["rm", "talk"]);
});

test("attach joins a running container and its end ends the client", async () => {
  await daemon.dockerOk([
    "run",
    "-d",
    "-i",
    "--name",
    "echo",
    "busybox",
    "sh",
    "-c",
    "read line; echo got $line; exit 4",
  ]);
  // As in dockerd, the end of stdin ends the attachment: the terminal's stays open until the container has answered.
  const attached = await runCommand([
    "sh",
    "-c",
    `(echo hello; sleep 2) | docker -H unix://${daemon.socket} attach echo`,
  ]);
  assert.deepEqual(attached, { code: 4, stdout: "got hello\n", stderr: "" });
  await daemon.dockerOk(["rm", "echo"]);
});

test("options reach the container", async () => {
  const run = (...args: string[]): Promise<string> => daemon.dockerOk(["run", "--rm", ...args]);
  assert.equal(await run("-u", "1000:1001", "busybox", "sh", "-c", "id -u; id -g"), "1000\n1001");
  assert.equal(await run("-h", "alpha", "busybox", "hostname"), "alpha");
  assert.equal(await run("-w", "/var", "busybox", "pwd"), "/var");
  assert.equal(await run("--network", "none", "busybox", "ls", "/sys/class/net"), "lo");
  assert.equal(await run("--entrypoint", "echo", "busybox", "a", "b"), "a b");
  assert.equal(await run("--add-host", "db:10.1.2.3", "busybox", "sh", "-c", "grep -w db /etc/hosts"), "10.1.2.3\tdb");
  assert.equal(
    await run("--dns", "10.9.8.7", "busybox", "grep", "nameserver", "/etc/resolv.conf"),
    "nameserver 10.9.8.7",
  );
  assert.equal(await run("--read-only", "busybox", "sh", "-c", "touch /x 2>/dev/null || echo refused"), "refused");
  assert.equal(
    await run("--tmpfs", "/scratch:size=1m", "busybox", "sh", "-c", "grep ' /scratch ' /proc/mounts | cut -d' ' -f3"),
    "tmpfs",
  );
  assert.equal(await run("--init", "busybox", "sh", "-c", "cat /proc/1/comm"), "docker-init");
  assert.equal(await run("--ulimit", "nofile=100:100", "busybox", "sh", "-c", "ulimit -n"), "100");
  assert.equal(await run("--sysctl", "net.core.somaxconn=77", "busybox", "cat", "/proc/sys/net/core/somaxconn"), "77");
  assert.equal(
    await run("-v", `${daemon.dir}:/host:ro`, "busybox", "sh", "-c", "touch /host/x 2>/dev/null || echo ro"),
    "ro",
  );
  assert.equal(
    await run(
      "--pids-limit",
      "5",
      "busybox",
      "sh",
      "-c",
      "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max",
    ),
    "5",
  );
  assert.match(await run("-t", "busybox", "tty"), /^\/dev\/(pts\/0|console)\s*$/);
});

test("what is not built is refused by name", async () => {
  for (const [args, name] of [
    [["swarm", "init"], /not supported/],
    [["plugin", "install", "--grant-all-permissions", "vieux/sshfs"], /not supported/],
  ] as const) {
    const refused = await daemon.docker(args);
    assert.notEqual(refused.code, 0, args.join(" "));
    assert.match(refused.stderr, name, args.join(" "));
  }
});

test("events tell a container's life in order", async () => {
  const since = String(Math.floor(performance.timeOrigin / 1000 + performance.now() / 1000));
  await sleep(1100);
  await daemon.dockerOk(["run", "--rm", "--name", "life", "busybox", "true"]);
  const until = String(Math.ceil(performance.timeOrigin / 1000 + performance.now() / 1000));
  await sleep(1100);
  const events = await daemon.dockerOk([
    "events",
    "--since",
    since,
    "--until",
    until,
    "--filter",
    "container=life",
    "--format",
    "{{.Action}}",
  ]);
  const actions = events.split("\n");
  assert.deepEqual(
    actions.filter((action) => ["create", "start", "die", "destroy"].includes(action)),
    ["create", "start", "die", "destroy"],
  );
});

test("images are saved by others, loaded, tagged, listed and removed", async () => {
  assert.match(await daemon.dockerOk(["images", "--format", "{{.Repository}}:{{.Tag}}"]), /^busybox:latest$/m);
  await daemon.dockerOk(["tag", "busybox", "example.com/team/box:v1"]);
  assert.equal(await daemon.dockerOk(["run", "--rm", "example.com/team/box:v1", "echo", "same"]), "same");
  assert.equal(await daemon.dockerOk(["rmi", "example.com/team/box:v1"]), "Untagged: example.com/team/box:v1");
  const missing = await daemon.docker(["rmi", "nope"]);
  assert.match(missing.stderr, /No such image: nope/);
});
