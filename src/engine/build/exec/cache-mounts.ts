// Cache mounts: directories `<dataRoot>/build/mounts/<n>` that outlive the steps that use them, with a row each. Several may have one
// id: a step that shares with nobody gets another one while the first is in use.
//
//   shared    together with other shared uses; another one while it is in use otherwise
//   private   alone; another one while all are in use
//   locked    alone; waits while all are in use
//
// A directory without a row is deleted at the next start, so that one that was being filled is never taken for a full one.

import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { isEngineError, messageOf } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import type { Logger } from "../../../base/log.ts";
import { nowRfc3339Nano } from "../../../base/time.ts";
import type { Store } from "../../store/index.ts";
import type { CacheEntry } from "../solver/index.ts";
import { directoryBytes } from "./directory-bytes.ts";
import { removeTree } from "./step-directories.ts";

export type Sharing = "shared" | "private" | "locked";

/** What a new directory is. */
export interface NewMount {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Puts the first files into it. */
  fill?: ((path: string, signal: AbortSignal) => Promise<void>) | undefined;
}

/** A row's document. */
interface MountDoc {
  /** The id that Dockerfiles use. */
  readonly mountId: string;
  readonly directory: number;
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly usageCount: number;
}

interface Instance {
  readonly id: string;
  doc: MountDoc;
  /** Steps that use it now. */
  users: number;
  alone: boolean;
}

export interface HeldMount extends Disposable {
  readonly path: string;
}

export class CacheMounts {
  readonly #store: Store;
  readonly #root: string;
  readonly #logger: Logger;
  readonly #instances = new Map<string, Instance>();
  readonly #waiting = new Set<() => void>();
  readonly #writing = new Set<Promise<void>>();
  #next = 1;

  private constructor(store: Store, dataRoot: string, logger: Logger) {
    this.#store = store;
    this.#root = join(dataRoot, "build/mounts");
    this.#logger = logger;
  }

