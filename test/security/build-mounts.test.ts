// Mounts of steps against hostile trees: B01 (a cache's path swapped while it is mounted), B02 (mount points replaced by links), B03
// (entitlements), B05 (hostile sources and targets), B08 (secrets stay where they belong).

import assert from "node:assert/strict";
import { once } from "node:events";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { StepMount } from "../../src/engine/build/graph/index.ts";
import type { Snapshot } from "../../src/engine/build/solver/index.ts";
import { inOwnNetwork, StepWorld } from "../support/step-world.ts";

if (inOwnNetwork(import.meta.filename)) {
  let world: StepWorld;
  /** A directory of the host that no step may see or change. */
  const canary = mkdtempSync(join(tmpdir(), "canary-"));
  before(async () => {
    world = await StepWorld.open();
    writeFileSync(join(canary, "secret-of-the-host"), "host");
  });
  after(async () => {
    rmSync(canary, { recursive: true });
    await world.close();
  });

  const bind = (source: string, target: string, readonly = true): StepMount => ({
    type: "bind",
    input: 1,
    source,
    target,
    readonly,
  });
  const directory = (path: string): Snapshot => ({
    kind: "directory",
    directory: { path, entries: [], [Symbol.asyncDispose]: () => Promise.resolve() },
  });
  const cache = (target: string): StepMount => ({
    type: "cache",
    id: "c",
    target,
    sharing: "shared",
    readonly: false,
    input: undefined,
    source: "/",
    mode: 0o755,
    uid: 0,
    gid: 0,
  });
  const intact = (): void => {
    assert.deepEqual(readdirSync(canary), ["secret-of-the-host"]);
    assert.equal(readFileSync(join(canary, "secret-of-the-host"), "utf8"), "host");
  };

  test("B01: a source that is swapped for a link to the host while it is mounted never shows the host", async () => {
    const hostile = mkdtempSync(join(tmpdir(), "swap-"));
    mkdirSync(join(hostile, "real"));
    writeFileSync(join(hostile, "real/inside"), "");
    execFileSync("ln", ["-s", canary, join(hostile, "link")]);
    execFileSync("cp", ["-a", join(hostile, "real"), join(hostile, "s")]);
    const script = 'cd "$1"; while :; do mv s t && cp -a link s && rm s && mv t s; done 2>/dev/null';
    const swapper = spawn("sh", ["-c", script, "sh", hostile], { stdio: "ignore" });
    try {
      for (let n = 0; n < 200; n++) {
        const seen = await world
          .sh("ls -a /m", { inputs: [directory(hostile)], mounts: [bind("s", "/m", n % 2 === 0)] })
          .then(({ stdout }) => stdout)
          .catch((error: Error) => error.message);
        assert.doesNotMatch(seen, /secret-of-the-host/);
      }
    } finally {
      swapper.kill("SIGKILL");
      await once(swapper, "close");
      // A copy that it had begun goes on for a moment.
      rmSync(hostile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }
    intact();
  });

  test("B01: a target inside of a cache mount that another step swaps is never made outside", async () => {
    await world.sh("mkdir -p /c/d; ln -s / /c/root", { mounts: [cache("/c")] });
    const aborted = new AbortController();
    const swap = "cd /c; while :; do rm -rf d; ln -s /../../../../../tmp d; rm d; mkdir d; done 2>/dev/null";
    const swapper = world.sh(swap, { mounts: [cache("/c")], signal: aborted.signal }).catch(() => {});
    for (let n = 0; n < 40; n++)
      await world
        .sh("true", { mounts: [cache("/c"), { type: "tmpfs", target: `/c/d/made-${n}-of-b01`, sizeBytes: undefined }] })
        .catch(() => {});
    aborted.abort();
    await swapper;
    assert.deepEqual(
      readdirSync("/tmp").filter((name) => name.endsWith("-of-b01")),
      [],
    );
  });

  test("B02: mount points that a step replaces by links lead to nothing on the host", async () => {
    const steps = [
      `mv /made /moved; ln -s ${canary} /made`,
      `umount /made/point; rmdir /made/point; ln -s ${canary} /made/point`,
      `rm -rf /etc; ln -s ${canary} /etc; rm -rf /made; ln -s ${canary} /made`,
    ];
    for (const script of steps) {
      await world.sh(`${script}; true`, {
        mounts: [{ type: "tmpfs", target: "/made/point", sizeBytes: undefined }],
      });
      await world.sh(`${script}; true`, {
        mounts: [{ type: "tmpfs", target: "/made/point", sizeBytes: undefined }],
        security: "insecure",
        entitlements: ["security.insecure"],
      });
    }
    intact();
    assert.deepEqual(world.remains(), []);
  });

  test("B03: host network and privileges need their entitlements", async () => {
    await assert.rejects(world.sh("true", { network: "host" }), { kind: "Forbidden", message: /network\.host/ });
    await assert.rejects(world.sh("true", { security: "insecure" }), {
      kind: "Forbidden",
      message: /security\.insecure/,
    });
    const { stdout } = await world.sh("grep CapEff /proc/self/status; ip link | grep -c gantry0", {
      network: "host",
      security: "insecure",
      entitlements: ["network.host", "security.insecure"],
    });
    assert.doesNotMatch(stdout, /00000000a80425fb/);
    assert.match(stdout, /\n1\n$/);
  });

  test("B05: sources and targets that lead out stay inside", async () => {
    const made = await world.sh(
      `mkdir -p /t /in; ln -s ${canary} /abs; ln -s ../../../../../../..${canary} /rel; ln -s /abs /chain; mkfifo /fifo; ln -s /proc/self/root /proot; echo file > /file; ln -s / /self`,
    );
    const inputs = [made.snapshot];
    for (const source of [
      "/abs",
      "/rel",
      "/chain",
      `../../../..${canary}`,
      canary,
      "/proot/etc",
      "/fifo",
      "/dev/../abs",
    ])
      await assert.rejects(
        world.sh("ls /m", { inputs, mounts: [bind(source, "/m")] }),
        /not found|neither|mbolic|Permission|loop/,
        source,
      );
    const inner = await world.sh("cat /m/file", { inputs, mounts: [bind("/self/self/../self", "/m")] });
    assert.equal(inner.stdout, "file\n");

    const root = made.snapshot.layers;
    const tmpfs = (target: string): StepMount => ({ type: "tmpfs", target, sizeBytes: undefined });
    for (const target of ["/abs/x", "/rel/x", "/chain", "/../../../tmp/b05", `../..${canary}/x`, "/self/self/new"]) {
      const result = await world.sh("true", { root, mounts: [tmpfs(target)] });
      assert.equal(world.changes(result, root), undefined, target);
    }
    for (const target of ["/", "/..", "/proc", "/proc/self/fd", "/x/../proc/1"])
      await assert.rejects(world.sh("true", { root, mounts: [tmpfs(target)] }), { kind: "InvalidParameter" }, target);
    await assert.rejects(world.sh("true", { root, inputs, mounts: [bind("/file", "/in")] }), /Is a directory/);
    await assert.rejects(world.sh("true", { root, inputs, mounts: [bind("/in", "/file")] }), /Not a directory/);
    await assert.rejects(world.sh("true", { root, mounts: [tmpfs("/file/x")] }), /Not a directory/);
    intact();
    assert.equal(existsSync("/tmp/b05"), false);
    assert.deepEqual(world.remains(), []);
  });

  test("B08: a step with secrets leaves no core file, and one whose cgroup would lie elsewhere leaves no secret", async () => {
    const secret: StepMount = {
      type: "secret",
      id: "s",
      target: "/run/s",
      env: undefined,
      required: true,
      mode: 0o400,
      uid: 0,
      gid: 0,
    };
    const setup = { mounts: [secret], secrets: { s: "value" } };
    assert.equal((await world.sh("ulimit -c", setup)).stdout, "0\n");
    const none = {
      shmSizeBytes: undefined,
      memoryBytes: undefined,
      memorySwapBytes: undefined,
      cpuShares: undefined,
      cpuPeriodUs: undefined,
      cpuQuotaUs: undefined,
      cpusetCpus: undefined,
      cpusetMems: undefined,
    };
    const limits = { ...none, extraHosts: [], ulimits: [], cgroupParent: "../../../tmp" };
    await assert.rejects(world.sh("true", { ...setup, limits }), { kind: "InvalidParameter", message: /cgroup/ });
    assert.deepEqual(world.remains(), []);
    assert.equal(
      existsSync(join(world.execRoot, "steps")) && readdirSync(join(world.execRoot, "steps")).length > 0,
      false,
    );
  });

  test("B08: the value of a secret is in no layer, row or file, while the step runs and afterwards", async () => {
    const value = "b08-9f1c2d3e4f5a6b7c";
    const find = (): string => {
      // Files on disks: what lies in memory is below a mount of its own.
      const script = 'find "$1" -xdev -type f -exec grep -la "$2" {} + || true';
      return execFileSync("sh", ["-c", script, "sh", world.dir, value], { encoding: "utf8" });
    };
    let during: string | undefined;
    const secret: StepMount = {
      type: "secret",
      id: "s",
      target: "/run/s",
      env: "S",
      required: true,
      mode: 0o400,
      uid: 0,
      gid: 0,
    };
    const result = await world.sh('test "$(cat /run/s)" = "$S" && echo same; sleep 0.5; touch /after', {
      mounts: [secret],
      secrets: { s: value },
      onLog: () => {
        during = find();
      },
    });
    assert.equal(result.stdout, "same\n");
    assert.equal(during, "");
    assert.equal(find(), "");
    assert.deepEqual(world.changes(result), ["after"]);
  });
}
