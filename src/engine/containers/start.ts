// POST /containers/{id}/start, and every later start by the restart policy. Read → decide → act, with undo:
//
//   intent and addresses (one commit) → volumes are mounted, where there are any; without them at the same time as
//   hosts, hostname, resolv.conf ∥ bundle ∥ shim's fork
//   → waiting clients are connected → the shim runs the process → result (one commit) → events
//
// A start that fails leaves nothing but the reason in the record. A daemon that dies in between is picked up by restore.ts:
// a run directory without a running record is ended, an open "start" row is rolled forward or back.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { Connection } from "../network/index.ts";
import { renderSpec, type Shim } from "../runtime/index.ts";
import { connectClients } from "./attach.ts";
import { cleanRuntime } from "./clean-runtime.ts";
import type { Container } from "./container.ts";
import { watchTask } from "./exit.ts";
import type { ContainerRecord } from "./model.ts";
import { isVolume } from "./mount-plan.ts";
import { type MountSources, mountSources } from "./mount-sources.ts";
import { announceNetworks } from "./network-events.ts";
import { withLinkedFiles, writeNetworkFiles } from "./network-files.ts";
import { recordFact } from "./record-fact.ts";
import { removeAfterwards } from "./remove.ts";
import type { Room } from "./room.ts";
import { mountShm } from "./shm.ts";
import { planShim, planStart, prepareHost, type StartPlan } from "./start-plan.ts";
import { startError } from "./start-error.ts";
import { nextStatus } from "./state.ts";

/**
 * @throws NotModified      already running, or about to be by its restart policy
 * @throws Conflict         paused, or being removed
 * @throws InvalidParameter the command is missing (127) or cannot be executed (126)
 * @throws System           a mount, network or runtime step failed
 * Order: takes the container's mutex; network/ and store/ may take their own inside, never the reverse.
 */
export async function startContainer(room: Room, id: ContainerId, signal: AbortSignal): Promise<void> {
  using held = await room.lock(id);
  const { container } = held;
  refuseStart(container);
  container.exitsForGood = false;
  container.lastDelayMs = 0;
  await launch(room, container, { ...container.record, restartCount: 0 }, signal);
}

function refuseStart(container: Container): void {
  if (container.removing) {
    throw new EngineError("Conflict", "container is marked for removal and cannot be started");
  }
  const { status } = container.record.state;
  if (status === "paused") throw new EngineError("Conflict", "cannot start a paused container, try unpause instead");
  if (status === "running" || status === "restarting") {
    throw new EngineError("NotModified", `container ${container.id} is already running`);
  }
}

