// Looks at base images before a build is planned. An image that is missing, or asked for anew, is pulled whole: with its layers.

import { EngineError, type ErrorKind, isEngineError, messageOf } from "../../../base/errors.ts";
import { type Named, parseNamed, renderReference, withDefaultTag } from "../../../base/reference.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { hostArchitecture, matchesPlatform, parsePlatform, renderPlatform } from "../../../spec/oci/platform.ts";
import type { Images } from "../../images/index.ts";
import type { KnownImage } from "../graph/index.ts";
import type { ImageResolver } from "../index.ts";
import type { VertexReporter } from "../progress.ts";
import { layoutStore, resolveLayoutImage } from "./oci-layout.ts";

/** What Docker Hub is called where credentials are kept. */
const hubHost = "https://index.docker.io/v1/";

export function createImageResolver({ images }: { readonly images: Images }): ImageResolver {
  return {
    async resolve(reference, platform, options, signal) {
      if (options.storeId !== undefined) {
        const store = options.client.contentStore(layoutStore(options.storeId));
        return resolveLayoutImage(images, store, reference, platform, signal);
      }
      const named = withDefaultTag(parseNamed(reference));
      const canonical = renderReference(named);
      if (options.mode === "missing") {
        const known = await localImage(images, canonical, platform);
        if (known !== undefined) return known;
      }
      const host = named.domain === "docker.io" ? hubHost : named.domain;
      const credentials = await options.client.credentials(host, signal);
      // A tag goes on to mean what runs here.
      const isNamed = matchesPlatform(platform, parsePlatform(`linux/${hostArchitecture()}`));
      const request = { image: canonical, tag: "", platform: renderPlatform(platform), credentials, isNamed };
      try {
        const tell = (message: unknown): void => tellPull(options.report, message);
        const { id, config } = await images.pullOne(request, tell, signal);
        return { reference: canonical, imageId: id, config };
      } catch (error) {
        throw explain(named, canonical, error);
      }
    },
  };
}

async function localImage(images: Images, reference: string, platform: Platform): Promise<KnownImage | undefined> {
  try {
    const { id, config } = await images.resolve(reference, renderPlatform(platform));
    return { reference, imageId: id, config };
  } catch (error) {
    if (isEngineError(error, "NotFound")) return undefined;
    throw error;
  }
}

function tellPull(report: VertexReporter, message: unknown): void {
  const { id, status, progressDetail } = message as {
    readonly id?: string;
    readonly status?: string;
    readonly progressDetail?: { readonly current?: number; readonly total?: number };
  };
  if (id === undefined || status === undefined || status.startsWith("Pulling from")) return;
  const done = status === "Pull complete" || status === "Already exists";
  report.status(id, progressDetail?.current ?? 0, progressDetail?.total ?? 0, done);
}

function explain(named: Named, canonical: string, error: unknown): unknown {
  if (!isEngineError(error) || error.kind === "Cancelled") return error;
  const text = messageOf(error);
  const said = (kind: ErrorKind, message: string): EngineError => new EngineError(kind, message, { cause: error });
  if (/denied|unauthorized|authentication required|no basic auth credentials/i.test(text)) {
    const reason = text.replace(/^Get "[^"]*": /, "");
    return said(
      "Forbidden",
      `pull access denied, repository does not exist or may require authorization: authorization failed: ${reason}`,
    );
  }
  if (text.includes("no matching manifest")) return said("NotFound", "no match for platform in manifest: not found");
  if (error.kind === "NotFound") return said("NotFound", `${canonical}: not found`);
  if (text.startsWith('Get "')) return said(error.kind, `failed to do request: ${text}`);
  return text.includes(named.path) ? error : said(error.kind, `${canonical}: ${text}`);
}
