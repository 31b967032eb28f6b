// Directories that clients send, kept by key below <dataRoot>/build/contexts, so that the next build of the same directory is sent
// what changed and nothing else.
//
//   <n>/fs     the files, as a build shall see them
//   <n>/index  what they are; without a sound one the tree does not count and is deleted at the start
//
// A key has at most one current tree. A transfer compares with it, holding it; nothing is locked while nothing differs, so that any
// number of builds share one tree. The first transfer that finds a difference takes the key's lock and changes the tree where it
// is, if nobody else holds it, or a clone of hard links.
// Order: a key's lock is taken alone.

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../../base/errors.ts";
import type { Logger } from "../../../base/log.ts";
import { KeyedMutex } from "../../../base/mutex.ts";
import { nowRfc3339Nano } from "../../../base/time.ts";
import { readBootId } from "../../kernel/process-identity.ts";
import type { CacheEntry } from "../solver/index.ts";
import { readHeader } from "./directories-index.ts";
import { Transfer, type TransferStore } from "./directories-transfer.ts";
import { KeptTree } from "./directories-tree.ts";
import type { DirectoryTransfer, SourceDirectories, SourceDirectory, SourceEntry } from "./index.ts";

/** Trees whose entries stay in memory while nobody uses them. */
const warmTrees = 4;

export interface SourceDirectoriesDeps {
  /** <dataRoot>/build/contexts; made when it is missing. */
  readonly root: string;
  readonly logger: Logger;
}

/** PATH_MAX without the terminator. Source: limits.h. */
const pathMax = 4095;

/** Trees kept for one directory, of which builds asked for different parts. */
const maxParts = 4;
const keySeparator = "\0";

/**
 * The key of a part of a client's directory. A part that is new begins with what another part of the directory has.
 *
 * @param part says which files are asked for
 */
export function directoryKey(sharedKey: string, name: string, part: string): string {
  return [sharedKey, name, part].map((text) => text.replaceAll(keySeparator, "")).join(keySeparator);
}

export async function createSourceDirectories(deps: SourceDirectoriesDeps): Promise<SourceDirectories> {
  mkdirSync(deps.root, { recursive: true, mode: 0o700 });
  const directories = new Directories(deps);
  await directories.load();
  return directories;
}

class Directories implements SourceDirectories, TransferStore {
  readonly maxPathBytes: number;
  readonly #root: string;
  readonly #logger: Logger;
  readonly #bootId = readBootId();
  readonly #locks = new KeyedMutex();
  readonly #current = new Map<string, KeptTree>();
  /** Those that are no longer current, and those that nobody keeps. */
  readonly #held = new Set<KeptTree>();
  #warm: KeptTree[] = [];
  #nextNumber = 1;

  constructor({ root, logger }: SourceDirectoriesDeps) {
    this.#root = root;
    this.maxPathBytes = pathMax - Buffer.byteLength(`${root}/${Number.MAX_SAFE_INTEGER}/fs/`);
    this.#logger = logger;
  }

