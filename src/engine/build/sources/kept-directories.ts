// Directories that a kind of source keeps under the hash of a name: repositories, downloads. Each may be removed whenever nobody
// uses it.
//
//   <root>/<hash>/kept.json  what it is, and when it was used
//   <root>/<hash>/…          its owner's files

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { nowRfc3339Nano } from "../../../base/time.ts";
import type { CacheEntry, ReclaimableStore } from "../solver/index.ts";

interface Kept {
  readonly id: string;
  readonly description: string;
  readonly createdAt: string;
  lastUsedAt: string;
  usageCount: number;
}

/** A kept directory in use: it stays while this is not disposed. */
export interface KeptUse extends Disposable {
  readonly path: string;
}

export class KeptDirectories implements ReclaimableStore {
  readonly #root: string;
  readonly #type: CacheEntry["type"];
  readonly #uses = new Map<string, number>();

  constructor(root: string, type: CacheEntry["type"]) {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(root))
      if (!/^[0-9a-f]{25}$/.test(name)) rmSync(join(root, name), { recursive: true, force: true });
    this.#root = root;
    this.#type = type;
  }

  /** The directory of that name, made when it is missing. */
  use(name: string, description: string): KeptUse {
    const id = createHash("sha256").update(name).digest("hex").slice(0, 25);
    const path = join(this.#root, id);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const kept = this.#read(id) ?? {
      id,
      description,
      createdAt: nowRfc3339Nano(),
      lastUsedAt: "",
      usageCount: 0,
    };
    kept.lastUsedAt = nowRfc3339Nano();
    kept.usageCount++;
    writeFileSync(join(path, "kept.json.new"), JSON.stringify(kept), { mode: 0o600 });
    renameSync(join(path, "kept.json.new"), join(path, "kept.json"));
    this.#uses.set(id, (this.#uses.get(id) ?? 0) + 1);
    let held = true;
    return {
      path,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.#uses.get(id) ?? 1) - 1;
        if (left === 0) this.#uses.delete(id);
        else this.#uses.set(id, left);
      },
    };
  }

  async list(): Promise<readonly CacheEntry[]> {
    const entries: CacheEntry[] = [];
    for (const id of readdirSync(this.#root)) {
      const kept = this.#read(id);
      if (kept === undefined) continue;
      entries.push({
        id,
        parents: [],
        type: this.#type,
        description: kept.description,
        inUse: this.#uses.has(id),
        shared: false,
        sizeBytes: await bytesBelow(join(this.#root, id)),
        createdAt: kept.createdAt,
        lastUsedAt: kept.lastUsedAt,
        usageCount: kept.usageCount,
      });
    }
    return entries;
  }

  async remove(id: string): Promise<number> {
    if (!/^[0-9a-f]{25}$/.test(id) || this.#uses.has(id) || this.#read(id) === undefined) return 0;
    const going = join(this.#root, `${id}.gone`);
    const freed = await bytesBelow(join(this.#root, id));
    if (this.#uses.has(id)) return 0;
    await rm(going, { recursive: true, force: true });
    if (this.#uses.has(id)) return 0;
    renameSync(join(this.#root, id), going);
    await rm(going, { recursive: true, force: true });
    return freed;
  }

  #read(id: string): Kept | undefined {
    try {
      const parsed: unknown = JSON.parse(readFileSync(join(this.#root, id, "kept.json"), "utf8"));
      if (typeof parsed !== "object" || parsed === null) return undefined;
      const fields = parsed as Partial<Kept>;
      if (typeof fields.description !== "string" || typeof fields.createdAt !== "string") return undefined;
      return {
        id,
        description: fields.description,
        createdAt: fields.createdAt,
        lastUsedAt: typeof fields.lastUsedAt === "string" ? fields.lastUsedAt : fields.createdAt,
        usageCount: typeof fields.usageCount === "number" ? fields.usageCount : 0,
      };
    } catch {
      return undefined;
    }
  }
}

/** Bytes on disk of a tree; what vanishes meanwhile counts nothing. */
async function bytesBelow(path: string): Promise<number> {
  const status = await lstat(path).catch(() => undefined);
  if (status === undefined) return 0;
  let bytes = status.blocks * 512;
  if (status.isDirectory())
    for (const name of await readdir(path).catch(() => [])) bytes += await bytesBelow(join(path, name));
  return bytes;
}
