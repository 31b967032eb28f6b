// The driver local: directories under `volumes`, and file systems mounted on them where their options say so. Such a file system is
// mounted on the host when the first user needs it and unmounted with the last, so that all users see one and the same.

import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { Logger } from "../../base/log.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import type { ProjectQuotas } from "../kernel/project-quota.ts";
import type { DriverVolume, VolumeDriver } from "./index.ts";
import type { Layout } from "./layout.ts";
import { isBind, type LocalOptions, needsMount, parseLocalOptions, planMounts } from "./local-options.ts";
import type { Mounter } from "./mounter.ts";
import { checkLocalName } from "./names.ts";
import { type ResolveHost, resolveSource } from "./network-address.ts";
import { localDriver } from "./record.ts";

type Options = Readonly<Record<string, string>>;

/** The same for the same options, in whatever order. */
function textOf(options: Options): string {
  return JSON.stringify(Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export interface LocalDriverDeps {
  readonly layout: Layout;
  readonly mounter: Mounter;
  readonly quotas: ProjectQuotas;
  readonly resolve: ResolveHost;
  readonly logger: Logger;
}

export interface LocalDriver extends VolumeDriver {
  /** All complaints about a name and options. @throws InvalidParameter */
  validate(name: string, options: Options): Promise<LocalOptions>;
  /**
   * As `create`; `prepare` may fill the data's directory before anybody can see it.
   *
   * @throws Conflict a directory of that name is there; whatever `prepare` throws: nothing is left then
   */
  make(name: string, options: Options, prepare?: (data: string) => Promise<void>): Promise<void>;
  /** A volume that an earlier daemon made. */
  know(name: string, options: Options): void;
  isMounted(name: string): boolean;
  /** Whether somebody has it mounted, when what is being mounted or unmounted is done. */
  isUsed(name: string): Promise<boolean>;
  /** Whether it has options that mount something. */
  needsMount(name: string): boolean;
  /** Unmounts what nobody uses, and refuses where that does not help. @throws Conflict something is mounted in its directory */
  release(name: string): Promise<void>;
  /** Users that an earlier daemon had; before it, nothing is unmounted. What cannot be done is logged. */
  settle(usersOf: (name: string) => readonly string[]): Promise<void>;
}

export function createLocalDriver(deps: LocalDriverDeps): LocalDriver {
  return new Local(deps);
}

class Local implements LocalDriver {
  readonly name = localDriver;
  readonly #deps: LocalDriverDeps;
  readonly #volumes = new Map<string, { readonly options: Options; readonly users: Set<string> }>();
  /** Of a volume's mounts. Nothing else is locked while it is held. */
  readonly #mounting = new KeyedMutex();
  #isSettled = false;

  constructor(deps: LocalDriverDeps) {
    this.#deps = deps;
  }

  scope(): Promise<"local"> {
    return Promise.resolve("local");
  }

  async validate(name: string, options: Options): Promise<LocalOptions> {
    checkLocalName(name);
    const parsed = parseLocalOptions(name, options);
    if (parsed.sizeBytes === 0) return parsed;
    const { layout, quotas } = this.#deps;
    const reason = await quotas.unsupported(layout.root);
    if (reason !== undefined)
      throw new EngineError("InvalidParameter", `create ${name}: quota size requested but no quota support: ${reason}`);
    if (parsed.isMounted)
      throw new EngineError(
        "InvalidParameter",
        `create ${name}: size limits the engine's own directory, which type and device mount something over: give the limit to the file system with o`,
      );
    return parsed;
  }

  async create(name: string, options: Options): Promise<void> {
    const there = this.#volumes.get(name);
    if (there === undefined) return this.make(name, options);
    if (textOf(there.options) !== textOf(options))
      throw new EngineError("Conflict", `create ${name}: it is there already with other options`);
  }

  async make(name: string, options: Options, prepare?: (data: string) => Promise<void>): Promise<void> {
    const { layout, quotas } = this.#deps;
    const { sizeBytes } = await this.validate(name, options);
    try {
      const stage = layout.stage();
      try {
        const data = join(stage, "_data");
        mkdirSync(data);
        // The daemon's umask has no say.
        chmodSync(data, 0o755);
        if (sizeBytes > 0) await quotas.limit(data, sizeBytes);
        await prepare?.(data);
        await failpoint("volume.create.staged");
        await layout.place(stage, name, options);
      } catch (error) {
        if (sizeBytes > 0) await quotas.release(join(stage, "_data"));
        await layout.erase(stage).catch((cause: unknown) => this.#complain("a staged volume is left", name, cause));
        throw error;
      }
    } catch (error) {
      throw fullOr(error, `create ${name}`);
    }
    this.know(name, options);
  }

  know(name: string, options: Options): void {
    this.#volumes.set(name, { options, users: new Set() });
  }

  async remove(name: string): Promise<void> {
    const { layout, quotas } = this.#deps;
    if (!this.#volumes.has(name) && !layout.has(name)) throw missing(name);
    {
      using _held = await this.#mounting.lock(name);
      await this.#letGo(name);
    }
    if (this.#volumes.get(name)?.options["size"] !== undefined) await quotas.release(layout.data(name));
    await layout.remove(name);
    this.#volumes.delete(name);
  }

  get(name: string): Promise<DriverVolume> {
    if (!this.#volumes.has(name)) return Promise.reject(missing(name));
    return Promise.resolve({ name, mountpoint: this.#deps.layout.data(name) });
  }

  list(): Promise<readonly DriverVolume[]> {
    const { layout } = this.#deps;
    return Promise.resolve(
      this.#volumes
        .keys()
        .map((name) => ({ name, mountpoint: layout.data(name) }))
        .toArray(),
    );
  }

  needsMount(name: string): boolean {
    return needsMount(this.#volumes.get(name)?.options ?? null);
  }

  isMounted(name: string): boolean {
    const { layout, mounter } = this.#deps;
    return mounter.countAt(layout.data(name)) > 0;
  }

  async isUsed(name: string): Promise<boolean> {
    using _held = await this.#mounting.lock(name);
    return (this.#volumes.get(name)?.users.size ?? 0) > 0;
  }

  async mount(name: string, user: string): Promise<string> {
    using _held = await this.#mounting.lock(name);
    const volume = this.#volumes.get(name);
    if (volume === undefined) throw missing(name);
    const data = this.#deps.layout.data(name);
    if (lstatSync(data, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new EngineError("System", `${data} is no directory: somebody has changed it`);
    if (needsMount(volume.options) && !this.isMounted(name)) await this.#mount(data, volume.options);
    volume.users.add(user);
    return data;
  }

  async #mount(data: string, options: Options): Promise<void> {
    const { mounter, resolve } = this.#deps;
    const { type = "", device = "", o = "" } = options;
    if (device === "") throw new EngineError("System", "missing device in volume options");
    const source = await resolveSource(type, { device, o }, resolve);
    const steps = planMounts(type, source.device, source.o);
    if (isBind(steps) && !source.device.startsWith("/"))
      throw new EngineError(
        "System",
        `failed to mount local volume: mount ${source.device}:${data}: no such file or directory: the device of a bind is an absolute path`,
      );
    try {
      await mounter.mount(data, steps);
    } catch (cause) {
      throw new EngineError("System", `failed to mount local volume: ${messageOf(cause)}`, { cause });
    }
  }

  async unmount(name: string, user: string): Promise<void> {
    using _held = await this.#mounting.lock(name);
    const volume = this.#volumes.get(name);
    if (volume === undefined || !volume.users.delete(user) || volume.users.size > 0 || !this.#isSettled) return;
    if (needsMount(volume.options)) await this.#unmountAll(name);
  }

  async #unmountAll(name: string): Promise<void> {
    const { layout, mounter } = this.#deps;
    const data = layout.data(name);
    for (let left = mounter.countAt(data); left > 0; left--) await mounter.unmount(data);
  }

  async release(name: string): Promise<void> {
    using _held = await this.#mounting.lock(name);
    await this.#letGo(name);
    this.#deps.layout.refuseMounts(name, this.#deps.layout.directory(name));
  }

  /** The caller holds the lock of its mounts. @throws Conflict it has users */
  async #letGo(name: string): Promise<void> {
    const volume = this.#volumes.get(name);
    if (volume === undefined || !needsMount(volume.options)) return;
    if (volume.users.size > 0)
      throw new EngineError("Conflict", `remove ${name}: volume is mounted for ${[...volume.users].join(", ")}`);
    await this.#unmountAll(name);
  }

  async settle(usersOf: (name: string) => readonly string[]): Promise<void> {
    for (const [name, { options }] of this.#volumes) {
      if (!needsMount(options)) continue;
      try {
        for (const user of usersOf(name)) await this.mount(name, user);
      } catch (error) {
        this.#complain("a volume in use cannot be mounted", name, error);
      }
    }
    this.#isSettled = true;
    for (const [name, { options }] of this.#volumes) {
      if (!needsMount(options)) continue;
      using _held = await this.#mounting.lock(name);
      if ((this.#volumes.get(name)?.users.size ?? 0) > 0) continue;
      await this.#unmountAll(name).catch((error: unknown) =>
        this.#complain("a volume that nobody uses cannot be unmounted", name, error),
      );
    }
  }

  #complain(message: string, volume: string, error: unknown): void {
    this.#deps.logger.error(message, { volume, error: messageOf(error) });
  }
}

function missing(name: string): EngineError {
  return new EngineError("NotFound", `get ${name}: no such volume`);
}

/** A full disk is told as one. */
export function fullOr(error: unknown, what: string): unknown {
  if (isEngineError(error, "Unavailable"))
    return new EngineError(error.kind, `${what}: ${error.message}`, { cause: error });
  const errno = errnoOf(error);
  if (errno !== "ENOSPC" && errno !== "EDQUOT") return error;
  return new EngineError("Unavailable", `${what}: no space left on device`, { cause: error });
}
