// Progress lines with Docker's bar, as its clients print them. Source: the reference daemon's output, byte for byte.

import { renderHumanSize } from "../../base/units.ts";
import type { ProgressMessage } from "../api/ports.ts";

const barLength = 50;

/** One step of `status` for a layer. */
export function renderProgress(status: string, id: string, current: number, total: number): ProgressMessage {
  const done = total === 0 ? barLength : Math.floor((Math.min(current, total) / total) * barLength);
  const bar = `${"=".repeat(done)}>${" ".repeat(Math.max(0, barLength - done))}`;
  const progress = `[${bar}] ${renderHumanSize(current).padStart(8)}/${renderHumanSize(total)}`;
  return { status, id, progressDetail: { current, total }, progress };
}
