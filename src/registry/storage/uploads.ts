// The uploads of a data directory, `uploads/<uuid>.<16 hex digits of the repository's digest>`: the name ties an upload to its
// repository, the file's time says when it was last written to. They survive a restart; those that nobody goes on with are swept.

import { createHash, randomUUID } from "node:crypto";
import { open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../base/errors.ts";
import { RegistryError } from "../errors.ts";
import { Upload } from "./upload.ts";

// What is kept of an upload between two requests is the state of its digest; beyond so many it is computed anew.
const maxRemembered = 1024;

/** An upload that a request holds. */
export interface HeldUpload extends Disposable {
  readonly upload: Upload;
}

interface Holder {
  breakOff(): void;
  readonly ended: Promise<void>;
}

function uploadUnknown(id: string): RegistryError {
  return new RegistryError("BLOB_UPLOAD_UNKNOWN", "no such upload", { detail: { upload: id.slice(0, 100) } });
}

/** All uploads. A request holds an upload alone; a newer one takes it over, because the older one's client is gone. */
export class Uploads {
  readonly #root: string;
  readonly #remembered = new Map<string, Upload>();
  readonly #holders = new Map<string, Holder>();

  constructor(root: string) {
    this.#root = root;
  }

  #path(repository: string, id: string): string {
    const tie = createHash("sha256").update(repository).digest("hex").slice(0, 16);
    return join(this.#root, `${id}.${tie}`);
  }

  async create(repository: string): Promise<Upload> {
    const id = randomUUID();
    const upload = new Upload(id, this.#path(repository, id), 0);
    await (await open(upload.path, "wx", 0o600)).close();
    this.#remember(upload);
    return upload;
  }

  #remember(upload: Upload): void {
    this.#remembered.delete(upload.id);
    this.#remembered.set(upload.id, upload);
    for (const [id] of this.#remembered) {
      if (this.#remembered.size <= maxRemembered) break;
      if (!this.#holders.has(id)) this.#remembered.delete(id);
    }
  }

  /** @throws BLOB_UPLOAD_UNKNOWN none of this repository's */
  async find(repository: string, id: string): Promise<Upload> {
    if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) throw uploadUnknown(id);
    const path = this.#path(repository, id);
    const remembered = this.#remembered.get(id);
    if (remembered?.path === path) return remembered;
    try {
      const { size } = await stat(path);
      // Another request may have found it meanwhile, and be writing to it.
      const known = this.#remembered.get(id);
      if (known?.path === path) return known;
      const upload = new Upload(id, path, size);
      this.#remember(upload);
      return upload;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw uploadUnknown(id);
      throw error;
    }
  }

  /**
   * Takes an upload for one request; who has it is broken off first.
   *
   * @param breakOff called when a newer request wants the upload
   * @throws BLOB_UPLOAD_UNKNOWN
   */
  async hold(repository: string, id: string, breakOff: () => void): Promise<HeldUpload> {
    for (let other = this.#holders.get(id); other !== undefined; other = this.#holders.get(id)) {
      other.breakOff();
      await other.ended;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#holders.set(id, { breakOff, ended: promise });
    const release = (): void => {
      this.#holders.delete(id);
      resolve();
    };
    try {
      return { upload: await this.find(repository, id), [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Forgets an upload and deletes its file, if it is still there. */
  async remove(upload: Upload): Promise<void> {
    this.forget(upload);
    try {
      await unlink(upload.path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /** Its file has become a blob. */
  forget(upload: Upload): void {
    this.#remembered.delete(upload.id);
  }

  /** Uploads that a request is working on. */
  get active(): number {
    return this.#holders.size;
  }

  /**
   * Deletes what nobody has written to since `beforeMs` (milliseconds since 1970).
   *
   * @returns how many
   */
  async sweep(beforeMs: number): Promise<number> {
    let swept = 0;
    for (const name of await readdir(this.#root)) {
      const id = name.split(".", 1)[0] ?? "";
      if (this.#holders.has(id)) continue;
      try {
        const path = join(this.#root, name);
        if ((await stat(path)).mtimeMs >= beforeMs || this.#holders.has(id)) continue;
        this.#remembered.delete(id);
        await unlink(path);
        swept += 1;
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
      }
    }
    return swept;
  }

  /** How many there are. */
  async count(): Promise<number> {
    return (await readdir(this.#root)).length;
  }
}
