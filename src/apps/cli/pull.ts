// Asks the daemon to pull an image and shows its progress. Source: the docker CLI 28; Engine API 1.51, ImageCreate.

import { createImage } from "../../client/images.ts";
import { registryAuthOf, serverOfReference } from "./auth/credentials.ts";
import { withLogin } from "./auth/login-retry.ts";
import type { CommandContext } from "./command.ts";
import { showProgress, type ProgressSink } from "./progress.ts";
import { parseReference } from "./reference.ts";

/**
 * @param image a reference with a tag or a digest; with `allTags` without
 * @throws DaemonError the daemon cannot pull; CliError the pull failed on the way
 */
export async function pullImage(
  context: CommandContext,
  image: string,
  options: { readonly platform: string; readonly allTags?: boolean },
  sink: ProgressSink,
): Promise<void> {
  const { repository, tag, digest } = parseReference(image);
  const query = {
    fromImage: repository,
    tag: options.allTags === true ? undefined : digest || tag || "latest",
    platform: options.platform || undefined,
  };
  const server = serverOfReference(image);
  const auth = await registryAuthOf(context, server);
  await withLogin(context, "pull", server, auth, (registryAuth) =>
    showProgress(createImage(context.client, query, { registryAuth }), sink),
  );
}
