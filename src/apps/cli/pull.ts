// Asks the daemon to pull an image and shows its progress. Source: the docker CLI 28; Engine API 1.51, ImageCreate.

import { createImage } from "../../client/images.ts";
import type { CommandContext } from "./command.ts";
import { showProgress } from "./progress.ts";
import { parseReference } from "./reference.ts";

/** @throws DaemonError the daemon cannot pull; CliError the pull failed on the way */
export async function pullImage(
  context: CommandContext,
  image: string,
  options: { readonly platform: string; readonly quiet: boolean; readonly allTags?: boolean },
  write: (text: string) => Promise<void> | void,
): Promise<void> {
  const { repository, tag, digest } = parseReference(image);
  const query = {
    fromImage: repository,
    tag: options.allTags === true ? undefined : digest || tag || "latest",
    platform: options.platform || undefined,
  };
  const lines = createImage(context.client, query, undefined);
  await showProgress(lines, options.quiet ? () => undefined : write, process.stderr.isTTY);
}
