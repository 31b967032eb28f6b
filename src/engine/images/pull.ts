// docker pull: reference → index → manifest → config → layers, and one commit for each tag. Lines and texts are those of dockerd's
// classic image store.

import { chainIdsOf, type Digest } from "../../base/digest.ts";
import { failpoint } from "../../base/failpoint.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { type Named, familiarRepository, renderFamiliar, renderReference, withTag } from "../../base/reference.ts";
import { RegistryError, type Repository } from "../../distribution/index.ts";
import { type ExactPlatform, completePlatform } from "../../spec/oci/platform-order.ts";
import { matchesPlatform, parsePlatform, renderPlatform } from "../../spec/oci/platform.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import type { PullRequest } from "./index.ts";
import { type CheckedDocument, parsePullReference } from "./plan-pull.ts";
import { commitPull, imageIdOf, isPulled } from "./pull-commit.ts";
import { countKnown, pullLayers } from "./pull-layers.ts";
import { type ResolvedPull, fetchTarget, resolvePull } from "./pull-resolve.ts";
import type { PullShare } from "./pull-share.ts";
import { type ImageRecord, type ImageRecords } from "./records.ts";
import { useContent } from "./use.ts";

// Others may delete, between two looks, what was counted on.
const maxCommits = 3;

/**
 * Pulls a reference, or all tags of a repository.
 *
 * @returns the image, of several tags that of the last one
 * @throws see Repository.manifest for what the registry refuses, parsePullReference, checkManifest, pullLayers
 */
export async function pullImages(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PullShare,
  request: PullRequest,
  tell: (message: ProgressMessage) => void,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  const named = parsePullReference(request.image, request.tag);
  const platform = request.platform === undefined || request.platform === "" ? undefined : request.platform;
  const asked = platform === undefined ? undefined : parsePlatform(platform);
  let isNewer = false;
  let pulled: Digest | undefined;
  try {
    const repository = await deps.distribution.repository(named, "pull", request.credentials, signal);
    const pull = new ImagePull(
      deps,
      records,
      share,
      repository,
      completePlatform(asked),
      request.isNamed ?? true,
      tell,
    );
    const run = async (one: Named): Promise<void> => {
      const ran = await pull.run(one, signal);
      pulled = ran.id;
      if (ran.isNewer) isNewer = true;
    };
    if (named.tag !== undefined || named.digest !== undefined) await run(named);
    else for await (const tag of repository.tags(signal)) await run(withTag(named, tag));
  } catch (error) {
    // To 401 the docker CLI answers by asking for a password, also where nobody can type one; dockerd says 500 here, also
    // of credentials that are wrong.
    if (isEngineError(error, "Unauthorized")) throw new EngineError("System", error.message, { cause: error });
    throw error;
  }
  const shown = renderFamiliar(named);
  tell({ status: `Status: ${isNewer ? "Downloaded newer image" : "Image is up to date"} for ${shown}` });
  const image = records.byReference(renderReference(named));
  if (image !== undefined && asked !== undefined && !matchesPlatform(image.config, asked))
    tell({
      status:
        `WARNING: image with reference ${shown} was found but its platform (${renderPlatform(image.config)}) ` +
        `does not match the specified platform (${renderPlatform(asked)})`,
    });
  announce(deps, named, image);
  return pulled;
}

/** dockerd names the reference where other events of images have the id. */
function announce(deps: ImagesDeps, named: Named, image: ImageRecord | undefined): void {
  deps.events.publish({
    type: "image",
    action: "pull",
    id: renderFamiliar(named),
    attributes: { ...image?.config.config?.Labels, name: familiarRepository(named) },
  });
}

/** Kept as they are: clients know them. */
const dockerdTexts = /^(?:Encountered remote|image operating system|no matching manifest) /;

/** Names the image, where an error says what is wrong with a part of it. */
function ofImage(named: Named, error: unknown): unknown {
  if (!isEngineError(error) || error.kind === "Cancelled") return error;
  const shown = renderFamiliar(named);
  if (error.message.includes(shown) || dockerdTexts.test(error.message)) return error;
  return new EngineError(error.kind, `${shown}: ${error.message}`, { cause: error });
}

