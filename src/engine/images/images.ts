// The image room put together: records in memory, and every change as one commit under the snapshotter's lock.

import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { parseNamed, renderFamiliar, renderReference, withDefaultTag, withTag } from "../../base/reference.ts";
import type { ImageDeleteResponseItem, ImageInspect, ImageSummary } from "../../spec/docker/image.ts";
import type { DistributionInspect, Filters, ProgressMessage, RegistryCredentials } from "../api/ports.ts";
import type { ContentStore } from "../content/index.ts";
import type { Distribution } from "../../distribution/index.ts";
import type { Events } from "../events/index.ts";
import type { Snapshotter } from "../snapshots/index.ts";
import type { Store } from "../store/index.ts";
import type { ImageUsers, Images, ResolvedImage } from "./index.ts";
import { prepareImport, type ImportOptions } from "./import.ts";
import { type HistoryItem, historyOf, inspectImage } from "./inspect.ts";
import { type ListRequest, listImages } from "./list.ts";
import { type LoadOptions, loadArchive, tagRow } from "./load.ts";
import { commitLayer } from "./commit.ts";
import { measureImages } from "./disk-usage.ts";
import { pullImages } from "./pull.ts";
import { pushImages } from "./push.ts";
import { pruneImages } from "./prune.ts";
import { inspectDistribution, loginToRegistry, searchRegistry } from "./registry-queries.ts";
import { saveImages } from "./save.ts";
import { reportProgress } from "./message-queue.ts";
import { matchesPlatform, parsePlatform, renderPlatform } from "../../spec/oci/platform.ts";
import { type ImageRecord, ImageRecords, imageRow, tagTime } from "./records.ts";
import { planRemove, renderRemoved } from "./remove.ts";

export interface CreateImagesDeps {
  readonly store: Store;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly events: Pick<Events, "publish">;
  readonly logger: Logger;
  readonly dataRoot: string;
  readonly users: ImageUsers;
  /** Written into imported images as docker_version. */
  readonly engineVersion: string;
  /** Of one layer's files; without it, what the disk has. */
  readonly maxLayerBytes?: number;
  readonly distribution: Distribution;
  /** Follows a reload of the configuration. */
  transfers(): TransferLimits;
}

/** How many blobs move at once, over all pulls or pushes. */
export interface TransferLimits {
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
}

/** What the parts of the room share. */
export interface ImagesDeps extends CreateImagesDeps {
  /** Publishes an event of an image, with its labels. */
  announce(action: string, record: ImageRecord, name: string): void;
}

const embeddedKey = "images.embedded";

/** Loads the records; an image that cannot be read is set aside and reported by `check`. */
export async function createImages(deps: CreateImagesDeps): Promise<Images> {
  const records = await ImageRecords.load(deps.store, deps.content, deps.logger);
  deps.snapshots.setRoots(() => records.tops());
  const announce = (action: string, record: ImageRecord, name: string): void =>
    deps.events.publish({
      type: "image",
      action,
      id: record.id,
      attributes: { ...record.config.config?.Labels, name },
    });
  return new EngineImages({ ...deps, announce }, records);
}

/** Waits for containers that are being made of an image. */
interface Hold {
  count: number;
  readonly released: PromiseWithResolvers<void>;
}

class EngineImages implements Images {
  readonly #deps: ImagesDeps;
  readonly #records: ImageRecords;
  readonly #holds = new Map<Digest, Hold>();
  readonly #deleting = new Set<Digest>();

  constructor(deps: ImagesDeps, records: ImageRecords) {
    this.#deps = deps;
    this.#records = records;
  }

  // oxlint-disable-next-line typescript/require-await -- the face leaves room for images that must be fetched
  async resolve(nameOrId: string, platform: string | undefined): Promise<ResolvedImage> {
    const record = this.#records.find(nameOrId);
    if (platform !== undefined && platform !== "") {
      const wanted = parsePlatform(platform);
      if (!matchesPlatform(record.config, wanted))
        throw new EngineError(
          "NotFound",
          `image with reference ${nameOrId} was found but its platform (${renderPlatform(record.config)}) ` +
            `does not match the specified platform (${renderPlatform(wanted)})`,
        );
    }
    return resolved(record);
  }

