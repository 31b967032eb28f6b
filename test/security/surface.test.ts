// What the engine shows to its containers and to other users of the host, and what an image's own config can do: each title
// begins with the number of the case in SECURITY.md.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { architecturesOf } from "../../src/engine/runtime/seccomp/default-filter.ts";
import { defaultCapabilities } from "../../src/engine/runtime/capabilities.ts";
import { syscallNumbers, verdictOf } from "../../src/engine/runtime/seccomp/default-profile.ts";
import { readHostFacts } from "../../src/engine/kernel/host-facts.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";

const secret = "gantry-secret-of-the-daemon";
let daemon: TestDaemon;

before(async () => {
  daemon = await startDaemon({ env: { GANTRY_TEST_SECRET: secret, NODE_OPTIONS: "--max-semi-space-size=2" } });
  await importImage(daemon, "users", (root) => {
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nann:x:1000:\ndev:x:2000:ann\nops:x:3000:\n");
  });
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

const rssKib = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]);

/** An image like `users` with one more instruction in its config, through import --change. */
async function derive(name: string, change: string): Promise<void> {
  await importImage(daemon, `${name}&changes=${encodeURIComponent(change)}`, (root) => {
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nann:x:1000:\ndev:x:2000:ann\nops:x:3000:\n");
  });
}

async function create(body: Readonly<Record<string, unknown>>): Promise<string> {
  const { status, json, text } = await daemon.api("POST", "/containers/create", body);
  assert.equal(status, 201, text);
  return (json as { readonly Id: string }).Id;
}

test("S02: a working directory of the image that is a link to a descriptor leads nowhere in run, exec and restart", async () => {
  await importImage(daemon, "s02", (root) => {
    for (let fd = 3; fd < 24; fd++) symlinkSync(`/proc/self/fd/${fd}`, join(root, `wd${fd}`));
  });
  await daemon.dockerOk(["run", "-d", "--name", "s02", "s02", "sleep", "1000"]);
  const probe = ["sh", "-c", "ls -d . && ls ../../../../../../.. && cat ../../../../../../etc/shadow; true"];
  for (let fd = 3; fd < 24; fd++) {
    for (const result of [
      await daemon.docker(["exec", "-w", `/wd${fd}`, "s02", ...probe]),
      ...(fd < 12 ? [await daemon.docker(["run", "--rm", "-w", `/wd${fd}`, "s02", ...probe])] : []),
    ])
      assert.doesNotMatch(result.stdout, /lost\+found|boot|root:[*!$]/, `fd ${fd}: ${result.stdout}`);
  }
  await daemon.dockerOk(["rm", "-f", "s02"]);
});

test("S08: USER of an image that is malformed or out of range never becomes root, at the start and at a restart", async () => {
  for (const user of ["1000:", "+0", "-1", "4294967296", "4294967295", "2147483648", "0x0", "ann:", "1e0", "٠"]) {
    await derive("s08", `USER ${user}`);
    const result = await daemon.docker(["run", "--rm", "s08", "id", "-u"]);
    if (result.code === 0) assert.equal(result.stdout.trim(), "1000", user);
    else assert.equal(result.code, 125, `${user}: ${result.stderr}`);
  }
});

test("S09: groups by USER of the image, --user, --group-add, exec and restart", async () => {
  const sorted = (text: string): string =>
    text
      .split(/\s+/)
      .toSorted((a, b) => Number(a) - Number(b))
      .join(" ");
  for (const [user, expected, added] of [
    ["ann", "1000 2000", "1000 2000 3000"],
    ["1000", "1000 2000", "1000 2000 3000"],
    ["ann:ops", "3000", "3000"],
    ["5:6", "6", "6 3000"],
    ["root", "0", "0 3000"],
  ] as const) {
    await derive("s09", `USER ${user}`);
    assert.equal(sorted(await daemon.dockerOk(["run", "--rm", "s09", "id", "-G"])), expected, user);
    const name = "s09-running";
    await daemon.dockerOk(["run", "-d", "--name", name, "--group-add", "ops", "s09", "sleep", "1000"]);
    for (const round of ["first", "restarted"]) {
      const pid = await daemon.dockerOk(["inspect", "-f", "{{.State.Pid}}", name]);
      const groups = /^Groups:\s*(.*?)\s*$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
      assert.equal(sorted(groups), added, `${user}, ${round}`);
      assert.equal(sorted(await daemon.dockerOk(["exec", name, "id", "-G"])), added, `${user}, exec, ${round}`);
      assert.equal(sorted(await daemon.dockerOk(["exec", "-u", "0", name, "id", "-G"])).split(" ")[0], "0");
      await daemon.dockerOk(["restart", "-t", "0", name]);
    }
    await daemon.dockerOk(["rm", "-f", name]);
  }
});

