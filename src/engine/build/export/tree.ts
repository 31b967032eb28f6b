// The merged file system of a build as an output: copied into a directory of the client, or as one tar. The tar is what
// gantry-pack makes of the chain; for a directory, and where several platforms or attestations are put side by side, it is
// unpacked into a directory of this output's own, which is deleted in the end.

import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EngineError } from "../../../base/errors.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import { packTar } from "../../snapshots/packer.ts";
import { unpackTar } from "../../snapshots/unpacker.ts";
import type { ParsedOutput } from "./attributes.ts";
import { type ExportContext, counted } from "./context.ts";
import { setTarTimes } from "./tar-times.ts";
import type { BuiltImage } from "./index.ts";
import { renderStatement, subjectNames } from "./manifests.ts";
import { digestOf } from "../../../base/digest.ts";
import { renderImageConfig } from "./image-config.ts";

type TreeOutput = Extract<ParsedOutput, { type: "local" | "tar" }>;

const limits = { entries: 10_000_000, bytes: Number.MAX_SAFE_INTEGER, depth: 1024 };
/** Names of the files for the predicates that have one. Source: BuildKit, docs/attestations. */
const fileNames: readonly (readonly [RegExp, string])[] = [
  [/^https:\/\/slsa\.dev\/provenance\//, "provenance.json"],
  [/^https:\/\/spdx\.dev\/Document/, "sbom.spdx.json"],
];

export async function exportTree(
  context: ExportContext,
  images: readonly BuiltImage[],
  output: TreeOutput,
): Promise<void> {
  const { deps, report, signal, job } = context;
  const epoch = output.epoch ?? context.epoch;
  await using scratch = await makeScratch(deps.dataRoot);
  const split = output.platformSplit ?? images.length > 1;
  if (!split && images.length > 1)
    throw new EngineError("InvalidParameter", "platform-split=false cannot be used with more than one platform");
  const assembled = split || images.some(({ attestations }) => attestations.length > 0);
  if (output.type === "tar") {
    const progress = counted(report, "sending tarball");
    progress(0, 0);
    const [image] = images;
    const root = assembled ? await assemble(context, images, output, scratch.path, epoch) : undefined;
    const tar =
      root === undefined
        ? packChain(context, image as BuiltImage, scratch.path, epoch)
        : packDirectories(context, [root], epoch);
    const stream = await job.client.sendStream(output.index, {}, signal);
    let sent = 0;
    await pipeline(
      Readable.from(
        (async function* () {
          for await (const chunk of tar) {
            yield chunk;
            progress((sent += chunk.length), 0);
          }
        })(),
        { objectMode: false, highWaterMark: 1 << 20 },
      ),
      stream,
      { signal },
    );
    report.status("sending tarball", sent, 0, true);
    return;
  }
  const root = await assemble(context, images, output, scratch.path, epoch);
  const progress = counted(report, "copying files");
  let sent = 0;
  progress(0, 0);
  await job.client.sendDirectory(output.index, root, (bytes) => progress((sent = bytes), 0), signal);
  report.status("copying files", sent, 0, true);
}

async function makeScratch(dataRoot: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = join(dataRoot, "tmp", `build-output-${randomUUID()}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The tree as the client shall have it; its path. */
async function assemble(
  context: ExportContext,
  images: readonly BuiltImage[],
  output: TreeOutput,
  scratch: string,
  epoch: number | undefined,
): Promise<string> {
  const split = output.platformSplit ?? images.length > 1;
  const root = join(scratch, "root");
  if (split) await mkdir(root, { mode: 0o755 });
  for (const [index, image] of images.entries()) {
    const place = join(scratch, `platform-${index}`);
    await mkdir(join(place, "fs"), { recursive: true, mode: 0o755 });
    const tar = packChain(context, image, place, epoch);
    const unpacked = await unpackTar(context.deps.unpackPath, tar, place, limits, context.signal);
    await unpacked.synced;
    await writeAttestations(image, output.attestationPrefix, join(place, "fs"), epoch);
    // The root is no member of the tar.
    if (epoch !== undefined) await utimes(join(place, "fs"), epoch, epoch);
    const target = split ? join(root, renderPlatform(image.platform).replaceAll("/", "_")) : root;
    await rename(join(place, "fs"), target);
  }
  if (split && epoch !== undefined) await utimes(root, epoch, epoch);
  return root;
}

/** In-toto statements beside the files, as BuildKit names them. */
async function writeAttestations(
  image: BuiltImage,
  prefix: string,
  directory: string,
  epoch: number | undefined,
): Promise<void> {
  const subject = digestOf(renderImageConfig(image.config, undefined));
  const taken = new Set<string>();
  for (const [index, attestation] of image.attestations.entries()) {
    const known = fileNames.find(([type]) => type.test(attestation.predicateType))?.[1] ?? `attestation-${index}.json`;
    const name = taken.has(known) ? `${index}-${known}` : known;
    taken.add(known);
    const statement = renderStatement(attestation, subjectNames([], image.platform), subject);
    const path = join(directory, `${prefix}${name}`);
    // Never through a link of the tree: whatever has the name is replaced.
    await rm(path, { recursive: true, force: true });
    await writeFile(path, statement.bytes, { mode: 0o644, flag: "wx" });
    if (epoch !== undefined) await utimes(path, epoch, epoch);
  }
}

function packChain(
  context: ExportContext,
  image: BuiltImage,
  scratch: string,
  epoch: number | undefined,
): AsyncIterable<Uint8Array> {
  const { layers } = context.deps;
  return (async function* () {
    using _ = layers.keep(image.layers);
    const directories = layers.directories(image.layers);
    const empty = join(scratch, "empty");
    if (directories.length === 0) await mkdir(empty, { mode: 0o755 });
    yield* packDirectories(context, directories.length === 0 ? [empty] : directories, epoch);
  })();
}

/** @param directories top-most first */
function packDirectories(
  { deps, signal }: ExportContext,
  directories: readonly string[],
  epoch: number | undefined,
): AsyncIterable<Uint8Array> {
  const run = { args: ["export", ...directories], subject: "file system of the build", kind: "System" } as const;
  const tar = packTar(deps.packPath, run, signal);
  return epoch === undefined ? tar : setTarTimes(tar, epoch);
}
