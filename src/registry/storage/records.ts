// The questions and changes on registry.db. Everything is synchronous, so that no other request comes between a check and the
// change that relies on it.

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { Digest } from "../../base/digest.ts";
import type { ManifestDocument } from "../manifest-document.ts";
import { RegistryError } from "../errors.ts";
import { transaction } from "./database.ts";

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** One entry of the referrers API, rendered, with the digest that paging goes on from. */
export interface StoredReferrer {
  readonly digest: string;
  readonly artifactType: string | null;
  readonly descriptor: string;
}

export type Row = Record<string, unknown>;

/** The rows of a data directory. Times are milliseconds since 1970, given by the caller. */
export class Records {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  close(): void {
    this.#statements.clear();
    this.database.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  get(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#statement(sql).all(...values);
  }

  /** The number of rows that changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** The repository's row, or undefined when nothing was ever pushed to it. */
  repositoryId(name: string): number | undefined {
    const row = this.get("SELECT id FROM repositories WHERE name = ?", name);
    return row === undefined ? undefined : Number(row["id"]);
  }

  #makeRepository(name: string): number {
    this.run("INSERT INTO repositories (name) VALUES (?) ON CONFLICT DO NOTHING", name);
    return this.repositoryId(name) ?? 0;
  }

  /** Size in bytes of a blob that the repository has. */
  blobSize(repository: string, digest: Digest): number | undefined {
    const row = this.get(
      `SELECT size FROM blob_links JOIN repositories r ON r.id = repository JOIN blobs USING (digest)
       WHERE r.name = ? AND digest = ?`,
      repository,
      digest,
    );
    return row === undefined ? undefined : Number(row["size"]);
  }

  isBlob(digest: string): boolean {
    return this.get("SELECT 1 FROM blobs WHERE digest = ?", digest) !== undefined;
  }

  /** Records a blob whose file is in its place, and gives it to the repository. */
  addBlob(repository: string, digest: Digest, sizeBytes: number, nowMs: number): void {
    transaction(this.database, () => {
      this.run("INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING", digest, sizeBytes);
      this.#link(this.#makeRepository(repository), digest, nowMs);
    });
  }

