// `gantry inspect`: containers, images, networks and volumes by name or id, in this order. Source: the docker CLI 28.

import { ConnectionError, DaemonError } from "../../../client/client.ts";
import { inspectContainerRaw } from "../../../client/containers.ts";
import { inspectImageRaw } from "../../../client/images.ts";
import { inspectNetworkRaw } from "../../../client/networks.ts";
import { inspectVolumeRaw } from "../../../client/volumes.ts";
import { CliError, type Command } from "../command.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { inspectObjects, type Inspected } from "../inspect.ts";

const otherKinds = ["config", "node", "plugin", "secret", "service", "task"];
const kinds = ["container", "image", "network", "volume"] as const;

export const command: Command = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  flags: [
    objectFormatFlag,
    { name: "size", short: "s", kind: "bool", usage: "Show sizes of files of containers" },
    { name: "type", kind: "string", usage: "Look for this kind of object only" },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const { client } = context;
    const type = flags.string("type");
    const all = [...kinds, ...otherKinds].sort();
    if (flags.isSet("type") && !all.includes(type)) {
      if (type === "")
        throw new CliError(`type is empty: must be one of ${all.map((kind) => JSON.stringify(kind)).join(", ")}`);
      throw new CliError(
        `unknown type: ${JSON.stringify(type)}: must be one of ${all.map((kind) => JSON.stringify(kind)).join(", ")}`,
      );
    }
    const fetchers: Readonly<Record<(typeof kinds)[number], (name: string) => Promise<Inspected>>> = {
      container: (name) => inspectContainerRaw(client, name, flags.bool("size")),
      image: (name) => inspectImageRaw(client, name),
      network: (name) => inspectNetworkRaw(client, name),
      volume: (name) => inspectVolumeRaw(client, name),
    };
    const wanted = type === "" ? kinds : kinds.filter((kind) => kind === type);
    await inspectObjects(context, flags.positional, flags.string("format"), async (name) => {
      for (const kind of wanted) {
        try {
          return await fetchers[kind](name);
        } catch (error) {
          if (error instanceof ConnectionError || !(error instanceof DaemonError)) throw error;
          if (error.status !== 404 && !/no such|not found/i.test(error.message)) throw error;
          if (type !== "") throw error;
        }
      }
      throw new CliError(`Error: No such ${type === "" ? "object" : type}: ${name}`);
    });
    return 0;
  },
};
