// gantryd's life on the real host: start, refuse, reload, stop; its sockets, files and modes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { daemonArgv, runCommand, startDaemon, TestDaemon } from "../support/daemon.ts";

const noImage = { args: ["--embedded-image="] } as const;

async function eventually(what: string, is: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!is()) {
    if (performance.now() > deadline) assert.fail(`never: ${what}`);
    await sleep(20);
  }
}

test("the docker CLI reads version and info without a complaint", async () => {
  await using daemon = await startDaemon({ args: [...noImage.args, "--label", "a=b"] });
  const version = await daemon.docker(["version"]);
  assert.equal(version.code, 0, version.stderr);
  assert.match(version.stdout, /API version:\s+1\.51 \(minimum version 1\.24\)/);
  assert.match(version.stdout, /Server: Gantry/);
  const info = await daemon.docker(["info"]);
  assert.deepEqual([info.code, info.stderr], [0, ""]);
  for (const line of [/Storage Driver: overlay2/, /Cgroup Driver: cgroupfs/, /Default Runtime: crun/, /Containers: 0/])
    assert.match(info.stdout, line);
  assert.match(info.stdout, /Labels:\n\s+a=b/);
  assert.doesNotMatch(info.stdout, /ERROR|WARNING/);
});

test("info tells the truth about this host", async () => {
  await using daemon = await startDaemon(noImage);
  const { json } = await daemon.api("GET", "/info");
  const info = json as Readonly<Record<string, unknown>>;
  const meminfo = readFileSync("/proc/meminfo", "utf8");
  assert.equal(info["MemTotal"], Number(/MemTotal:\s+(\d+)/.exec(meminfo)?.[1]) * 1024);
  assert.equal(info["DockerRootDir"], daemon.dataRoot);
  assert.equal(info["KernelVersion"], readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
  assert.match(String(info["ID"]), /^[0-9a-f-]{36}$/);
  await daemon.restart();
  assert.equal(((await daemon.api("GET", "/info")).json as typeof info)["ID"], info["ID"]);
});

test("files and sockets have the modes that the check expects", async () => {
  await using daemon = await startDaemon(noImage);
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  const group = /^docker:[^:]*:(\d+):/m.exec(readFileSync("/etc/group", "utf8"))?.[1];
  assert.equal(mode(daemon.socket), group === undefined ? "600" : "660");
  assert.equal(String(statSync(daemon.socket).gid), group ?? "0");
  assert.ok(["700", "711"].includes(mode(daemon.dataRoot)));
  assert.equal(mode(daemon.execRoot), "711");
  assert.equal(mode(join(daemon.dataRoot, "gantry.db")), "600");
  assert.equal(readFileSync(daemon.pidFile, "utf8"), `${daemon.pid}\n`);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
});

test("a second daemon on the same data root is refused, and told who holds it", async () => {
  await using daemon = await startDaemon(noImage);
  const argv = ["--pidfile", join(daemon.dir, "other.pid"), "--exec-root", join(daemon.dir, "other")];
  const second = await runCommand(daemon.argv(...argv, "--host", `unix://${join(daemon.dir, "other.sock")}`));
  assert.equal(second.code, 1);
  assert.ok(
    second.stderr.includes(`the data root ${daemon.dataRoot} is in use by gantryd with PID ${daemon.pid}`),
    second.stderr,
  );
  assert.equal(existsSync(join(daemon.dir, "other.pid")), false);
  assert.equal((await daemon.api("GET", "/_ping")).status, 200);
});

test("a second daemon with the same pid file is refused, and leaves the first one's alone", async () => {
  await using daemon = await startDaemon(noImage);
  const argv = ["--data-root", join(daemon.dir, "other-data"), "--exec-root", join(daemon.dir, "other")];
  const second = await runCommand(daemon.argv(...argv, "--host", `unix://${join(daemon.dir, "other.sock")}`));
  assert.equal(second.code, 1);
  assert.match(second.stderr, /ensure gantryd is not running or delete .*: process with PID \d+ is still running/);
  assert.equal(readFileSync(daemon.pidFile, "utf8"), `${daemon.pid}\n`);
});

test("a second daemon with the same exec root is refused, whatever its pid file and data root", async () => {
  await using daemon = await startDaemon();
  const argv = ["--pidfile", join(daemon.dir, "other.pid"), "--data-root", join(daemon.dir, "other")];
  const second = await runCommand(daemon.argv(...argv));
  assert.equal(second.code, 1);
  assert.match(second.stderr, /run\/gantryd\.pid: process with PID \d+ is still running\n$/);
  assert.equal((await daemon.api("GET", "/_ping")).status, 200);
});

test("a second daemon with roots of its own and the same cgroup parent leaves the first one's containers alone", async () => {
  await using daemon = await startDaemon();
  await daemon.dockerOk(["run", "-d", "--name", "kept", "--network", "none", "busybox", "sleep", "1000"]);
  const other = join(daemon.dir, "other");
  const socket = join(daemon.dir, "other.sock");
  const argv = ["--pidfile", `${other}.pid`, "--data-root", other, "--exec-root", `${other}-run`, "--bridge", "none"];
  const [file = "", ...args] = daemon.argv(...argv);
  const second = spawn(
    file,
    [...args.filter((arg, i) => arg !== "--host" && args[i - 1] !== "--host"), "--host", `unix://${socket}`],
    {
      stdio: "ignore",
    },
  );
  try {
    await eventually("the second daemon serves", () => existsSync(socket));
    assert.equal(await daemon.dockerOk(["inspect", "-f", "{{.State.Running}}", "kept"]), "true");
    assert.equal(await daemon.dockerOk(["exec", "kept", "echo", "alive"]), "alive");
    const check = await runCommand(["docker", "-H", `unix://${socket}`, "ps", "-aq"]);
    assert.deepEqual([check.code, check.stdout], [0, ""]);
  } finally {
    second.kill("SIGTERM");
    await eventually("the second daemon has ended", () => second.exitCode !== null || second.signalCode !== null);
  }
  await daemon.dockerOk(["rm", "-f", "kept"]);
});

test("containers and execs get the soft limit of open files that the launcher found, not the one that Node has raised", async () => {
  // From source: the launcher sets the variable by itself.
  await using daemon = await startDaemon({ fromSource: true, env: { GANTRY_SOFT_NOFILE: "512" } });
  await daemon.dockerOk(["run", "-d", "--name", "limits", "busybox", "sleep", "1000"]);
  const init = await daemon.dockerOk(["inspect", "-f", "{{.State.Pid}}", "limits"]);
  assert.match(readFileSync(`/proc/${init}/limits`, "utf8"), /^Max open files +512 /m);
  assert.equal(await daemon.dockerOk(["exec", "limits", "sh", "-c", "ulimit -Sn"]), "512");
  const asked = ["run", "--rm", "--ulimit", "nofile=600:700", "busybox", "sh", "-c", "ulimit -Sn; ulimit -Hn"];
  assert.equal(await daemon.dockerOk(asked), "600\n700");
  await daemon.dockerOk(["rm", "-f", "limits"]);
});

test("SIGTERM ends it with 0 and takes socket and pid file away; it starts again", async () => {
  await using daemon = await startDaemon(noImage);
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual([existsSync(daemon.socket), existsSync(daemon.pidFile)], [false, false]);
  await daemon.start();
  assert.equal(await daemon.end("SIGINT"), 0);
});

test("after kill -9 the stale socket and pid file are in nobody's way", async () => {
  await using daemon = await startDaemon(noImage);
  await daemon.kill9();
  assert.deepEqual([existsSync(daemon.socket), existsSync(daemon.pidFile)], [true, true]);
  await daemon.start();
});

test("a socket that somebody answers on, and a file that is no socket, are left alone", async () => {
  await using daemon = new TestDaemon(noImage);
  writeFileSync(daemon.socket, "mine");
  await assert.rejects(daemon.start(), /something that is no socket is there/);
  assert.equal(readFileSync(daemon.socket, "utf8"), "mine");
  rmSync(daemon.socket);
  const taken = join(daemon.dir, "taken.sock");
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(taken, resolve));
  const refused = await runCommand(daemon.argv("--host", `unix://${taken}`));
  server.close();
  assert.equal(refused.code, 1);
});

