// Images as older API versions have them.

import type { ImageInspect, ImageSummary } from "../../../spec/docker/image.ts";

/** As `names`, null for none. */
function orNull(names: readonly string[] | null | undefined): readonly string[] | null {
  return names === undefined || names === null || names.length === 0 ? null : names;
}

/**
 * `Containers` is counted since 1.51, `VirtualSize` went with 1.44; with 1.43 placeholders for untagged images went, and null
 * for no names became [].
 */
export function renderImages(images: readonly ImageSummary[], minor: number): readonly unknown[] {
  if (minor >= 51) return images;
  return images.map((image) => {
    const older = { ...image, Containers: -1 };
    if (minor >= 44) return older;
    const withVirtual = { ...older, VirtualSize: image.Size };
    if (minor >= 43) return withVirtual;
    const [RepoTags, RepoDigests] = [orNull(image.RepoTags), orNull(image.RepoDigests)];
    if (RepoTags !== null || RepoDigests !== null) return { ...withVirtual, RepoTags, RepoDigests };
    return { ...withVirtual, RepoTags: ["<none>:<none>"], RepoDigests: ["<none>@<none>"] };
  });
}

/** Fields of Config that are no image's that API before 1.50 shows with their zero values. */
const containerOnly = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: "",
} as const;

const emptyContainerConfig = {
  ...containerOnly,
  User: "",
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
} as const;

/** Members in the order of dockerd's, which is the alphabet's: the CLI prints them as they come. */
function sorted(config: object): object {
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function renderImage(image: ImageInspect, minor: number): unknown {
  if (minor >= 50) return { ...image, Config: sorted(image.Config ?? {}) };
  const config = { ...image, Config: sorted({ ...containerOnly, ...image.Config }) };
  if (minor >= 45) return config;
  const containerConfig = { ...config, Container: "", ContainerConfig: emptyContainerConfig };
  return minor >= 44 ? containerConfig : { ...containerConfig, VirtualSize: image.Size };
}
