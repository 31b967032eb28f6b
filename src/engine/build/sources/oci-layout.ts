// Images in a client's OCI layout: its blobs are read one after the other into an archive that the image store loads.

import { Readable } from "node:stream";
import { type Digest, digestOf, parseDigest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { parseDocument } from "../../../spec/oci/parse.ts";
import { parsePlatform, renderPlatform } from "../../../spec/oci/platform.ts";
import { completePlatform } from "../../../spec/oci/platform-order.ts";
import { chooseManifest } from "../../images/plan-pull.ts";
import type { Images } from "../../images/index.ts";
import { renderTarHeader, tarEnd, tarPadding } from "../../images/tar-writer.ts";
import type { ClientContentStore } from "../client.ts";
import type { KnownImage } from "../graph/index.ts";
import type { OpRunner } from "../solver/index.ts";
import { type ImageRunnerDeps, imageSnapshot } from "./image.ts";

const maxDocumentBytes = 4 << 20;
const maxIndexDepth = 4;

interface Blob {
  readonly digest: Digest;
  readonly size: number;
}
interface LayoutImage {
  readonly manifest: Blob & { readonly mediaType: string };
  /** Manifest and config; layers are streamed. */
  readonly documents: ReadonlyMap<Digest, Buffer>;
  readonly config: Digest;
  readonly layers: readonly Blob[];
}

/** Under which id a client offers a layout. Source: BuildKit's client. */
export function layoutStore(id: string): string {
  return `oci:${id}`;
}

/** The key of an image is its id, which is loaded since it was resolved. */
export function createOciLayoutRunner(deps: ImageRunnerDeps): OpRunner {
  const imageIdOf = async (op: Parameters<OpRunner["key"]>[0], store: ClientContentStore, signal: AbortSignal) => {
    if (op.kind !== "oci-layout") throw new EngineError("System", `${op.kind} is no image in an OCI layout`);
    return (await readLayoutImage(store, op.digest, op.platform, signal)).config;
  };
  return {
    async key(op, job, signal) {
      if (op.kind !== "oci-layout") return undefined;
      return imageIdOf(op, job.client.contentStore(layoutStore(op.storeId)), signal);
    },
    async run(op, _inputs, { job }, signal) {
      if (op.kind !== "oci-layout") throw new EngineError("System", `${op.kind} is no image in an OCI layout`);
      const store = job.client.contentStore(layoutStore(op.storeId));
      const { imageId } = await loadLayoutImage(deps.images, store, op.digest, op.reference, op.platform, signal);
      return imageSnapshot(deps, imageId, op.reference);
    },
  };
}

/**
 * The image that `reference` (with a digest) means in the store; its layers are loaded.
 *
 * @throws InvalidParameter the reference has no digest; NotFound; what Images.load throws
 */
export function resolveLayoutImage(
  images: Images,
  store: ClientContentStore,
  reference: string,
  platform: Platform,
  signal: AbortSignal,
): Promise<KnownImage> {
  const at = reference.lastIndexOf("@");
  if (at < 0)
    throw new EngineError("InvalidParameter", `oci-layout reference ${JSON.stringify(reference)} needs a digest`);
  return loadLayoutImage(images, store, parseDigest(reference.slice(at + 1)), reference, platform, signal);
}

async function loadLayoutImage(
  images: Images,
  store: ClientContentStore,
  digest: Digest,
  reference: string,
  platform: Platform,
  signal: AbortSignal,
): Promise<KnownImage> {
  const image = await readLayoutImage(store, digest, platform, signal);
  const here = await images.get(image.config).catch(() => undefined);
  if (here === undefined) {
    const archive = Readable.from(renderLayout(store, image, signal), { objectMode: false });
    for await (const _ of images.load(archive, { quiet: true, platform: undefined }, signal)) continue;
  }
  const { id, config } = await images.get(image.config);
  return { reference, imageId: id, config };
}

async function readLayoutImage(
  store: ClientContentStore,
  digest: Digest,
  platform: Platform,
  signal: AbortSignal,
): Promise<LayoutImage> {
  const documents = new Map<Digest, Buffer>();
  let current = digest;
  for (let depth = 0; depth < maxIndexDepth; depth++) {
    const bytes = await readDocument(store, current, signal);
    const document = parseDocument(bytes);
    if (document.kind === "index") {
      current = chooseManifest(document.manifests, completePlatform(parsePlatform(renderPlatform(platform)))).digest;
      continue;
    }
    const { mediaType = "application/vnd.oci.image.manifest.v1+json" } = JSON.parse(bytes.toString()) as {
      readonly mediaType?: string;
    };
    documents.set(current, bytes);
    documents.set(document.config.digest, await readDocument(store, document.config.digest, signal));
    return {
      manifest: { digest: current, size: bytes.length, mediaType },
      documents,
      config: document.config.digest,
      layers: document.layers.map((layer) => ({ digest: layer.digest, size: layer.size })),
    };
  }
  throw new EngineError("InvalidParameter", `manifest ${digest}: indexes are nested too deeply`);
}

async function readDocument(store: ClientContentStore, digest: Digest, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of await store.read(digest, signal)) {
    size += (chunk as Buffer).length;
    if (size > maxDocumentBytes) throw new EngineError("InvalidParameter", `${digest} is too large for a document`);
    chunks.push(chunk as Buffer);
  }
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) !== digest)
    throw new EngineError("InvalidParameter", `the client's content of ${digest} has another digest`);
  return bytes;
}

/** An OCI layout with this one image, as a tar. */
async function* renderLayout(
  store: ClientContentStore,
  { manifest, documents, layers }: LayoutImage,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const file = function* (path: string, bytes: Uint8Array): Generator<Uint8Array> {
    yield renderTarHeader({ path, sizeBytes: bytes.length, mtimeSeconds: 0 });
    yield bytes;
    yield tarPadding(bytes.length);
  };
  const pathOf = (digest: Digest): string => `blobs/sha256/${digest.slice("sha256:".length)}`;
  yield* file("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  yield* file("index.json", Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [manifest] })));
  for (const [digest, bytes] of documents) yield* file(pathOf(digest), bytes);
  for (const { digest, size } of new Map(layers.map((layer) => [layer.digest, layer])).values()) {
    yield renderTarHeader({ path: pathOf(digest), sizeBytes: size, mtimeSeconds: 0 });
    let seen = 0;
    for await (const chunk of await store.read(digest, signal)) {
      seen += (chunk as Buffer).length;
      if (seen > size) break;
      yield chunk as Buffer;
    }
    if (seen !== size)
      throw new EngineError("InvalidParameter", `the client's content of ${digest} has not ${size} bytes`);
    yield tarPadding(size);
  }
  yield tarEnd;
}