test("SIGTERM waits for a request that is under way, and ends one that would never end", async () => {
  await using daemon = await startDaemon(noImage);
  const events = daemon.api("GET", "/events");
  await sleep(200);
  assert.equal(await daemon.stop(), 0);
  assert.equal((await events).status, 200);
});

test("SIGHUP applies what it can, announces it, and says what waits; a bad file changes nothing", async () => {
  await using daemon = await startDaemon(noImage);
  const since = Math.floor(Date.now() / 1000) - 1;
  daemon.writeConfig({ debug: true, labels: ["x=y"], "default-runtime": "runc", mtu: 1400 });
  process.kill(daemon.pid, "SIGHUP");
  await eventually("reloaded", () => daemon.log.includes("Reloaded configuration"));
  const info = (await daemon.api("GET", "/info")).json as Readonly<Record<string, unknown>>;
  assert.deepEqual([info["Debug"], info["Labels"], info["DefaultRuntime"]], [true, ["x=y"], "runc"]);
  assert.match(daemon.log, /wait for the next start" directives=mtu/);
  const events = (await daemon.api("GET", `/events?since=${since}&until=${since + 60 - 60 + 3}`)).text;
  assert.match(events, /"Action":"reload"/);
  assert.match(events, /"default-runtime":"runc"/);
  writeFileSync(daemon.configFile, '{"debug": false, "nope": 1}');
  process.kill(daemon.pid, "SIGHUP");
  await eventually("refused", () => daemon.log.includes("could not be reloaded"));
  assert.match(daemon.log, /don't match any configuration option: nope/);
  daemon.writeConfig({ runtimes: { gone: { path: "/nope" } }, "default-runtime": "gone" });
  process.kill(daemon.pid, "SIGHUP");
  await eventually("refused again", () => daemon.log.includes("default runtime gone: no such program"));
  const after = (await daemon.api("GET", "/info")).json as typeof info;
  assert.deepEqual([after["Debug"], after["DefaultRuntime"]], [true, "runc"]);
});

test("SIGUSR1 does not open a debugger", async () => {
  await using daemon = await startDaemon(noImage);
  process.kill(daemon.pid, "SIGUSR1");
  await sleep(200);
  assert.equal((await daemon.api("GET", "/_ping")).status, 200);
  assert.doesNotMatch(daemon.log, /Debugger listening/);
});

test("--validate, --version, --help and wrong command lines answer without touching anything", async () => {
  await using daemon = new TestDaemon();
  const run = (...args: readonly string[]) => runCommand([...daemonArgv(), ...args]);
  const roots = ["--data-root", join(daemon.dir, "v"), "--config-file", daemon.configFile];
  assert.deepEqual(await run("--validate", ...roots), { code: 0, stdout: "", stderr: "configuration OK\n" });
  daemon.writeConfig({ foo: 1 });
  const bad = await run("--validate", ...roots);
  assert.equal(bad.code, 1);
  assert.match(
    bad.stderr,
    /^gantryd: unable to configure the daemon with file .*don't match any configuration option: foo\n$/,
  );
  assert.equal(existsSync(join(daemon.dir, "v")), false);
  assert.match((await run("--version")).stdout, /^Gantry version \d+\.\d+\.\d+/);
  assert.match((await run("--help")).stdout, /--data-root string\s+Root directory of persistent state/);
  const unknown = await run("--nope");
  assert.deepEqual([unknown.code, unknown.stderr], [125, "unknown flag: --nope\nSee 'gantryd --help'.\n"]);
  assert.deepEqual((await run("extra")).code, 125);
});

test("a start that fails says why, and leaves neither process nor socket nor pid file", async () => {
  await using daemon = new TestDaemon(noImage);
  const refused = await runCommand(daemon.argv("--host", "unix:///proc/nope/x.sock"));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /gantryd: .*\/proc\/nope/);
  assert.deepEqual([existsSync(daemon.socket), existsSync(daemon.pidFile)], [false, false]);
});

test("tcp is served with TLS to those with a certificate only", async () => {
  await using daemon = new TestDaemon({ ...noImage });
  const dir = join(daemon.dir, "tls");
  mkdirSync(dir);
  const openssl = async (...args: readonly string[]): Promise<void> => {
    const result = await runCommand(["openssl", ...args]);
    assert.equal(result.code, 0, result.stderr);
  };
  const subject = (name: string): readonly string[] => [
    "-subj",
    `/CN=${name}`,
    "-nodes",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
  ];
  await openssl(
    "req",
    "-x509",
    ...subject("ca"),
    "-keyout",
    `${dir}/ca-key.pem`,
    "-out",
    `${dir}/ca.pem`,
    "-days",
    "2",
  );
  for (const name of ["server", "client"]) {
    await openssl("req", "-new", ...subject(name), "-keyout", `${dir}/${name}-key.pem`, "-out", `${dir}/${name}.csr`);
    writeFileSync(`${dir}/${name}.ext`, "subjectAltName=IP:127.0.0.1\n");
    await openssl(
      "x509",
      "-req",
      "-in",
      `${dir}/${name}.csr`,
      "-CA",
      `${dir}/ca.pem`,
      "-CAkey",
      `${dir}/ca-key.pem`,
      "-CAcreateserial",
      "-out",
      `${dir}/${name}.pem`,
      "-days",
      "2",
      "-extfile",
      `${dir}/${name}.ext`,
    );
  }
  const [file = "", ...args] = daemon.argv(
    "--host",
    "tcp://127.0.0.1:12376",
    "--tlsverify",
    "--tlscacert",
    `${dir}/ca.pem`,
    "--tlscert",
    `${dir}/server.pem`,
    "--tlskey",
    `${dir}/server-key.pem`,
  );
  const child = spawn(file, args, { stdio: "ignore" });
  const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
  await eventually("listening", () => existsSync(daemon.socket));
  const docker = (...more: readonly string[]) =>
    daemon.inNamespace([
      "docker",
      "-H",
      "tcp://127.0.0.1:12376",
      "--tlsverify",
      "--tlscacert",
      `${dir}/ca.pem`,
      ...more,
      "version",
    ]);
  const good = await docker("--tlscert", `${dir}/client.pem`, "--tlskey", `${dir}/client-key.pem`);
  const bad = await daemon.inNamespace(["docker", "-H", "tcp://127.0.0.1:12376", "--tls", "version"]);
  child.kill("SIGTERM");
  assert.equal(await exited, 0);
  assert.equal(good.code, 0, good.stderr);
  assert.notEqual(bad.code, 0);
});

test("a listening descriptor of systemd is served, and its socket file stays", async () => {
  await using daemon = new TestDaemon(noImage);
  const path = join(daemon.dir, "passed.sock");
  // What systemd does: bind, listen, and start the program with the descriptor as number 3.
  const activate = [
    "import os, socket, sys",
    "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(16); os.dup2(s.fileno(), 3); os.set_inheritable(3, True)",
    "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execvp(sys.argv[2], sys.argv[2:])",
  ].join("\n");
  const argv = daemon.argv().map((arg) => (arg === `unix://${daemon.socket}` ? "fd://" : arg));
  const child = spawn("python3", ["-c", activate, path, ...argv], { stdio: "ignore" });
  const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
  // Bound is not yet listening: the first tries may be refused.
  let version = await runCommand(["docker", "-H", `unix://${path}`, "version"]);
  for (let i = 0; i < 100 && version.code !== 0; i++) {
    await sleep(50);
    version = await runCommand(["docker", "-H", `unix://${path}`, "version"]);
  }
  child.kill("SIGTERM");
  assert.equal(await exited, 0);
  assert.equal(version.code, 0, version.stderr);
  assert.equal(existsSync(path), true);
});

test("the harness itself fails for what a daemon leaves behind, and takes it away", async () => {
  const daemon = await startDaemon(noImage);
  await daemon.inNamespace(["ip", "link", "add", "stray0", "type", "bridge"]);
  const child = spawn("sh", ["-c", `sleep 1000 # ${daemon.dir}`], { stdio: "ignore" });
  const gone = new Promise((resolve) => child.on("exit", resolve));
  await assert.rejects(daemon[Symbol.asyncDispose](), (error: Error) => {
    assert.match(error.message, /link stray0/);
    assert.match(error.message, new RegExp(`process ${child.pid}: `));
    return true;
  });
  await gone;
  assert.equal(existsSync(daemon.dir), false);
});
