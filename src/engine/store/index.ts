// The face of the metadata store: SQLite (WAL, FULL) written by one worker thread with group commit. Rooms hold their
// records in memory, loaded once at start; every change is a commit of rows, durable when the promise resolves.
// Double allocation is impossible by UNIQUE constraints. Source: docs/durability.md.

/** The rows of each table; `doc` is JSON text that the owning room parses and renders. */
export interface Tables {
  /** Owner containers/. */
  readonly containers: { readonly id: string; readonly name: string; readonly doc: string };
  /** Owner images/: key is the image id (digest of the config). */
  readonly images: { readonly id: string; readonly doc: string };
  /** Owner images/: normalised reference with tag, or with digest → image. */
  readonly tags: { readonly reference: string; readonly image_id: string };
  /** Owner images/: a manifest that was pulled, pushed or loaded; its bytes and its layers' are blobs. */
  readonly manifests: { readonly digest: string; readonly image_id: string; readonly doc: string };
  /** Owner content/: a verified blob on disk. */
  readonly blobs: { readonly digest: string; readonly size: number; readonly media_type: string };
  /** Owner snapshots/: an unpacked layer in snapshots/<dir>/fs. */
  readonly layers: {
    readonly chain_id: string;
    readonly parent: string | null;
    readonly diff_id: string;
    /** UNIQUE */
    readonly dir: number;
    /** Bytes of the files unpacked. */
    readonly size: number;
    /** Length of the layer's tar; null where its headers were not recorded. */
    readonly tar_size: number | null;
  };
  /** Owner snapshots/: a container's writable layer in snapshots/<dir>/{fs,work}. */
  readonly snapshots: { readonly key: string; readonly chain_id: string | null /** UNIQUE */; readonly dir: number };
  /** Owner network/. */
  readonly networks: { readonly id: string; readonly name: string; readonly doc: string };
  /** Owner network/: UNIQUE are (network_id, ip), (network_id, ip6), (network_id, mac), (container_id, network_id); null is never equal. */
  readonly endpoints: {
    readonly id: string;
    readonly container_id: string;
    readonly network_id: string;
    readonly ip: string | null;
    readonly ip6: string | null;
    /** null where the parent's is used (ipvlan). */
    readonly mac: string | null;
    readonly doc: string;
  };
  /** Owner network/: the published ports and gateways of a container that has a network of its own and runs. */
  readonly sandboxes: { readonly container_id: string; readonly doc: string };
  /** Owner build/solver: a solved step, and the keys under which it is found. */
  readonly build_records: { readonly id: string; readonly doc: string };
  readonly build_keys: { readonly key: string; readonly record_id: string };
  /** Owner build/exec: a cache mount's directory. */
  readonly build_mounts: { readonly id: string; readonly doc: string };
  /** Owner build/: a build that has ended. */
  readonly build_history: { readonly ref: string; readonly doc: string };
  /** Owner volumes/: a volume made here; with a plugin's driver too. */
  readonly volumes: { readonly name: string; readonly doc: string };
  /** Owner volumes/: what a volume held at one moment; its files are in the volume's directory. UNIQUE (volume, name). */
  readonly volume_snapshots: {
    readonly id: string;
    readonly volume: string;
    readonly name: string;
    readonly doc: string;
  };
  /** Intent journal: a row while an operation with effects outside of the store is under way. */
  readonly ops: {
    readonly id: string;
    readonly kind: string;
    readonly subject: string;
    readonly step: number;
    readonly payload: string;
  };
  /** Small facts of the engine itself: engine id, boot id, counters. */
  readonly meta: { readonly key: string; readonly value: string };
}

export type TableName = keyof Tables;

/** `insert` refuses an existing key or a value that must be unique; `put` replaces the row of the same key. */
export type Change = {
  readonly [T in TableName]:
    | { readonly insert: T; readonly row: Tables[T] }
    | { readonly put: T; readonly row: Tables[T] }
    | { readonly delete: T; readonly key: string };
}[TableName];

export interface CommitOptions {
  /** The commit belongs to an operation that frees space (its intent, its mark): it may spend the ballast as deletes do. */
  readonly freesSpace?: boolean;
}

export interface Store {
  /** All rows of a table, from the last committed state. For start-up and checks; not for hot paths. */
  load<T extends TableName>(table: T): Promise<readonly Tables[T][]>;

  /**
   * Commits all changes or none; resolves when they are on disk.
   *
   * @throws Conflict     an insert met an existing key or unique value: the message names table and column; or the commit
   *                      leaves a row that refers to nothing (tags → images, layers and snapshots → layers)
   * @throws Unavailable  the disk is full (commits of deletes only spend the ballast file), or the store is closed, or it is
   *                      read-only since a write or fsync failed: whether that commit is there, the next start shows
   * @throws System       a row lacks a column or has a value of the wrong type
   * Order: commits of one caller are applied in the order of the calls.
   */
  commit(changes: readonly Change[], options?: CommitOptions): Promise<void>;

  /** `PRAGMA quick_check` and foreign keys; messages of what is wrong. */
  check(): Promise<readonly string[]>;

  close(): Promise<void>;
}

export { openStore } from "./open.ts";
