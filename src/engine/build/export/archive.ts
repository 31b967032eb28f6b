// Archives of images for the client: an OCI layout, or one that `docker load` of every age reads as well. As one stream, or
// blob by blob into a directory of the client. Members are sorted and have no time: the same image gives the same bytes.
// Source: OCI image-spec 1.1, image-layout.md; archives that dockerd 28.5 made.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { digestOf, hexOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { renderFamiliar, renderReference } from "../../../base/reference.ts";
import { renderTarHeader, tarEnd, tarPadding } from "../../images/tar-writer.ts";
import type { ParsedOutput } from "./attributes.ts";
import { type ExportContext, counted, warn } from "./context.ts";
import { renderGoJson, sortMembers } from "./go-json.ts";
import type { BuiltImage } from "./index.ts";
import { annotationsFor } from "./annotations.ts";
import { ociIndexType, renderPlatformObject } from "./manifests.ts";
import { type Packed, type PackedBlob, packImages } from "./pack-images.ts";
import { type Response, manifestResponse } from "./response.ts";

type ArchiveOutput = Extract<ParsedOutput, { type: "docker" | "oci" }>;

interface Member {
  readonly path: string;
  readonly sizeBytes: number;
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** The client's content store into which a directory is written. Source: buildx, for `tar=false`. */
const clientStore = "export";
const layoutText = '{"imageLayoutVersion":"1.0.0"}';

export async function exportArchive(
  context: ExportContext,
  images: readonly BuiltImage[],
  output: ArchiveOutput,
): Promise<Response> {
  const { job, report, signal } = context;
  const attach = output.type === "oci";
  if (!attach && images.some(({ attestations }) => attestations.length > 0))
    warn(
      context,
      "attestations are recorded with the build, not attached to a docker archive",
      "Use --output type=oci.",
    );
  const form = { ...output.form, ociTypes: output.form.ociTypes ?? output.type === "oci" };
  await using packed = await packImages(context, images, form, { attach });
  const [only] = packed.images;
  const single = packed.root.digest === only?.manifest.digest ? only : undefined;
  const response = manifestResponse(packed.root, {
    configDigest: single === undefined ? undefined : digestOf(single.configBytes),
    platform: single?.image.platform,
    created: packed.created,
    names: output.form.names,
  });
  const blobs = blobsOf(packed);
  if (!output.tar) {
    const store = job.client.contentStore(clientStore);
    report.status("sending blobs", 0, 0, false);
    for (const blob of blobs)
      await store.write(
        blob.digest,
        blob.sizeBytes,
        Readable.from(blob.open(0, signal), { objectMode: false }),
        signal,
      );
    report.status("sending blobs", 0, 0, true);
    return response;
  }
  const members = membersOf(packed, output, blobs);
  const total = members.reduce((sum, { sizeBytes }) => sum + 512 + sizeBytes + tarPadding(sizeBytes).length, 1024);
  const progress = counted(report, "sending tarball");
  progress(0, 0);
  const stream = await job.client.sendStream(output.index, response, signal);
  const archive = Readable.from(
    writeMembers(members, (current) => progress(current, total), signal),
    {
      objectMode: false,
      highWaterMark: 1 << 20,
    },
  );
  await pipeline(archive, stream, { signal });
  report.status("sending tarball", total, total, true);
  return response;
}

function blobsOf(packed: Packed): readonly PackedBlob[] {
  const documents = packed.manifests.map(
    ({ digest, bytes }): PackedBlob => ({
      digest,
      sizeBytes: bytes.length,
      async *open(offset) {
        yield bytes.subarray(offset);
      },
    }),
  );
  return [...new Map([...packed.blobs, ...documents].map((blob) => [blob.digest, blob])).values()];
}

function membersOf(packed: Packed, output: ArchiveOutput, blobs: readonly PackedBlob[]): readonly Member[] {
  const text = (path: string, content: string): Member => ({
    path,
    sizeBytes: Buffer.byteLength(content),
    async *open() {
      yield Buffer.from(content);
    },
  });
  const members = [
    text("blobs/", ""),
    text("blobs/sha256/", ""),
    ...blobs.map((blob) => ({
      path: `blobs/sha256/${hexOf(blob.digest)}`,
      sizeBytes: blob.sizeBytes,
      open: (signal: AbortSignal) => blob.open(0, signal),
    })),
    text("index.json", renderGoJson(layoutIndex(packed, output))),
    text("oci-layout", layoutText),
    ...(output.type === "docker" ? [text("manifest.json", renderGoJson(dockerManifest(packed, output)))] : []),
  ];
  return members.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** One entry for each name, or one without. */
function layoutIndex(packed: Packed, { form }: ArchiveOutput): unknown {
  const { root, created, images } = packed;
  const [only] = images;
  const platform = root.digest === only?.manifest.digest ? only.image.platform : undefined;
  const level = platform === undefined ? "index-descriptor" : "manifest-descriptor";
  const own = {
    ...annotationsFor(form.annotations, level, platform),
    ...(created === undefined ? {} : { "org.opencontainers.image.created": created }),
  };
  const entry = (more: Readonly<Record<string, string>>): unknown => {
    const annotations = { ...own, ...more };
    return {
      mediaType: root.mediaType,
      digest: root.digest,
      size: root.bytes.length,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations: sortMembers(annotations) }),
      ...(platform === undefined ? {} : { platform: renderPlatformObject(platform) }),
    };
  };
  const manifests =
    form.names.length === 0
      ? [entry({})]
      : form.names.map((named) =>
          entry({
            "io.containerd.image.name": renderReference(named),
            "org.opencontainers.image.ref.name": named.tag ?? "",
          }),
        );
  return { schemaVersion: 2, mediaType: ociIndexType, manifests };
}

function dockerManifest({ images }: Packed, { form }: ArchiveOutput): unknown {
  const path = (digest: string): string => `blobs/sha256/${digest.slice("sha256:".length)}`;
  return images.map(({ configBytes, layers }) => ({
    Config: path(digestOf(configBytes)),
    RepoTags: form.names.length === 0 ? null : form.names.map(renderFamiliar),
    Layers: layers.map(({ digest }) => path(digest)),
  }));
}

async function* writeMembers(
  members: readonly Member[],
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for (const member of members) {
    const { path, sizeBytes } = member;
    yield renderTarHeader({ path, sizeBytes, mtimeSeconds: 0 });
    let bytes = 0;
    for await (const chunk of member.open(signal)) {
      bytes += chunk.length;
      if (bytes > sizeBytes) break;
      if (chunk.length > 0) yield chunk;
      onProgress((sent += chunk.length));
    }
    if (bytes !== sizeBytes)
      throw new EngineError("DataLoss", `${path} has another length than the ${sizeBytes} bytes recorded`);
    const padding = tarPadding(sizeBytes);
    if (padding.length > 0) yield padding;
  }
  yield tarEnd;
}
