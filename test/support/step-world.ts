// Steps of builds on the real kernel without a daemon: store, snapshots, layers, networks and shims of their own, in a network
// namespace that the test file enters by running itself again. `close` fails where anything is left.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { test } from "node:test";
import type { DiffId, Digest } from "../../src/base/digest.ts";
import { silentLogger } from "../../src/base/log.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import { createExec, type Exec, type ExecDeps } from "../../src/engine/build/exec/index.ts";
import type { ExecOp, StepMount } from "../../src/engine/build/graph/index.ts";
import { type BuildLayers, createBuildLayers } from "../../src/engine/build/layers/index.ts";
import type { JobContext, RunContext, Snapshot } from "../../src/engine/build/solver/index.ts";
import { cgroupDirectories, discoverCgroups, removeCgroup } from "../../src/engine/kernel/cgroups.ts";
import { readHostFacts } from "../../src/engine/kernel/host-facts.ts";
import { readMounts } from "../../src/engine/kernel/mountinfo.ts";
import { createNetworks, type Networks } from "../../src/engine/network/index.ts";
import { createRuntimeSpecs, type Shims } from "../../src/engine/runtime/index.ts";
import { createShims } from "../../src/engine/runtime/shim-shims.ts";
import { createSnapshotter, type Snapshotter } from "../../src/engine/snapshots/index.ts";
import { openStore, type Store } from "../../src/engine/store/index.ts";
import { addNamespace, removeNamespace } from "./daemon.ts";
import { busyboxRoot } from "./image.ts";
import { packPath, unpackPath } from "./unpack-bench.ts";

const entered = "GANTRY_TEST_STEPS_NETNS";

/** Whether this process is in the namespace; otherwise `file` is run in one, as one test. */
export function inOwnNetwork(file: string): boolean {
  if (process.env[entered] !== undefined) return true;
  test("in a network namespace of its own", { timeout: 600_000 }, () => {
    const name = `gsteps${process.pid}`;
    addNamespace(name);
    try {
      const env: NodeJS.ProcessEnv = { ...process.env, [entered]: name };
      delete env["NODE_TEST_CONTEXT"];
      const argv = [`--net=/run/netns/${name}`, process.execPath, "--test-reporter=spec", ...process.execArgv, file];
      const child = spawnSync("nsenter", argv, { env, encoding: "utf8", maxBuffer: 1 << 26 });
      process.stdout.write(child.stdout);
      assert.equal(child.status, 0, child.stdout + child.stderr);
      // A hook of the file that fails is told, and does not count for the status.
      assert.doesNotMatch(child.stdout, /failing tests/);
    } finally {
      removeNamespace(name);
    }
  });
  return false;
}

/** What a step wrote, and what it left. */
export interface StepResult {
  readonly snapshot: Extract<Snapshot, { kind: "layers" }>;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StepSetup extends Partial<Omit<ExecOp, "kind" | "args" | "mounts">> {
  readonly mounts?: readonly StepMount[];
  /** Beside the root. */
  readonly inputs?: readonly Snapshot[];
  readonly root?: readonly DiffId[];
  readonly entitlements?: readonly string[];
  readonly secrets?: Readonly<Record<string, string | Uint8Array>>;
  readonly connectAgent?: () => Promise<Duplex>;
  readonly keepFailed?: boolean;
  readonly signal?: AbortSignal;
  readonly onLog?: (stream: 1 | 2, text: string) => void;
}

export class StepWorld {
  readonly dir = mkdtempSync(join(tmpdir(), "gsteps-"));
  readonly cgroupParent = `/gsteps-${process.pid}`;
  readonly dataRoot = join(this.dir, "data");
  readonly execRoot = join(this.dir, "exec");
  store!: Store;
  snapshots!: Snapshotter;
  layers!: BuildLayers;
  networks!: Networks;
  shims!: Shims;
  exec!: Exec;
  base!: DiffId;

  static async open(): Promise<StepWorld> {
    const world = new StepWorld();
    execFileSync("mkdir", ["-p", world.dataRoot, world.execRoot]);
    await world.start();
    const root = busyboxRoot();
    chmodSync(root, 0o755);
    world.base = await world.layerOf(root, true);
    return world;
  }

