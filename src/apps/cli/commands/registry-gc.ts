// `gantry registry gc`: collects the garbage of a registry's data directory, in the server that runs on it or without one.

import { parseGoDuration, renderHumanSize } from "../../../base/units.ts";
import { messageOf } from "../../../base/errors.ts";
import { collectRegistry } from "../../../registry/index.ts";
import type { Command } from "../command.ts";

function complaint(text: string): string | undefined {
  try {
    return parseGoDuration(text) < 0 ? "a duration must not be negative" : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    {
      name: "data",
      kind: "string",
      valueName: "directory",
      usage: "Directory of blobs and records",
      default: "/var/lib/gantry-registry",
    },
    {
      name: "gc-grace",
      kind: "string",
      valueName: "duration",
      usage: "How long a blob is kept that no manifest needs yet; a running server goes by its own",
      default: "24h",
      shownDefault: "24h",
      complain: complaint,
    },
    {
      name: "gc-untagged",
      kind: "bool",
      usage: "Collect manifests without a tag as well; a running server goes by its own",
    },
  ],
  args: { min: 0, max: 0 },
  async run({ out }, flags) {
    const graceMs = parseGoDuration(flags.string("gc-grace")) / 1e6;
    const collected = await collectRegistry(flags.string("data"), {
      graceMs,
      uploadExpiryMs: graceMs,
      untagged: flags.bool("gc-untagged"),
    });
    const { blobs, bytes, manifests, uploads } = collected;
    await out(
      `Deleted ${blobs} blobs, ${manifests} manifests, ${uploads} unfinished uploads\nTotal reclaimed space: ${renderHumanSize(bytes)}\n`,
    );
    return 0;
  },
};
