// The face of the volumes room: named directories that outlive containers, their drivers, and what a container asks for its
// mounts. Who uses a volume is never counted: it is asked of the containers, so that no crash can make it wrong.

import type { ContainerId } from "../../base/ids.ts";
import type { VolumeHistoryPort, VolumesPort } from "../api/ports.ts";
import type { Volume } from "../../spec/docker/volume.ts";
import type { Change } from "../store/index.ts";

/** A volume's record: one row of the store, doc is JSON. A plugin's volume that nobody made here has none. */
export interface VolumeRecord {
  readonly name: string;
  readonly driver: string;
  /** RFC 3339, seconds (as dockerd shows it). */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly scope: "local" | "global";
  /** The engine invented the name. dockerd marks it with the label com.docker.volume.anonymous. */
  readonly anonymous: boolean;
}

/** Who uses volumes: satisfied by containers/. */
export interface VolumeUsers {
  /** Containers whose records name the volume, running or not. */
  usersOf(volume: string): readonly { readonly id: ContainerId; readonly running: boolean }[];
}

/** Where a driver keeps what it makes, and how long it lasts. One per name; a plugin's is made when it is first asked for. */
export interface VolumeDriver {
  readonly name: string;
  /** "global": the volume is the same on every host of the driver. */
  scope(): Promise<"local" | "global">;
  /**
   * Makes the volume. Asked again for one that it has, it does nothing. What is wrong with the options is found before
   * anything is made.
   *
   * @throws InvalidParameter options; Conflict it has one of that name with other options; System
   */
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>;
  /** Deletes the volume and its data; NotFound is for the caller to forgive. */
  remove(name: string): Promise<void>;
  /** @throws NotFound "no such volume" */
  get(name: string): Promise<DriverVolume>;
  /** All that it has, ours or not. */
  list(): Promise<readonly DriverVolume[]>;
  /**
   * Makes the data available at a path of the host and returns it. Calls and unmounts are paired by `user`; a second mount for the same
   * user changes nothing (a daemon that was killed asks again).
   */
  mount(name: string, user: string): Promise<string>;
  unmount(name: string, user: string): Promise<void>;
}

export interface DriverVolume {
  readonly name: string;
  /** "" where it is not mounted. */
  readonly mountpoint: string;
  readonly createdAt?: string | undefined;
  readonly status?: Readonly<Record<string, unknown>> | undefined;
}

/** The drivers beside local. */
export interface VolumeDrivers {
  /** @throws NotFound `plugin "x" not found` */
  get(name: string): Promise<VolumeDriver>;
  /** Names of those that can be found, for info and lists. */
  names(): Promise<readonly string[]>;
}

/** A volume that a container shall have. */
export interface VolumeWish {
  /** undefined: an anonymous one. */
  readonly name: string | undefined;
  /** "" is the default: local, or that of the volume that is there. */
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * What an empty volume is filled with: a path in an image's layers (top-most first, resolved inside of them). undefined: nothing. What is
   * no directory there, or not there at all, fills nothing.
   */
  readonly fill: { readonly lower: readonly string[]; readonly path: string } | undefined;
}

export interface ProvidedVolume {
  readonly name: string;
  readonly driver: string;
  /** Path on the host as `docker inspect` shows it; "" where only a mount tells. */
  readonly mountpoint: string;
}

/** Volumes that are there on disk; the new ones become true with the caller's commit of `changes`. */
export interface ProvidedVolumes extends Disposable {
  /** In the order of the wishes. */
  readonly volumes: readonly ProvidedVolume[];
  readonly changes: readonly Change[];
  /** After the commit: new volumes are announced. */
  committed(): void;
  /** The commit did not happen: what was made for it is gone again. */
  undo(): Promise<void>;
  /** Dispose: names are free for removal again; to be called in every case, at the very end. */
}

/** A mount of a volume in a container, for the event. */
export interface VolumePlace {
  readonly destination: string;
  readonly isWritable: boolean;
  /** "" unless the client named one. */
  readonly propagation: string;
}