  async start(): Promise<void> {
    const { dataRoot, execRoot } = this;
    const logger = silentLogger;
    this.store = await openStore({ directory: dataRoot, logger });
    this.snapshots = await createSnapshotter({
      store: this.store,
      dataRoot,
      logger,
      unpackPath,
      packPath,
      maxLayerBytes: undefined,
    });
    this.layers = createBuildLayers({ snapshots: this.snapshots, store: this.store });
    const shimPath = process.env["GANTRY_SHIM"] ?? join(import.meta.dirname, "../../shim/build/gantry-shim");
    this.shims = createShims({ shimPath, label: execRoot, logger });
    this.networks = createNetworks({
      store: this.store,
      users: { get: (id) => this.exec?.networkUser(id), running: () => [] },
      config: {
        bridge: "",
        bip: "10.91.0.1/24",
        ipv6: false,
        bip6: undefined,
        fixedCidr: undefined,
        fixedCidr6: undefined,
        defaultGateway: undefined,
        defaultGateway6: undefined,
        icc: true,
        ipMasq: true,
        defaultHostIp: "",
        iptables: true,
        ip6tables: true,
        allowDirectRouting: false,
        hostGatewayIps: [],
        defaultAddressPools: [],
        defaultNetworkOptions: {},
        mtu: 1500,
        ipForward: true,
        dns: [],
        dnsSearch: [],
        dnsOptions: [],
      },
      events: { publish: () => {} },
      engineId: "test",
      execRoot,
      logger,
    });
    await this.networks.setUp();
    const config: ExecDeps["config"] = {
      cgroupParent: this.cgroupParent,
      shmSizeBytes: 64 << 20,
      ulimits: [],
      runtime: () => ({ path: "/usr/bin/crun", args: [], isCrun: true }),
    };
    this.exec = await createExec({
      store: this.store,
      layers: this.layers,
      networks: this.networks,
      shims: this.shims,
      specs: createRuntimeSpecs(),
      facts: readHostFacts(),
      paths: { dataRoot, execRoot },
      config,
      copyTree: async (from, source, directory) => {
        const tops = from.kind === "directory" ? [from.directory.path] : this.layers.directories(from.layers);
        for (const top of tops.toReversed())
          if (existsSync(join(top, source))) execFileSync("cp", ["-a", `${join(top, source)}/.`, directory]);
      },
      logger,
    });
  }

  async stop(): Promise<void> {
    await this.exec.close();
    await this.networks.close();
    await this.shims.close();
    await this.store.close();
  }

  /** A layer of what is in `directory`; removes it with `remove`. */
  async layerOf(directory: string, remove = false): Promise<DiffId> {
    const tar = spawnSync("tar", ["-C", directory, "--numeric-owner", "--xattrs", "-cf", "-", "."], {
      maxBuffer: 1 << 28,
    });
    assert.equal(tar.status, 0, tar.stderr.toString());
    if (remove) rmSync(directory, { recursive: true, force: true });
    const diffId = `sha256:${createHash("sha256").update(tar.stdout).digest("hex")}` as DiffId;
    await this.snapshots.unpack(undefined, diffId, Readable.from([tar.stdout]), AbortSignal.timeout(30_000));
    return diffId;
  }

  /** Directory of the top-most layer. */
  top(snapshot: Extract<Snapshot, { kind: "layers" }>): string {
    return this.layers.directories(snapshot.layers)[0] ?? "";
  }

  /** Paths in the layer that a step left, sorted; undefined when it left none. */
  changes({ snapshot }: StepResult, root: readonly DiffId[] = [this.base]): readonly string[] | undefined {
    if (snapshot.layers.length === root.length) return undefined;
    const out = execFileSync("find", [this.top(snapshot), "-mindepth", "1", "-printf", "%P\n"], { encoding: "utf8" });
    return out
      .split("\n")
      .filter((line) => line !== "")
      .sort();
  }

  sh(script: string, setup: StepSetup = {}): Promise<StepResult> {
    return this.run(["/bin/sh", "-c", script], setup);
  }