  /** Reads the rows; what has only a row or only a directory is deleted. */
  static async open(store: Store, dataRoot: string, logger: Logger): Promise<CacheMounts> {
    const mounts = new CacheMounts(store, dataRoot, logger);
    mkdirSync(mounts.#root, { recursive: true, mode: 0o700 });
    const names = new Set(readdirSync(mounts.#root));
    for (const { id, doc } of await store.load("build_mounts")) {
      const parsed = JSON.parse(doc) as MountDoc;
      if (names.delete(String(parsed.directory)))
        mounts.#instances.set(id, { id, doc: parsed, users: 0, alone: false });
      else await store.commit([{ delete: "build_mounts", key: id }]);
      mounts.#next = Math.max(mounts.#next, parsed.directory + 1);
    }
    for (const name of names) await removeTree(join(mounts.#root, name));
    return mounts;
  }

  /**
   * A directory for a step, until disposed.
   *
   * @throws Cancelled the signal aborted while others had it
   */
  async take(mountId: string, sharing: Sharing, made: NewMount, signal: AbortSignal): Promise<HeldMount> {
    for (;;) {
      signal.throwIfAborted();
      const all = this.#of(mountId);
      const usable = all.find(({ users, alone }) => users === 0 || (sharing === "shared" && !alone));
      if (usable !== undefined) return this.#use(usable, sharing !== "shared");
      if (all.length === 0 || sharing !== "locked")
        return await this.#make(mountId, sharing !== "shared", made, signal);
      await this.#released(signal);
    }
  }

  /** As ReclaimableStore & Exec.mounts. */
  async hold(mountId: string, signal: AbortSignal): Promise<HeldMount | undefined> {
    if (this.#of(mountId).length === 0) return undefined;
    return await this.take(mountId, "locked", { mode: 0o755, uid: 0, gid: 0 }, signal);
  }

  async fill(mountId: string, fillDirectory: (path: string) => Promise<void>, signal: AbortSignal): Promise<boolean> {
    if (this.#of(mountId).length > 0) return false;
    using _held = await this.#make(mountId, true, { mode: 0o755, uid: 0, gid: 0, fill: fillDirectory }, signal);
    await this.settled();
    return true;
  }

  async list(): Promise<readonly CacheEntry[]> {
    const entries: CacheEntry[] = [];
    for (const { id, doc, users } of this.#instances.values())
      entries.push({
        id,
        parents: [],
        type: "exec.cachemount",
        description: `cached mount ${doc.mountId}`,
        inUse: users > 0,
        shared: false,
        sizeBytes: await directoryBytes(this.#path(doc)),
        createdAt: doc.createdAt,
        lastUsedAt: doc.usageCount === 0 ? undefined : doc.lastUsedAt,
        usageCount: doc.usageCount,
      });
    return entries;
  }

  async remove(id: string): Promise<number> {
    const instance = this.#instances.get(id);
    if (instance === undefined || instance.users > 0) return 0;
    // From now on nobody finds it.
    this.#instances.delete(id);
    const path = this.#path(instance.doc);
    const aside = `${path}.removed`;
    await this.settled();
    try {
      await this.#store.commit([{ delete: "build_mounts", key: id }], { freesSpace: true });
    } catch (error) {
      this.#instances.set(id, instance);
      throw error;
    }
    await failpoint("build.mount.forgotten");
    renameSync(path, aside);
    const bytes = await directoryBytes(aside);
    await removeTree(aside);
    return bytes;
  }

  /** Resolves when all rows are written. */
  async settled(): Promise<void> {
    while (this.#writing.size > 0) await Promise.allSettled(this.#writing);
  }

  #of(mountId: string): readonly Instance[] {
    return [...this.#instances.values()].filter(({ doc }) => doc.mountId === mountId);
  }

  #path({ directory }: MountDoc): string {
    return join(this.#root, String(directory));
  }

  /** The row says when it was used last; no step waits for that. */
  #use(instance: Instance, alone: boolean): HeldMount {
    instance.users++;
    instance.alone = alone;
    const { doc } = instance;
    instance.doc = { ...doc, lastUsedAt: nowRfc3339Nano(), usageCount: doc.usageCount + 1 };
    this.#write(instance);
    let held = true;
    return {
      path: this.#path(doc),
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        instance.users--;
        for (const wake of this.#waiting) wake();
      },
    };
  }

  async #make(mountId: string, alone: boolean, made: NewMount, signal: AbortSignal): Promise<HeldMount> {
    const id = randomBytes(13).toString("hex").slice(0, 25);
    const now = nowRfc3339Nano();
    const doc: MountDoc = { mountId, directory: this.#next++, createdAt: now, lastUsedAt: now, usageCount: 0 };
    // Known at once, so that who comes now waits or shares; in use by this one alone until it is filled.
    const instance: Instance = { id, doc, users: 1, alone: true };
    this.#instances.set(id, instance);
    const path = this.#path(doc);
    try {
      mkdirSync(path, { mode: 0o700 });
      await made.fill?.(path, signal);
      await failpoint("build.mount.filled");
      chownSync(path, made.uid, made.gid);
      chmodSync(path, made.mode & 0o7777);
    } catch (error) {
      this.#instances.delete(id);
      await removeTree(path);
      for (const wake of this.#waiting) wake();
      throw error;
    }
    instance.users = 0;
    const held = this.#use(instance, alone);
    for (const wake of this.#waiting) wake();
    return held;
  }

  #write({ id, doc }: Instance): void {
    const writing = this.#store
      .commit([{ put: "build_mounts", row: { id, doc: JSON.stringify(doc) } }])
      .catch((error: unknown) => {
        if (!isEngineError(error, "Unavailable"))
          this.#logger.error("the row of a cache mount could not be written", { mount: id, error: messageOf(error) });
      })
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  #released(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", abort);
      };
      const wake = (): void => {
        done();
        resolve();
      };
      const abort = (): void => {
        done();
        reject(signal.reason as Error);
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", abort);
    });
  }
}
