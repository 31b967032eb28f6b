// Volumes for a container that is being created: found or made, filled where they are empty, and true with the container's commit.
// All complaints come before any effect; whatever fails takes back what was made. Contents are copied before the first of them is moved in.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { type Fill, stageFill, type StagedFill } from "./fill.ts";
import type { ProvidedVolume, ProvidedVolumes, VolumeDriver, VolumeRecord, VolumeWish } from "./index.ts";
import { needsMount } from "./local-options.ts";
import { anonymousLabel, checkForeignName, newVolumeName } from "./names.ts";
import { insertVolume, nowSeconds } from "./record.ts";
import { driverOf, findForeign, lockNames, type VolumeRoom, withSubject } from "./room.ts";

/** A wish with a name; labels and options as the volume's record shall have them. */
export interface NamedWish {
  readonly name: string;
  readonly anonymous: boolean;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>> | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly fill: Fill | undefined;
}

/** One volume of a request. */
interface Planned {
  readonly record: VolumeRecord;
  readonly driver: VolumeDriver;
  readonly fill: Fill | undefined;
  /** "old": there is a record. "foreign": the driver has it, nobody made it here. "new": neither. */
  readonly kind: "old" | "foreign" | "new";
}

function orNull(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(map).length === 0 ? null : map;
}

/** What a container wishes, as a volume's record has it. */
export function nameWish({ name, driver, options, labels, fill }: VolumeWish): NamedWish {
  const anonymous = name === undefined;
  return {
    name: name ?? newVolumeName(),
    anonymous,
    driver,
    options: orNull(options),
    labels: anonymous ? { ...labels, [anonymousLabel]: "" } : orNull(labels),
    fill,
  };
}

/** See Volumes.provide. Locks: the volumes' names; those of new volumes until the commit is told. */
export async function provideVolumes(
  room: VolumeRoom,
  wishes: readonly NamedWish[],
  signal: AbortSignal,
): Promise<ProvidedVolumes> {
  const held = new DisposableStack();
  const names = [...new Set(wishes.map(({ name }) => name))];
  const locks = held.use(await lockNames(room, names));
  for (const name of names) held.use(room.holds.hold(name));
  try {
    return await provideLocked(room, wishes, held, locks, signal);
  } catch (error) {
    held.dispose();
    throw error;
  }
}

async function provideLocked(
  room: VolumeRoom,
  wishes: readonly NamedWish[],
  held: DisposableStack,
  locks: DisposableStack,
  signal: AbortSignal,
): Promise<ProvidedVolumes> {
  const plans = new Map<string, Planned>();
  for (const wish of wishes) if (!plans.has(wish.name)) plans.set(wish.name, await planVolume(room, wish));
  const made = new Made(room);
  try {
    await makeVolumes(room, [...plans.values()], made, signal);
    const volumes = await Promise.all(wishes.map(({ name }) => describe(room, name, plans.get(name))));
    // Whoever asks for a new name meanwhile waits for its record; the others are kept by holds alone.
    if (plans.values().every(({ kind }) => kind === "old")) locks.dispose();
    return {
      volumes,
      changes: plans
        .values()
        .filter(({ kind }) => kind !== "old")
        .map(({ record }) => insertVolume(record))
        .toArray(),
      committed: () => {
        for (const { record, kind, driver } of plans.values()) {
          if (kind !== "old") room.records.set(record.name, record);
          if (kind === "new" && driver === room.local) room.layout.unmark(record.name);
          if (kind === "new")
            room.deps.events.publish({
              type: "volume",
              action: "create",
              id: record.name,
              attributes: { driver: record.driver },
            });
        }
        locks.dispose();
      },
      undo: async () => {
        await made.undo();
        locks.dispose();
      },
      [Symbol.dispose]: () => held.dispose(),
    };
  } catch (error) {
    await made.undo();
    throw error;
  }
}

async function describe(room: VolumeRoom, name: string, plan: Planned | undefined): Promise<ProvidedVolume> {
  if (plan === undefined) throw new EngineError("System", `volume ${name} was not planned`);
  const { driver, record } = plan;
  const mountpoint = driver === room.local ? room.layout.data(name) : (await driver.get(name)).mountpoint;
  return { name, driver: record.driver, mountpoint };
}

