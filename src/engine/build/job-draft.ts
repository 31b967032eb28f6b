// A draft and what was solved → the image's configuration: layers, history with its times, created. Pure.

import type { DiffId, Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { parseRfc3339, renderRfc3339Nano } from "../../base/time.ts";
import type { HistoryEntry, OciImageConfig } from "../../spec/oci/image.ts";
import type { ImageDraft } from "./graph/index.ts";
import type { Solved } from "./solver/index.ts";

/** Comment of layers that no instruction made. Source: BuildKit's exporter. */
const layerComment = "buildkit.exporter.image.v0";

export interface FinishedImage {
  readonly layers: readonly DiffId[];
  readonly config: OciImageConfig;
}

function layersOf(solved: Solved): readonly DiffId[] {
  if (solved.snapshot.kind === "layers") return solved.snapshot.layers;
  throw new EngineError("System", "the result of a build is a directory of a source");
}

/** History of the base with exactly one entry that is not empty for each of its layers. */
function baseHistory(draft: ImageDraft): readonly HistoryEntry[] {
  const { history = [], diffIds = [] } = draft.base ?? {};
  let left = diffIds.length;
  const kept = history.map((entry): HistoryEntry => {
    if (entry.empty_layer === true) return entry;
    if (left > 0) {
      left--;
      return entry;
    }
    return { ...entry, empty_layer: true };
  });
  return [...kept, ...Array.from({ length: left }, (): HistoryEntry => ({ comment: layerComment }))];
}

/**
 * @param startedAt RFC 3339; when nothing of the image says a time
 * @param epochSeconds SOURCE_DATE_EPOCH: the time of everything that this build made
 */
export function finishImage(
  draft: ImageDraft,
  solved: (vertex: Digest) => Solved | undefined,
  startedAt: string,
  epochSeconds: number | undefined,
): FinishedImage {
  const result = draft.result === undefined ? undefined : solved(draft.result);
  if (draft.result !== undefined && result === undefined)
    throw new EngineError("System", `the result ${draft.result} of the build was not solved`);
  const layers = result === undefined ? [] : layersOf(result);
  const history = [...baseHistory(draft)];
  const times = draft.history.map(({ vertex }) => (vertex === undefined ? undefined : solved(vertex)?.createdAt));
  const firstOwn = times.find((time) => time !== undefined);
  const ofBase = draft.base?.history.findLast(({ created }) => created !== undefined)?.created;
  let time = firstOwn ?? ofBase ?? startedAt;
  const epoch = epochSeconds === undefined ? undefined : renderRfc3339Nano(BigInt(epochSeconds) * 1_000_000_000n);
  let count = draft.base?.diffIds.length ?? 0;
  for (const [index, { createdBy, comment, author, vertex }] of draft.history.entries()) {
    time = times[index] ?? time;
    const one = vertex === undefined ? undefined : solved(vertex);
    const after = one?.snapshot.kind === "layers" ? one.snapshot.layers.length : count;
    const made = after - count;
    for (let i = 1; i < made; i++) history.push({ created: epoch ?? time, comment: layerComment });
    count = Math.max(count, after);
    history.push({
      created: epoch ?? time,
      created_by: createdBy,
      ...(author === "" ? {} : { author }),
      comment,
      ...(made > 0 ? {} : { empty_layer: true }),
    });
  }
  for (; count < layers.length; count++) history.push({ created: epoch ?? time, comment: layerComment });
  const created = epoch ?? latest(time, firstOwn);
  return {
    layers,
    config: { ...draft.config, created, history, rootfs: { type: "layers", diff_ids: layers } },
  };
}

function latest(a: string, b: string | undefined): string {
  if (b === undefined) return a;
  return (parseRfc3339(a) ?? 0n) >= (parseRfc3339(b) ?? 0n) ? a : b;
}
