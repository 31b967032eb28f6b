// One RUN: read → decide → act, as a container's start and end in one, without a record.
//
//   platform, entitlements, cache mounts, secrets → writable layer → addresses
//   → files, spec ∥ shim's fork, mounts, network → output is connected → the runtime → exit → nothing is left but the layer
//
// A daemon that dies in between leaves a run directory: stale.ts ends it.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import { newContainerId, type ContainerId } from "../../../base/ids.ts";
import { type CgroupHierarchies, cgroupDirectories, killCgroup } from "../../kernel/cgroups.ts";
import type { ExitRecord, Shim } from "../../runtime/index.ts";
import { renderSpec } from "../../runtime/index.ts";
import { readExitRecord } from "../../runtime/shim-exit-record.ts";
import type { ExecOp, StepMount } from "../graph/index.ts";
import type { StepLayer } from "../layers/index.ts";
import type { RunContext, Snapshot } from "../solver/index.ts";
import type { CacheMounts, HeldMount } from "./cache-mounts.ts";
import type { ExecDeps } from "./index.ts";
import type { KeptSteps } from "./kept-steps.ts";
import { readOutput } from "./output.ts";
import { requirePlatform } from "./platform.ts";
import { makeStepDirectories, makeThrowAway, type StepDirectories, stepDirectories } from "./step-directories.ts";
import { stepFailed } from "./step-error.ts";
import { fetchSecrets, findAgents, openAccess, type StepAccess } from "./step-secrets.ts";
import { clearStep, endShim } from "./step-end.ts";
import { cgroupOf, configOf, hostConfigOf, networkModeOf, networkRequestOf } from "./step-spec.ts";
import { cleanTarget, planViews, snapshotTree, type StepViews, type WantedView } from "./step-views.ts";

/** What steps share. */
export interface StepRoom {
  readonly deps: ExecDeps;
  readonly hierarchies: CgroupHierarchies;
  readonly caches: CacheMounts;
  readonly kept: KeptSteps;
  /** Steps that run: nobody may take them for orphans. */
  readonly running: Map<ContainerId, RunningStep>;
}

export interface RunningStep {
  readonly cgroup: string;
  readonly networkMode: string;
}

/** How the process of a step ended. */
interface StepEnd {
  readonly exitCode: number;
  readonly oomKilled: boolean;
}

/** @throws StepFailed; EngineError whatever is wrong with its mounts, user, network; Cancelled */
export async function runStep(
  room: StepRoom,
  op: ExecOp,
  inputs: readonly Snapshot[],
  context: RunContext,
  signal: AbortSignal,
): Promise<Snapshot> {
  signal.throwIfAborted();
  const { deps } = room;
  checkStep(room, op, context);
  const root = inputs[0];
  if (root?.kind === "directory")
    throw new EngineError(
      "NotImplemented",
      "a step cannot run in a directory of the client: copy it into an image first",
    );
  const { client } = context.job;
  const [secrets, agents] = await Promise.all([
    fetchSecrets(op.mounts, client, signal),
    findAgents(op.mounts, client, signal),
  ]);
  using caches = await takeCaches(room, op, inputs, signal);
  await using layer = await deps.layers.begin(root?.layers ?? []);
  const id = newContainerId();
  const directories = stepDirectories(deps.paths.execRoot, deps.paths.dataRoot, id);
  const cgroup = cgroupOf(op, id, deps.config);
  room.running.set(id, { cgroup, networkMode: networkModeOf(op) });
  let end: StepEnd;
  let cleared: boolean;
  try {
    await makeStepDirectories(directories, secrets.size > 0);
    await failpoint("build.exec.directories");
    using access = await openAccess(directories.run, secrets, agents, op.env, client, signal);
    const views = viewsOf(room, op, inputs, caches.paths, access, directories);
    end = await runProcess(room, { op, id, directories, cgroup, layer, access, views }, context, signal);
    await failpoint("build.exec.ended");
  } catch (error) {
    // Whatever an abort was met with.
    signal.throwIfAborted();
    throw error;
  } finally {
    cleared = await clearStep(room, id, cgroup, directories);
  }
  signal.throwIfAborted();
  // What still runs could write into a layer that others build upon.
  if (!cleared) throw new EngineError("System", "the step has ended, but processes of it are left");
  if (end.exitCode === 0) return { kind: "layers", layers: await layer.finish(context.job.clampTimes, signal) };
  const { env, user, workingDirectory, args, platform } = op;
  const layers = root?.layers ?? [];
  const stepId = context.job.keepFailed
    ? room.kept.add({ layers, env, user, workingDirectory, args, platform })
    : undefined;
  throw stepFailed(op.args, end.exitCode, end.oomKilled, stepId);
}

