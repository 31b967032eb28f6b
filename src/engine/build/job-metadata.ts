// Small facts about a build: its SOURCE_DATE_EPOCH, and what BuildKit's frontend returns beside the trees.

import { renderPlatform } from "../../spec/oci/platform.ts";
import { type Dockerfile, DockerfileError } from "./dockerfile/index.ts";
import type { ImageDraft, Lowered } from "./graph/index.ts";
import type { FrontendRequest } from "./index.ts";
import type { PlannedStep } from "./progress.ts";

/** SOURCE_DATE_EPOCH: of the request, or an ARG in front of the first FROM. */
export function epochOf(request: FrontendRequest, dockerfile: Dockerfile): number | undefined {
  if (request.sourceDateEpoch !== undefined) return request.sourceDateEpoch;
  const given = request.buildArgs.get("SOURCE_DATE_EPOCH");
  const declared = dockerfile.globalArgs
    .flatMap(({ args, range }) => args.map((arg) => ({ ...arg, range })))
    .find(({ key }) => key === "SOURCE_DATE_EPOCH");
  const text = given ?? declared?.value;
  if (text === undefined || text === "") return undefined;
  if (!/^\d{1,12}$/.test(text))
    throw new DockerfileError(
      `invalid SOURCE_DATE_EPOCH: ${text}`,
      given !== undefined || declared === undefined ? [] : [declared.range],
    );
  return Number(text);
}

/** The instructions as they are told, with the ids of base images. */
export function plannedSteps({ steps, graph }: Lowered): readonly PlannedStep[] {
  return steps.map((step) => {
    const op = step.vertex === undefined ? undefined : graph.vertices.get(step.vertex)?.op;
    return op?.kind === "image" ? { ...step, imageId: op.imageId } : step;
  });
}

/** What BuildKit's frontend returns beside the trees. */
export function imageMetadata(images: readonly ImageDraft[]): Readonly<Record<string, Uint8Array>> {
  const [only] = images;
  if (only !== undefined && images.length === 1)
    return { "containerimage.config": Buffer.from(JSON.stringify(only.config)) };
  const platforms = images.map(({ platform }) => ({ ID: renderPlatform(platform), Platform: platform }));
  return Object.fromEntries([
    ["refs.platforms", Buffer.from(JSON.stringify({ Platforms: platforms }))],
    ...images.map(
      ({ platform, config }) =>
        [`containerimage.config/${renderPlatform(platform)}`, Buffer.from(JSON.stringify(config))] as const,
    ),
  ]);
}
