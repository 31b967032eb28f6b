// Answers about containers for older API versions. dockerd 28 itself renders them alike for every version that it speaks but for
// the fields named here.

import type { ContainerInspectResponse, ContainerSummary } from "../../../spec/docker/container.ts";

/** `HostConfig.Annotations` came with API 1.46, `ImageManifestDescriptor` with 1.48. */
export function renderSummaries(summaries: readonly ContainerSummary[], minor: number): readonly ContainerSummary[] {
  if (minor >= 48) return summaries;
  return summaries.map((summary) => ({
    ...summary,
    ImageManifestDescriptor: undefined,
    HostConfig:
      minor < 46 && summary.HostConfig ? { ...summary.HostConfig, Annotations: undefined } : summary.HostConfig,
  }));
}

/** `ImageManifestDescriptor` came with API 1.48. */
export function renderInspect(container: ContainerInspectResponse, minor: number): ContainerInspectResponse {
  if (minor >= 48) return container;
  return { ...container, ImageManifestDescriptor: undefined };
}
