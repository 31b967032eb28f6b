// docker rmi: a name is taken away, and the image with its last name; what still uses it decides whether that may be forced.
// Untagged parents that nothing needs go with their last child. Rules and texts are the reference daemon's; all of this is pure.

import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import {
  type Named,
  type Reference,
  parseAnyReference,
  parseNamed,
  renderFamiliar,
  renderReference,
  repositoryOf,
  withDefaultTag,
} from "../../base/reference.ts";
import type { ImageDeleteResponseItem } from "../../spec/docker/image.ts";

/** What deciding needs to know of the world. */
export interface RemoveWorld {
  /** All names of an image. */
  referencesOf(id: Digest): readonly Reference[];
  containersOf(id: Digest): readonly { readonly id: string; readonly running: boolean }[];
  childrenOf(id: Digest): readonly Digest[];
  parentOf(id: Digest): Digest | undefined;
  /** A container is being made of the image. */
  isHeld(id: Digest): boolean;
}

export interface RemoveOptions {
  readonly force: boolean;
  /** Leave untagged parents. */
  readonly noPrune: boolean;
}

export interface RemovePlan {
  /** Names to take away, with the text in which the answer shows them. */
  readonly untag: readonly { readonly reference: Reference; readonly shown: string }[];
  /** Images to delete: the one asked for, then its parents; empty when only names go. */
  readonly images: readonly Digest[];
}

/** True when all names are in one repository with at most one tag: then an id removes them all. */
function isSingleReference(references: readonly Reference[]): boolean {
  if (references.length <= 1) return true;
  const named = references.map((reference) => parseNamed(reference));
  return new Set(named.map(repositoryOf)).size === 1 && named.filter(({ digest }) => digest === undefined).length <= 1;
}

function conflict(image: Digest, hard: boolean, why: string): EngineError {
  const force = hard ? "cannot be forced" : "must be forced";
  return new EngineError("Conflict", `conflict: unable to delete ${shortId(image)} (${force}) - ${why}`);
}

/** What stands against deleting the image while it has the names `left`. */
function findConflict(
  image: Digest,
  left: readonly Reference[],
  force: boolean,
  world: RemoveWorld,
): EngineError | undefined {
  if (world.childrenOf(image).length > 0) return conflict(image, true, "image has dependent child images");
  const containers = world.containersOf(image);
  const running = containers.find((container) => container.running);
  if (running !== undefined)
    return conflict(image, true, `image is being used by running container ${shortId(running.id)}`);
  if (force) return undefined;
  if (left.length > 0) return conflict(image, false, "image is referenced in multiple repositories");
  const [stopped] = containers;
  if (stopped === undefined) return undefined;
  return conflict(image, false, `image is being used by stopped container ${shortId(stopped.id)}`);
}

/** The image, and then each parent that has no name, no other child and no container. */
function withParents(image: Digest, noPrune: boolean, world: RemoveWorld): readonly Digest[] {
  const images = [image];
  if (noPrune) return images;
  for (let id = world.parentOf(image); id !== undefined && !images.includes(id); id = world.parentOf(id)) {
    const others = world.childrenOf(id).filter((child) => !images.includes(child));
    const isNeeded = world.referencesOf(id).length > 0 || world.containersOf(id).length > 0 || world.isHeld(id);
    if (others.length > 0 || isNeeded) break;
    images.push(id);
  }
  return images;
}

function untagAll(references: readonly Reference[]): RemovePlan["untag"] {
  return references.map((reference) => ({ reference, shown: renderFamiliar(parseNamed(reference)) }));
}

/**
 * Decides what `docker rmi nameOrId` does; `image` is what the name means.
 *
 * @throws Conflict with dockerd's text
 */
export function planRemove(nameOrId: string, image: Digest, options: RemoveOptions, world: RemoveWorld): RemovePlan {
  const { force, noPrune } = options;
  const references = world.referencesOf(image);
  const isId = image.startsWith(nameOrId) || image.slice("sha256:".length).startsWith(nameOrId);
  if (isId) {
    // The one name that an image has does not count against its deletion by id.
    const found = findConflict(image, isSingleReference(references) ? [] : references, force, world);
    if (found !== undefined) throw found;
    return { untag: untagAll(references), images: withParents(image, noPrune, world) };
  }
  if (!force && isSingleReference(references)) {
    const [user] = world.containersOf(image);
    if (user !== undefined)
      throw new EngineError(
        "Conflict",
        `conflict: unable to remove repository reference ${JSON.stringify(nameOrId)} (must force) - ` +
          `container ${shortId(user.id)} is using its referenced image ${shortId(image)}`,
      );
  }
  const { named } = parseAnyReference(nameOrId);
  if (named === undefined) throw new EngineError("NotFound", `No such image: ${nameOrId}`);
  const untag = untagNamed(named, references);
  const remaining = references.filter((reference) => !untag.some((gone) => gone.reference === reference));
  // With the last name gone, what uses the image keeps it, without a word.
  if (remaining.length > 0 || findConflict(image, [], force, world) !== undefined) return { untag, images: [] };
  return { untag, images: withParents(image, noPrune, world) };
}

/** The name, and with the last tag of a repository its digest references. */
function untagNamed(named: Named, references: readonly Reference[]): RemovePlan["untag"] {
  const removed = { reference: renderReference(named), shown: renderFamiliar(withDefaultTag(named)) };
  if (named.digest !== undefined) return [removed];
  const same = references.filter(
    (reference) => reference !== removed.reference && repositoryOf(parseNamed(reference)) === repositoryOf(named),
  );
  const hasTag = same.some((reference) => parseNamed(reference).digest === undefined);
  return [removed, ...(hasTag ? [] : untagAll(same))];
}

/**
 * The answer: names first, then each image with the layers that went with it.
 *
 * @param layers removed ones, top-most first
 * @param chainOf chain ids of an image that was deleted
 */
export function renderRemoved(
  plan: RemovePlan,
  layers: readonly string[],
  chainOf: (image: Digest) => readonly string[],
): readonly ImageDeleteResponseItem[] {
  const chains = plan.images.map((image) => new Set(chainOf(image)));
  return [
    ...plan.untag.map(({ shown }) => ({ Untagged: shown })),
    ...plan.images.flatMap((image, index) => {
      // A layer goes with the last of the images that had it.
      const own = layers.filter((layer) => chains.findLastIndex((chain) => chain.has(layer)) === index);
      return [{ Deleted: image }, ...own.map((layer) => ({ Deleted: layer }))];
    }),
  ];
}
