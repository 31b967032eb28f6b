// `gantry manifest inspect`: a list that is being put together, or what a registry has. Source: the docker CLI 28.

import type { Command } from "../command.ts";
import { renderGoJson, renderList, renderRemoteList, type ImageManifest } from "../manifest/documents.ts";
import { parseManifestReference, RegistryAccess } from "../manifest/registry-access.ts";
import { ManifestStore } from "../manifest/store.ts";

function renderImage(image: ImageManifest, verbose: boolean): string {
  return renderGoJson(verbose ? image : (image.OCIManifest ?? image.SchemaV2Manifest), "\t");
}

export const command: Command = {
  usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
  flags: [
    { name: "insecure", kind: "bool", usage: "Allow a registry without valid TLS" },
    { name: "verbose", short: "v", kind: "bool", usage: "Show the platform, and all images of a list" },
  ],
  args: { min: 1, max: 2 },
  async run(context, flags) {
    const [first = "", second] = flags.positional;
    const verbose = flags.bool("verbose");
    const store = new ManifestStore(context.configDir);
    const name = second ?? first;
    const { named, whole } = parseManifestReference(name);
    const show = (text: string): Promise<void> => context.out(`${text}\n`);
    if (second !== undefined) {
      await show(renderImage(store.get(parseManifestReference(first).whole, whole), verbose));
      return 0;
    }
    const kept = store.list(whole);
    if (kept !== undefined) {
      await show(verbose ? renderGoJson(kept, "\t") : renderList(kept).text);
      return 0;
    }
    using registry = new RegistryAccess(context, flags.bool("insecure") ? [named.domain] : []);
    const found = await registry.get(name);
    if (found.kind === "image") await show(renderImage(found.image, verbose));
    else if (!verbose) await show(renderRemoteList(found.bytes, found.mediaType));
    else await show(renderGoJson(await registry.imagesOf(name, found.bytes), "\t"));
    return 0;
  },
};
