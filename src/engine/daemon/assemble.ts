// The composition root: the only place where all rooms meet. What is opened here is closed by the stack in reverse.

import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { EngineError, isEngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import { createDistribution } from "../../distribution/index.ts";
import type { Engine } from "../api/ports.ts";
import { type Containers, type ContainersConfig, createContainers } from "../containers/index.ts";
import { createContentStore } from "../content/index.ts";
import { createEventBus } from "../events/bus.ts";
import type { Events } from "../events/index.ts";
import { createFiles } from "../files/index.ts";
import { createImages } from "../images/index.ts";
import { readHostFacts } from "../kernel/host-facts.ts";
import { readBootId } from "../kernel/process-identity.ts";
import { createLogReader } from "../logs/reader.ts";
import { createNetworks, type NetworkUsers } from "../network/index.ts";
import { createPlugins } from "../plugins/index.ts";
import { createProjectQuotas } from "../kernel/project-quota.ts";
import { createTrees, createVolumes } from "../volumes/index.ts";
import { createRuntimeSpecs, runtimeWarnings } from "../runtime/index.ts";
import { createShims } from "../runtime/shim-shims.ts";
import { createSnapshotter } from "../snapshots/index.ts";
import { openStore, type Store } from "../store/index.ts";
import { endStaleSteps } from "../build/exec/index.ts";
import { openCacheRecords } from "../build/solver/index.ts";
import { type Builds, assembleBuilds } from "./builds.ts";
import type { BuildInfo } from "./build-info.ts";
import type { DaemonConfig } from "./config.ts";
import { distributionConfig, transferLimits } from "./distribution-config.ts";
import { loadEmbeddedImage } from "./embedded-image.ts";
import { findInitProgram } from "./init-program.ts";
import type { LiveConfig } from "./live-config.ts";
import type { DaemonLogger } from "./logger.ts";
import { occupiedError, writeHolder, writePidFile } from "./pid-file.ts";
import { complainAboutPrograms, findPrograms } from "./programs.ts";
import { probeRuntimes, type RuntimeProgram } from "./runtime-versions.ts";
import { createSystem } from "./system.ts";

export interface Assembled {
  readonly engine: Engine;
  readonly events: Events;
  readonly engineId: string;
  /** Looks at the runtimes again, after the configuration was reloaded. */
  reprobe(): Promise<void>;
}

function makeRoot(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o711 });
  chmodSync(path, 0o711);
}

async function openLocked(config: DaemonConfig, logger: DaemonLogger): Promise<Store> {
  try {
    return await openStore({ directory: config.dataRoot, logger });
  } catch (error) {
    throw (isEngineError(error, "Unavailable") ? occupiedError(config.dataRoot, error) : undefined) ?? error;
  }
}

async function readEngineId(store: Store): Promise<string> {
  const row = (await store.load("meta")).find(({ key }) => key === "engine-id");
  if (row !== undefined) return row.value;
  const id = randomUUID();
  await store.commit([{ insert: "meta", row: { key: "engine-id", value: id } }]);
  return id;
}

/** The runtimes of the configuration in force, as programs; kept up to date by reprobe. */
class Runtimes {
  programs: readonly RuntimeProgram[] = [];
  readonly #live: LiveConfig;
  readonly #logger: DaemonLogger;

  constructor(live: LiveConfig, logger: DaemonLogger) {
    this.#live = live;
    this.#logger = logger;
  }

  /** @throws InvalidParameter the default runtime is not there; what was known stays */
  async probe(): Promise<void> {
    const { runtimes, defaultRuntime } = this.#live.current;
    const programs = await probeRuntimes(runtimes);
    const chosen = programs.find(({ name }) => name === defaultRuntime);
    if (chosen?.path === undefined)
      throw new EngineError(
        "InvalidParameter",
        `default runtime ${defaultRuntime}: no such program; install it, or choose another with --default-runtime`,
      );
    this.programs = programs;
    for (const warning of runtimeWarnings(chosen.kind, chosen.version)) this.#logger.warn(warning);
  }

  /** @throws InvalidParameter a reload has taken it away */
  default(name: string): ContainersConfig["runtimes"][string] {
    const runtime = this.configured[name];
    if (runtime === undefined) throw new EngineError("InvalidParameter", `unknown or invalid runtime name: ${name}`);
    return runtime;
  }

  get configured(): ContainersConfig["runtimes"] {
    return Object.fromEntries(
      this.programs.map(({ name, path, config, kind }) => [
        name,
        { path: path ?? config.path, args: config.args, isCrun: kind === "crun" },
      ]),
    );
  }
}

/** What containers/ is told; the getters follow a reload. */
function containersConfig(live: LiveConfig, runtimes: Runtimes, initPath: string | undefined): ContainersConfig {
  const { cgroupParent, logDriver, logOpts, defaultShmSizeBytes, init, defaultUlimits } = live.current;
  return {
    cgroupParent,
    logDriver,
    logOptions: logOpts,
    shmSizeBytes: defaultShmSizeBytes,
    initPath,
    init,
    ulimits: Object.values(defaultUlimits),
    get defaultRuntime() {
      return live.current.defaultRuntime;
    },
    get runtimes() {
      return runtimes.configured;
    },
  };
}

/**
 * Opens everything in order and resolves when the engine is ready to serve; `stack` closes it, also after a failure.
 *
 * @throws Conflict         another daemon holds the data root or the pid file
 * @throws InvalidParameter the configuration cannot be carried out on this host
 */
