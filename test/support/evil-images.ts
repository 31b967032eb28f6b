// Images that no registry should serve: documents and layers that are digestible, and wrong. Each is a whole image for
// EvilRegistry, right in every digest, so that only what is wrong with it can be why a pull ends.

import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync, constants } from "node:zlib";
import type { EvilImage } from "./evil-registry.ts";
import { configOf, sha256 } from "./image-archives.ts";
import { file, member, tarOf } from "./tar.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";

interface Described {
  readonly mediaType: string;
  readonly size: number;
  readonly digest: string;
}

interface LayerBlob {
  /** As the config has it. */
  readonly diffId: string;
  readonly bytes: Buffer;
  readonly mediaType?: string;
}

function describe(bytes: Uint8Array, mediaType: string): Described {
  return { mediaType, size: bytes.length, digest: `sha256:${sha256(bytes)}` };
}

/** An image of these layers; `change` may spoil its manifest. */
export function imageOf(
  layers: readonly LayerBlob[],
  options: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly change?: (manifest: Readonly<Record<string, unknown>>) => unknown;
  } = {},
): EvilImage {
  const { change = (manifest) => manifest } = options;
  const config = configOf([], {
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: [],
    ...options.config,
  });
  const changed = change({
    schemaVersion: 2,
    mediaType: manifestType,
    config: describe(config, configType),
    layers: layers.map(({ bytes, mediaType = `${layerType}+gzip` }) => describe(bytes, mediaType)),
  });
  const manifest = Buffer.from(typeof changed === "string" ? changed : JSON.stringify(changed));
  const blobs = [config, ...layers.map(({ bytes }) => bytes)];
  return {
    manifest,
    mediaType: manifestType,
    digest: `sha256:${sha256(manifest)}`,
    blobs: new Map(blobs.map((bytes) => [`sha256:${sha256(bytes)}`, bytes])),
    config: `sha256:${sha256(config)}`,
    layers: layers.map(({ bytes }) => `sha256:${sha256(bytes)}`),
  };
}

const small = tarOf(file("hello", "hello\n"));
const good: LayerBlob = { diffId: `sha256:${sha256(small)}`, bytes: gzipSync(small) };

/** The image with another descriptor in place of its layer's. */
function withLayer(more: Readonly<Record<string, unknown>>): EvilImage {
  return imageOf([good], {
    change: (manifest) => ({ ...manifest, layers: [{ ...describe(good.bytes, `${layerType}+gzip`), ...more }] }),
  });
}

/** Blocks of a stream repeated, compressed as one gzip member: 1000 bytes become about one. */
function bomb(mebibytes: number): LayerBlob {
  const head = member({ name: "bomb", size: mebibytes << 20 });
  const tar = Buffer.concat([head, Buffer.alloc(mebibytes << 20), Buffer.alloc(1024)]);
  return { diffId: `sha256:${sha256(tar)}`, bytes: gzipSync(tar, { level: 9 }) };
}

/** A frame whose header asks for a window of 2 GiB. */
function zstdWindow(): LayerBlob {
  const bytes = Buffer.from(zstdCompressSync(small, { params: { [constants.ZSTD_c_checksumFlag]: 0 } }));
  // Frame header descriptor: no single segment, no content size; then the window's exponent: 10 + 21.
  const block = bytes.subarray(4 + headerLength(bytes));
  return {
    diffId: good.diffId,
    bytes: Buffer.concat([bytes.subarray(0, 4), Buffer.from([0x00, 21 << 3]), block]),
    mediaType: `${layerType}+zstd`,
  };
}

function headerLength(frame: Buffer): number {
  const descriptor = frame[4] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizes = [isSingle ? 1 : 0, 2, 4, 8];
  return 1 + (isSingle ? 0 : 1) + (sizes[descriptor >> 6] ?? 0);
}

/** Indexes in indexes, the innermost of them around the image. */
function nested(depth: number): EvilImage {
  const inner = imageOf([good]);
  const platform = { os: "linux", architecture: "amd64" };
  const documents = new Map([[inner.digest, { bytes: inner.manifest, mediaType: manifestType }]]);
  let last: Described = describe(inner.manifest, manifestType);
  let bytes = inner.manifest;
  for (let level = 0; level < depth; level++) {
    bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [{ ...last, platform }] }));
    last = describe(bytes, indexType);
    documents.set(last.digest, { bytes, mediaType: indexType });
  }
  return { ...inner, manifest: bytes, mediaType: indexType, digest: last.digest, documents };
}

/** An index whose entry is answered with another document than it names; `named` is what it says. */
function swapped(answer: (inner: EvilImage, named: string) => { bytes: Buffer; mediaType: string }): EvilImage {
  const inner = imageOf([good]);
  const entry = { ...describe(inner.manifest, manifestType), platform: { os: "linux", architecture: "amd64" } };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [entry] }));
  return {
    ...inner,
    manifest: bytes,
    mediaType: indexType,
    digest: `sha256:${sha256(bytes)}`,
    documents: new Map([[inner.digest, answer(inner, inner.digest)]]),
  };
}

