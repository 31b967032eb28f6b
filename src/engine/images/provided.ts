// Images that are made when somebody names them, of what another room keeps: the state before a build's failed step. Such an image
// has no name, is not listed unless all are asked for, and goes when it is withdrawn, or stays as any other one where it is used.

import { type Digest, parseDigest } from "../../base/digest.ts";
import { isEngineError } from "../../base/errors.ts";
import { assembleImage } from "./assemble.ts";
import { removeImage } from "./apply-remove.ts";
import type { ImageHolds } from "./holds.ts";
import type { ImagesDeps } from "./images.ts";
import type { ImageSource } from "./index.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";

/** Of the row that tells the next start what the last one has made. */
const metaKey = "images.provided";

export class ProvidedImages {
  readonly #deps: ImagesDeps;
  readonly #records: ImageRecords;
  readonly #holds: ImageHolds;
  readonly #ids = new Set<Digest>();
  #source: ImageSource | undefined;

  constructor(deps: ImagesDeps, records: ImageRecords, holds: ImageHolds) {
    this.#deps = deps;
    this.#records = records;
    this.#holds = holds;
  }

  /** Removes what an earlier source left. */
  async open(source: ImageSource): Promise<void> {
    this.#source = source;
    const row = (await this.#deps.store.load("meta")).find(({ key }) => key === metaKey);
    for (const text of row?.value.split(",") ?? []) if (text !== "") await this.#remove(parseDigest(text));
    await this.#write();
  }

  /** Whether lists leave it out: nobody gave it a name. */
  isHidden(id: Digest): boolean {
    return this.#ids.has(id) && this.#records.referencesOf(id).length === 0;
  }

  /** @returns undefined when the source has none of that id */
  async make(nameOrId: string): Promise<ImageRecord | undefined> {
    const prefix = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(nameOrId)?.[1];
    const found = prefix === undefined ? undefined : this.#source?.find(prefix);
    if (found === undefined) return undefined;
    if (!this.#ids.has(found.id)) {
      this.#ids.add(found.id);
      await this.#write();
    }
    const { configBytes } = found;
    const id = await assembleImage(
      this.#deps,
      this.#records,
      { configBytes, references: [] },
      AbortSignal.timeout(60_000),
    );
    return this.#records.get(id);
  }

  async withdraw(id: Digest): Promise<void> {
    if (!this.#ids.delete(id)) return;
    await this.#remove(id);
    await this.#write();
  }

  async #remove(id: Digest): Promise<void> {
    if (this.#records.get(id) === undefined || this.#records.referencesOf(id).length > 0) return;
    try {
      await removeImage(this.#deps, this.#records, this.#holds, id, { force: false, noPrune: true });
    } catch (error) {
      if (!isEngineError(error) || !["Conflict", "NotFound"].includes(error.kind)) throw error;
    }
  }

  async #write(): Promise<void> {
    await this.#deps.store.commit([{ put: "meta", row: { key: metaKey, value: [...this.#ids].join(",") } }]);
  }
}
