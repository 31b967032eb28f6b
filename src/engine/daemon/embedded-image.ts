// Loads the image that Gantry brings at the first start of a data root, so that a first container needs no registry.

import { existsSync } from "node:fs";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Images } from "../images/index.ts";

/**
 * Never throws: an engine without its first image still works, and the log says why.
 *
 * @param path archive; "" for none
 */
export async function loadEmbeddedImage(path: string, images: Images, logger: Logger): Promise<void> {
  if (path === "" || !existsSync(path)) return;
  try {
    if (await images.loadEmbedded(path, new AbortController().signal))
      logger.info("embedded image is loaded", { path });
  } catch (error) {
    logger.warn("the embedded image could not be loaded", { path, error: messageOf(error) });
  }
}
