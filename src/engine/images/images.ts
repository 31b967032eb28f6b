// The image room put together: records in memory, and every change as one commit under the snapshotter's lock.

import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { parseNamed, renderFamiliar, renderReference, withDefaultTag, withTag } from "../../base/reference.ts";
import type { ImageDeleteResponseItem, ImageInspect, ImageSummary } from "../../spec/docker/image.ts";
import type { DistributionInspect, Filters, ProgressMessage, RegistryCredentials } from "../api/ports.ts";
import type { ContentStore } from "../content/index.ts";
import type { Distribution } from "../../distribution/index.ts";
import type { Events } from "../events/index.ts";
import type { Snapshotter } from "../snapshots/index.ts";
import type { Store } from "../store/index.ts";
import type { ImageSource, ImageUsers, Images, LayerBlob, PullRequest, ResolvedImage } from "./index.ts";
import { prepareImport, type ImportOptions } from "./import.ts";
import { type HistoryItem, historyOf, inspectImage } from "./inspect.ts";
import { type ListRequest, listImages } from "./list.ts";
import { type LoadOptions, loadArchive } from "./load.ts";
import { assembleImage } from "./assemble.ts";
import { commitLayer } from "./commit.ts";
import { measureImages } from "./disk-usage.ts";
import { openLayerBlob } from "./layer-blob.ts";
import { publishManifests } from "./publish.ts";
import { PullShare } from "./pull-share.ts";
import { ProvidedImages } from "./provided.ts";
import { pullImages } from "./pull.ts";
import { PushShare } from "./push-slots.ts";
import { pushImages } from "./push.ts";
import { pruneImages } from "./prune.ts";
import { inspectDistribution, loginToRegistry, searchRegistry } from "./registry-queries.ts";
import { saveImages } from "./save.ts";
import { reportProgress } from "./message-queue.ts";
import { matchesPlatform, parsePlatform, renderPlatform } from "../../spec/oci/platform.ts";
import { type ImageRecord, ImageRecords, imageRow, tagRow, tagTime } from "./records.ts";
import type { RemoveOptions } from "./remove.ts";
import { checkImages } from "./check.ts";
import { removeImage } from "./apply-remove.ts";
import { ImageHolds } from "./holds.ts";
import { deleteUnneeded } from "./use.ts";

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

/** How many blobs move at once, over all pulls or pushes, and how often a download is tried. */
export interface TransferLimits {
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  /** Of a download whose connections bring nothing new, before it is given up. */
  readonly maxDownloadAttempts: number;
  /** Pauses between attempts are multiplied by it; 1 without. For tests. */
  readonly retryDelayScale?: number;
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
  deps.snapshots.addRoots("images", () => records.tops());
  // What was being read when its image was deleted, if the engine was killed then. Images that cannot be read hold nothing.
  if (records.broken.size === 0) await deleteUnneeded(deps, records, deps.content.digests());
  const announce = (action: string, record: ImageRecord, name: string): void =>
    deps.events.publish({
      type: "image",
      action,
      id: record.id,
      attributes: { ...record.config.config?.Labels, name },
    });
  return new EngineImages({ ...deps, announce }, records);
}

class EngineImages implements Images {
  readonly #deps: ImagesDeps;
  readonly #records: ImageRecords;
  readonly #pulls: PullShare;
  readonly #pushes: PushShare;
  readonly #holds = new ImageHolds();
  readonly #provided: ProvidedImages;
  #pruning = false;

  constructor(deps: ImagesDeps, records: ImageRecords) {
    this.#deps = deps;
    this.#records = records;
    this.#pulls = new PullShare(deps);
    this.#pushes = new PushShare(() => deps.transfers().maxConcurrentUploads);
    this.#provided = new ProvidedImages(deps, records, this.#holds);
  }

  provide(source: ImageSource): Promise<void> {
    return this.#provided.open(source);
  }

  withdraw(id: Digest): Promise<void> {
    return this.#provided.withdraw(id);
  }

