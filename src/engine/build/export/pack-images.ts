// Images of a build as registries and archives have them: blobs of their layers, configs, manifests, attestations, and the index
// that holds several platforms or attestations together.

import { parseDigest, chainIdsOf, digestOf, type Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { LayerBlob } from "../../images/index.ts";
import { annotationsFor } from "./annotations.ts";
import type { ImageForm } from "./attributes.ts";
import { type ExportContext, counted, step } from "./context.ts";
import { goTime } from "./go-json.ts";
import { renderImageConfig } from "./image-config.ts";
import type { BuiltImage } from "./index.ts";
import {
  type AttestationManifest,
  type Document,
  type IndexChild,
  type ManifestLayer,
  layerMediaType,
  renderAttestationManifest,
  renderImageManifest,
  renderIndex,
  subjectNames,
} from "./manifests.ts";

export interface PackedImage {
  readonly image: BuiltImage;
  readonly configBytes: Buffer;
  readonly manifest: Document;
  readonly layers: readonly ManifestLayer[];
  readonly attestation: AttestationManifest | undefined;
}

/** A blob that can be read as often as it is wanted. */
export interface PackedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  open(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Everything of an output; its layers' blobs are held until disposed. */
export interface Packed extends AsyncDisposable {
  readonly images: readonly PackedImage[];
  /** What the names mean: the index where there is one, or the manifest. */
  readonly root: Document;
  /** Manifests, children first, the root last. */
  readonly manifests: readonly Document[];
  /** Layers, configs and statements, each once. */
  readonly blobs: readonly PackedBlob[];
  /** RFC 3339. */
  readonly created: string | undefined;
}

/** @param options.attach whether attestations go with it; options.index whether it is an index in any case */
export async function packImages(
  context: ExportContext,
  images: readonly BuiltImage[],
  form: ImageForm,
  options: { readonly attach: boolean },
): Promise<Packed> {
  const { report } = context;
  await using held = new AsyncDisposableStack();
  const attested = options.attach && images.some(({ attestations }) => attestations.length > 0);
  const isIndex = images.length > 1 || attested;
  if (!isIndex && form.annotations.some(({ level }) => level.startsWith("index")))
    throw new EngineError("InvalidParameter", "index annotations not supported for single platform export");
  const oci = isOci(form, attested);
  const layers = await step(report, "exporting layers", () => packLayers(context, images, form, oci, held));
  const packed: PackedImage[] = [];
  for (const [at, image] of images.entries()) {
    const configBytes = renderImageConfig(image.config, context.inlineCache);
    const config = { digest: digestOf(configBytes), sizeBytes: configBytes.length };
    const own = layers[at] ?? [];
    const annotations = annotationsFor(form.annotations, "manifest", image.platform);
    const manifest = renderImageManifest(config, own, { oci, annotations });
    await step(report, `exporting manifest ${manifest.digest}`, () => undefined);
    await step(report, `exporting config ${config.digest}`, () => undefined);
    const names = subjectNames(form.names, image.platform);
    const attestation =
      attested && image.attestations.length > 0
        ? renderAttestationManifest(image.attestations, names, manifest, form.ociArtifact)
        : undefined;
    if (attestation !== undefined)
      await step(report, `exporting attestation manifest ${attestation.manifest.digest}`, () => undefined);
    packed.push({ image, configBytes, manifest, layers: own, attestation });
  }
  const index = isIndex
    ? renderIndex(childrenOf(packed, form), { oci, annotations: annotationsFor(form.annotations, "index", undefined) })
    : undefined;
  if (index !== undefined) await step(report, `exporting manifest list ${index.digest}`, () => undefined);
  const manifests = [
    ...packed.map(({ manifest }) => manifest),
    ...packed.flatMap(({ attestation }) => (attestation === undefined ? [] : [attestation.manifest])),
    ...(index === undefined ? [] : [index]),
  ];
  const created = images[0]?.config.created;
  const releases = held.move();
  return {
    images: packed,
    root: manifests.at(-1) as Document,
    manifests,
    blobs: distinct([
      ...layers.flat(),
      ...packed.flatMap(({ configBytes, attestation }) => [
        blobOf(configBytes),
        ...(attestation === undefined
          ? []
          : [attestation.config, ...attestation.statements].map(({ bytes }) => blobOf(bytes))),
      ]),
    ]),
    created: created === undefined ? undefined : goTime(created),
    [Symbol.asyncDispose]: () => releases.disposeAsync(),
  };
}

/** Annotations, attestations and zstd are OCI's. */
function isOci(form: ImageForm, attested: boolean): boolean {
  return attested || form.annotations.length > 0 || form.encoding.compression === "zstd" || form.ociTypes === true;
}

function childrenOf(packed: readonly PackedImage[], form: ImageForm): readonly IndexChild[] {
  return [
    ...packed.map(({ image: { platform }, manifest }) => ({
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      sizeBytes: manifest.bytes.length,
      platform,
      annotations: annotationsFor(form.annotations, "manifest-descriptor", platform),
    })),
    ...packed.flatMap(({ attestation }) => (attestation === undefined ? [] : [attestation.child])),
  ];
}

type PackedLayer = ManifestLayer & PackedBlob;

/** Blobs of every image's layers, bottom first; a layer that several have is encoded once. */
async function packLayers(
  { deps, report, signal }: ExportContext,
  images: readonly BuiltImage[],
  form: ImageForm,
  oci: boolean,
  held: AsyncDisposableStack,
): Promise<readonly (readonly PackedLayer[])[]> {
  const progress = counted(report, "exporting layers");
  const currents = new Map<string, { readonly current: number; readonly total: number }>();
  const tell = (key: string, current: number, total: number): void => {
    currents.set(key, { current, total });
    const all = [...currents.values()];
    progress(
      all.reduce((sum, item) => sum + item.current, 0),
      all.reduce((sum, item) => sum + item.total, 0),
    );
  };
  const stop = new AbortController();
  const any = AbortSignal.any([signal, stop.signal]);
  const blobs = new Map<string, Promise<LayerBlob | undefined>>();
  const open = (diffId: PackedDiffId, chainId: PackedChainId): Promise<LayerBlob | undefined> => {
    const known = blobs.get(diffId);
    if (known !== undefined) return known;
    const opening = (async () => {
      try {
        const report = (current: number, total: number): void => tell(diffId, current, total);
        return held.use(await deps.images.layerBlob({ diffId, chainId }, form.encoding, report, any));
      } catch (error) {
        if (!stop.signal.aborted) stop.abort(error);
        return undefined;
      }
    })();
    blobs.set(diffId, opening);
    return opening;
  };
  const packed = await Promise.all(
    images.map(({ layers }) => {
      const chain = chainIdsOf(layers);
      return Promise.all(layers.map((diffId, at) => open(diffId, chain[at] as PackedChainId)));
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  return packed.map((layers) =>
    layers.map((layer): PackedLayer => {
      const blob = layer as LayerBlob;
      return {
        mediaType: layerMediaType(blob.compression, oci),
        digest: blob.digest,
        sizeBytes: blob.sizeBytes,
        open: (offset, signal) => blob.open(offset, signal),
      };
    }),
  );
}

type PackedDiffId = BuiltImage["layers"][number];
type PackedChainId = ReturnType<typeof chainIdsOf>[number];

function blobOf(bytes: Uint8Array): PackedBlob {
  return {
    digest: parseDigest(digestOf(bytes)),
    sizeBytes: bytes.length,
    async *open(offset) {
      yield bytes.subarray(offset);
    },
  };
}

function distinct(blobs: readonly PackedBlob[]): readonly PackedBlob[] {
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}