  async load(): Promise<void> {
    const numbers = readdirSync(this.#root).map((name) => ({
      name,
      n: /^[1-9]\d{0,14}$/.test(name) ? Number(name) : 0,
    }));
    for (const { name, n } of numbers.sort((a, b) => b.n - a.n)) {
      const directory = join(this.#root, name);
      const header = n === 0 ? undefined : readHeader(join(directory, "index"));
      this.#nextNumber = Math.max(this.#nextNumber, n + 1);
      if (header === undefined || header.bootId !== this.#bootId || this.#current.has(header.keyHash))
        await rm(directory, { recursive: true, force: true });
      else {
        const tree = new KeptTree(directory, header, undefined);
        tree.isCurrent = true;
        this.#current.set(header.keyHash, tree);
      }
    }
  }

  async begin(key: string, signal: AbortSignal): Promise<DirectoryTransfer> {
    signal.throwIfAborted();
    return new Transfer(this, key, signal);
  }

  // What a transfer needs.

  current(key: string): { readonly tree: KeptTree; readonly held: SourceDirectory } | undefined {
    const tree = key === "" ? undefined : (this.#current.get(hashOf(key)) ?? this.#familyOf(key)[0]);
    if (tree === undefined) return undefined;
    try {
      return { tree, held: this.hold(tree) };
    } catch (error) {
      this.#logger.warn("build context dropped", { error: messageOf(error) });
      this.#drop(tree);
      return undefined;
    }
  }

  isOf(tree: KeptTree, key: string): boolean {
    return tree.header.keyHash === hashOf(key);
  }

  hold(tree: KeptTree): SourceDirectory {
    tree.entries();
    if (!tree.isCurrent) this.#held.add(tree);
    return tree.hold((tree) => this.#released(tree));
  }

  async lock(key: string, signal: AbortSignal): Promise<Disposable> {
    const waiting = this.#locks.lock(key);
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([waiting, aborted]);
    } catch (error) {
      void waiting.then((lock) => lock[Symbol.dispose]());
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  take(tree: KeptTree): void {
    this.#retire(tree);
    tree.unseal();
  }

  create(key: string): KeptTree {
    const directory = join(this.#root, String(this.#nextNumber++));
    mkdirSync(directory, { mode: 0o700 });
    mkdirSync(join(directory, "fs"), { mode: 0o755 });
    const name = (key.split(keySeparator)[1] ?? "").slice(0, 128);
    const header = {
      id: randomBytes(13).toString("hex").slice(0, 25),
      keyHash: hashOf(key),
      familyHash: hashOf(familyKeyOf(key)),
      description: `local source for ${name === "" ? "context" : name}`,
      createdAt: nowRfc3339Nano(),
      bootId: this.#bootId,
      bytes: 0,
    };
    return new KeptTree(directory, header, []);
  }

  publish(key: string, tree: KeptTree, entries: readonly SourceEntry[]): void {
    const keep = key !== "";
    tree.seal(entries, keep);
    if (!keep) return;
    const before = this.#current.get(tree.header.keyHash);
    tree.isCurrent = true;
    this.#held.delete(tree);
    this.#current.set(tree.header.keyHash, tree);
    if (before !== undefined && before !== tree) {
      before.isCurrent = false;
      this.#drop(before);
    }
    for (const stale of this.#familyOf(key)
      .filter((other) => other !== tree && other.holds === 0)
      .slice(maxParts - 1))
      this.#drop(stale);
  }

  /** Current trees of one directory, the one used last first. */
  #familyOf(key: string): KeptTree[] {
    const family = hashOf(familyKeyOf(key));
    return [...this.#current.values()]
      .filter(({ header }) => header.familyHash === family)
      .sort((a, b) => (b.lastUsedAtMs ?? 0) - (a.lastUsedAtMs ?? 0));
  }

  discard(tree: KeptTree): void {
    this.#drop(tree);
  }

  // What can be reclaimed.

  async list(): Promise<readonly CacheEntry[]> {
    return [...this.#current.values(), ...this.#held].map((tree) => ({
      id: tree.header.id,
      parents: [],
      type: "source.local" as const,
      description: tree.header.description,
      inUse: tree.holds > 0,
      shared: false,
      sizeBytes: tree.header.bytes,
      createdAt: tree.header.createdAt,
      lastUsedAt: tree.lastUsedAtMs === undefined ? undefined : new Date(tree.lastUsedAtMs).toISOString(),
      usageCount: tree.usageCount,
    }));
  }

  async remove(id: string): Promise<number> {
    const tree = [...this.#current.values()].find((tree) => tree.header.id === id);
    if (tree === undefined || tree.holds > 0) return 0;
    this.#retire(tree);
    await tree.delete();
    return tree.header.bytes;
  }

  /** It is no longer what the next transfer begins with. */
  #retire(tree: KeptTree): void {
    tree.isCurrent = false;
    if (this.#current.get(tree.header.keyHash) === tree) this.#current.delete(tree.header.keyHash);
    this.#warm = this.#warm.filter((other) => other !== tree);
  }

  #drop(tree: KeptTree): void {
    this.#retire(tree);
    tree.unseal();
    if (tree.holds > 0) this.#held.add(tree);
    else void this.#delete(tree);
  }

  #released(tree: KeptTree): Promise<void> | undefined {
    if (!tree.isCurrent) return this.#delete(tree);
    this.#warm = [tree, ...this.#warm.filter((other) => other !== tree)];
    for (const cold of this.#warm.splice(warmTrees)) cold.forgetEntries();
    return undefined;
  }

  async #delete(tree: KeptTree): Promise<void> {
    this.#held.delete(tree);
    try {
      await tree.delete();
    } catch (error) {
      this.#logger.warn("a build context could not be deleted; the next start tries again", {
        error: messageOf(error),
      });
    }
  }
}

/** A key without its part. */
function familyKeyOf(key: string): string {
  return key.split(keySeparator).slice(0, 2).join(keySeparator);
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