export async function assemble(
  live: LiveConfig,
  build: BuildInfo,
  logger: DaemonLogger,
  stack: AsyncDisposableStack,
): Promise<Assembled> {
  const config = live.current;
  const programs = findPrograms();
  const complaint = complainAboutPrograms(programs);
  if (complaint !== undefined) throw new EngineError("System", complaint);
  makeRoot(config.dataRoot);
  makeRoot(config.execRoot);
  stack.defer(writePidFile(config.pidFile));
  // Shims and runtime state of two daemons must not meet, wherever their pid files are.
  const inExecRoot = join(config.execRoot, "gantryd.pid");
  if (inExecRoot !== config.pidFile) stack.defer(writePidFile(inExecRoot));

  const runtimes = new Runtimes(live, logger);
  const opening = openLocked(config, logger);
  const probing = Promise.all([runtimes.probe(), findInitProgram(config.initPath)]);
  // Whichever fails first is reported; the other must not become an unhandled rejection.
  probing.catch(() => {});
  const store = await opening;
  stack.defer(() => store.close());
  writeHolder(config.dataRoot);
  const [, init] = await probing;

  const facts = readHostFacts();
  const events = createEventBus(logger);
  const shims = createShims({ shimPath: programs.shim, label: config.execRoot, logger });
  stack.defer(() => shims.close());

  // The rooms below ask containers/ who uses them; it is made last.
  const containersRef: { current?: Containers } = {};
  const buildsRef: { current?: Builds } = {};
  const users: NetworkUsers = {
    get: (id: ContainerId) => containersRef.current?.get(id) ?? buildsRef.current?.exec.networkUser(id),
    running: () => containersRef.current?.running() ?? [],
  };
  const engineId = await readEngineId(store);
  const networks = createNetworks({ store, users, config, events, engineId, execRoot: config.execRoot, logger });
  stack.defer(() => networks.close());
  shims.onRulesChange(() => networks.rulesChanged());
  const settingUp = networks.setUp();
  settingUp.catch(() => {});
  await endStaleSteps(config.execRoot, config.dataRoot);
  const quotas = createProjectQuotas(programs.copy);
  const [content, snapshots, records] = await Promise.all([
    createContentStore({ store, dataRoot: config.dataRoot }),
    createSnapshotter({
      store,
      dataRoot: config.dataRoot,
      logger,
      unpackPath: programs.unpack,
      packPath: programs.pack,
      quotas,
      maxLayerBytes: config.maxLayerBytes || undefined,
    }),
    openCacheRecords({ store, logger }),
  ]);
  snapshots.addRoots("builds", () => records.tops());
  const distribution = createDistribution({ config: () => distributionConfig(live.current, build.version), logger });
  stack.defer(() => distribution.close());
  const images = await createImages({
    store,
    content,
    snapshots,
    events,
    logger,
    dataRoot: config.dataRoot,
    users: { containersOf: (image) => containersRef.current?.containersOf(image) ?? [] },
    engineVersion: build.version,
    distribution,
    transfers: () => transferLimits(live.current),
  });
  await settingUp;
  const plugins = createPlugins({ directories: config.pluginDirectories, logger });
  stack.defer(() => plugins.close());
  const files = createFiles({ archivePath: programs.archive });
  const volumes = createVolumes({
    store,
    trees: createTrees({ copyPath: programs.copy, unpackPath: programs.unpack }),
    files,
    drivers: { get: (name) => plugins.volumeDriver(name), names: () => plugins.names() },
    users: { usersOf: (volume) => containersRef.current?.usersOf(volume) ?? [] },
    events,
    quotas,
    dataRoot: config.dataRoot,
    copyPath: programs.copy,
    logger,
  });
  stack.defer(() => volumes.close());
  await volumes.restore();
  const specs = createRuntimeSpecs();
  const containers = createContainers({
    store,
    images,
    snapshots,
    networks,
    volumes,
    files,
    shims,
    specs,
    logs: createLogReader(),
    events,
    facts,
    paths: { dataRoot: config.dataRoot, execRoot: config.execRoot },
    config: containersConfig(live, runtimes, init?.path),
    bootId: readBootId(),
    stepCgroups: () => buildsRef.current?.exec.runningCgroups() ?? new Set(),
    logger,
  });
  containersRef.current = containers;
  await containers.restore();
  await volumes.settle();
  stack.defer(() => containers.shutdown());
  const builds = await assembleBuilds({
    store,
    content,
    snapshots,
    images,
    distribution,
    records,
    exec: {
      networks,
      shims,
      specs,
      facts,
      paths: { dataRoot: config.dataRoot, execRoot: config.execRoot },
      config: {
        cgroupParent: config.cgroupParent,
        shmSizeBytes: config.defaultShmSizeBytes,
        ulimits: Object.values(config.defaultUlimits),
        runtime: () => runtimes.default(live.current.defaultRuntime),
      },
    },
    programs,
    dataRoot: config.dataRoot,
    maxLayerBytes: config.maxLayerBytes || undefined,
    engineId,
    engineVersion: build.version,
    config: () => live.current.builder,
    hostGatewayIp: () => networks.hostGateways.join(","),
    logger,
  });
  buildsRef.current = builds;
  stack.defer(() => builds.close());
  await loadEmbeddedImage(config.embeddedImage ?? programs.embeddedImage, images, logger);

  const rooms = { store, images, networks, volumes, plugins, containers, events, buildCache: builds.builder.cache };
  const system = createSystem({ live, build, facts, init, engineId, rooms, runtimes: () => runtimes.programs });
  return {
    engine: { containers, execs: containers.execs, images, networks, volumes, build: builds.port, events, system },
    events,
    engineId,
    reprobe: () => runtimes.probe(),
  };
}
