// Modes as they travel: Go's os.FileMode, whose kinds and special bits stand elsewhere than the kernel's. Source: Go, io/fs.FileMode.

import type { EntryType } from "./index.ts";

const directory = 2 ** 31;
const bits = { symlink: 1 << 27, device: 1 << 26, fifo: 1 << 25, socket: 1 << 24, char: 1 << 21, irregular: 1 << 19 };
const specials = [
  { go: 1 << 23, unix: 0o4000 },
  { go: 1 << 22, unix: 0o2000 },
  { go: 1 << 20, unix: 0o1000 },
];

/** @returns undefined for a kind that no file system has */
export function parseGoMode(mode: number): { readonly type: EntryType; readonly mode: number } | undefined {
  const permissions = specials.reduce((sum, { go, unix }) => sum | ((mode & go) === 0 ? 0 : unix), mode & 0o777);
  if (mode >= directory) return { type: "directory", mode: permissions };
  if ((mode & bits.irregular) !== 0) return undefined;
  if ((mode & bits.symlink) !== 0) return { type: "symlink", mode: permissions };
  if ((mode & bits.device) !== 0) return { type: (mode & bits.char) === 0 ? "block" : "char", mode: permissions };
  if ((mode & bits.fifo) !== 0) return { type: "fifo", mode: permissions };
  if ((mode & bits.socket) !== 0) return { type: "socket", mode: permissions };
  return { type: "file", mode: permissions };
}

export function renderGoMode(type: EntryType, mode: number): number {
  const permissions = specials.reduce((sum, { go, unix }) => sum | ((mode & unix) === 0 ? 0 : go), mode & 0o777);
  if (type === "directory") return permissions + directory;
  if (type === "file") return permissions;
  if (type === "block") return permissions | bits.device;
  if (type === "char") return permissions | bits.device | bits.char;
  return permissions | bits[type];
}
