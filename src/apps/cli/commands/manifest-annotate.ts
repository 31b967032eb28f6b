// `gantry manifest annotate`: corrects the platform of an image in a manifest list. Source: the docker CLI 28.

import { CliError, type Command } from "../command.ts";
import { annotate } from "../manifest/documents.ts";
import { parseManifestReference } from "../manifest/registry-access.ts";
import { ManifestStore } from "../manifest/store.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
  flags: [
    { name: "arch", kind: "string", usage: "Architecture" },
    { name: "os", kind: "string", usage: "Operating system" },
    { name: "os-features", kind: "strings", valueName: "strings", usage: "Features of the operating system" },
    { name: "os-version", kind: "string", usage: "Version of the operating system" },
    { name: "variant", kind: "string", usage: "Variant of the architecture" },
  ],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [list = "", name = ""] = flags.positional;
    const store = new ManifestStore(context.configDir);
    const target = parseManifestReference(list).whole;
    const { whole } = parseManifestReference(name);
    if (!store.has(target, whole)) throw new CliError(`manifest for image ${name} does not exist in ${list}`);
    const changed = annotate(store.get(target, whole), {
      os: flags.string("os"),
      architecture: flags.string("arch"),
      variant: flags.string("variant"),
      osVersion: flags.string("os-version"),
      osFeatures: flags.strings("os-features").flatMap((text) => text.split(",")),
    });
    store.save(target, whole, changed);
    return 0;
  },
};
