// The image store as an output: one commit of a config and its names. Nothing is copied and nothing compressed, unless a
// manifest is asked for or pushed; then the push comes first, so that one that fails leaves the store as it was.

import { type Digest, digestOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { type Named, renderReference } from "../../../base/reference.ts";
import { hostArchitecture, matchesPlatform } from "../../../spec/oci/platform.ts";
import type { ParsedOutput } from "./attributes.ts";
import { type ExportContext, step, warn } from "./context.ts";
import { renderImageConfig } from "./image-config.ts";
import type { BuiltImage } from "./index.ts";
import type { Document } from "./manifests.ts";
import { pushImage } from "./push.ts";
import { type Response, manifestResponse, storeResponse } from "./response.ts";
import { type PackedImage, packImages } from "./pack-images.ts";

type ImageOutput = Extract<ParsedOutput, { type: "image" }>;

/** @returns the exporter's response and the ids of images that were stored */
export async function exportToStore(
  context: ExportContext,
  images: readonly BuiltImage[],
  output: ImageOutput,
): Promise<{ readonly response: Response; readonly ids: readonly Digest[] }> {
  const { report, signal, deps } = context;
  const [image] = images;
  if (image === undefined) throw new EngineError("InvalidParameter", "there is no image to export");
  const plain = !output.wantsManifest && images.length === 1;
  if (plain) {
    await step(report, "exporting layers", () => undefined);
    const configBytes = renderImageConfig(image.config, context.inlineCache);
    if (!output.store) return { response: storeResponse(digestOf(configBytes), output.form.names), ids: [] };
    warnOfAttestations(context, images);
    const id = digestOf(configBytes);
    await step(report, `writing image ${id}`, () =>
      deps.images.assemble({ configBytes, references: output.form.names }, signal),
    );
    for (const named of output.form.names) await step(report, `naming to ${renderReference(named)}`, () => undefined);
    return { response: storeResponse(id, output.form.names), ids: [id] };
  }
  await using packed = await packImages(context, images, output.form, { attach: output.push });
  if (output.push) await pushImage(context, packed, output);
  else warnOfAttestations(context, images);
  const [only] = packed.images;
  const stored = output.store ? hostImage(packed.images) : undefined;
  const ids = stored === undefined ? [] : [await store(context, stored, output, packed.root)];
  const single = packed.root.digest === only?.manifest.digest ? only : undefined;
  const response = manifestResponse(packed.root, {
    configDigest: single === undefined ? undefined : digestOf(single.configBytes),
    platform: single?.image.platform,
    created: packed.created,
    names: output.form.names,
  });
  return { response, ids };
}

/** The one that can be run here has the name in the store; a single one has it in any case. */
function hostImage(images: readonly PackedImage[]): PackedImage | undefined {
  if (images.length === 1) return images[0];
  const host = { os: "linux", architecture: hostArchitecture(), variant: "" };
  return images.find(({ image }) => matchesPlatform(image.platform, host));
}

/** With its manifest, so that a later push sends the same bytes, and the digest under which the registry has it. */
async function store(
  { deps, report, signal }: ExportContext,
  { configBytes, manifest, layers }: PackedImage,
  output: ImageOutput,
  root: Document,
): Promise<Digest> {
  const { names } = output.form;
  const tagged = output.pushByDigest ? [] : names;
  const pushed = output.push ? names.map((named): Named => ({ ...named, tag: undefined, digest: root.digest })) : [];
  const id = digestOf(configBytes);
  await step(report, `writing image ${id}`, () =>
    deps.images.assemble(
      {
        configBytes,
        references: [...tagged, ...pushed],
        manifests: [
          {
            bytes: manifest.bytes,
            mediaType: manifest.mediaType,
            ...(root === manifest ? {} : { index: root }),
            layers: layers.map(({ mediaType, digest, sizeBytes }) => ({ mediaType, digest, sizeBytes })),
          },
        ],
      },
      signal,
    ),
  );
  for (const named of tagged) await step(report, `naming to ${renderReference(named)}`, () => undefined);
  return id;
}

/** An image in the store is its config and layers: what is said about it stays with the build. */
function warnOfAttestations(context: ExportContext, images: readonly BuiltImage[]): void {
  if (images.every(({ attestations }) => attestations.length === 0)) return;
  warn(
    context,
    "attestations are recorded with the build, not attached to an image in the image store",
    "Attach them with --push, or with --output type=oci.",
  );
}
