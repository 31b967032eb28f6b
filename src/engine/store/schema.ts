// The tables on disk. A migration is SQL that leads from one schema version to the next; it is never changed after a
// release, only followed by another. `columns` must agree with the type Tables and with the last migration (tested).

import type { TableName, Tables } from "./index.ts";

/** "GNTY": marks the file as ours, so that another program's database is not taken for an old one. */
export const applicationId = 0x474e5459;

/** The n-th entry leads from user_version n to n + 1. References are checked at the end of each commit. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE containers (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, doc TEXT NOT NULL) STRICT;
  CREATE TABLE images (id TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL) STRICT;
  CREATE TABLE tags (
    reference TEXT PRIMARY KEY NOT NULL,
    image_id TEXT NOT NULL REFERENCES images (id) DEFERRABLE INITIALLY DEFERRED
  ) STRICT;
  CREATE INDEX tags_image ON tags (image_id);
  CREATE TABLE blobs (
    digest TEXT PRIMARY KEY NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    media_type TEXT NOT NULL
  ) STRICT;
  CREATE TABLE layers (
    chain_id TEXT PRIMARY KEY NOT NULL,
    parent TEXT REFERENCES layers (chain_id) DEFERRABLE INITIALLY DEFERRED,
    diff_id TEXT NOT NULL,
    dir INTEGER NOT NULL UNIQUE,
    size INTEGER NOT NULL CHECK (size >= 0)
  ) STRICT;
  CREATE INDEX layers_parent ON layers (parent);
  CREATE TABLE snapshots (
    key TEXT PRIMARY KEY NOT NULL,
    chain_id TEXT REFERENCES layers (chain_id) DEFERRABLE INITIALLY DEFERRED,
    dir INTEGER NOT NULL UNIQUE
  ) STRICT;
  CREATE INDEX snapshots_chain ON snapshots (chain_id);
  CREATE TABLE networks (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, doc TEXT NOT NULL) STRICT;
  CREATE TABLE endpoints (
    id TEXT PRIMARY KEY NOT NULL,
    container_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    ip TEXT NOT NULL,
    mac TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (network_id, ip),
    UNIQUE (network_id, mac)
  ) STRICT;
  CREATE TABLE ops (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    step INTEGER NOT NULL,
    payload TEXT NOT NULL
  ) STRICT;
  CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT;
  `,
  // Manifests as registries have them; the length of a layer's tar, NULL where its headers were not recorded.
  `
  CREATE TABLE manifests (
    digest TEXT PRIMARY KEY NOT NULL,
    image_id TEXT NOT NULL REFERENCES images (id) DEFERRABLE INITIALLY DEFERRED,
    doc TEXT NOT NULL
  ) STRICT;
  CREATE INDEX manifests_image ON manifests (image_id);
  ALTER TABLE layers ADD COLUMN tar_size INTEGER CHECK (tar_size >= 0);
  `,
  // Endpoints of several networks a container, with addresses of either family or none, and without a MAC of their own (ipvlan);
  // what belongs to a container's network as a whole.
  `
  CREATE TABLE endpoints_3 (
    id TEXT PRIMARY KEY NOT NULL,
    container_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    ip TEXT,
    ip6 TEXT,
    mac TEXT,
    doc TEXT NOT NULL,
    UNIQUE (network_id, ip),
    UNIQUE (network_id, ip6),
    UNIQUE (network_id, mac),
    UNIQUE (container_id, network_id)
  ) STRICT;
  INSERT INTO endpoints_3 (id, container_id, network_id, ip, ip6, mac, doc)
    SELECT id, container_id, network_id, ip, NULL, mac, doc FROM endpoints;
  DROP TABLE endpoints;
  ALTER TABLE endpoints_3 RENAME TO endpoints;
  CREATE TABLE sandboxes (container_id TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL) STRICT;
  `,
  // What builds remember: results of steps, the keys under which they are found, cache mounts, finished builds.
  `
  CREATE TABLE build_records (id TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL) STRICT;
  CREATE TABLE build_keys (
    key TEXT PRIMARY KEY NOT NULL,
    record_id TEXT NOT NULL REFERENCES build_records (id) DEFERRABLE INITIALLY DEFERRED
  ) STRICT;
  CREATE INDEX build_keys_record ON build_keys (record_id);
  CREATE TABLE build_mounts (id TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL) STRICT;
  CREATE TABLE build_history (ref TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL) STRICT;
  `,
  // Volumes, and what they held at other moments.
  `
  CREATE TABLE volumes (name TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL) STRICT;
  CREATE TABLE volume_snapshots (
    id TEXT PRIMARY KEY NOT NULL,
    volume TEXT NOT NULL REFERENCES volumes (name) DEFERRABLE INITIALLY DEFERRED,
    name TEXT NOT NULL,
    doc TEXT NOT NULL,
    UNIQUE (volume, name)
  ) STRICT;
  `,
];

/** The columns of each table, the key first. */
export const columns: { readonly [T in TableName]: readonly [keyof Tables[T], ...(keyof Tables[T])[]] } = {
  containers: ["id", "name", "doc"],
  images: ["id", "doc"],
  tags: ["reference", "image_id"],
  manifests: ["digest", "image_id", "doc"],
  blobs: ["digest", "size", "media_type"],
  layers: ["chain_id", "parent", "diff_id", "dir", "size", "tar_size"],
  snapshots: ["key", "chain_id", "dir"],
  networks: ["id", "name", "doc"],
  endpoints: ["id", "container_id", "network_id", "ip", "ip6", "mac", "doc"],
  sandboxes: ["container_id", "doc"],
  build_records: ["id", "doc"],
  build_keys: ["key", "record_id"],
  build_mounts: ["id", "doc"],
  build_history: ["ref", "doc"],
  volumes: ["name", "doc"],
  volume_snapshots: ["id", "volume", "name", "doc"],
  ops: ["id", "kind", "subject", "step", "payload"],
  meta: ["key", "value"],
};
