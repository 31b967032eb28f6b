// Rows of the journal that are this room's: one while a volume is removed or filled. Pure.

import type { Change, Tables } from "../store/index.ts";

export type VolumeStep = "remove" | "fill";

const steps: readonly VolumeStep[] = ["remove", "fill"];

/** `kind` of the rows. */
const volumeOp = "volume";

/** What a row says beside its step and the volume's name. */
export interface OpPayload {
  readonly options?: Readonly<Record<string, string>>;
  /** Name of the directory of what fills a volume: beside the volumes, or in the volume itself. */
  readonly staged?: string;
  readonly isInside?: boolean;
  /** It is whole, and may have been moved in partly. */
  readonly isWhole?: boolean;
}

export interface VolumeOp {
  readonly id: string;
  readonly step: VolumeStep;
  readonly volume: string;
  readonly payload: OpPayload;
}

/** @param tag tells removals of one name from each other: the row of one may be there for a while after it */
function opId(step: VolumeStep, volume: string, tag: string): string {
  return `volume-${step}-${volume}${tag === "" ? "" : `/${tag}`}`;
}

export function beginOp(step: VolumeStep, volume: string, payload: OpPayload = {}, tag = ""): Change {
  const row = { id: opId(step, volume, tag), kind: volumeOp, subject: volume, step: steps.indexOf(step) };
  return { put: "ops", row: { ...row, payload: JSON.stringify(payload) } };
}

export function endOp(step: VolumeStep, volume: string, tag = ""): Change {
  return { delete: "ops", key: opId(step, volume, tag) };
}

/** The rows of this room among all. */
export function parseOps(rows: readonly Tables["ops"][]): readonly VolumeOp[] {
  return rows
    .filter(({ kind }) => kind === volumeOp)
    .map(({ id, step, subject, payload }) => ({
      id,
      step: steps[step] ?? "fill",
      volume: subject,
      payload: JSON.parse(payload) as OpPayload,
    }));
}