const hex = createHash("sha256").update("nothing").digest("hex");

/** By name: the image, and what the pull's error must say. */
export const evilImages: Readonly<Record<string, { readonly image: () => EvilImage; readonly says: RegExp }>> = {
  "digest with a path": { image: () => withLayer({ digest: "sha256:../../x" }), says: /digest/ },
  "digest in upper case": { image: () => withLayer({ digest: `sha256:${hex.toUpperCase()}` }), says: /digest/ },
  "digest too short": { image: () => withLayer({ digest: "sha256:abcd" }), says: /digest/ },
  "digest by md5": { image: () => withLayer({ digest: "md5:d41d8cd98f00b204e9800998ecf8427e" }), says: /digest/ },
  "digest by sha512": { image: () => withLayer({ digest: `sha512:${hex}${hex}` }), says: /digest/ },
  "negative size": { image: () => withLayer({ size: -1 }), says: /size/ },
  "size that is no integer": { image: () => withLayer({ size: 1.5 }), says: /size/ },
  "size of an exabyte": {
    image: () => withLayer({ size: 2 ** 53 - 1 }),
    says: /layer 1 of 1 .*no space left on device/,
  },
  "size one less": {
    image: () => withLayer({ size: good.bytes.length - 1 }),
    says: /layer 1 of 1 \(sha256:.*bytes/,
  },
  "layer of another type": { image: () => withLayer({ mediaType: "text/html" }), says: /layer 1 of 1 .*text\/html/ },
  "layer that is no tar": {
    image: () => imageOf([{ diffId: good.diffId, bytes: gzipSync(Buffer.alloc(3000, "no tar")) }]),
    says: /layer 1 of 1 /,
  },
  "layer that is cut": {
    image: () => imageOf([{ diffId: good.diffId, bytes: good.bytes.subarray(0, -9) }]),
    says: /layer 1 of 1 .*unexpected EOF/,
  },
  "layer with another diff id": {
    image: () => imageOf([{ diffId: `sha256:${hex}`, bytes: good.bytes }]),
    says: /layer 1 of 1 .*digest/,
  },
  "two layers, the second wrong": {
    image: () => imageOf([good, { diffId: `sha256:${hex}`, bytes: gzipSync(tarOf(file("b", "b"))) }]),
    says: /layer 2 of 2 /,
  },
  "more layers in the config": {
    image: () => imageOf([good], { config: { rootfs: { type: "layers", diff_ids: [good.diffId, good.diffId] } } }),
    says: /don't match/,
  },
  "gzip bomb": { image: () => imageOf([bomb(64)]), says: /layer 1 of 1 .*(?:larger|more than|limit)/ },
  "zstd window of 2 GiB": { image: () => imageOf([zstdWindow()]), says: /layer 1 of 1 .*zstd/ },
  "100,000 layers": {
    image: () =>
      imageOf([good], {
        change: (manifest) =>
          // Within 4 MiB a manifest has no room for so many with their digests.
          JSON.stringify(manifest).replace(/"layers":.*\]/, `"layers":[${"{},".repeat(99_999)}{}]`),
      }),
    says: /layers|descriptor|entries/,
  },
  "126 layers": {
    image: () =>
      imageOf(Array.from({ length: 126 }, (_, n) => ({ diffId: `sha256:${hex}`, bytes: Buffer.from(`layer ${n}`) }))),
    says: /max depth exceeded/,
  },
  "config of 128 MiB": {
    image: () =>
      imageOf([good], {
        change: (manifest) => ({
          ...manifest,
          config: { ...(manifest["config"] as Described), size: 128 << 20 },
        }),
      }),
    says: /config sha256:.* more than 4194304/,
  },
  "config that is smaller than said": {
    image: () =>
      imageOf([good], {
        change: (manifest) => ({ ...manifest, config: { ...(manifest["config"] as Described), size: 4 << 20 } }),
      }),
    says: /config sha256:/,
  },
  "config for another system": {
    image: () => imageOf([good], { config: { os: "windows" } }),
    says: /windows/,
  },
  "index 30 deep": { image: () => nested(30), says: /nested too deeply/ },
  "index whose entry is another document": {
    image: () => swapped(() => ({ bytes: Buffer.from('{"schemaVersion":2}'), mediaType: manifestType })),
    says: /digest/,
  },
  "index whose entry is the index again": {
    image: () => {
      const image = swapped(({ manifest }) => ({ bytes: manifest, mediaType: manifestType }));
      const [entry = ""] = image.documents?.keys() ?? [];
      return { ...image, documents: new Map([[entry, { bytes: image.manifest, mediaType: indexType }]]) };
    },
    says: /digest/,
  },
};

/** Layers deep and wide enough, and an index four deep: an image that only looks bad. */
export function harmlessImage(): EvilImage {
  return nested(4);
}