  async run(args: readonly string[], setup: StepSetup = {}): Promise<StepResult> {
    const root: Snapshot = { kind: "layers", layers: setup.root ?? [this.base] };
    const said = { 1: "", 2: "" };
    const op: ExecOp = {
      kind: "exec",
      args,
      env: ["PATH=/bin"],
      ignoredEnv: [],
      user: "",
      workingDirectory: "/",
      hostname: "",
      network: "none",
      security: "sandbox",
      mounts: [],
      scripts: [],
      platform: { os: "linux", architecture: readHostFacts().architecture },
      limits: {
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
      },
      ...pick(setup),
    };
    const context: RunContext = {
      job: this.#job(setup),
      vertex: {
        digest: "sha256:0" as Digest,
        op,
        inputs: [],
        name: "RUN",
        ranges: [],
        ignoreCache: false,
      },
      report: {
        digest: "sha256:0",
        log: (stream, data) => {
          said[stream] += Buffer.from(data).toString();
          setup.onLog?.(stream, Buffer.from(data).toString());
        },
        status: () => {},
      },
    };
    const signal = setup.signal ?? new AbortController().signal;
    try {
      const snapshot = await this.exec.runner.run(op, [root, ...(setup.inputs ?? [])], context, signal);
      assert.equal(snapshot.kind, "layers");
      return { snapshot, stdout: said[1], stderr: said[2] };
    } catch (error) {
      if (error instanceof Error) Object.assign(error, { stdout: said[1], stderr: said[2] });
      throw error;
    }
  }

  #job(setup: StepSetup): JobContext {
    const client = {
      sessionId: "test",
      secret: (id: string) => {
        const value = setup.secrets?.[id];
        return Promise.resolve(value === undefined ? undefined : Buffer.from(value));
      },
      hasAgent: () => Promise.resolve(setup.connectAgent !== undefined),
      connectAgent: () => setup.connectAgent?.() ?? Promise.reject(new Error("no agent")),
    } as unknown as BuildClient;
    return {
      ref: "test",
      client,
      progress: undefined as never,
      entitlements: new Set(setup.entitlements ?? []),
      clampTimes: undefined,
      keepFailed: setup.keepFailed ?? false,
    };
  }

  /** What is on the host of steps now: directories, cgroups, mounts, links. */
  remains(): readonly string[] {
    const found: string[] = [];
    for (const directory of [join(this.execRoot, "steps"), join(this.dataRoot, "build/steps")])
      if (existsSync(directory)) found.push(...readdirSync(directory).map((name) => join(directory, name)));
    for (const directory of cgroupDirectories(discoverCgroups(readMounts()), this.cgroupParent))
      if (existsSync(directory))
        found.push(
          ...readdirSync(directory, { withFileTypes: true })
            .filter((entry) => entry.isDirectory())
            .map(({ name }) => join(directory, name)),
        );
    found.push(
      ...readMounts()
        .filter(({ mountPoint }) => mountPoint.startsWith(this.dir))
        .map(({ mountPoint }) => mountPoint),
    );
    found.push(...links().filter((name) => name.startsWith("gveth")));
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
      if (commandOf(pid).includes(this.dir) && !commandOf(pid).includes(" spawner ")) found.push(`process ${pid}`);
    return found;
  }

  async close(): Promise<void> {
    await this.stop();
    const left = this.remains();
    await removeCgroup(discoverCgroups(readMounts()), this.cgroupParent);
    rmSync(this.dir, { recursive: true, force: true });
    assert.deepEqual(left, []);
  }
}

function pick(setup: StepSetup): Partial<ExecOp> {
  const { inputs: _i, root: _r, entitlements: _e, secrets: _s, connectAgent: _c, keepFailed: _k, ...rest } = setup;
  const { signal: _a, onLog: _l, ...op } = rest;
  return op;
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

function links(): readonly string[] {
  // Not /sys/class/net: that is still of the namespace in which /sys was mounted.
  const lines = execFileSync("ip", ["-o", "link"], { encoding: "utf8" }).split("\n");
  return lines.map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? "").filter((name) => name !== "");
}
