// What all pulls of an engine share.

import type { ImagesDeps } from "./images.ts";
import { Downloads } from "./pull-downloads.ts";
import { Slots } from "../../base/slots.ts";

/** So many layers are unpacked at once: each of them occupies a thread of Node's pool and a process. */
const maxUnpacks = 3;

/** One of these for each image room. */
export class PullShare {
  readonly downloads: Downloads;
  readonly unpacks = new Slots(() => maxUnpacks);

  constructor(deps: Pick<ImagesDeps, "content" | "transfers">) {
    this.downloads = new Downloads({
      content: deps.content,
      maxConcurrent: () => deps.transfers().maxConcurrentDownloads,
      maxAttempts: () => deps.transfers().maxDownloadAttempts,
      retryDelayScale: () => deps.transfers().retryDelayScale ?? 1,
    });
  }
}