test("S14: passwd and group of 10 GiB, of a million lines and of one endless line cost neither memory nor time", async () => {
  const shapes: Readonly<Record<string, (path: string) => void>> = {
    sparse: (path) => ftruncateSync(openSync(path, "w"), 10 * 2 ** 30),
    lines: (path) => writeFileSync(path, "x:x:1:1:x:/:/bin/sh\n".repeat(1_000_000)),
    members: (path) => writeFileSync(path, `g:x:1:${"a,".repeat(8_000_000)}\n`),
  };
  for (const [name, make] of Object.entries(shapes)) {
    await importSparse(`s14-${name}`, (root) => {
      for (const file of ["passwd", "group"]) make(join(root, "etc", file));
    });
    const before = rssKib();
    for (let round = 0; round < 5; round++) {
      const argv = ["run", "--rm", "-u", "1000", `s14-${name}`, "stat", "-c", "%u", "/proc/self/"];
      const { code, stdout, stderr } = await daemon.docker(argv, { timeoutMs: 30_000 });
      assert.deepEqual([code, stdout.trim()], [0, "1000"], `${name}: ${stderr}`);
    }
    assert.ok(rssKib() < before + 48 * 1024, `${name}: ${before} → ${rssKib()} KiB`);
  }
});

/** As importImage, but with holes kept as holes on the way. */
async function importSparse(name: string, prepare: (root: string) => void): Promise<void> {
  const root = join(daemon.dir, `root-${name}`);
  mkdirSync(join(root, "bin"), { recursive: true });
  mkdirSync(join(root, "etc"));
  execFileSync("cp", ["/bin/busybox", join(root, "bin/busybox")]);
  for (const applet of ["stat", "sh"]) symlinkSync("busybox", join(root, "bin", applet));
  prepare(root);
  const tar = spawnSync("tar", ["-C", root, "-S", "-cf", "-", "."], { maxBuffer: 1 << 28 });
  const answer = await daemon.api("POST", `/images/create?fromSrc=-&repo=${name}`, tar.stdout);
  assert.equal(answer.status, 200, answer.text);
  execFileSync("rm", ["-rf", root]);
}

