// A world for the shim's tests: a busybox root file system, a network namespace with a bridge, a cgroup parent, bundles
// written by hand. Everything is this process's own and is taken away by `dispose`, which fails where something is left.

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "../../src/base/log.ts";
import { newContainerId, type ContainerId } from "../../src/base/ids.ts";
import { createShims } from "../../src/engine/runtime/shim-shims.ts";
import type { Shim, ShimNetwork, ShimOptions, ShimOwnNetwork, Shims, ShimView } from "../../src/engine/runtime/shim.ts";

const root = new URL("../..", import.meta.url).pathname;
const applets = [
  "sh",
  "ls",
  "cat",
  "true",
  "false",
  "sleep",
  "echo",
  "head",
  "dd",
  "yes",
  "kill",
  "ip",
  "stty",
  "printf",
  "seq",
  "tail",
  "id",
  "wc",
  "mount",
  "readlink",
  "grep",
];

/** Path of the program under test; GANTRY_SHIM names another build (sanitizers). */
export function shimPath(): string {
  const path = process.env["GANTRY_SHIM"] ?? join(root, "shim/build/gantry-shim");
  if (!existsSync(path)) execFileSync("make", ["-C", join(root, "shim")], { stdio: "inherit" });
  return path;
}

interface CgroupHost {
  readonly hybrid: boolean;
  readonly mounts: readonly string[];
}

function cgroupHost(): CgroupHost {
  const mounts: string[] = [];
  let unified = false;
  for (const line of readFileSync("/proc/self/mounts", "utf8").split("\n")) {
    const [, point = "", type] = line.split(" ");
    if (type === "cgroup") mounts.push(point);
    if (type === "cgroup2" && point === "/sys/fs/cgroup") mounts.push(point);
    if (type === "cgroup2" && point !== "/sys/fs/cgroup") unified = true;
  }
  return { hybrid: unified && mounts.length > 0, mounts };
}

/** Deviations from the plain container of `start`. */
export interface ContainerSetup {
  readonly args: readonly string[];
  readonly tty?: boolean;
  readonly stdin?: boolean;
  readonly stdinOnce?: boolean;
  readonly consoleSize?: readonly [number, number];
  readonly network?: ShimNetwork;
  readonly log?: { readonly maxSizeBytes: number; readonly maxFiles: number } | "none";
  readonly memoryBytes?: number;
  readonly hostPid?: boolean;
  readonly lower?: readonly string[];
  readonly readonlyRoot?: boolean;
  readonly runtimePath?: string;
  readonly mounts?: readonly Record<string, unknown>[];
  /** Each is bound upon its place by the spec, as the engine does. */
  readonly views?: readonly (Omit<ShimView, "target"> & {
    readonly at: string;
    readonly options?: readonly string[];
  })[];
  readonly rootfsPropagation?: string;
  /** Beside the few that every container has. */
  readonly capabilities?: readonly string[];
}

/** As the spec builder writes it: the runtime sets it before the process runs. */
export function consoleSizeOf(size: readonly [number, number] | undefined): Record<string, unknown> {
  return size === undefined ? {} : { consoleSize: { height: size[0], width: size[1] } };
}

export interface Container {
  readonly id: ContainerId;
  readonly shim: Shim;
  readonly options: ShimOptions;
  readonly dir: string;
  readonly logPath: string;
}

