// Garbage collection, beside everything else that goes on: abandoned uploads, links to blobs that no manifest of the repository
// needs, then the blobs that no repository has. A push under way loses nothing: whatever it asked for, mounted or uploaded
// counts as fresh for the grace period, and what its manifests need is checked and recorded in one transaction.
// It works in small steps, so that requests come in between.

import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../../base/digest.ts";
import type { BlobFiles } from "./blob-files.ts";
import { transaction } from "./database.ts";
import type { Records } from "./records.ts";
import type { Uploads } from "./uploads.ts";

/** What a collection deleted. */
export interface Collected {
  readonly uploads: number;
  readonly manifests: number;
  readonly blobs: number;
  readonly bytes: number;
}

export interface CollectOptions {
  readonly nowMs: number;
  /** Links and manifests younger than this are kept. */
  readonly graceMs: number;
  /** Uploads that nobody has written to for so long go. */
  readonly uploadExpiryMs: number;
  /** Also manifests without a tag that no index needs and that are about nothing. */
  readonly untagged: boolean;
  /** A cache: manifests that nobody has asked for in so long go, with their tags. */
  readonly unusedMs: number | undefined;
}

interface Parts {
  readonly records: Records;
  readonly files: BlobFiles;
  readonly uploads: Uploads;
}

const step = 200;

/** Repeats a bounded change until it changes nothing. */
async function inSteps(work: () => number): Promise<number> {
  let total = 0;
  for (let changed = work(); changed > 0; changed = work()) {
    total += changed;
    await turn();
  }
  return total;
}

function collectUntagged(records: Records, beforeMs: number): Promise<number> {
  return inSteps(() =>
    records.run(
      `DELETE FROM manifests WHERE rowid IN (
         SELECT m.rowid FROM manifests m WHERE m.fresh_ms < ?
           AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = m.repository AND t.digest = m.digest)
           AND NOT EXISTS (SELECT 1 FROM needs n WHERE n.repository = m.repository AND n.digest = m.digest)
           AND (m.subject IS NULL OR NOT EXISTS
             (SELECT 1 FROM manifests s WHERE s.repository = m.repository AND s.digest = m.subject))
         LIMIT ${step})`,
      beforeMs,
    ),
  );
}

function collectUnused(records: Records, beforeMs: number): Promise<number> {
  return inSteps(() =>
    records.run(
      `DELETE FROM manifests WHERE rowid IN (SELECT rowid FROM manifests WHERE fresh_ms < ? LIMIT ${step})`,
      beforeMs,
    ),
  );
}

function unlinkUnneeded(records: Records, beforeMs: number): Promise<number> {
  return inSteps(() =>
    transaction(records.database, () => {
      const stale = records.all(
        `SELECT repository, digest FROM blob_links l WHERE fresh_ms < ?
         AND NOT EXISTS (SELECT 1 FROM needs n WHERE n.repository = l.repository AND n.digest = l.digest)
         LIMIT ${step}`,
        beforeMs,
      );
      for (const { repository, digest } of stale)
        records.run("DELETE FROM blob_links WHERE repository = ? AND digest = ?", Number(repository), String(digest));
      return stale.length;
    }),
  );
}

async function deleteBlobs({ records, files }: Parts): Promise<{ blobs: number; bytes: number }> {
  let bytes = 0;
  const blobs = await inSteps(() => {
    const unlinked = records.all(
      `SELECT digest, size FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM blob_links l WHERE l.digest = b.digest)
       LIMIT ${step}`,
    );
    if (unlinked.length === 0) return 0;
    transaction(records.database, () => {
      for (const { digest } of unlinked) records.run("DELETE FROM blobs WHERE digest = ?", String(digest));
    });
    // After the commit and before anything else runs. A crash in between leaves files without rows, which are found below.
    for (const { digest, size } of unlinked) {
      if (!files.isPlacing(String(digest))) files.remove(String(digest) as Digest);
      bytes += Number(size);
    }
    return unlinked.length;
  });
  return { blobs, bytes };
}

/** Files that no row speaks of: left by a crash between a file and its row. */
async function deleteOrphans({ records, files }: Parts): Promise<void> {
  let seen = 0;
  for await (const digest of files.list()) {
    if (!records.isBlob(digest) && !files.isPlacing(digest)) files.remove(digest);
    if (++seen % step === 0) await turn();
  }
}

function forgetEmptyRepositories(records: Records): Promise<number> {
  return inSteps(() =>
    records.run(
      `DELETE FROM repositories WHERE id IN (SELECT id FROM repositories r
         WHERE NOT EXISTS (SELECT 1 FROM manifests WHERE repository = r.id)
           AND NOT EXISTS (SELECT 1 FROM blob_links WHERE repository = r.id) LIMIT ${step})`,
    ),
  );
}

/** One collection. Not to be run twice at once. */
export async function collect(parts: Parts, options: CollectOptions): Promise<Collected> {
  const { records, uploads } = parts;
  const beforeMs = options.nowMs - options.graceMs;
  const swept = await uploads.sweep(options.nowMs - options.uploadExpiryMs);
  let manifests = 0;
  if (options.unusedMs !== undefined) manifests += await collectUnused(records, options.nowMs - options.unusedMs);
  if (options.untagged) manifests += await collectUntagged(records, beforeMs);
  await unlinkUnneeded(records, beforeMs);
  const { blobs, bytes } = await deleteBlobs(parts);
  await deleteOrphans(parts);
  await forgetEmptyRepositories(records);
  return { uploads: swept, manifests, blobs, bytes };
}
