// Pulls and gives back what clients are told.

import type { RegistryCredentials } from "../../src/engine/api/ports.ts";
import type { Images } from "../../src/engine/images/index.ts";

export interface PullOptions {
  readonly tag?: string;
  readonly platform?: string;
  readonly credentials?: RegistryCredentials;
  readonly signal?: AbortSignal;
}

/** "id: status" of every message without numbers, in order. @throws what the pull throws */
export async function pullLines(images: Images, image: string, options: PullOptions = {}): Promise<string[]> {
  const lines: string[] = [];
  const { tag = "", platform, credentials, signal = AbortSignal.timeout(120_000) } = options;
  for await (const message of images.pull({ image, tag, platform, credentials }, signal)) {
    const { id, status = "", progressDetail } = message;
    if (progressDetail?.total === undefined) lines.push(id === undefined ? status : `${id}: ${status}`);
  }
  return lines;
}