  #link(repository: number, digest: Digest, nowMs: number): void {
    this.run(
      `INSERT INTO blob_links VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET fresh_ms = max(fresh_ms, excluded.fresh_ms)`,
      repository,
      digest,
      nowMs,
    );
  }

  /** Gives a blob that is here to another repository; false when it is not here. */
  linkBlob(repository: string, digest: Digest, nowMs: number): boolean {
    return transaction(this.database, () => {
      if (!this.isBlob(digest)) return false;
      this.#link(this.#makeRepository(repository), digest, nowMs);
      return true;
    });
  }

  /** Notes that a push relies on the blob, unless that was noted after `unlessSinceMs`. */
  refreshBlob(repository: string, digest: Digest, nowMs: number, unlessSinceMs: number): void {
    this.run(
      `UPDATE blob_links SET fresh_ms = ?
       WHERE digest = ? AND fresh_ms < ? AND repository = (SELECT id FROM repositories WHERE name = ?)`,
      nowMs,
      digest,
      unlessSinceMs,
      repository,
    );
  }

  /** Takes a blob from the repository; its file goes with the next collection. */
  unlinkBlob(repository: string, digest: Digest): boolean {
    return (
      this.run(
        "DELETE FROM blob_links WHERE digest = ? AND repository = (SELECT id FROM repositories WHERE name = ?)",
        digest,
        repository,
      ) > 0
    );
  }

  /** Forgets a blob whose file is lost, in all repositories, so that it can be pushed again. */
  dropBlob(digest: Digest): void {
    this.run("DELETE FROM blobs WHERE digest = ?", digest);
  }

  manifest(repository: string, digest: Digest): StoredManifest | undefined {
    const row = this.get(
      `SELECT media_type, bytes FROM manifests JOIN repositories r ON r.id = repository WHERE r.name = ? AND digest = ?`,
      repository,
      digest,
    );
    if (row === undefined) return undefined;
    return { digest, mediaType: String(row["media_type"]), bytes: row["bytes"] as Uint8Array };
  }

  /** What a tag stands for. */
  tag(repository: string, tag: string): { readonly digest: Digest; readonly checkedMs: number } | undefined {
    const row = this.get(
      `SELECT digest, checked_ms FROM tags t JOIN repositories r ON r.id = t.repository WHERE r.name = ? AND t.name = ?`,
      repository,
      tag,
    );
    if (row === undefined) return undefined;
    return { digest: String(row["digest"]) as Digest, checkedMs: Number(row["checked_ms"]) };
  }

  /**
   * Stores a manifest, and the tag where there is one, in one commit.
   *
   * @param complete false for a cache, which has the manifest before what it refers to
   * @throws MANIFEST_BLOB_UNKNOWN, MANIFEST_UNKNOWN something that it refers to is not in the repository
   * @throws MANIFEST_INVALID a size is not that of the blob
   */
  putManifest(
    repository: string,
    document: ManifestDocument,
    bytes: Uint8Array,
    tag: string | undefined,
    nowMs: number,
    complete = true,
  ): void {
    transaction(this.database, () => {
      const id = this.#makeRepository(repository);
      if (complete) for (const need of document.needs) this.#requireNeed(repository, id, document.kind, need);
      const { digest, mediaType, sizeBytes, artifactType, annotations, subject } = document;
      const descriptor = { mediaType, digest, size: sizeBytes, artifactType, annotations };
      this.run(
        `INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET media_type = excluded.media_type, descriptor = excluded.descriptor,
           fresh_ms = max(fresh_ms, excluded.fresh_ms)`,
        id,
        digest,
        mediaType,
        bytes,
        subject ?? null,
        artifactType ?? null,
        JSON.stringify(descriptor),
        nowMs,
      );
      for (const need of document.needs)
        this.run("INSERT INTO needs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", id, digest, need.digest);
      if (tag !== undefined) this.#setTag(id, tag, digest, nowMs);
    });
  }

  #requireNeed(
    repository: string,
    id: number,
    kind: "index" | "manifest",
    need: { readonly digest: Digest; readonly sizeBytes: number },
  ): void {
    const detail = { digest: need.digest };
    const size =
      kind === "manifest"
        ? this.blobSize(repository, need.digest)
        : this.get(
            "SELECT length(bytes) AS size FROM manifests WHERE repository = ? AND digest = ?",
            id,
            need.digest,
          )?.["size"];
    if (size === undefined)
      throw new RegistryError("MANIFEST_BLOB_UNKNOWN", `${need.digest} is not in this repository: push it first`, {
        detail,
      });
    if (Number(size) !== need.sizeBytes)
      throw new RegistryError("MANIFEST_INVALID", `${need.digest} has ${Number(size)} bytes, not ${need.sizeBytes}`, {
        detail,
      });
  }

  #setTag(repository: number, tag: string, digest: Digest, nowMs: number): void {
    this.run(
      `INSERT INTO tags VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET digest = excluded.digest, checked_ms = excluded.checked_ms`,
      repository,
      tag,
      tag.toLowerCase(),
      digest,
      nowMs,
    );
  }

  /** Lets a tag stand for a manifest that the repository has; false when it has not. */
  setTag(repository: string, tag: string, digest: Digest, nowMs: number): boolean {
    return transaction(this.database, () => {
      const id = this.repositoryId(repository);
      if (id === undefined || this.manifest(repository, digest) === undefined) return false;
      this.#setTag(id, tag, digest, nowMs);
      return true;
    });
  }

  /** Notes that somebody asked a cache for the manifest. */
  refreshManifest(repository: string, digest: Digest, nowMs: number, unlessSinceMs: number): void {
    this.run(
      `UPDATE manifests SET fresh_ms = ?
       WHERE digest = ? AND fresh_ms < ? AND repository = (SELECT id FROM repositories WHERE name = ?)`,
      nowMs,
      digest,
      unlessSinceMs,
      repository,
    );
  }

  /** Deletes a manifest with the tags that stand for it. */
  deleteManifest(repository: string, digest: Digest): boolean {
    return (
      this.run(
        "DELETE FROM manifests WHERE digest = ? AND repository = (SELECT id FROM repositories WHERE name = ?)",
        digest,
        repository,
      ) > 0
    );
  }

  /** Deletes a tag; the manifest stays. */
  deleteTag(repository: string, tag: string): boolean {
    return (
      this.run(
        "DELETE FROM tags WHERE name = ? AND repository = (SELECT id FROM repositories WHERE name = ?)",
        tag,
        repository,
      ) > 0
    );
  }

  /** Tags after `last` in the API's order. */
  tags(repository: number, last: string, limit: number): readonly string[] {
    return this.all(
      "SELECT name FROM tags WHERE repository = ? AND (sort, name) > (?, ?) ORDER BY sort, name LIMIT ?",
      repository,
      last.toLowerCase(),
      last,
      limit,
    ).map((row) => String(row["name"]));
  }

  /** Repositories that have manifests, after `last`. */
  repositories(last: string, limit: number): readonly string[] {
    return this.all(
      `SELECT name FROM repositories r WHERE name > ? AND EXISTS (SELECT 1 FROM manifests WHERE repository = r.id)
       ORDER BY name LIMIT ?`,
      last,
      limit,
    ).map((row) => String(row["name"]));
  }

  /** Manifests about `subject`, in the order of their digests, after `last`. */
  referrers(
    repository: string,
    subject: Digest,
    artifactType: string | undefined,
    last: string,
    limit: number,
  ): readonly StoredReferrer[] {
    return this.all(
      `SELECT digest, artifact_type, descriptor FROM manifests JOIN repositories r ON r.id = repository
       WHERE r.name = ? AND subject = ? AND digest > ? AND (? IS NULL OR artifact_type = ?) ORDER BY digest LIMIT ?`,
      repository,
      subject,
      last,
      artifactType ?? null,
      artifactType ?? null,
      limit,
    ).map((row) => ({
      digest: String(row["digest"]),
      artifactType: row["artifact_type"] as string | null,
      descriptor: String(row["descriptor"]),
    }));
  }

  /** For metrics. */
  totals(): {
    readonly blobs: number;
    readonly bytes: number;
    readonly manifests: number;
    readonly repositories: number;
  } {
    const row = this.get(
      `SELECT (SELECT count(*) FROM blobs) AS blobs, (SELECT coalesce(sum(size), 0) FROM blobs) AS bytes,
         (SELECT count(*) FROM manifests) AS manifests, (SELECT count(*) FROM repositories) AS repositories`,
    );
    const value = (name: string): number => Number(row?.[name]);
    return {
      blobs: value("blobs"),
      bytes: value("bytes"),
      manifests: value("manifests"),
      repositories: value("repositories"),
    };
  }
}
