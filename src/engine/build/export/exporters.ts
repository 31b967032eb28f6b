// Carries out the outputs of a build, each as a vertex of its progress. Those that go to the client or to a registry come
// first, the image store last: when one of them fails, the store is as it was.

import { type Digest, digestOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { matchesPlatform } from "../../../spec/oci/platform.ts";
import type { JobContext } from "../solver/index.ts";
import { exportArchive } from "./archive.ts";
import { type ParsedOutput, parseOutput } from "./attributes.ts";
import type { ExportContext } from "./context.ts";
import { exportToStore } from "./image-store.ts";
import type { BuiltImage, ExportDeps, Exporters, OutputRequest } from "./index.ts";
import type { Response } from "./response.ts";
import { exportTree } from "./tree.ts";

const titles = {
  image: "exporting to image",
  docker: "exporting to docker image format",
  oci: "exporting to oci image format",
  local: "exporting to client directory",
  tar: "exporting to client tarball",
} as const;

export function createExporters(deps: ExportDeps): Exporters {
  return {
    validate: (outputs, platforms) => void planOutputs(outputs, platforms),
    export: (images, outputs, job, options, signal) => exportAll(deps, images, outputs, job, options, signal),
  };
}

/** @throws InvalidParameter what is wrong with an output, in BuildKit's words where it has some */
function planOutputs(outputs: readonly OutputRequest[], platforms: readonly Platform[]): readonly ParsedOutput[] {
  const parsed = outputs.map(parseOutput);
  for (const output of parsed) complainAbout(output, platforms);
  return parsed.sort((a, b) => Number(a.type === "image") - Number(b.type === "image"));
}

function complainAbout(output: ParsedOutput, platforms: readonly Platform[]): void {
  const several = platforms.length > 1;
  if (output.type === "docker" && several)
    throw new EngineError(
      "InvalidParameter",
      "docker exporter does not support exporting manifest lists, use the oci exporter instead",
    );
  if (output.type === "image" && several && !output.push)
    throw new EngineError(
      "InvalidParameter",
      "the image store holds one platform under a name: send images of several platforms to a registry with --push, " +
        "or into an archive with --output type=oci,dest=FILE",
    );
  if (output.type === "local" && several && output.platformSplit === false)
    throw new EngineError("InvalidParameter", "platform-split=false cannot be used with more than one platform");
  if (!("form" in output)) return;
  for (const { platform } of output.form.annotations) {
    if (platform === undefined) continue;
    const [os = "", architecture = "", variant = ""] = platform.split("/");
    if (!platforms.some((built) => matchesPlatform(built, { os, architecture, variant })))
      throw new EngineError("InvalidParameter", `no platform ${platform} is built that an annotation could be put on`);
  }
}

/** Layers have their times since their steps ran: an output comes too late to choose. */
function complainAboutEpoch(output: ParsedOutput, epoch: number | undefined): void {
  if (!("form" in output)) return;
  const { form } = output;
  if (form.epoch !== undefined && form.epoch !== epoch)
    throw new EngineError(
      "InvalidParameter",
      `source-date-epoch=${form.epoch} of an output is not the build's: set the build argument SOURCE_DATE_EPOCH`,
    );
  if (form.rewriteTimestamp && epoch === undefined)
    throw new EngineError("InvalidParameter", "rewrite-timestamp needs the build argument SOURCE_DATE_EPOCH");
}

async function exportAll(
  deps: ExportDeps,
  images: readonly BuiltImage[],
  outputs: readonly OutputRequest[],
  job: JobContext,
  options: Parameters<Exporters["export"]>[3],
  signal: AbortSignal,
): ReturnType<Exporters["export"]> {
  const platforms = images.map(({ platform }) => platform);
  const responses: Response[] = [];
  const imageIds: Digest[] = [];
  using _ = new DisposableStack();
  for (const { layers } of images) _.use(deps.layers.keep(layers));
  const planned = planOutputs(outputs, platforms);
  for (const output of planned) complainAboutEpoch(output, options.sourceDateEpoch);
  for (const output of planned) {
    if (output.type === "cacheonly") continue;
    const digest = digestOf(`${job.ref} output ${output.index} ${output.type}`);
    await job.progress.vertex({ digest, name: titles[output.type] }, async (report) => {
      const context: ExportContext = {
        deps,
        job,
        epoch: options.sourceDateEpoch,
        inlineCache: options.inlineCache,
        report,
        signal,
      };
      const { response, ids } = await carryOut(context, images, output);
      responses.push(response);
      imageIds.push(...ids);
    });
  }
  return { response: Object.assign({}, ...responses) as Response, imageIds };
}

async function carryOut(
  context: ExportContext,
  images: readonly BuiltImage[],
  output: Exclude<ParsedOutput, { type: "cacheonly" }>,
): Promise<{ readonly response: Response; readonly ids: readonly Digest[] }> {
  switch (output.type) {
    case "image":
      return exportToStore(context, images, output);
    case "docker":
    case "oci":
      return { response: await exportArchive(context, images, output), ids: [] };
    case "local":
    case "tar":
      await exportTree(context, images, output);
      return { response: {}, ids: [] };
  }
}
