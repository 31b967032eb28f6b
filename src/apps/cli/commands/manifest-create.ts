// `gantry manifest create`: begins a manifest list from images in registries. Source: the docker CLI 28.

import { CliError, type Command } from "../command.ts";
import { escapeControls } from "../escape.ts";
import type { ImageManifest } from "../manifest/documents.ts";
import { parseManifestReference, RegistryAccess } from "../manifest/registry-access.ts";
import { ManifestStore } from "../manifest/store.ts";

export const command: Command = {
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  flags: [
    { name: "amend", short: "a", kind: "bool", usage: "Add to a list that is there already" },
    { name: "insecure", kind: "bool", usage: "Allow a registry without valid TLS" },
  ],
  args: { min: 2, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const [list = "", ...names] = flags.positional;
    const store = new ManifestStore(context.configDir);
    const target = parseManifestReference(list).whole;
    if (store.list(target) !== undefined && !flags.bool("amend"))
      throw new CliError("refusing to amend an existing manifest list with no --amend flag");
    const references = names.map((name) => ({ name, ...parseManifestReference(name) }));
    const insecure = flags.bool("insecure") ? references.map(({ named }) => named.domain) : [];
    using registry = new RegistryAccess(context, insecure);
    const images: (readonly [string, ImageManifest])[] = [];
    for (const { name, whole } of references) {
      if (store.has(target, whole)) continue;
      const found = await registry.get(name);
      if (found.kind === "list") throw new CliError(`${whole} is a manifest list`);
      images.push([whole, found.image]);
    }
    for (const [whole, image] of images) store.save(target, whole, image);
    await context.out(escapeControls(`Created manifest list ${target}\n`));
    return 0;
  },
};
