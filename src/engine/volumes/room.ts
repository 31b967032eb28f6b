// What the verbs of the volumes room share. Lock order: a volume's name (several of them sorted), then the driver's own lock of mounts;
// a container's mutex is never taken while one of these is held.

import { EngineError } from "../../base/errors.ts";
import { Holds } from "../../base/holds.ts";
import type { Logger } from "../../base/log.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import type { Events } from "../events/index.ts";
import type { Files } from "../files/index.ts";
import type { ProjectQuotas } from "../kernel/project-quota.ts";
import type { Change, Store } from "../store/index.ts";
import type { Trees, VolumeDriver, VolumeDrivers, VolumeRecord, VolumeUsers } from "./index.ts";
import type { Layout } from "./layout.ts";
import type { LocalDriver } from "./local.ts";
import { localDriver } from "./record.ts";
import type { OwnedHistory } from "./history.ts";

export interface VolumesDeps {
  readonly store: Store;
  readonly trees: Trees;
  readonly files: Files;
  readonly drivers: VolumeDrivers;
  readonly users: VolumeUsers;
  readonly events: Events;
  readonly quotas: ProjectQuotas;
  readonly dataRoot: string;
  /** Path of gantry-copy, which makes the system calls of mounts. */
  readonly copyPath: string;
  readonly logger: Logger;
}

export interface VolumeRoom {
  readonly deps: VolumesDeps;
  readonly layout: Layout;
  readonly local: LocalDriver;
  readonly records: Map<string, VolumeRecord>;
  /** Creation, filling and removal of a volume, by name. */
  readonly changing: KeyedMutex;
  /** Volumes that containers are being made of: a removal waits for them. */
  readonly holds: Holds<string>;
  /** Ends of removals that nobody waits for but the daemon's own end. */
  readonly ending: Set<Promise<void>>;
  /** What ends removals in the journal, gathered by the next of these. */
  readonly removed: Change[];
  /** How often a container has a volume mounted, for as many events at its end: by container and volume. */
  readonly shown: Map<string, number>;
  readonly history: Pick<OwnedHistory, "removal" | "removed" | "names" | "sizeBytes">;
}

export function createRoom(
  deps: VolumesDeps,
  layout: Layout,
  local: LocalDriver,
  history: VolumeRoom["history"],
): VolumeRoom {
  return {
    deps,
    layout,
    local,
    records: new Map(),
    changing: new KeyedMutex(),
    holds: new Holds<string>(),
    ending: new Set(),
    removed: [],
    shown: new Map(),
    history,
  };
}

export function noSuchVolume(name: string): EngineError {
  return new EngineError("NotFound", `get ${name}: no such volume`);
}

/** @throws NotFound there is no such driver, in dockerd's words; whatever the plugin says */
export async function driverOf(room: VolumeRoom, name: string, what: string): Promise<VolumeDriver> {
  if (name === "" || name === localDriver) return room.local;
  try {
    return await room.deps.drivers.get(name);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.kind, `${what}: error looking up volume plugin ${name}: ${error.message}`, {
      cause: error,
    });
  }
}

/** What a plugin says no with, after what it was asked for ("create v"), as dockerd puts it. */
export async function withSubject<T>(what: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.kind, `${what}: ${error.message}`, { cause: error });
  }
}

/**
 * A volume that a plugin has and nobody made here. Plugins that do not answer have none.
 *
 * @returns the driver too
 */
export async function findForeign(
  room: VolumeRoom,
  name: string,
): Promise<{ readonly driver: VolumeDriver; readonly volume: Awaited<ReturnType<VolumeDriver["get"]>> } | undefined> {
  const names = await room.deps.drivers.names().catch(() => []);
  for (const driverName of names) {
    try {
      const driver = await room.deps.drivers.get(driverName);
      return { driver, volume: await driver.get(name) };
    } catch {
      // It does not have it, or cannot say so.
    }
  }
  return undefined;
}

/** All of the locks, or none; disposed together. */
export async function lockNames(room: VolumeRoom, names: readonly string[]): Promise<DisposableStack> {
  const stack = new DisposableStack();
  for (const name of [...new Set(names)].toSorted()) stack.use(await room.changing.lock(name));
  return stack;
}