/** @throws InvalidParameter a name or an option; NotFound a driver; Conflict another driver has the name */
async function planVolume(room: VolumeRoom, wish: NamedWish): Promise<Planned> {
  const { name, fill } = wish;
  const old = room.records.get(name);
  const asked = wish.driver === "" ? undefined : await driverOf(room, wish.driver, `create ${name}`);
  if (old !== undefined) {
    if (asked !== undefined && asked.name !== old.driver)
      throw new EngineError(
        "Conflict",
        `create ${name}: driver '${old.driver}' already has volume '${name}': volume name must be unique`,
      );
    return { record: old, driver: asked ?? (await driverOf(room, old.driver, `get ${name}`)), fill, kind: "old" };
  }
  const foreign = asked === undefined && !wish.anonymous ? await findForeign(room, name) : undefined;
  const driver = foreign?.driver ?? asked ?? room.local;
  if (driver === room.local) {
    await room.local.validate(name, wish.options ?? {});
    // What is in it is nobody's to delete: no undo may take it for its own.
    room.layout.refuseOccupied(name);
  } else checkForeignName(name);
  const kind =
    foreign !== undefined || (driver !== room.local && (await withSubject(`create ${name}`, has(driver, name))))
      ? "foreign"
      : "new";
  const record: VolumeRecord = {
    name,
    driver: driver.name,
    created: nowSeconds(),
    labels: wish.labels,
    options: wish.options,
    scope: await driver.scope(),
    anonymous: wish.anonymous,
  };
  return { record, driver, fill, kind };
}

/** Asked in two ways: the protocol of plugins cannot tell "not there" from a failure, and an undo must not remove what was there before. */
async function has(driver: VolumeDriver, name: string): Promise<boolean> {
  try {
    await driver.get(name);
    return true;
  } catch (error) {
    if (!isEngineError(error, "NotFound")) throw error;
    return (await driver.list()).some((volume) => volume.name === name);
  }
}

/** What a request has made so far, to be taken back in reverse. */
class Made {
  readonly #room: VolumeRoom;
  readonly #volumes: Planned[] = [];

  constructor(room: VolumeRoom) {
    this.#room = room;
  }

  add(plan: Planned): void {
    this.#volumes.push(plan);
  }

  /** Never throws: the next start removes what cannot be taken back now. */
  async undo(): Promise<void> {
    for (const { record, driver } of this.#volumes.splice(0).toReversed()) {
      try {
        await driver.remove(record.name);
      } catch (error) {
        if (isEngineError(error, "NotFound")) continue;
        this.#room.deps.logger.error("a volume that was made in vain could not be removed", {
          volume: record.name,
          error: messageOf(error),
        });
      }
    }
  }
}

async function makeVolumes(
  room: VolumeRoom,
  plans: readonly Planned[],
  made: Made,
  signal: AbortSignal,
): Promise<void> {
  const fresh = plans.filter(({ kind }) => kind === "new");
  const staged: StagedFill[] = [];
  try {
    for (const plan of fresh) await makeVolume(room, plan, made, signal);
    await failpoint("volume.create.made");
    for (const { record, driver, fill, kind } of plans) {
      signal.throwIfAborted();
      if (fill === undefined || (kind === "new" && isPlain(room, driver, record.name))) continue;
      const content = await stageFill(room, driver, record.name, fill, signal);
      if (content !== undefined) staged.push(content);
    }
    for (;;) {
      const [next] = staged;
      if (next === undefined) break;
      staged.shift();
      await next.apply();
    }
  } finally {
    for (const content of staged) await content.discard();
  }
}

/** Filled before it is in its place. */
function isPlain(room: VolumeRoom, driver: VolumeDriver, name: string): boolean {
  return driver === room.local && !room.local.needsMount(name);
}

async function makeVolume(room: VolumeRoom, plan: Planned, made: Made, signal: AbortSignal): Promise<void> {
  const { record, driver, fill } = plan;
  const { trees } = room.deps;
  const options = record.options ?? {};
  if (driver === room.local)
    await room.local.make(record.name, options, async (data) => {
      if (fill !== undefined && !needsMount(options)) await trees.fill(fill.lower, fill.path, data, signal);
    });
  else await withSubject(`create ${record.name}`, driver.create(record.name, options));
  made.add(plan);
}
