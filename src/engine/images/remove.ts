// docker rmi: a name is taken away, and the image with its last name; what still uses it decides whether that may be forced.
// Rules and texts are the reference daemon's. Deciding is pure (planRemove); removeImage applies the plan in one commit.

import { EngineError } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import {
  type Reference,
  parseAnyReference,
  parseNamed,
  renderFamiliar,
  renderReference,
  repositoryOf,
} from "../../base/reference.ts";
import type { ImageDeleteResponseItem } from "../../spec/docker/image.ts";
import type { ImageRecord } from "./records.ts";

export interface RemoveState {
  readonly image: ImageRecord;
  /** All names of the image. */
  readonly references: readonly Reference[];
  readonly containers: readonly { readonly id: string; readonly running: boolean }[];
}

export interface RemovePlan {
  readonly untag: readonly Reference[];
  readonly deleteImage: boolean;
}

/** True when all names are in one repository with at most one tag: then an id removes them all. */
function isSingleReference(references: readonly Reference[]): boolean {
  if (references.length <= 1) return true;
  const named = references.map((reference) => parseNamed(reference));
  return new Set(named.map(repositoryOf)).size === 1 && named.filter(({ digest }) => digest === undefined).length <= 1;
}

function conflict(image: ImageRecord, hard: boolean, why: string): EngineError {
  const force = hard ? "cannot be forced" : "must be forced";
  return new EngineError("Conflict", `conflict: unable to delete ${shortId(image.id)} (${force}) - ${why}`);
}

/** What stands against deleting the image while it has the names `left`; `used` is true when a container does. */
function findConflict(
  state: RemoveState,
  left: readonly Reference[],
  force: boolean,
): { readonly error: EngineError; readonly used: boolean } | undefined {
  const running = state.containers.find((container) => container.running);
  if (running !== undefined)
    return {
      error: conflict(state.image, true, `image is being used by running container ${shortId(running.id)}`),
      used: true,
    };
  if (force) return undefined;
  if (left.length > 0)
    return { error: conflict(state.image, false, "image is referenced in multiple repositories"), used: false };
  const stopped = state.containers[0];
  if (stopped === undefined) return undefined;
  return {
    error: conflict(state.image, false, `image is being used by stopped container ${shortId(stopped.id)}`),
    used: true,
  };
}

/**
 * Decides what `docker rmi nameOrId` does.
 *
 * @throws Conflict with dockerd's text
 */
export function planRemove(nameOrId: string, force: boolean, state: RemoveState): RemovePlan {
  const { image, references } = state;
  const isId = image.id.startsWith(nameOrId) || image.id.slice("sha256:".length).startsWith(nameOrId);
  if (isId) {
    // The one name that an image has does not count against its deletion by id.
    const found = findConflict(state, isSingleReference(references) ? [] : references, force);
    if (found !== undefined) throw found.error;
    return { untag: references, deleteImage: true };
  }
  if (!force && isSingleReference(references)) {
    const user = state.containers[0];
    if (user !== undefined)
      throw new EngineError(
        "Conflict",
        `conflict: unable to remove repository reference ${JSON.stringify(nameOrId)} (must force) - ` +
          `container ${shortId(user.id)} is using its referenced image ${shortId(image.id)}`,
      );
  }
  const any = parseAnyReference(nameOrId);
  if (any.named === undefined) throw new EngineError("NotFound", `No such image: ${nameOrId}`);
  const removed = renderReference(any.named);
  const left = references.filter((reference) => reference !== removed);
  const orphans = any.named.digest === undefined ? digestsWithoutTag(repositoryOf(any.named), left) : [];
  const remaining = left.filter((reference) => !orphans.includes(reference));
  const untag = [removed, ...orphans];
  if (remaining.length > 0) return { untag, deleteImage: false };
  // With the name gone, a container that uses the image keeps it, without a word.
  return { untag, deleteImage: findConflict(state, [], force) === undefined };
}

/** Digest references of a repository that has no tag left: they go with its last tag. */
function digestsWithoutTag(repository: string, left: readonly Reference[]): readonly Reference[] {
  const same = left.filter((reference) => repositoryOf(parseNamed(reference)) === repository);
  return same.every((reference) => parseNamed(reference).digest !== undefined) ? same : [];
}

/** The answer: names first, then the image, then the layers that nobody else needs. */
export function renderRemoved(
  plan: RemovePlan,
  image: ImageRecord,
  layers: readonly string[],
): readonly ImageDeleteResponseItem[] {
  return [
    ...plan.untag.map((reference) => ({ Untagged: renderFamiliar(parseNamed(reference)) })),
    ...(plan.deleteImage ? [{ Deleted: image.id }, ...layers.map((layer) => ({ Deleted: layer }))] : []),
  ];
}
