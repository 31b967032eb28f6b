// What must not stay behind, and what must not be given away too early: the elements of a start whose shim was killed, the ports of
// a container that is being disconnected, the subnets of networks whose bridges are down, names while shims are slow to answer.

import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import { startDaemon, type TestDaemon, type TestDaemonOptions } from "../support/daemon.ts";

const asleep = ["busybox", "sleep", "100000"];

async function startWithImage(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await startDaemon({ ...options, args: ["--embedded-image=", ...(options.args ?? [])] });
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  return daemon;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await sleep(50);
  }
  assert.fail(`not within 10 s: ${what}`);
}

/** The shim is the parent of its container's first process. */
async function shimOf(daemon: TestDaemon, name: string): Promise<number> {
  const pid = (await daemon.dockerOk(["inspect", "-f", "{{.State.Pid}}", name])).trim();
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function rules(daemon: TestDaemon): Promise<string> {
  return (await daemon.inNamespace(["nft", "list", "table", "inet", "gantry"])).stdout;
}

test("a shim that is killed while its container starts leaves nothing in the firewall", async () => {
  await using daemon = await startWithImage();
  const [runtime, pids] = [join(daemon.dir, "runtime"), join(daemon.dir, "pids")];
  const script = `case " $* " in *" run "*) ;; *) exit 0 ;; esac\necho $PPID $$ > ${pids}.new\nmv ${pids}.new ${pids}\nexec sleep 100\n`;
  writeFileSync(runtime, `#!/bin/sh\n${script}`);
  chmodSync(runtime, 0o755);
  daemon.writeConfig({ runtimes: { hangs: { path: runtime } } });
  await daemon.restart();
  const started = daemon.docker(["run", "-d", "--name", "cut", "--runtime", "hangs", "-p", "8085:80", ...asleep]);
  await until("the runtime runs", () => existsSync(pids));
  const [shim = 0, sleeper = 0] = readFileSync(pids, "utf8").split(" ").map(Number);
  assert.match(await rules(daemon), /8085/);
  process.kill(shim, "SIGKILL");
  process.kill(sleeper, "SIGKILL");
  assert.notEqual((await started).code, 0);
  await until("the port is out of the firewall", async () => !(await rules(daemon)).includes("8085"));
  await daemon.dockerOk(["run", "-d", "--name", "next", "-p", "8085:80", ...asleep]);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
});

test("a port is nobody else's, and its network stays, until the shim has let it go", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "front"]);
  await daemon.dockerOk(["run", "-d", "--name", "web", "--network", "front", "-p", "8086:80", ...asleep]);
  await daemon.dockerOk(["create", "--name", "other", "-p", "8086:80", ...asleep]);
  const shim = await shimOf(daemon, "web");
  process.kill(shim, "SIGSTOP");
  const left = daemon.docker(["network", "disconnect", "front", "web"]);
  try {
    await until("the disconnection is under way", async () => {
      const shown = (await daemon.api("GET", "/networks/front")).json as { readonly Containers: object };
      return Object.keys(shown.Containers).length === 0;
    });
    const early = await daemon.docker(["start", "other"]);
    assert.match(early.stderr, /port is already allocated \(by container web\)/);
    const removed = await daemon.docker(["network", "rm", "front"]);
    assert.match(removed.stderr, /network front has active endpoints \(name:"web"/);
  } finally {
    process.kill(shim, "SIGCONT");
  }
  assert.equal((await left).code, 0);
  await daemon.dockerOk(["start", "other"]);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
  await daemon.docker(["rm", "-f", "web"]);
  await daemon.dockerOk(["network", "rm", "front"]);
});

test("the default bridge's IPv6 subnet, when it comes later, is none of the other networks'", async () => {
  await using daemon = await startWithImage();
  const device = `br-${(await daemon.dockerOk(["network", "create", "--ipv6", "first"])).slice(0, 12)}`;
  daemon.writeConfig({ ipv6: true });
  await daemon.stop();
  // As after a boot: the record alone says whose the subnet is.
  await daemon.inNamespace(["ip", "link", "del", "dev", device]);
  await daemon.start();
  const subnets = await Promise.all(
    ["bridge", "first"].map((name) =>
      daemon.dockerOk(["network", "inspect", "-f", "{{range .IPAM.Config}}{{println .Subnet}}{{end}}", name]),
    ),
  );
  const all = subnets.flatMap((text) => text.split(/\s+/)).filter((subnet) => subnet.includes(":"));
  assert.equal(all.length, 2, subnets.join());
  assert.equal(new Set(all).size, 2, `both have ${all[0]}`);
  await daemon.dockerOk(["network", "rm", "first"]);
});

test("after a restart a container finds another whose shim does not answer yet", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "front"]);
  for (const name of ["web", "db"])
    await daemon.dockerOk(["run", "-d", "--name", name, "--network", "front", ...asleep]);
  const pid = (await daemon.dockerOk(["inspect", "-f", "{{.State.Pid}}", "web"])).trim();
  const look = (): ReturnType<TestDaemon["inNamespace"]> =>
    daemon.inNamespace(["nsenter", `--target=${pid}`, "--net", "--mount", "nslookup", "db", "127.0.0.11"]);
  const known = (await look()).stdout;
  assert.match(known, /Address.*172\./, known);
  const shim = await shimOf(daemon, "db");
  await daemon.kill9();
  process.kill(shim, "SIGSTOP");
  const starting = daemon.start();
  try {
    await until("the name is known", async () => /Address.*172\./.test((await look()).stdout));
    assert.match(readFileSync(`/proc/${shim}/stat`, "utf8"), /\) T /, "the shim still stands still");
  } finally {
    process.kill(shim, "SIGCONT");
    await starting;
  }
  await daemon.docker(["rm", "-f", "web", "db"]);
  await daemon.dockerOk(["network", "rm", "front"]);
});
