// The snapshotter's part of `system check`: rows against directories. What a row names and the disk lacks is data loss and
// only reported; what the disk has and no row names is garbage. Invariants F10 and F14 of docs/durability.md.

import { lstat } from "node:fs/promises";
import { join } from "node:path";
import type { ChainId } from "../../base/digest.ts";
import type { SnapshotDirectories } from "./directories.ts";
import type { SnapshotFinding } from "./index.ts";
import type { Layer, WritableLayer } from "./records.ts";

export interface CheckState {
  readonly directories: SnapshotDirectories;
  readonly layers: ReadonlyMap<ChainId, Layer>;
  readonly writables: ReadonlyMap<string, WritableLayer>;
  /** Directories in tmp/ that are in use. */
  readonly staged: ReadonlySet<string>;
  /** Layers that nothing needs; the caller deletes them when it repairs. */
  readonly unneeded: ReadonlySet<ChainId>;
  readonly repair: boolean;
}

/** Compares and, with repair, deletes directories that have no row. The caller holds the snapshotter's lock. */
export async function checkSnapshots(state: CheckState): Promise<readonly SnapshotFinding[]> {
  return [...(await checkRows(state)), ...(await checkDirectories(state))];
}

async function checkRows(state: CheckState): Promise<SnapshotFinding[]> {
  const findings: SnapshotFinding[] = [];
  const report = (subject: string, detail: string, repaired = false): void => {
    findings.push({ invariant: "F10", subject, detail, repaired });
  };
  for (const layer of state.layers.values()) {
    const subject = `layer ${layer.chainId}`;
    if (layer.parent !== undefined && !state.layers.has(layer.parent))
      report(subject, `its parent ${layer.parent} is missing`);
    if (!(await isDirectory(state.directories.fs(layer.dir))))
      report(subject, `its directory ${state.directories.fs(layer.dir)} is missing`);
    else if (layer.tarBytes !== undefined && !(await isFile(state.directories.recipe(layer.dir))))
      report(subject, `its recipe ${state.directories.recipe(layer.dir)} is missing: it cannot be saved or pushed`);
    else if (state.unneeded.has(layer.chainId)) report(subject, "no image and no container needs it", state.repair);
  }
  for (const writable of state.writables.values()) {
    const subject = `writable layer ${writable.key}`;
    if (writable.parent !== undefined && !state.layers.has(writable.parent))
      report(subject, `layer ${writable.parent} is missing`);
    for (const name of ["fs", "work"]) {
      const directory = join(state.directories.of(writable.dir), name);
      // Given up, or deleted with its container, since this look began.
      const isThere = (await isDirectory(directory)) || state.writables.get(writable.key) !== writable;
      if (!isThere) report(subject, `its directory ${directory} is missing`);
    }
  }
  return findings;
}

async function checkDirectories(state: CheckState): Promise<SnapshotFinding[]> {
  const findings: SnapshotFinding[] = [];
  const report = async (path: string): Promise<void> => {
    if (state.repair) await state.directories.removeTrees([path]);
    findings.push({
      invariant: "F14",
      subject: `directory ${path}`,
      detail: "no row names it",
      repaired: state.repair,
    });
  };
  const names = await state.directories.list();
  const staging = await state.directories.listStaging();
  // Read after the lists: a directory is known before it is made.
  const known = new Set([...state.layers.values(), ...state.writables.values()].map(({ dir }) => String(dir)));
  for (const name of names) {
    const path = join(state.directories.root, name);
    // One that was deleted since is gone at once, whatever it held.
    if (!known.has(name) && (await exists(path))) await report(path);
  }
  for (const path of staging) if (!state.staged.has(path) && (await isOld(path))) await report(path);
  return findings;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch {
    return false;
  }
}

/** Being deleted, or a blob being written: such an entry is young. */
async function isOld(path: string): Promise<boolean> {
  try {
    return performance.timeOrigin + performance.now() - (await lstat(path)).ctimeMs > 60_000;
  } catch {
    return false;
  }
}
