// HostConfig.StorageOpt: what a container's writable layer may hold. Source: dockerd's overlay2 driver, whose texts these are.

import { parseRamBytes, UnitError } from "../../base/units.ts";

/** What was asked for, or what is wrong with it. */
export interface StorageOptions {
  readonly errors: readonly string[];
  /** Whether a size is named at all: also 0, which is none, needs a file system that has limits. */
  readonly isSized: boolean;
  /** Above 0, of all that the container writes to its root; undefined for no limit. */
  readonly sizeBytes: number | undefined;
}

/** Keys in any case. */
export function parseStorageOpt(options: Readonly<Record<string, string>> | null | undefined): StorageOptions {
  const errors: string[] = [];
  let isSized = false;
  let sizeBytes: number | undefined;
  for (const [name, value] of Object.entries(options ?? {})) {
    const key = name.toLowerCase();
    if (key !== "size") {
      errors.push(`Unknown option ${key}`);
      continue;
    }
    isSized = true;
    try {
      sizeBytes = parseRamBytes(value) || undefined;
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      errors.push(error.message);
    }
  }
  return { errors, isSized, sizeBytes };
}

/** @param reason why layers cannot be limited, and what to do about it */
export function sizeUnsupported(reason: string): string {
  return `--storage-opt size is supported only where the file system of the data root has project quotas: ${reason}`;
}
