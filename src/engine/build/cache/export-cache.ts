// Sends what a build knows to an external cache: layers as blobs that are here or made now, the document that names them, and a
// manifest or index around it.

import { Readable } from "node:stream";
import { type ChainId, type Digest, type DiffId, chainIdsOf, digestOf } from "../../../base/digest.ts";
import type { LayerBlob, LayerCompression } from "../../images/index.ts";
import type { Graph } from "../graph/index.ts";
import type { VertexReporter } from "../progress.ts";
import type { CacheRecordExport, JobContext } from "../solver/index.ts";
import type { CacheExport } from "./attributes.ts";
import { type LayerLocation, cacheConfigType, mountBlobType, renderCacheConfig } from "./cache-config.ts";
import type { ExternalCachesDeps } from "./index.ts";
import { type MountArchive, archiveMount, mountIdsOf } from "./mount-archives.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const hubHost = "https://index.docker.io/v1/";
const layerTypes: Readonly<Record<LayerCompression, string>> = {
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  uncompressed: "application/vnd.oci.image.layer.v1.tar",
};

interface CacheBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly open: (offset: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** What is sent; blobs stay until it is disposed of. */
interface PackedCache {
  readonly blobs: readonly CacheBlob[];
  readonly manifest: Buffer;
  readonly mediaType: string;
}

/**
 * @returns the descriptor of the cache's manifest, as JSON
 * @throws what layerBlob, publish and the client's content store throw
 */
export async function exportCache(
  deps: ExternalCachesDeps,
  target: Exclude<CacheExport, { type: "inline" }>,
  records: readonly CacheRecordExport[],
  graph: Graph,
  job: JobContext,
  report: VertexReporter,
  signal: AbortSignal,
): Promise<string> {
  await using held = new AsyncDisposableStack();
  report.status("preparing build cache for export", 0, 0, false);
  const layers = await layerBlobs(deps, target, records, held, report, signal);
  const mounts = target.withMounts ? await mountBlobs(deps, graph, held, signal) : [];
  const packed = pack(target.asManifest, records, layers, mounts);
  report.status("preparing build cache for export", 0, 0, true);
  await (target.named === undefined
    ? writeLocal(target.store, packed, job, report, signal)
    : publish(deps, target.named, packed, job, report, signal));
  const { manifest, mediaType } = packed;
  return JSON.stringify({ mediaType, digest: digestOf(manifest), size: manifest.length });
}

/** Of all records that come with their layers, each layer once. */
async function layerBlobs(
  deps: ExternalCachesDeps,
  { compression, compressionLevel, forceCompression }: Exclude<CacheExport, { type: "inline" }>,
  records: readonly CacheRecordExport[],
  held: AsyncDisposableStack,
  report: VertexReporter,
  signal: AbortSignal,
): Promise<ReadonlyMap<DiffId, LayerBlob>> {
  const wanted = new Map<DiffId, ChainId>();
  for (const { layers, hasLayers } of records) {
    if (!hasLayers) continue;
    for (const [index, chainId] of chainIdsOf(layers).entries()) wanted.set(layers[index] as DiffId, chainId);
  }
  const encoding = { compression, level: compressionLevel, force: forceCompression };
  const blobs = new Map<DiffId, LayerBlob>();
  for (const [diffId, chainId] of wanted) {
    const line = `preparing layer ${diffId}`;
    const tell = (current: number, total: number): void => report.status(line, current, total, current === total);
    const blob = await deps.images.layerBlob({ diffId, chainId }, encoding, tell, signal);
    held.use(blob);
    blobs.set(diffId, blob);
  }
  return blobs;
}

async function mountBlobs(
  deps: ExternalCachesDeps,
  graph: Graph,
  held: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<readonly MountArchive[]> {
  const archives: MountArchive[] = [];
  for (const id of mountIdsOf(graph)) {
    const archive = await archiveMount(deps, id, signal);
    if (archive !== undefined) archives.push(held.use(archive));
  }
  return archives;
}

function pack(
  asManifest: boolean,
  records: readonly CacheRecordExport[],
  layers: ReadonlyMap<DiffId, LayerBlob>,
  mounts: readonly MountArchive[],
): PackedCache {
  const locations = new Map<DiffId, LayerLocation>();
  const blobs: CacheBlob[] = [];
  for (const [diffId, blob] of layers) {
    const { digest, sizeBytes, compression } = blob;
    const mediaType = layerTypes[compression];
    locations.set(diffId, { digest, sizeBytes, mediaType });
    const annotations = { "containerd.io/uncompressed": diffId };
    blobs.push({ digest, sizeBytes, mediaType, annotations, open: (offset, signal) => blob.open(offset, signal) });
  }
  for (const archive of mounts) {
    const { digest, sizeBytes } = archive;
    blobs.push({
      digest,
      sizeBytes,
      mediaType: mountBlobType,
      annotations: {},
      open: (offset) => archive.open(offset),
    });
  }
  const config = renderCacheConfig({
    records,
    locations,
    mounts: mounts.map(({ id, digest, sizeBytes }) => ({ id, digest, sizeBytes })),
  });
  const configBlob: CacheBlob = {
    digest: digestOf(config),
    sizeBytes: config.length,
    mediaType: cacheConfigType,
    annotations: {},
    open: (offset) => Readable.from([config.subarray(offset)]),
  };
  // One layer may be in several places of the stacks.
  const layerDescriptors = [...new Map(blobs.map((blob) => [blob.digest, descriptorOf(blob)])).values()];
  const configDescriptor = descriptorOf(configBlob);
  const document = asManifest
    ? { schemaVersion: 2, mediaType: manifestType, config: configDescriptor, layers: layerDescriptors }
    : { schemaVersion: 2, mediaType: indexType, manifests: [...layerDescriptors, configDescriptor] };
  return {
    blobs: [...blobs, configBlob],
    manifest: Buffer.from(JSON.stringify(document)),
    mediaType: document.mediaType,
  };
}

function descriptorOf({ mediaType, digest, sizeBytes, annotations }: CacheBlob): object {
  return { mediaType, digest, size: sizeBytes, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) };
}

async function publish(
  deps: ExternalCachesDeps,
  named: NonNullable<Exclude<CacheExport, { type: "inline" }>["named"]>,
  { blobs, manifest, mediaType }: PackedCache,
  job: JobContext,
  report: VertexReporter,
  signal: AbortSignal,
): Promise<void> {
  const credentials = await job.client.credentials(named.domain === "docker.io" ? hubHost : named.domain, signal);
  const manifestLine = `writing cache image manifest ${digestOf(manifest)}`;
  await deps.images.publish(
    {
      named,
      credentials,
      blobs,
      manifests: [{ bytes: manifest, mediaType, tag: named.tag ?? "latest" }],
      labels: {},
      onBlobs: () => report.status(manifestLine, 0, 0, false),
    },
    ({ id, progressDetail }) => {
      const { current, total } = progressDetail ?? {};
      if (id !== undefined && current !== undefined)
        report.status(`writing layer ${id}`, current, total ?? 0, current === total);
    },
    signal,
  );
  report.status(manifestLine, manifest.length, manifest.length, true);
}

async function writeLocal(
  store: string,
  { blobs, manifest, mediaType }: PackedCache,
  job: JobContext,
  report: VertexReporter,
  signal: AbortSignal,
): Promise<void> {
  const content = job.client.contentStore(store);
  const last: CacheBlob = {
    digest: digestOf(manifest),
    sizeBytes: manifest.length,
    mediaType,
    annotations: {},
    open: (offset) => Readable.from([manifest.subarray(offset)]),
  };
  for (const { digest, sizeBytes, open } of [...blobs, last]) {
    const line = `writing layer ${digest}`;
    report.status(line, 0, sizeBytes, false);
    if ((await content.info(digest, signal)) === undefined)
      await content.write(digest, sizeBytes, Readable.from(open(0, signal), { objectMode: false }), signal);
    report.status(line, sizeBytes, sizeBytes, true);
  }
}