export class ShimWorld {
  readonly dir: string;
  readonly name: string;
  readonly bridge: string;
  readonly host: CgroupHost = cgroupHost();
  readonly cgroupParent: string;
  shims: Shims;
  #nextAddress = 2;
  readonly #wrapper: string;
  readonly #containers: Container[] = [];

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), "gshim-"));
    this.name = `gshim${process.pid}`;
    this.bridge = "gbr0";
    this.cgroupParent = `/gshim-test-${process.pid}`;
    mkdirSync(join(this.dir, "lower/bin"), { recursive: true });
    for (const each of ["proc", "sys", "dev", "etc", "tmp"]) mkdirSync(join(this.dir, "lower", each));
    copyFileSync("/bin/busybox", join(this.dir, "lower/bin/busybox"));
    for (const applet of applets) linkSync(join(this.dir, "lower/bin/busybox"), join(this.dir, "lower/bin", applet));
    execFileSync("ip", ["netns", "add", this.name]);
    this.inNet("ip", "link", "set", "lo", "up");
    this.inNet("ip", "link", "add", this.bridge, "type", "bridge");
    this.inNet("ip", "addr", "add", "10.88.0.1/16", "dev", this.bridge);
    this.inNet("ip", "link", "set", this.bridge, "up");
    this.#wrapper = join(this.dir, "shim-in-netns");
    writeFileSync(this.#wrapper, `#!/bin/sh\nexec nsenter --net=/run/netns/${this.name} ${shimPath()} "$@"\n`, {
      mode: 0o755,
    });
    this.shims = this.newShims();
  }

  newShims(): Shims {
    return createShims({ shimPath: this.#wrapper, label: this.dir, logger: silentLogger });
  }

  inNet(...argv: readonly string[]): string {
    return execFileSync("nsenter", [`--net=/run/netns/${this.name}`, ...argv], { encoding: "utf8" });
  }

  /** One interface on the bridge. */
  bridgeNetwork(id: string): ShimOwnNetwork {
    const n = this.#nextAddress++;
    return {
      kind: "own",
      interfaces: [
        {
          kind: "veth",
          hostInterface: `gv${id.slice(0, 10)}`,
          parent: this.bridge,
          mode: "",
          flag: "",
          name: "eth0",
          mac: `02:42:0a:58:00:${n.toString(16).padStart(2, "0")}`,
          addresses: [`10.88.0.${n}/16`],
          mtu: 1500,
          sysctls: {},
        },
      ],
      gateway4: { via: "10.88.0.1", interface: "eth0" },
      gateway6: undefined,
      firewall: [],
      ports: [],
      dnsSocket: undefined,
    };
  }

  /** Options and bundle of a container that does not exist yet. */
  prepare(setup: ContainerSetup): ShimOptions {
    const id = newContainerId();
    const dir = join(this.dir, id.slice(0, 12));
    const runDir = join(dir, "run");
    for (const each of ["run", "data", "upper", "work"]) mkdirSync(join(dir, each), { recursive: true });
    const network = setup.network ?? { kind: "none" };
    const cgroups = this.host.mounts.map((mount) => join(mount, this.cgroupParent, id));
    writeFileSync(join(runDir, "config.json"), JSON.stringify(this.spec(id, runDir, setup, network)));
    return {
      id,
      runDir,
      exitFile: join(dir, "data/exit"),
      rootfs: {
        lower: setup.lower ?? [join(this.dir, "lower")],
        upper: join(dir, "upper"),
        work: join(dir, "work"),
        readonly: setup.readonlyRoot ?? false,
      },
      views: setup.views?.map(({ name, tree, source, readonly }) => ({
        name,
        tree,
        source,
        readonly,
        target: undefined,
      })),
      network,
      runtime: {
        path: setup.runtimePath ?? "/usr/bin/crun",
        args: [],
        stateRoot: join(this.dir, "state"),
        stateDir: setup.runtimePath === undefined ? join(this.dir, "state", id) : undefined,
        sealed: setup.runtimePath === undefined,
        hidesUnifiedCgroup: this.host.hybrid,
      },
      tty: setup.tty ?? false,
      stdin: setup.stdin ?? false,
      stdinOnce: setup.stdinOnce ?? false,
      consoleSize: setup.consoleSize,
      log:
        setup.log === "none"
          ? undefined
          : { path: join(dir, "data/json.log"), ...(setup.log ?? { maxSizeBytes: 0, maxFiles: 1 }) },
      cgroups,
    };
  }

  spec(id: string, runDir: string, setup: ContainerSetup, network: ShimNetwork): Record<string, unknown> {
    const namespaces: Record<string, string>[] = [{ type: "mount" }, { type: "ipc" }, { type: "uts" }];
    if (setup.hostPid !== true) namespaces.push({ type: "pid" });
    if (network.kind === "join") namespaces.push({ type: "network", path: network.path });
    else if (network.kind !== "host") namespaces.push({ type: "network", path: join(runDir, "netns") });
    return {
      ociVersion: "1.0.2",
      process: {
        ...this.process(setup.args, setup.tty ?? false, setup.capabilities),
        ...consoleSizeOf(setup.consoleSize),
      },
      root: { path: join(runDir, "rootfs") },
      hostname: id.slice(0, 12),
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
        ...(setup.mounts ?? []),
        ...(setup.views ?? []).map(({ name, at, options }) => ({
          destination: at,
          type: "bind",
          source: join(runDir, "views", name),
          options: options ?? ["bind", "rprivate"],
        })),
      ],
      linux: {
        namespaces,
        rootfsPropagation: setup.rootfsPropagation,
        cgroupsPath: join(this.cgroupParent, id),
        resources: setup.memoryBytes === undefined ? {} : { memory: { limit: setup.memoryBytes } },
      },
    };
  }

  process(args: readonly string[], terminal = false, more: readonly string[] = []): Record<string, unknown> {
    const all = [...more, "CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN", "CAP_DAC_OVERRIDE"];
    return {
      terminal,
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin", "HOME=/"],
      cwd: "/",
      capabilities: { bounding: all, effective: all, permitted: all, inheritable: [], ambient: [] },
    };
  }

  async spawn(setup: ContainerSetup): Promise<Container> {
    const options = this.prepare(setup);
    const shim = await this.shims.spawn(options);
    const container = {
      id: options.id,
      shim,
      options,
      dir: join(options.runDir, ".."),
      logPath: join(options.runDir, "../data/json.log"),
    };
    this.#containers.push(container);
    return container;
  }

  /** Mounts of the host below this world, processes, links, cgroups and runtime states of containers. */
  leftovers(): readonly string[] {
    const left: string[] = [];
    for (const line of readFileSync("/proc/self/mounts", "utf8").split("\n"))
      if (line.includes(this.dir)) left.push(`mount ${line}`);
    for (const line of this.inNet("ip", "-o", "link").split("\n")) if (/: gv/.test(line)) left.push(`link ${line}`);
    for (const mount of this.host.mounts) {
      const parent = join(mount, this.cgroupParent);
      if (!existsSync(parent)) continue;
      for (const name of readdirSync(parent))
        if (statSync(join(parent, name)).isDirectory()) left.push(`cgroup ${parent}/${name}`);
    }
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      let title = "";
      try {
        title = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        continue;
      }
      if (/^gantry-shim [0-9a-f]{12}/.test(title) && existsSync(join(this.dir, title.slice(12, 24))))
        left.push(`process ${pid} ${title}`);
    }
    const state = join(this.dir, "state");
    if (existsSync(state))
      for (const name of readdirSync(state)) if (/^[0-9a-f]{64}$/.test(name)) left.push(`state ${name}`);
    return left;
  }

  /** Takes everything away. @throws when a test has left something behind */
  async dispose(): Promise<void> {
    const left = this.leftovers();
    for (const { shim } of this.#containers) {
      if (left.length === 0) break;
      // A shim of a client that was closed never answers: the test fails for what is left, it must not hang.
      const ended = shim.kill("init", 9).catch(() => shim.abandon());
      await Promise.race([ended.then(() => shim.gone).catch(() => undefined), sleep(3000, undefined, { ref: false })]);
    }
    await this.shims.close();
    execFileSync("ip", ["netns", "delete", this.name]);
    for (const mount of this.host.mounts)
      if (existsSync(join(mount, this.cgroupParent))) rmdirSync(join(mount, this.cgroupParent));
    rmSync(this.dir, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`left behind: ${left.join("\n")}`);
  }
}
