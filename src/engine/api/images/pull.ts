// POST /images/create with fromImage: pull.

import { type Exchange } from "../exchange.ts";
import type { Engine } from "../ports.ts";
import { sendProgress } from "../progress.ts";
import { parseRegistryAuth } from "../registry-auth.ts";

/** Without a tag, and without one in fromImage, every tag of the repository is pulled. */
export async function pullImage(exchange: Exchange, engine: Engine): Promise<void> {
  const { query } = exchange;
  const platform = query.text("platform");
  const request = {
    image: query.text("fromImage"),
    tag: query.text("tag"),
    platform: platform === "" ? undefined : platform,
    credentials: parseRegistryAuth(exchange.request),
  };
  await sendProgress(exchange, engine.images.pull(request, exchange.signal));
}
