// Image archives made to measure: docker-archives of both generations and OCI layouts, right or wrong in every part.

import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type RawMember, directory, file, symlink, tarOf } from "./tar.ts";

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** An image config for layers, as bytes. */
export function configOf(layers: readonly Uint8Array[], more: Readonly<Record<string, unknown>> = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      created: "2020-01-02T03:04:05.678901234Z",
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
      history: layers.map((_, index) => ({ created: "2020-01-02T03:04:05Z", created_by: `layer ${index}` })),
      ...more,
    }),
  );
}

export interface ArchiveImage {
  readonly config: Uint8Array;
  readonly layers: readonly Uint8Array[];
  readonly tags: readonly string[];
}

/** As docker save wrote it before 25: a directory for each layer, a repeated layer as a symlink to the first. */
export function oldDockerArchive(images: readonly ArchiveImage[]): Buffer {
  const members: RawMember[] = [];
  const first = new Map<string, string>();
  const manifest = images.map(({ config, layers, tags }, image) => ({
    Config: `${sha256(config)}.json`,
    RepoTags: tags.length === 0 ? null : tags,
    Layers: layers.map((layer, index) => {
      const name = sha256(`${image}.${index}`);
      members.push(directory(`${name}/`), file(`${name}/VERSION`, "1.0"), file(`${name}/json`, "{}"));
      const before = first.get(sha256(layer));
      if (before === undefined) members.push(file(`${name}/layer.tar`, layer));
      else members.push(symlink(`${name}/layer.tar`, `../${before}/layer.tar`));
      first.set(sha256(layer), before ?? name);
      return `${name}/layer.tar`;
    }),
  }));
  for (const { config } of images) members.push(file(`${sha256(config)}.json`, config));
  return tarOf(...members, file("manifest.json", JSON.stringify(manifest)), file("repositories", "{}"));
}

/** As docker save writes it since 25, without its index.json. */
export function dockerArchive(images: readonly ArchiveImage[]): Buffer {
  const blobs = new Map<string, Uint8Array>();
  const path = (bytes: Uint8Array): string => {
    blobs.set(sha256(bytes), bytes);
    return `blobs/sha256/${sha256(bytes)}`;
  };
  const manifest = images.map(({ config, layers, tags }) => ({
    Layers: layers.map(path),
    Config: path(config),
    RepoTags: tags,
  }));
  return tarOf(
    directory("blobs/"),
    directory("blobs/sha256/"),
    ...[...blobs].map(([hex, bytes]) => file(`blobs/sha256/${hex}`, bytes)),
    file("manifest.json", JSON.stringify(manifest)),
  );
}

export interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [key: string]: unknown;
}

/** Blobs of an OCI layout under construction. */
export class OciLayout {
  readonly #blobs = new Map<string, Uint8Array>();

  blob(bytes: Uint8Array, mediaType: string, more: Readonly<Record<string, unknown>> = {}): Described {
    this.#blobs.set(sha256(bytes), bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length, ...more };
  }

  /** A manifest with its config and layers. */
  image(
    config: Uint8Array,
    layers: readonly Uint8Array[],
    options: {
      readonly compression?: "none" | "gzip" | "zstd";
      readonly more?: Readonly<Record<string, unknown>>;
    } = {},
  ): Described {
    const { compression = "none", more = {} } = options;
    const compress = { none: (bytes: Uint8Array) => bytes, gzip: gzipSync, zstd: zstdCompressSync }[compression];
    const suffix = { none: "", gzip: "+gzip", zstd: "+zstd" }[compression];
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: this.blob(config, "application/vnd.oci.image.config.v1+json"),
      layers: layers.map((layer) => this.blob(compress(layer), `application/vnd.oci.image.layer.v1.tar${suffix}`)),
    };
    return this.blob(Buffer.from(JSON.stringify(manifest)), manifest.mediaType, more);
  }

  index(manifests: readonly Described[], more: Readonly<Record<string, unknown>> = {}): Described {
    const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
    return this.blob(Buffer.from(JSON.stringify(index)), index.mediaType, more);
  }

  /** The layout as a tar. */
  tar(manifests: readonly Described[], others: readonly RawMember[] = []): Buffer {
    return tarOf(
      ...[...this.#blobs].map(([hex, bytes]) => file(`blobs/sha256/${hex}`, bytes)),
      file("index.json", JSON.stringify({ schemaVersion: 2, manifests })),
      file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
      ...others,
    );
  }
}

/** The annotation that names an image in an index. */
export function named(name: string): Readonly<Record<string, unknown>> {
  return { annotations: { "io.containerd.image.name": name } };
}
