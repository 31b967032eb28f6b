// `gantry manifest rm`: forgets manifest lists that were put together here. Source: the docker CLI 28.

import { JoinedError, type Command } from "../command.ts";
import { parseManifestReference } from "../manifest/registry-access.ts";
import { ManifestStore } from "../manifest/store.ts";

export const command: Command = {
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  flags: [],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const store = new ManifestStore(context.configDir);
    const failures: string[] = [];
    for (const name of flags.positional) {
      try {
        const { whole } = parseManifestReference(name);
        store.mustList(whole);
        store.remove(whole);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
    if (failures.length > 0) throw new JoinedError(failures);
    return 0;
  },
};
