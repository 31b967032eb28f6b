// Which images the names of docker save mean. Source: the reference daemon's behaviour; its texts.

import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import {
  type Named,
  familiarRepository,
  parseAnyReference,
  parseNamed,
  renderReference,
  repositoryOf,
} from "../../base/reference.ts";
import type { ImageRecords } from "./records.ts";

/**
 * Image → the tags under which it is to be saved. A name without a tag means all tags of its repository; ids, and digests
 * of repositories, bring no tag.
 *
 * @throws InvalidParameter no names, or one that is none
 * @throws NotFound         "No such image: x", "reference does not exist"
 */
export function selectSaved(records: ImageRecords, names: readonly string[]): ReadonlyMap<Digest, readonly Named[]> {
  if (names.length === 0) throw new EngineError("InvalidParameter", "no image was named");
  const selected = new Map<Digest, Map<string, Named>>();
  const add = (id: Digest, named?: Named): void => {
    const tags = selected.get(id) ?? new Map<string, Named>();
    selected.set(id, tags);
    if (named !== undefined && named.digest === undefined) tags.set(renderReference(named), named);
  };
  const tagsByRepository = groupTags(records);
  for (const name of names) {
    const any = parseAnyReference(name);
    if (any.id !== undefined || familiarRepository(any.named) === "sha256") {
      add(findById(records, name));
      continue;
    }
    const { named } = any;
    if (named.tag === undefined && named.digest === undefined) {
      const all = tagsByRepository.get(repositoryOf(named)) ?? [];
      for (const { id, tagged } of all) add(id, tagged);
      if (all.length === 0) add(findById(records, name));
      continue;
    }
    const record = records.byReference(renderReference(named));
    if (record === undefined) throw new EngineError("NotFound", "reference does not exist");
    add(record.id, named);
  }
  return new Map([...selected].map(([id, tags]) => [id, [...tags.values()]]));
}

interface TaggedImage {
  readonly id: Digest;
  readonly tagged: Named;
}

function groupTags(records: ImageRecords): ReadonlyMap<string, readonly TaggedImage[]> {
  const all = [...records.referencesByImage()].flatMap(([id, references]) =>
    references.map((reference): TaggedImage => ({ id, tagged: parseNamed(reference) })),
  );
  return Map.groupBy(all, ({ tagged }) => repositoryOf(tagged));
}

function findById(records: ImageRecords, name: string): Digest {
  try {
    return records.find(name).id;
  } catch (cause) {
    if (!(cause instanceof EngineError) || cause.kind !== "NotFound") throw cause;
    throw new EngineError("NotFound", `No such image: ${name}`, { cause });
  }
}