  async resolve(nameOrId: string, platform: string | undefined): Promise<ResolvedImage> {
    return resolved(await this.#findOrMake(nameOrId, platform));
  }

  // oxlint-disable-next-line typescript/require-await -- the face leaves room for images that must be fetched
  async get(id: Digest): Promise<ResolvedImage> {
    return resolved(this.#byId(id));
  }

  hold(id: Digest): Disposable {
    if (this.#holds.isDeleting(id)) throw new EngineError("NotFound", `No such image: ${id}`);
    this.#byId(id);
    return this.#holds.hold(id);
  }

  count(): number {
    return this.#records.size;
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async list(request: ListRequest): Promise<readonly ImageSummary[]> {
    return listImages(this.#deps, this.#records, request, (id) => this.#provided.isHidden(id));
  }

  async inspect(nameOrId: string, platform?: string): Promise<ImageInspect> {
    return inspectImage(this.#deps, this.#records, await this.#findOrMake(nameOrId, platform));
  }

  async history(nameOrId: string, platform?: string): Promise<readonly HistoryItem[]> {
    return historyOf(this.#deps, this.#records, await this.#findOrMake(nameOrId, platform));
  }

  load(archive: Readable, options: LoadOptions, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress(async (tell, signal) => {
      await loadArchive(this.#deps, this.#records, archive, options, tell, signal);
    }, signal);
  }

  import(source: Readable | string, options: ImportOptions, signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress(
      (tell, signal) => prepareImport(this.#deps, this.#records, options).run(source, tell, signal),
      signal,
    );
  }

  pull(request: Parameters<Images["pull"]>[0], signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress(async (tell, signal) => {
      await pullImages(this.#deps, this.#records, this.#pulls, request, tell, signal);
    }, signal);
  }

  async pullOne(
    request: PullRequest,
    tell: (message: ProgressMessage) => void,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const id = await pullImages(this.#deps, this.#records, this.#pulls, request, tell, signal);
    if (id === undefined) throw new EngineError("NotFound", `${request.image}: not found`);
    return this.get(id);
  }

  push(request: Parameters<Images["push"]>[0], signal: AbortSignal): AsyncIterable<ProgressMessage> {
    return reportProgress(
      (tell, signal) => pushImages(this.#deps, this.#records, this.#pushes, request, tell, signal),
      signal,
    );
  }

  save(names: readonly string[], platform: string | undefined, signal: AbortSignal): Promise<Readable> {
    return saveImages(this.#deps, this.#records, names, platform, signal);
  }

  async prune(filters: Filters): ReturnType<Images["prune"]> {
    if (this.#pruning) throw new EngineError("Conflict", "a prune operation is already running");
    this.#pruning = true;
    try {
      return await pruneImages(this.#deps, this.#records, filters, (nameOrId) =>
        removeImage(this.#deps, this.#records, this.#holds, nameOrId, { force: false, noPrune: false }),
      );
    } finally {
      this.#pruning = false;
    }
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

  assemble(image: Parameters<Images["assemble"]>[0], signal: AbortSignal): Promise<Digest> {
    return assembleImage(this.#deps, this.#records, image, signal);
  }

  layerBlob(...[layer, encoding, onProgress, signal]: Parameters<Images["layerBlob"]>): Promise<LayerBlob> {
    return openLayerBlob(this.#deps, this.#records, this.#pushes, layer, encoding, onProgress, signal);
  }

  publish(...[publication, tell, signal]: Parameters<Images["publish"]>): Promise<void> {
    return publishManifests(this.#deps, this.#records, this.#pushes, publication, tell, signal);
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async diskUsage(): ReturnType<Images["diskUsage"]> {
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
    options: RemoveOptions & { readonly platform?: string | undefined },
  ): Promise<readonly ImageDeleteResponseItem[]> {
    this.#find(nameOrId, options.platform);
    return (await removeImage(this.#deps, this.#records, this.#holds, nameOrId, options)).items;
  }

  check(options: { readonly repair: boolean }): ReturnType<Images["check"]> {
    return checkImages(this.#deps, this.#records, options.repair);
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

  /** @throws NotFound also when the image is for another platform than the one given */
  #find(nameOrId: string, platform: string | undefined): ImageRecord {
    const record = this.#records.find(nameOrId);
    if (platform === undefined || platform === "") return record;
    const wanted = parsePlatform(platform);
    if (matchesPlatform(record.config, wanted)) return record;
    throw new EngineError(
      "NotFound",
      `image with reference ${nameOrId} was found but its platform (${renderPlatform(record.config)}) ` +
        `does not match the specified platform (${renderPlatform(wanted)})`,
    );
  }

  /** As #find, and what can be made when it is named. */
  async #findOrMake(nameOrId: string, platform: string | undefined): Promise<ImageRecord> {
    try {
      return this.#find(nameOrId, platform);
    } catch (error) {
      if (!isEngineError(error, "NotFound")) throw error;
      const made = await this.#provided.make(nameOrId);
      if (made === undefined) throw error;
      return this.#find(made.id, platform);
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
