// The sources of builds, put together: one runner per kind of source op, and what they keep.

import { join } from "node:path";
import { tryRun } from "../../kernel/run.ts";
import type { ImageResolver } from "../index.ts";
import type { OpRunner } from "../solver/index.ts";
import { createSourceDirectories } from "./directories.ts";
import { createGitRunner } from "./git.ts";
import { createHttpRunner } from "./http.ts";
import { createImageRunner } from "./image.ts";
import type { Sources, SourcesDeps } from "./index.ts";
import { createLocalRunner } from "./local.ts";
import { createOciLayoutRunner } from "./oci-layout.ts";
import { createImageResolver } from "./resolver.ts";

const spreadTimeoutMs = 10_000;

/** What images bring: base images, those of clients' OCI layouts, and their configs. */
export interface ImageSources {
  readonly runner: OpRunner;
  readonly layoutRunner: OpRunner;
  readonly resolver: ImageResolver;
}

/** All sources with those of images. */
export async function composeSources(
  { dataRoot, unpackPath, logger }: Pick<SourcesDeps, "dataRoot" | "unpackPath" | "logger">,
  images: ImageSources,
): Promise<Sources & { readonly resolver: ImageResolver }> {
  const contexts = join(dataRoot, "build", "contexts");
  const directories = await createSourceDirectories({ root: contexts, logger });
  // A tree's inodes are not looked for among those of a tree that was just deleted: see gantry-unpack. Without it all is as well, slower.
  await tryRun([unpackPath, "spread", contexts], { timeoutMs: spreadTimeoutMs }).catch(() => undefined);
  const git = createGitRunner({ dataRoot, directories });
  const http = createHttpRunner({ dataRoot, directories });
  return {
    directories,
    runners: { image: images.runner, "oci-layout": images.layoutRunner, local: createLocalRunner(), git, http },
    reclaimable: [directories, git.reclaimable, http.reclaimable],
    resolver: images.resolver,
  };
}

/** See Sources. */
export function createSources(deps: SourcesDeps): Promise<Sources & { readonly resolver: ImageResolver }> {
  return composeSources(deps, {
    runner: createImageRunner(deps),
    layoutRunner: createOciLayoutRunner(deps),
    resolver: createImageResolver(deps),
  });
}