export interface Volumes extends VolumesPort {
  /** Loads records, sweeps what was left half made, finishes operations of the journal. Before containers are restored. */
  restore(): Promise<void>;
  /** After containers are restored: what running ones use is mounted, what nobody uses is not. */
  settle(): Promise<void>;
  /**
   * Finds or makes volumes for a container that is being created, and fills empty ones.
   *
   * @throws InvalidParameter a name or an option; NotFound a driver; Conflict a volume of another driver has the name;
   *         Unavailable the disk is full: nothing is left of it then
   */
  provide(wishes: readonly VolumeWish[], signal: AbortSignal): Promise<ProvidedVolumes>;
  /**
   * For a start, or for whoever looks into a container that does not run.
   *
   * @param places where the container shows it, each announced by an event, and so is its end; none: nothing is announced
   * @returns where the data is on the host
   * @throws NotFound; System the driver cannot
   */
  mount(name: string, user: ContainerId, places?: readonly VolumePlace[]): Promise<string>;
  /** For an end; never throws, what fails is logged. */
  unmount(name: string, user: ContainerId): Promise<void>;
  /** Whether a record or a driver's volume of that name is there; for messages. */
  has(name: string): boolean;
  /** Removes anonymous volumes that a removed container has left (rm -v, AutoRemove); those that others use stay. Never throws. */
  removeAnonymous(names: readonly string[]): Promise<void>;
  /** Volumes with UsageData, for system df. */
  usage(): Promise<readonly Volume[]>;
  /**
   * F11: records without a directory, directories without a record, file systems that are mounted and not used or used and not mounted; data is never
   * deleted. F18: operations that nobody carries out any more.
   */
  check(options: { readonly repair: boolean }): Promise<
    readonly {
      readonly invariant: "F11" | "F18";
      readonly subject: string;
      readonly detail: string;
      readonly repaired: boolean;
    }[]
  >;
  close(): Promise<void>;
}

/** Trees of files on the host's disk, copied and exchanged: by gantry-copy. Satisfied by volumes/trees.ts. */
export interface Trees {
  /**
   * Copies the content of a directory, with owners, modes, times, extended attributes, hard links and holes, into an empty directory, which
   * takes on the owner, mode and times of the source's root. Blocks are shared where the file system can. Synced when it resolves. The source may
   * be in use: what vanishes meanwhile is left out.
   *
   * @param below  a path in `destination`, which others can write to: the directory meant is that one, and no link leads to it
   * @returns bytes of the regular files, and whether all of them were shared
   * @throws Unavailable the disk is full; System; what was copied until then is the caller's to delete
   */
  clone(
    source: string,
    destination: string,
    signal: AbortSignal,
    below?: string,
  ): Promise<{ readonly bytes: number; readonly shared: boolean }>;
  /**
   * The same out of an image's layers: `path` is resolved inside of them. Not synced, as containers wait for it: what a loss of power takes is still in
   * the image.
   *
   * @returns false where there is no directory of that path: nothing was done
   */
  fill(
    lower: readonly string[],
    path: string,
    destination: string,
    signal: AbortSignal,
    below?: string,
  ): Promise<boolean>;
  /**
   * Moves all entries of `directory` into `aside` and all of `fresh` into `directory`, which takes on the owner, mode, times and extended attributes of
   * `fresh`, as `aside` does with those of `directory`. May be repeated after a crash with the same arguments: it goes on where it was cut.
   *
   * @param fresh empty afterwards, and the caller's to delete
   * @param aside not there before, and on the same file system: that it is there tells that the first half is done. While it is being
   *        filled it has the name `<aside>.part`
   */
  exchange(directory: string, fresh: string, aside: string): Promise<void>;
  /** Bytes of the files below, hard links once; the walk stays on the file system. */
  size(directory: string, signal: AbortSignal): Promise<number>;
  isEmpty(directory: string): Promise<boolean>;
  /** Those that are not there are no failure. Nobody else may write to them. */
  remove(...directories: readonly string[]): Promise<void>;
  /** Deletes names in a directory that others write to meanwhile, whatever they make of them. */
  removeIn(directory: string, ...names: readonly string[]): Promise<void>;
  /** Trees that are made in it from now on lie far from deleted ones, which makes them faster to make on ext4. Never throws. */
  spread(directory: string): Promise<void>;
}

/** What a volume was at other moments: snapshots.ts and history.ts. */
export type VolumeHistory = VolumeHistoryPort;

export { createVolumes } from "./volumes.ts";
export { createTrees } from "./trees.ts";
