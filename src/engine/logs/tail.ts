// Where the last n lines of a log begin: files are read backwards in blocks, newest file first.

import { type LogFile, readAt, sizeOf } from "./log-files.ts";

const blockBytes = 64 << 10;
const newline = 0x0a;

export interface LogPlace {
  /** Index into the files. */
  readonly file: number;
  readonly offset: number;
}

/** @param files oldest first; with fewer than `lines` lines the answer is their beginning */
export async function findTail(files: readonly LogFile[], lines: number): Promise<LogPlace> {
  const last = files.length - 1;
  if (last < 0) return { file: 0, offset: 0 };
  const newest = files[last];
  if (lines <= 0) return { file: last, offset: newest === undefined ? 0 : sizeOf(newest) };
  const block = Buffer.allocUnsafe(blockBytes);
  let left = lines;
  for (let index = last; index >= 0; index--) {
    const file = files[index];
    if (file === undefined) break;
    const size = sizeOf(file);
    let end = size;
    while (end > 0) {
      const begin = Math.max(0, end - blockBytes);
      const length = await readAt(file, block, 0, end - begin, begin);
      for (let at = block.lastIndexOf(newline, length - 1); at >= 0 && at < length; ) {
        // The newline at the very end of a file ends its last line and begins none.
        if (begin + at + 1 < size && --left === 0) return { file: index, offset: begin + at + 1 };
        if (at === 0) break;
        at = block.lastIndexOf(newline, at - 1);
      }
      end = begin;
    }
    if (size > 0 && --left === 0) return { file: index, offset: 0 };
  }
  return { file: 0, offset: 0 };
}