/** What a reference's pull found. */
interface Pulled {
  readonly id: Digest;
  /** The reference meant another image before. */
  readonly isNewer: boolean;
}

/** One repository's images for one platform. */
class ImagePull {
  readonly #deps: ImagesDeps;
  readonly #records: ImageRecords;
  readonly #share: PullShare;
  readonly #repository: Repository;
  readonly #platform: ExactPlatform;
  readonly #isNamed: boolean;
  readonly #tell: (message: ProgressMessage) => void;

  constructor(
    deps: ImagesDeps,
    records: ImageRecords,
    share: PullShare,
    repository: Repository,
    platform: ExactPlatform,
    isNamed: boolean,
    tell: (message: ProgressMessage) => void,
  ) {
    this.#deps = deps;
    this.#records = records;
    this.#share = share;
    this.#repository = repository;
    this.#platform = platform;
    this.#isNamed = isNamed;
    this.#tell = tell;
  }

  async run(named: Named, signal: AbortSignal): Promise<Pulled> {
    let target: CheckedDocument | undefined;
    try {
      // A digest decides; its repository is asked all the same, whatever is here (T09).
      target = await fetchTarget(this.#repository, named.digest ?? named.tag ?? "latest", signal);
      return await this.#follow(named, target, signal);
    } catch (error) {
      // What a registry says of a manifest is shown as it is, as dockerd does.
      throw target === undefined && error instanceof RegistryError ? error : ofImage(named, error);
    }
  }

  async #follow(named: Named, target: CheckedDocument, signal: AbortSignal): Promise<Pulled> {
    const shown = named.digest === undefined ? (named.tag ?? "latest") : renderFamiliar(named);
    this.#tell({ status: `Pulling from ${named.path}`, id: shown });
    const resolved = await resolvePull(this.#deps, this.#repository, target, this.#platform, signal);
    const byDigest: Named = { ...named, tag: undefined, digest: resolved.target };
    const names = named.digest === undefined ? [named, byDigest] : [byDigest];
    const references = this.#isNamed ? names : [];
    const before = this.#records.byReference(renderReference(named));
    if (!isPulled(this.#deps, this.#records, resolved, references)) await this.#make(resolved, references, signal);
    this.#tell({ status: `Digest: ${resolved.target}` });
    const id = imageIdOf(resolved);
    return { id, isNewer: before?.id !== id };
  }

  async #make(resolved: ResolvedPull, references: readonly Named[], signal: AbortSignal): Promise<void> {
    const { snapshots } = this.#deps;
    for (let attempt = 1; ; attempt++) {
      // The last attempt fetches what it would otherwise count on.
      const known = attempt < maxCommits ? countKnown(snapshots, resolved.layers) : 0;
      try {
        await this.#attempt(resolved, references, known, signal);
        return;
      } catch (error) {
        if (attempt === maxCommits || !isEngineError(error, "DataLoss")) throw error;
      }
    }
  }

  async #attempt(
    resolved: ResolvedPull,
    references: readonly Named[],
    known: number,
    signal: AbortSignal,
  ): Promise<void> {
    const blobs = [imageIdOf(resolved), resolved.manifest.digest, ...resolved.layers.map((it) => it.descriptor.digest)];
    const top = chainIdsOf(resolved.layers.slice(0, known).map(({ diffId }) => diffId)).at(-1);
    // Its image may be deleted meanwhile, or never come.
    await using _ = useContent(this.#deps, this.#records, { top, blobs });
    const quiet = this.#records.get(imageIdOf(resolved)) !== undefined && known === resolved.layers.length;
    await using layers = await pullLayers(
      this.#deps,
      this.#share,
      {
        repository: this.#repository,
        layers: resolved.layers,
        known,
        // Of an image that is here, dockerd says nothing.
        tell: quiet ? () => undefined : this.#tell,
      },
      signal,
    );
    await failpoint("images.pull.fetched");
    await commitPull(this.#deps, this.#records, {
      resolved,
      references,
      layers: resolved.layers.map((layer) => ({ diffId: layer.diffId, staged: layers.stagedOf(layer) })),
    });
  }
}