/** Everything that can be complained about before anything is done. */
function checkStep({ deps, hierarchies }: StepRoom, op: ExecOp, { job }: RunContext): void {
  requirePlatform(op.platform, deps.facts.architecture);
  if (op.network === "host") requireEntitlement(job.entitlements, "network.host");
  if (op.security === "insecure") requireEntitlement(job.entitlements, "security.insecure");
  if (op.args.length === 0) throw new EngineError("InvalidParameter", "the step has no command");
  // Of a cgroup parent that leads out of the hierarchies.
  cgroupDirectories(hierarchies, cgroupOf(op, "0", deps.config));
  const config = configOf(op, op.env);
  const hostConfig = hostConfigOf(op, deps.config);
  const wrong = [
    ...deps.specs.validate(config, hostConfig, deps.facts).invalid,
    ...deps.networks.validate(config, hostConfig),
    ...(op.args.some((word) => word.includes("\0")) ? ["an argument has a NUL byte"] : []),
  ];
  if (wrong.length > 0) throw new EngineError("InvalidParameter", wrong.join("\n"));
}

function requireEntitlement(given: ReadonlySet<string>, name: string): void {
  if (!given.has(name)) throw new EngineError("Forbidden", `${name} is not allowed: the build needs --allow ${name}`);
}

type CacheMount = Extract<StepMount, { type: "cache" }>;