/** Starts the process of a container that has none; to be called with the container locked. */
export async function launch(
  room: Room,
  container: Container,
  record: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<void> {
  // The last run's shim may still be deleting its cgroups, under the names that this run will use.
  await container.cleared;
  const begun: Begun = { shim: undefined, sources: undefined };
  try {
    const plan = planStart(room, record);
    const connection = await withLinkedFiles(room, record.id, () => room.deps.networks.connect(plan.network));
    const shim = await prepare(room, record, plan, connection, begun);
    signal?.throwIfAborted();
    await connectClients(room, container, shim);
    await failpoint("container.start.attached");
    await run(room, container, record, shim);
  } catch (error) {
    await undoStart(room, container, record, begun, error);
    throw error;
  }
  announceNetworks(room, container, "connect");
  room.announce(container, "start");
}

/** What a start that fails has to end. */
interface Begun {
  shim: Shim | undefined;
  /** Volumes are mounted. */
  sources: MountSources | undefined;
}

/** Everything up to a shim that waits to be told to run; what does not depend on each other goes on at once. */
async function prepare(
  room: Room,
  record: ContainerRecord,
  plan: StartPlan,
  connection: Connection,
  begun: Begun,
): Promise<Shim> {
  const { shims, specs } = room.deps;
  const { id } = record;
  mkdirSync(room.runDir(id), { recursive: true, mode: 0o700 });
  mkdirSync(room.dataDir(id), { recursive: true, mode: 0o710 });
  rmSync(room.exitFile(id), { force: true });
  await mountShm(room, record);
  await failpoint("container.start.decided");

  const intent = async (): Promise<void> => {
    const row = { id: startOp(id), kind: "start", subject: id, step: 0, payload: "" };
    await room.commitRows([{ put: "ops", row }, ...connection.changes]);
    await failpoint("container.start.intended");
  };
  const hasVolumes = plan.mounts.some(isVolume);
  // A daemon that dies from here on knows at its next start what it has asked drivers for.
  if (hasVolumes) await intent();
  const { mounts, views } = await mountSources(room, id, plan.mounts);
  begun.sources = { mounts, views };
  await failpoint("container.start.volumes");
  const bundle = async (): Promise<void> => {
    const [user] = await Promise.all([
      prepareHost(room, record, plan),
      plan.ownFiles === undefined ? undefined : writeNetworkFiles(room, plan.network, plan.ownFiles),
    ]);
    const spec = specs.buildSpec({ ...plan.specInput, mounts, user });
    writeFileSync(join(room.runDir(id), "config.json"), renderSpec(spec), { mode: 0o600 });
    await failpoint("container.start.bundled");
  };
  const spawn = async (): Promise<Shim> => {
    const shim = await shims.spawn(planShim(room, record, plan, connection.network, views));
    begun.shim = shim;
    await failpoint("container.start.spawned");
    return shim;
  };
  // The others work here and in another thread: the shim's own work, in another process, begins first.
  const [spawned, intended, bundled] = await Promise.allSettled([spawn(), hasVolumes ? undefined : intent(), bundle()]);
  for (const outcome of [intended, bundled]) if (outcome.status === "rejected") throw outcome.reason;
  if (spawned.status === "rejected") throw spawned.reason;
  return spawned.value;
}

async function run(room: Room, container: Container, record: ContainerRecord, shim: Shim): Promise<void> {
  const task = watchTask(room, container, shim);
  const cancelled = Promise.withResolvers<never>();
  container.cancelStart = () =>
    cancelled.reject(new EngineError("Conflict", `the start of container ${record.id} was called off by its removal`));
  const outcome = await Promise.race([shim.run(), cancelled.promise]).finally(() => {
    container.cancelStart = undefined;
  });
  if ("failure" in outcome) throw new StartRefused(outcome.failure.exitCode, startError(outcome.failure));
  await failpoint("container.start.ran");
  const startedAt = nowRfc3339Nano();
  const running: ContainerRecord = {
    ...record,
    manuallyStopped: false,
    state: {
      ...record.state,
      status: nextStatus(record.state.status, "start"),
      exitCode: 0,
      error: "",
      oomKilled: false,
      startedAt,
      init: outcome.init,
    },
  };
  await room.commit(container, running, [{ delete: "ops", key: startOp(record.id) }]);
  task.begin(outcome.init);
  await failpoint("container.start.committed");
}

/** The runtime's refusal with the exit code that goes into the record. */
class StartRefused extends EngineError {
  readonly exitCode: number;

  constructor(exitCode: number, error: EngineError) {
    super(error.kind, error.message, { cause: error });
    this.exitCode = exitCode;
  }
}

async function undoStart(
  room: Room,
  container: Container,
  record: ContainerRecord,
  { shim, sources }: Begun,
  error: unknown,
): Promise<void> {
  const { networks, logger } = room.deps;
  // Committed, and an announcement failed: the container runs.
  if (container.task !== undefined) return;
  if (shim !== undefined) {
    // Dead before it could take its elements out of the firewall's sets.
    if (isEngineError(error, "Unavailable")) room.elementsLost = true;
    await endShim(shim).catch((failure: unknown) => {
      room.elementsLost = true;
      logger.error("a shim could not be ended", { container: record.id, error: messageOf(failure) });
    });
  }
  const { id, hostConfig } = record;
  await cleanRuntime(room, sources === undefined ? { id, hostConfig } : record).catch((failure: unknown) =>
    logger.error("what is left of a start could not be deleted", { container: record.id, error: messageOf(failure) }),
  );
  const failed: ContainerRecord = {
    ...record,
    state: {
      ...record.state,
      status: nextStatus(record.state.status, "fail"),
      exitCode: error instanceof StartRefused ? error.exitCode : 128,
      error: messageOf(error),
      init: undefined,
    },
  };
  const cancelled = isEngineError(error, "Cancelled") || (error instanceof Error && error.name === "AbortError");
  await recordFact(
    room,
    container,
    cancelled ? { ...failed, state: { ...failed.state, exitCode: record.state.exitCode, error: "" } } : failed,
    [...networks.release(record.id), { delete: "ops", key: startOp(record.id) }],
  );
  if (room.elementsLost) room.inBackground("writing the firewall anew", () => room.resyncFirewall());
  for (const { duplex } of container.clients) duplex.abandon();
  container.clients.clear();
  // Who waits for a restarting container's end has it now: there will be no other.
  if (record.state.status === "restarting") container.announceExit();
  if (record.hostConfig.AutoRemove === true) await removeAfterwards(room, container);
}

/** Ends a shim whatever it has reached, and resolves when nothing of it is left. */
export async function endShim(shim: Shim): Promise<void> {
  try {
    const { init } = await shim.state();
    if (init === undefined) await shim.abandon();
    else await shim.kill("init", 9);
  } catch (error) {
    // It has left meanwhile, or leaves by itself because the runtime failed.
    if (!isEngineError(error) || !["NotFound", "Conflict", "Unavailable"].includes(error.kind)) throw error;
  }
  await shim.gone;
}

/** Key of the journal row of a start. */
export function startOp(id: ContainerId): string {
  return `start:${id}`;
}