  // oxlint-disable-next-line typescript/require-await -- as resolve
  async get(id: Digest): Promise<ResolvedImage> {
    return resolved(this.#byId(id));
  }

  hold(id: Digest): Disposable {
    if (this.#deleting.has(id)) throw new EngineError("NotFound", `No such image: ${id}`);
    this.#byId(id);
    const hold = this.#holds.get(id) ?? { count: 0, released: Promise.withResolvers<void>() };
    this.#holds.set(id, hold);
    hold.count++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--hold.count > 0) return;
        this.#holds.delete(id);
        hold.released.resolve();
      },
    };
  }

  count(): number {
    return this.#records.size;
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async list(request: ListRequest): Promise<readonly ImageSummary[]> {
    return listImages(this.#deps, this.#records, request);
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async inspect(nameOrId: string): Promise<ImageInspect> {
    return inspectImage(this.#deps, this.#records, this.#records.find(nameOrId));
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async history(nameOrId: string): Promise<readonly HistoryItem[]> {
    return historyOf(this.#deps, this.#records, this.#records.find(nameOrId));
  }

  load(archive: Readable, options: LoadOptions, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress(async (tell, signal) => {
      await loadArchive(this.#deps, this.#records, archive, options, tell, signal);
    }, signal);
  }

  import(archive: Readable, options: ImportOptions, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress(async (tell, signal) => {
      const prepared = prepareImport(this.#deps, this.#records, options);
      tell({ status: await prepared.run(archive, signal) });
    }, signal);
  }

  pull(request: Parameters<Images["pull"]>[0], signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress((tell, signal) => pullImages(this.#deps, this.#records, request, tell, signal), signal);
  }

  push(request: Parameters<Images["push"]>[0], signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress((tell, signal) => pushImages(this.#deps, this.#records, request, tell, signal), signal);
  }

  save(names: readonly string[], platform: string | undefined, signal: AbortSignal): Promise<Readable> {
    return saveImages(this.#deps, this.#records, names, platform, signal);
  }

  prune(filters: Filters): ReturnType<Images["prune"]> {
    return pruneImages(this.#deps, this.#records, filters, this);
  }

  search(request: Parameters<Images["search"]>[0], signal: AbortSignal): ReturnType<Images["search"]> {
    return searchRegistry(this.#deps, request, signal);
  }

  distribution(
    name: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<DistributionInspect> {
    return inspectDistribution(this.#deps, name, credentials, signal);
  }

  login(credentials: RegistryCredentials, signal: AbortSignal): ReturnType<Images["login"]> {
    return loginToRegistry(this.#deps, credentials, signal);
  }

  commit(image: Parameters<Images["commit"]>[0], signal: AbortSignal): Promise<Digest> {
    return commitLayer(this.#deps, this.#records, image, signal);
  }

  diskUsage(): ReturnType<Images["diskUsage"]> {
    return measureImages(this.#deps, this.#records);
  }

  async tag(nameOrId: string, repository: string, tag: string): Promise<void> {
    const parsed = parseNamed(repository);
    if (parsed.digest !== undefined) throw new EngineError("InvalidParameter", "cannot import digest reference");
    const named = tag === "" ? withDefaultTag(parsed) : withTag(parsed, tag);
    if (named.domain === "docker.io" && named.path === "library/sha256")
      throw new EngineError("InvalidParameter", "refusing to create an ambiguous tag using digest algorithm as name");
    using _ = await this.#deps.snapshots.lock();
    const record = { ...this.#records.find(nameOrId), lastTagTime: tagTime() };
    const reference = renderReference(named);
    await this.#deps.store.commit([imageRow(record), tagRow(reference, record.id)]);
    this.#records.put(record);
    this.#records.tag(reference, record.id);
    this.#deps.announce("tag", record, renderFamiliar(named));
  }

  async remove(
    nameOrId: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<readonly ImageDeleteResponseItem[]> {
    for (;;) {
      const hold = this.#holds.get(this.#records.find(nameOrId).id);
      if (hold !== undefined) await hold.released.promise;
      using _ = await this.#deps.snapshots.lock();
      const image = this.#records.find(nameOrId);
      if (!this.#holds.has(image.id)) return await this.#removeLocked(nameOrId, image, options.force);
    }
  }

  /** No await before the image is marked: a hold cannot slip between. */
  async #removeLocked(
    nameOrId: string,
    image: ImageRecord,
    force: boolean,
  ): Promise<readonly ImageDeleteResponseItem[]> {
    const { content, snapshots, store, users } = this.#deps;
    const references = this.#records.referencesOf(image.id);
    const plan = planRemove(nameOrId, force, { image, references, containers: users.containersOf(image.id) });
    const untagRows = plan.untag.map((reference) => ({ delete: "tags", key: reference }) as const);
    if (!plan.deleteImage) {
      await store.commit(untagRows);
      this.#untag(plan.untag, image);
      return renderRemoved(plan, image, []);
    }
    this.#deleting.add(image.id);
    try {
      const layers = snapshots.planCollect(this.#records.tops(new Set([image.id])));
      const blob = content.removal(image.id);
      await store.commit([...untagRows, { delete: "images", key: image.id }, ...blob.changes, ...layers.changes]);
      this.#untag(plan.untag, image);
      this.#records.delete(image.id);
      this.#deps.announce("delete", image, image.id);
      // What is committed is gone, even if a directory resists: the next start sweeps it.
      try {
        await blob.discard();
        await layers.discard();
      } catch (error) {
        this.#deps.logger.error("files of a deleted image are left", { image: image.id, error: messageOf(error) });
      }
      const own = new Set<string>(image.chain);
      return renderRemoved(
        plan,
        image,
        layers.removed.filter((chainId) => own.has(chainId)),
      );
    } finally {
      this.#deleting.delete(image.id);
    }
  }

  async check(options: { readonly repair: boolean }): ReturnType<Images["check"]> {
    const { content, snapshots } = this.#deps;
    const findings: { invariant: "F10" | "F14"; subject: string; detail: string; repaired: boolean }[] = [];
    for (const finding of await snapshots.check(() => this.#records.tops(), options.repair)) findings.push(finding);
    // From here on no image comes or goes: a blob is there before its image's record.
    using _ = await snapshots.lock();
    const known = this.#records.neededBlobs();
    for (const { id, chain } of this.#records.all()) {
      const missing = chain.find((chainId) => !snapshots.has(chainId));
      if (missing !== undefined)
        findings.push({
          invariant: "F10",
          subject: `image ${id}`,
          detail: `layer ${missing} is missing; load the image again`,
          repaired: false,
        });
    }
    for (const [id, why] of this.#records.broken)
      findings.push({
        invariant: "F10",
        subject: `image ${id}`,
        detail: `${why}; load the image again`,
        repaired: false,
      });
    for (const finding of await content.check(known, options.repair)) findings.push({ invariant: "F10", ...finding });
    return findings;
  }

  async loadEmbedded(path: string, signal: AbortSignal): Promise<boolean> {
    const { store } = this.#deps;
    if ((await store.load("meta")).some(({ key }) => key === embeddedKey)) return false;
    const archive = createReadStream(path, { highWaterMark: 256 << 10 });
    const ids = await loadArchive(
      this.#deps,
      this.#records,
      archive,
      { quiet: true, platform: undefined },
      () => undefined,
      signal,
    );
    await store.commit([{ put: "meta", row: { key: embeddedKey, value: ids.join(",") } }]);
    return true;
  }

  #untag(references: readonly Parameters<ImageRecords["untag"]>[0][], image: ImageRecord): void {
    for (const reference of references) {
      this.#records.untag(reference);
      this.#deps.announce("untag", image, image.id);
    }
  }

  #byId(id: Digest): ImageRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new EngineError("NotFound", `No such image: ${id}`);
    return record;
  }
}

function resolved(record: ImageRecord): ResolvedImage {
  return { id: record.id, config: record.config, topLayer: record.chain.at(-1) };
}