/** In the order of their ids, so that no two steps wait for each other; one that is mounted twice is taken once. */
async function takeCaches(
  room: StepRoom,
  op: ExecOp,
  inputs: readonly Snapshot[],
  signal: AbortSignal,
): Promise<Disposable & { readonly paths: ReadonlyMap<string, string> }> {
  const wanted = new Map<string, CacheMount>();
  for (const mount of op.mounts) if (mount.type === "cache" && !wanted.has(mount.id)) wanted.set(mount.id, mount);
  const held = new Map<string, HeldMount>();
  const dispose = (): void => {
    for (const mount of held.values()) mount[Symbol.dispose]();
  };
  try {
    for (const mount of [...wanted.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
      const { mode, uid, gid } = mount;
      const fill = fillOf(room, mount, inputs);
      held.set(mount.id, await room.caches.take(mount.id, mount.sharing, { mode, uid, gid, fill }, signal));
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { paths: new Map([...held].map(([id, { path }]) => [id, path])), [Symbol.dispose]: dispose };
}

function fillOf(
  { deps }: StepRoom,
  { input, source }: CacheMount,
  inputs: readonly Snapshot[],
): ((path: string, signal: AbortSignal) => Promise<void>) | undefined {
  if (input === undefined) return undefined;
  const from = snapshotOf(inputs, input);
  return (path, signal) => deps.copyTree(from, source, path, signal);
}

function snapshotOf(inputs: readonly Snapshot[], index: number): Snapshot {
  const snapshot = inputs[index];
  if (snapshot === undefined) throw new EngineError("InvalidParameter", `a mount of the step has no input ${index}`);
  return snapshot;
}

function viewsOf(
  room: StepRoom,
  op: ExecOp,
  inputs: readonly Snapshot[],
  caches: ReadonlyMap<string, string>,
  access: StepAccess,
  directories: StepDirectories,
): StepViews {
  const { layers } = room.deps;
  const at = (target: string): string => cleanTarget(target, op.workingDirectory);
  const wanted: WantedView[] = [];
  for (const [index, mount] of op.mounts.entries()) {
    if (mount.type === "bind") {
      const { input, source, target, readonly } = mount;
      const throwAway = readonly ? undefined : () => makeThrowAway(directories, `view-${index}`);
      const tree = snapshotTree(snapshotOf(inputs, input), layers, directories.empty, throwAway);
      wanted.push({ target: at(target), tree, source, readonly });
    } else if (mount.type === "cache") {
      const tree = { kind: "path", path: caches.get(mount.id) ?? "", isSocket: false } as const;
      wanted.push({ target: at(mount.target), tree, readonly: mount.readonly });
    } else if (mount.type === "tmpfs")
      wanted.push({
        target: at(mount.target),
        tree: { kind: "tmpfs", sizeBytes: mount.sizeBytes ?? 0 },
        readonly: false,
      });
  }
  for (const mount of access.mounts) wanted.push({ ...mount, target: at(mount.target) });
  for (const [index, { path, content }] of op.scripts.entries()) {
    const file = join(directories.run, `script-${index}`);
    writeFileSync(file, content, { mode: 0o755, flag: "wx" });
    wanted.push({ target: at(path), tree: { kind: "path", path: file, isSocket: false }, readonly: true });
  }
  return planViews(wanted, directories.run);
}

interface Step {
  readonly op: ExecOp;
  readonly id: ContainerId;
  readonly directories: StepDirectories;
  readonly cgroup: string;
  readonly layer: StepLayer;
  readonly access: StepAccess;
  readonly views: StepViews;
}

/** From the addresses to the exit; its shim has left when it returns or throws. */
async function runProcess(room: StepRoom, step: Step, { report }: RunContext, signal: AbortSignal): Promise<StepEnd> {
  const { deps } = room;
  const { op, id } = step;
  const env = [...op.env, ...step.access.env];
  const config = configOf(op, env);
  const hostConfig = hostConfigOf(op, deps.config);
  const request = networkRequestOf(id, config, hostConfig);
  const connection = await deps.networks.connect(request);
  let shim: Shim | undefined;
  const stop = (): void => {
    if (shim !== undefined) void endShim(shim).catch(() => {});
  };
  try {
    const [spawned, bundled] = await Promise.allSettled([
      deps.shims.spawn(shimOptions(room, step, connection.network)),
      writeBundle(room, step, config, hostConfig, request),
    ]);
    if (spawned.status === "fulfilled") shim = spawned.value;
    if (bundled.status === "rejected") throw bundled.reason;
    if (spawned.status === "rejected") throw spawned.reason;
    signal.addEventListener("abort", stop);
    signal.throwIfAborted();
    await failpoint("build.exec.spawned");
    return await follow(room, step, spawned.value, report, signal);
  } finally {
    signal.removeEventListener("abort", stop);
    if (shim !== undefined) await endShim(shim);
    deps.networks.release(id);
  }
}

async function follow(
  room: StepRoom,
  { directories, cgroup }: Step,
  shim: Shim,
  report: RunContext["report"],
  signal: AbortSignal,
): Promise<StepEnd> {
  const { promise: exited, resolve } = Promise.withResolvers<ExitRecord | undefined>();
  shim.on("exit", resolve);
  shim.on("closed", () => resolve(undefined));
  const attachment = await shim.attach("init", { stdin: false, stdout: true, stderr: true });
  // Its end alone leaves this side of the connection open.
  using _ = { [Symbol.dispose]: () => void attachment.duplex.destroy() };
  const output = readOutput(attachment.duplex, (stream, data) => report.log(stream, data));
  const outcome = await shim.run();
  if ("failure" in outcome) {
    signal.throwIfAborted();
    report.log(2, Buffer.from(`${outcome.failure.message}\n`));
    return { exitCode: outcome.failure.exitCode, oomKilled: false };
  }
  await failpoint("build.exec.running");
  const exit = (await exited) ?? (await readExitRecord(join(directories.run, "exit")));
  if (exit === undefined) {
    // Dead before it could take its elements out of the firewall's sets.
    await killCgroup(room.hierarchies, cgroup);
    await room.deps.networks.resync();
    throw new EngineError("System", "the shim of the step died");
  }
  await output;
  return { exitCode: exit.exitCode, oomKilled: exit.oomKilled };
}

function shimOptions(
  room: StepRoom,
  step: Step,
  network: Awaited<ReturnType<ExecDeps["networks"]["connect"]>>["network"],
): Parameters<ExecDeps["shims"]["spawn"]>[0] {
  const { config, facts } = room.deps;
  const { op, id, directories, layer } = step;
  const runtime = config.runtime();
  const stateRoot = join(directories.run, "state");
  return {
    id,
    runDir: directories.run,
    exitFile: join(directories.run, "exit"),
    rootfs: { ...layer.dirs, readonly: false },
    step: { stubs: directories.stubs, cwd: madeDirectory(op.workingDirectory), views: step.views.views },
    network,
    runtime: {
      path: runtime.path,
      args: runtime.args,
      // In the run directory: runtimes keep the spec, and secrets in the environment with it.
      stateRoot,
      stateDir: runtime.isCrun ? join(stateRoot, id) : undefined,
      sealed: runtime.isCrun,
      hidesUnifiedCgroup: facts.hybrid && runtime.isCrun,
    },
    tty: false,
    stdin: false,
    stdinOnce: false,
    consoleSize: undefined,
    log: undefined,
    cgroups: cgroupDirectories(room.hierarchies, step.cgroup),
  };
}

/** Below these only the runtime's mounts come: nothing is made there. */
function madeDirectory(workingDirectory: string): string {
  const isMounted = /^\/(?:dev|proc|sys)(?:\/|$)/.test(workingDirectory);
  return workingDirectory === "" || isMounted ? "/" : workingDirectory;
}

async function writeBundle(
  room: StepRoom,
  { op, id, directories, cgroup, layer, views }: Step,
  config: ReturnType<typeof configOf>,
  hostConfig: ReturnType<typeof hostConfigOf>,
  request: ReturnType<typeof networkRequestOf>,
): Promise<void> {
  const { specs, networks, facts } = room.deps;
  const [user, contents] = await Promise.all([
    specs.resolveUser(op.user, [], [layer.dirs.upper, ...layer.dirs.lower]),
    networks.files(request),
  ]);
  const files = {
    hosts: join(directories.run, "hosts"),
    hostname: join(directories.run, "hostname"),
    resolvConf: join(directories.run, "resolv.conf"),
  };
  writeFileSync(files.hosts, contents.hosts, { mode: 0o644 });
  writeFileSync(files.hostname, contents.hostname, { mode: 0o644 });
  writeFileSync(files.resolvConf, contents.resolvConf, { mode: 0o644 });
  const spec = specs.buildSpec({
    id,
    config,
    hostConfig,
    args: op.args,
    user,
    hostname: config.Hostname ?? "",
    rootfsPath: join(directories.run, "rootfs"),
    namespaces: {
      network: op.network === "host" ? "host" : join(directories.run, "netns"),
      pid: undefined,
      ipc: undefined,
      uts: undefined,
      cgroup: undefined,
    },
    files: withoutMounted(files, views),
    shmPath: undefined,
    initPath: undefined,
    cgroupsPath: cgroup,
    seccomp: undefined,
    facts,
    runtimeTakesBpf: room.deps.config.runtime().isCrun,
  });
  const text = renderSpec({ ...spec, mounts: [...spec.mounts, ...views.mounts] });
  writeFileSync(join(directories.run, "config.json"), text, { mode: 0o600 });
}

type Files = Parameters<ExecDeps["specs"]["buildSpec"]>[0]["files"];

/** Where the step mounts something in the place of the engine's own file, that is what it sees. */
function withoutMounted(files: Files, { views }: StepViews): Files {
  const targets = new Set(views.map(({ target }) => target));
  const whole = targets.has("/etc");
  return {
    hosts: whole || targets.has("/etc/hosts") ? undefined : files.hosts,
    hostname: whole || targets.has("/etc/hostname") ? undefined : files.hostname,
    resolvConf: whole || targets.has("/etc/resolv.conf") ? undefined : files.resolvConf,
  };
}
