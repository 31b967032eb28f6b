// Progress lines with Docker's bar, as its clients print them. Source: the reference daemon's output, byte for byte.

import type { ProgressMessage } from "../api/ports.ts";

const units = ["B", "kB", "MB", "GB", "TB", "PB"];
const barLength = 50;

/** Bytes with four significant digits, as go-units prints them: "1.997MB". */
export function renderSize(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  const text = size.toPrecision(4);
  const plain = text.includes("e") ? String(Math.round(size)) : text;
  return `${plain.includes(".") ? plain.replace(/\.?0+$/, "") : plain}${units[unit]}`;
}

/** One step of `status` for a layer. */
export function renderProgress(status: string, id: string, current: number, total: number): ProgressMessage {
  const done = total === 0 ? barLength : Math.floor((Math.min(current, total) / total) * barLength);
  const bar = `${"=".repeat(done)}>${" ".repeat(Math.max(0, barLength - done))}`;
  const progress = `[${bar}]  ${renderSize(current)}/${renderSize(total)}`;
  return { status, id, progressDetail: { current, total }, progress };
}
