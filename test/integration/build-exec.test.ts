// RUN on the real kernel: what a step sees, what it leaves, how it ends, and that nothing else stays.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PassThrough, Duplex } from "node:stream";
import { endStaleSteps, StepFailed } from "../../src/engine/build/exec/index.ts";
import type { StepMount } from "../../src/engine/build/graph/index.ts";
import { inOwnNetwork, StepWorld } from "../support/step-world.ts";

/** Says hello to a socket and tells what it answers. */
const talker = `
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  char text[256];
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  strncpy(a.sun_path, argv[argc - 1], sizeof a.sun_path - 1);
  if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 || write(fd, "hello\\n", 6) != 6 || shutdown(fd, SHUT_WR) != 0)
    return 1;
  for (ssize_t n; (n = read(fd, text, sizeof text)) > 0;)
    fwrite(text, 1, (size_t)n, stdout);
  return 0;
}
`;

if (inOwnNetwork(import.meta.filename)) {
  let world: StepWorld;
  before(async () => {
    world = await StepWorld.open();
  });
  after(() => world.close());

  const failure = async (work: Promise<unknown>): Promise<StepFailed & { stdout: string; stderr: string }> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof StepFailed, String(error));
    return error as StepFailed & { stdout: string; stderr: string };
  };

  test("a step that changes nothing leaves no layer, whatever the engine mounted for it", async () => {
    const result = await world.sh("cat /etc/hosts /etc/resolv.conf >/dev/null; ls /proc/self /sys >/dev/null");
    assert.equal(world.changes(result), undefined);
    assert.deepEqual(world.remains(), []);
  });

  test("what a step writes is its layer, with directories as the parent has them", async () => {
    const first = await world.sh("mkdir -m 1770 /d && chown 5:6 /d && echo a > /etc/new && rm /bin/yes");
    assert.deepEqual(world.changes(first), ["bin", "bin/yes", "d", "etc", "etc/new"]);
    const second = await world.sh("stat -c '%a %u %g' /d; cat /etc/new; ls /bin/yes 2>&1; touch /d/x", {
      root: first.snapshot.layers,
    });
    assert.equal(second.stdout, "1770 5 6\na\nls: /bin/yes: No such file or directory\n");
    assert.deepEqual(world.changes(second, first.snapshot.layers), ["d", "d/x"]);
    const third = await world.sh("stat -c '%a %u %g' /d", { root: second.snapshot.layers });
    assert.equal(third.stdout, "1770 5 6\n");
  });

  test("stdout and stderr come apart and live, and the exit code is in the error", async () => {
    const seen: string[] = [];
    const error = await failure(
      world.sh("echo out; sleep 0.2; echo err >&2; exit 7", { onLog: (stream, text) => seen.push(`${stream}${text}`) }),
    );
    assert.deepEqual(seen, ["1out\n", "2err\n"]);
    assert.equal(error.exitCode, 7);
    assert.match(error.message, /^process "\/bin\/sh -c .*" did not complete successfully: exit code: 7$/);
    assert.equal((await failure(world.run(["/nowhere"]))).exitCode, 127);
    assert.equal((await failure(world.run(["/etc"]))).exitCode, 126);
  });

  test("user, group, environment, working directory and host name are the step's", async () => {
    const root = (await world.sh("echo 'al:x:7:8::/home/al:/bin/sh' > /etc/passwd")).snapshot.layers;
    const { stdout, snapshot } = await world.sh(
      "id -u; id -g; pwd; hostname; echo $A $HOME; cat /proc/self/oom_score_adj",
      {
        root,
        user: "al",
        env: ["PATH=/bin", "A=b c"],
        workingDirectory: "/work/deep",
      },
    );
    assert.equal(stdout, "7\n8\n/work/deep\nbuildkitsandbox\nb c /home/al\n0\n");
    assert.deepEqual(world.changes({ snapshot, stdout, stderr: "" }, root), ["work", "work/deep"]);
    await assert.rejects(world.sh("true", { user: "nobody-here" }), {
      message: "unable to find user nobody-here: no matching entries in passwd file",
    });
    await assert.rejects(
      world.run(["true"], { platform: { os: "linux", architecture: "s390x" } }),
      /exec format error/,
    );
  });

  test("a step is confined as a container is", async () => {
    const { stdout } = await world.sh(
      "grep -E '^(CapEff|CapBnd|Seccomp):' /proc/self/status; cat /proc/kcore | wc -c; echo 1 > /proc/sys/kernel/domainname; true",
    );
    assert.match(stdout, /CapEff:\t00000000a80425fb\n/);
    assert.match(stdout, /Seccomp:\t2\n/);
    assert.match(stdout, /\n0\n$/);
  });

  test("networks: none has only lo, the default one is the bridge, and extra hosts are in its hosts file", async () => {
    assert.equal((await world.sh("ls /sys/class/net")).stdout, "lo\n");
    const { stdout } = await world.sh(
      "ls /sys/class/net; cat /etc/hosts; ping -c1 -W1 10.91.0.1 >/dev/null && echo reached",
      {
        network: "default",
        limits: { ...(await limits()), extraHosts: ["far:192.0.2.9", "here:host-gateway"] },
      },
    );
    assert.match(stdout, /^eth0\nlo\n/);
    assert.match(stdout, /192\.0\.2\.9\tfar\n/);
    assert.match(stdout, /10\.91\.0\.1\there\n/);
    assert.match(stdout, /reached\n$/);
    assert.deepEqual(await world.networks.check(new Set(), { repair: false }), []);
    assert.deepEqual(await world.store.load("endpoints"), []);
    await assert.rejects(world.sh("true", { limits: { ...(await limits()), extraHosts: ["bad"] } }), {
      kind: "InvalidParameter",
    });
  });

  async function limits(): Promise<import("../../src/engine/build/graph/index.ts").StepLimits> {
    return {
      extraHosts: [],
      shmSizeBytes: undefined,
      ulimits: [],
      cgroupParent: undefined,
      memoryBytes: undefined,
      memorySwapBytes: undefined,
      cpuShares: undefined,
      cpuPeriodUs: undefined,
      cpuQuotaUs: undefined,
      cpusetCpus: undefined,
      cpusetMems: undefined,
    };
  }

  test("limits hold, and a step that runs out of memory says so", async () => {
    const { stdout } = await world.sh("ulimit -n; df -k /dev/shm | tail -1 | awk '{print $2}'", {
      limits: { ...(await limits()), ulimits: [{ Name: "nofile", Soft: 99, Hard: 100 }], shmSizeBytes: 1 << 20 },
    });
    assert.equal(stdout, "99\n1024\n");
    const eater = world.sh("x=a; while true; do x=$x$x; done", {
      limits: { ...(await limits()), memoryBytes: 16 << 20, memorySwapBytes: 16 << 20 },
    });
    assert.match((await failure(eater)).message, /: cannot allocate memory$/);
  });

  test("another snapshot is seen read-only, or written to and thrown away; a file or a directory of it", async () => {
    const other = (await world.sh("mkdir -p /o/p && echo 1 > /o/p/f && ln -s p /o/l && rm /bin/yes")).snapshot;
    const bind = (change: Partial<Extract<StepMount, { type: "bind" }>>): StepMount => ({
      type: "bind",
      input: 1,
      source: "/",
      target: "/mnt/other",
      readonly: true,
      ...change,
    });
    const all = await world.sh("cat /mnt/other/o/p/f; ls /mnt/other/bin/yes; touch /mnt/other/x; true", {
      inputs: [other],
      mounts: [bind({})],
    });
    assert.equal(all.stdout, "1\n");
    assert.match(all.stderr, /yes: No such file/);
    assert.match(all.stderr, /Read-only file system/);
    assert.equal(world.changes(all), undefined);
    const written = await world.sh("echo 2 > f; cat f /file", {
      inputs: [other],
      workingDirectory: "/w",
      mounts: [bind({ source: "o/l", target: ".", readonly: false }), bind({ source: "/o/p/f", target: "/file" })],
    });
    assert.equal(written.stdout, "2\n1\n");
    assert.equal(world.changes(written), undefined);
    await assert.rejects(
      world.sh("true", { inputs: [other], mounts: [bind({ source: "/none" })] }),
      /"\/none": not found/,
    );
    assert.deepEqual(world.remains(), []);
  });

  test("mounts inside mounts, a tmpfs with its size, targets below /dev", async () => {
    const tree = (await world.sh("mkdir /t && echo 1 > /t/f")).snapshot;
    const { stdout, snapshot } = await world.sh(
      "cat /a/b/c/f; df -k /a | tail -1 | awk '{print $2}'; sh /dev/pipes/x; cat /dev/shm2/f",
      {
        inputs: [tree],
        mounts: [
          { type: "bind", input: 1, source: "/t", target: "/a/b/c", readonly: true },
          { type: "tmpfs", target: "/a", sizeBytes: 1 << 20 },
          { type: "bind", input: 1, source: "/t", target: "/dev/shm2", readonly: true },
        ],
        scripts: [{ path: "/dev/pipes/x", content: "echo script\n" }],
      },
    );
    assert.equal(stdout, "1\n1024\nscript\n1\n");
    assert.equal(world.changes({ snapshot, stdout, stderr: "" }), undefined);
  });

  const cache = (change: Partial<Extract<StepMount, { type: "cache" }>> = {}): StepMount => ({
    type: "cache",
    id: "c",
    target: "/cache",
    sharing: "shared",
    readonly: false,
    input: undefined,
    source: "/",
    mode: 0o751,
    uid: 3,
    gid: 4,
    ...change,
  });

  test("a cache mount keeps what steps write, is in no layer, and is listed and removed", async () => {
    const first = await world.sh("stat -c '%a %u %g' /cache; echo kept > /cache/f", { mounts: [cache()] });
    assert.equal(first.stdout, "751 3 4\n");
    assert.equal(world.changes(first), undefined);
    const second = await world
      .sh("cat /elsewhere/f; touch /elsewhere/x", {
        mounts: [cache({ target: "/elsewhere", readonly: true })],
      })
      .catch((error: { stdout: string }) => error);
    assert.equal(second.stdout, "kept\n");
    const entries = await world.exec.mounts.list();
    assert.deepEqual(
      entries.map(({ type, inUse, usageCount, description }) => [type, inUse, usageCount, description]),
      [["exec.cachemount", false, 2, "cached mount c"]],
    );
    using held = await world.exec.mounts.hold("c", AbortSignal.timeout(1000));
    assert.equal(await world.exec.mounts.remove(entries[0]?.id ?? ""), 0);
    held?.[Symbol.dispose]();
    assert.ok((await world.exec.mounts.remove(entries[0]?.id ?? "")) > 0);
  });

  test("a new cache mount is filled from a snapshot; locked steps run one after the other", async () => {
    const tree = (await world.sh("mkdir /seed && echo s > /seed/f")).snapshot;
    const filled = await world.sh("cat /cache/f", {
      inputs: [tree],
      mounts: [cache({ id: "seeded", input: 1, source: "/seed" })],
    });
    assert.equal(filled.stdout, "s\n");
    const order: string[] = [];
    const step = (name: string): Promise<unknown> =>
      world.sh(`echo +${name}; sleep 0.3; echo -${name}`, {
        mounts: [cache({ id: "lock", sharing: "locked" })],
        onLog: (_stream, text) => order.push(...text.trim().split("\n")),
      });
    await Promise.all([step("a"), step("b")]);
    assert.deepEqual(
      order.map((word) => word[0]),
      ["+", "-", "+", "-"],
    );
  });

  test("secrets are files and variables of the step alone; one that is required and missing is named", async () => {
    const file: StepMount = {
      type: "secret",
      id: "s",
      target: "/run/secrets/s",
      env: undefined,
      required: true,
      mode: 0o440,
      uid: 9,
      gid: 9,
    };
    const result = await world.sh(
      "cat /run/secrets/s; stat -c ' %a %u %g' /run/secrets/s; echo $TOKEN; ls /run/secrets",
      {
        mounts: [
          file,
          { ...file, id: "e", target: undefined, env: "TOKEN" },
          { ...file, id: "missing", target: "/run/secrets/missing", required: false },
        ],
        secrets: { s: "value", e: "token" },
      },
    );
    assert.equal(result.stdout, "value 440 9 9\ntoken\ns\n");
    assert.equal(world.changes(result), undefined);
    await assert.rejects(world.sh("true", { mounts: [file] }), { kind: "NotFound", message: "secret s: not found" });
    assert.deepEqual(world.remains(), []);
  });

  test("an agent is a socket that leads to the client's", async () => {
    const talk = (): Promise<Duplex> => {
      const inbound = new PassThrough();
      const outbound = new PassThrough();
      inbound.on("data", (bytes: Buffer) => outbound.write(`agent heard ${bytes.toString()}`));
      inbound.on("end", () => outbound.end());
      return Promise.resolve(Duplex.from({ writable: inbound, readable: outbound } as never));
    };
    const program = mkdtempSync(join(tmpdir(), "talk-"));
    execFileSync("gcc", ["-static", "-o", join(program, "talk"), "-x", "c", "-"], { input: talker });
    const tree = await world.layerOf(program, true);
    const mount: StepMount = {
      type: "ssh",
      id: "default",
      target: "/run/agent.sock",
      required: true,
      mode: 0o600,
      uid: 0,
      gid: 0,
    };
    const { stdout } = await world.sh("echo $SSH_AUTH_SOCK; /tools/talk $SSH_AUTH_SOCK", {
      inputs: [{ kind: "layers", layers: [tree] }],
      mounts: [mount, { type: "bind", input: 1, source: "/", target: "/tools", readonly: true }],
      connectAgent: talk,
    });
    assert.equal(stdout, "/run/agent.sock\nagent heard hello\n");
    await assert.rejects(world.sh("true", { mounts: [mount] }), /unset ssh forward key default/);
  });

  test("an abort ends a step at once and leaves nothing", async () => {
    for (const afterMs of [0, 5, 15, 30, 300]) {
      const aborted = new AbortController();
      const step = world.sh("sleep 1000 & sleep 1000", { signal: aborted.signal, network: "default" });
      setTimeout(() => aborted.abort(new Error("called off")), afterMs);
      await assert.rejects(step, /called off/);
      assert.deepEqual(world.remains(), [], `after ${afterMs} ms`);
    }
  });

  test("the state before a failed step is kept when the job wants it", async () => {
    const before = await world.sh("echo whole > /done");
    const root = before.snapshot.layers;
    const error = await failure(world.sh("echo half > /done; exit 1", { keepFailed: true, root }));
    const kept = world.exec.keptStep(error.stepId ?? "");
    assert.deepEqual(kept?.args, ["/bin/sh", "-c", "echo half > /done; exit 1"]);
    assert.equal((await world.sh("cat /done", { root: kept.layers })).stdout, "whole\n");
    assert.equal((await failure(world.sh("exit 1"))).stepId, undefined);
  });

  test("thirty steps at once all end well", async () => {
    const all = await Promise.all(
      Array.from({ length: 30 }, (_, n) => world.sh(`echo ${n} > /n; echo ${n}`, { network: "default" })),
    );
    assert.deepEqual(
      all.map(({ stdout }) => stdout.trim()),
      Array.from({ length: 30 }, (_, n) => String(n)),
    );
    assert.deepEqual(world.remains(), []);
  });

  test("what a daemon that died left is ended by the next one: shims, processes, cgroups, mounts, directories", async () => {
    const secret: StepMount = {
      type: "secret",
      id: "s",
      target: "/s",
      env: undefined,
      required: true,
      mode: 0o400,
      uid: 0,
      gid: 0,
    };
    const started = Promise.withResolvers<void>();
    // Nobody will ever hear of its end: its daemon is "dead".
    void world
      .sh("echo runs; sleep 1000", {
        network: "default",
        mounts: [secret],
        secrets: { s: "x" },
        onLog: () => started.resolve(),
      })
      .catch(() => {});
    await started.promise;
    await world.shims.close();
    assert.notDeepEqual(world.remains(), []);
    await endStaleSteps(world.execRoot, world.dataRoot);
    assert.deepEqual(world.remains(), []);
    await endStaleSteps(world.execRoot, world.dataRoot);
    await world.networks.close();
    await world.store.close();
    await world.start();
    assert.equal((await world.sh("echo again", { network: "default" })).stdout, "again\n");
  });
}