test("S20: execs with 1 GiB of output that nobody reads cost the daemon no memory, and end when their client goes", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "s20", "busybox", "sleep", "1000"]);
  const before = rssKib();
  const clients: Socket[] = [];
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) {
    const { json } = await daemon.api("POST", "/containers/s20/exec", {
      Cmd: ["sh", "-c", "head -c 1073741824 /dev/zero"],
      AttachStdout: true,
    });
    const id = (json as { readonly Id: string }).Id;
    ids.push(id);
    const client = connect(daemon.socket);
    const body = '{"Detach":false}';
    client.pause();
    client.write(
      `POST /exec/${id}/start HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    clients.push(client);
  }
  await sleep(2000);
  const running = async (id: string): Promise<boolean> =>
    ((await daemon.api("GET", `/exec/${id}/json`)).json as { readonly Running: boolean }).Running;
  for (const id of ids) assert.equal(await running(id), true, "the exec waits for its reader");
  assert.ok(rssKib() < before + 32 * 1024, `${before} → ${rssKib()} KiB`);
  for (const client of clients) client.destroy();
  const deadline = performance.now() + 120_000;
  for (const id of ids) while ((await running(id)) && performance.now() < deadline) await sleep(100);
  for (const id of ids) assert.equal(await running(id), false, "nobody reads, and the exec ends all the same");
  await daemon.dockerOk(["rm", "-f", "s20"]);
});

test("S20: thousands of attaches leak neither memory nor descriptors", async () => {
  await daemon.dockerOk(["run", "-di", "--name", "s20a", "busybox", "cat"]);
  const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const cycle = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const client = connect(daemon.socket);
      client.write(
        "POST /containers/s20a/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n",
      );
      await new Promise((resolve) => client.once("data", resolve));
      client.destroy();
    }
  };
  await cycle(1500);
  const before = { fds: descriptors(), kib: rssKib() };
  await cycle(3000);
  await sleep(500);
  assert.ok(descriptors() <= before.fds + 8, `descriptors: ${before.fds} → ${descriptors()}`);
  assert.ok(rssKib() <= before.kib + 32 * 1024, `resident: ${before.kib} → ${rssKib()} KiB`);
  await daemon.dockerOk(["rm", "-f", "s20a"]);
});

test("K04: system calls in run, exec and after a restart answer as the profile's tables say", async () => {
  await importImage(daemon, "k04", (root) => {
    const source = join(import.meta.dirname, "syscall-probe.c");
    execFileSync("cc", ["-O1", "-static", "-o", join(root, "bin/syscall-probe"), source]);
  });
  const [native = "x86_64"] = architecturesOf(readHostFacts().architecture) ?? [];
  const names = new Map([...syscallNumbers(native)].map(([name, number]) => [number, name]));
  const probe = ["/bin/syscall-probe", "64", "0", "470"];
  await daemon.dockerOk(["run", "-d", "--name", "k04", "k04", "sleep", "1000"]);
  const inRun = await daemon.dockerOk(["run", "--rm", "k04", ...probe]);
  const inExec = await daemon.dockerOk(["exec", "k04", ...probe]);
  await daemon.dockerOk(["restart", "-t", "0", "k04"]);
  const restarted = await daemon.dockerOk(["exec", "k04", ...probe]);
  for (const [where, output] of Object.entries({ inRun, inExec, restarted })) {
    const answers = new Map([...output.matchAll(/^(\d+) (\w+)$/gm)].map(([, n, answer = ""]) => [Number(n), answer]));
    assert.equal(answers.size, 470, where);
    const wrong = [...answers].flatMap(([number, answer]) => {
      const name = names.get(number);
      const verdict = name === undefined ? { errno: 38 } : verdictOf(name, defaultCapabilities);
      if (!("errno" in verdict) || answer === String(verdict.errno)) return [];
      return /^(?:uretprobe|uprobe|restart_syscall)$/.test(name ?? "") ? [] : [`${name ?? number}: ${answer}`];
    });
    assert.deepEqual(wrong, [], where);
  }
  await daemon.dockerOk(["rm", "-f", "k04"]);
});

test("F20: an exec has neither more capabilities than asked for nor the host's keyring; no_new_privs holds in it too", async () => {
  const opts = ["--security-opt", "no-new-privileges", "--cap-drop", "ALL"];
  await daemon.dockerOk(["run", "-d", "--name", "nnp", ...opts, "busybox", "sleep", "1000"]);
  const status = await daemon.dockerOk(["exec", "nnp", "cat", "/proc/self/status"]);
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^CapBnd:\s+0+$/m);
  assert.match(status, /^Seccomp:\s+2$/m);
  assert.equal((await daemon.docker(["exec", "nnp", "cat", "/proc/keys"])).stdout, "");
  await daemon.dockerOk(["rm", "-f", "nnp"]);
});

test("N01, N11: no process of the engine listens anywhere but on its socket files, and none is abstract", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "n01", "busybox", "sleep", "1000"]);
  const { stdout } = await daemon.inNamespace(["ss", "-H", "-l", "-n", "-t", "-u", "-w", "-S"]);
  assert.equal(stdout.trim(), "", "TCP, UDP or raw sockets");
  const unix = (await daemon.inNamespace(["ss", "-H", "-x", "-l", "-n"])).stdout;
  const own = new Set(ownSockets());
  for (const line of unix.split("\n")) {
    const [, , , , path = "", inode = ""] = line.split(/\s+/);
    // A shim binds through the descriptor of its directory: the path may be longer than a socket's name.
    if (own.has(inode)) assert.match(path, /^(?:\/tmp\/gantry-test-|\/proc\/self\/fd\/\d+\/)/, "listens elsewhere");
  }
  assert.ok(own.size > 1);
  const seen = await daemon.dockerOk(["run", "--rm", "--network", "host", "busybox", "cat", "/proc/net/unix"]);
  assert.doesNotMatch(seen, /@.*(?:gantry|shim)/);
  await daemon.dockerOk(["rm", "-f", "n01"]);
});

/** Inodes of the sockets that the daemon, its spawner and its shims hold. */
function ownSockets(): readonly string[] {
  const pids = readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    if (Number(pid) === daemon.pid) return true;
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("gantry-shim ")) return false;
      return descriptorsOf(pid).some((target) => target.startsWith(daemon.execRoot));
    } catch {
      return false;
    }
  });
  return pids.flatMap((pid) => descriptorsOf(pid).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}

function descriptorsOf(pid: string): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

test("A04: no network mode of a container reaches the API", async () => {
  const name = "a04";
  await daemon.dockerOk(["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
  for (const network of ["bridge", "host", "none", `container:${name}`]) {
    const script =
      "for p in 2375 2376 4243 80; do for h in 127.0.0.1 172.17.0.1 169.254.169.254; do nc -w 1 $h $p </dev/null 2>/dev/null && echo open $h:$p; done; done; " +
      "find / -xdev -type s 2>/dev/null; ls -a /run /var/run 2>/dev/null | grep -i -E 'gantry|docker'; echo done";
    const { stdout } = await daemon.docker(["run", "--rm", "--network", network, "busybox", "sh", "-c", script]);
    assert.equal(stdout, "done\n", network);
  }
  await daemon.dockerOk(["rm", "-f", name]);
});

test("the daemon's environment and descriptors reach neither containers nor execs", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "env", "busybox", "sleep", "1000"]);
  await daemon.dockerOk(["exec", "-d", "env", "sleep", "2000"]);
  const { json } = await daemon.api("GET", "/containers/env/top?ps_args=-eo%20pid,args");
  const { Processes } = json as { readonly Processes: readonly (readonly string[])[] };
  assert.equal(Processes.length, 2);
  for (const [pid = ""] of Processes) {
    assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, "latin1"), new RegExp(secret));
    assert.deepEqual(readdirSync(`/proc/${pid}/fd`).toSorted(), ["0", "1", "2"]);
    for (const target of descriptorsOf(pid)) assert.match(target, /^(?:\/dev\/null|pipe:\[\d+\])$/);
  }
  await daemon.dockerOk(["rm", "-f", "env"]);
});

test("S15: what the engine makes is writable for root alone, and its directories are closed", async () => {
  const id = await create({ Image: "busybox", Cmd: ["sleep", "1000"] });
  await daemon.dockerOk(["start", id]);
  const walk = (path: string): readonly string[] => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isSymbolicLink()) return [];
    const found = stat.uid !== 0 || (stat.mode & 0o022) !== 0 ? [`${path}: ${stat.uid} ${stat.mode.toString(8)}`] : [];
    if (!stat.isDirectory() || /\/snapshots\/\d+\/fs$|\/rootfs$/.test(path)) return found;
    return [...found, ...readdirSync(path).flatMap((name) => walk(join(path, name)))];
  };
  // Sockets are for those who may connect; their directory decides.
  assert.deepEqual([...walk(daemon.dataRoot), ...walk(daemon.execRoot)], []);
  for (const path of ["", "snapshots", "content", "containers"])
    assert.equal(lstatSync(join(daemon.dataRoot, path)).mode & 0o007, 0, path);
  assert.equal(lstatSync(join(daemon.execRoot, "containers")).mode & 0o077, 0);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
  await daemon.dockerOk(["rm", "-f", id]);
});
