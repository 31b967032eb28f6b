// `gantry import`: a root file system in a tar archive (file, URL or stdin) becomes an image. Source: the docker CLI 28.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createImage } from "../../../client/images.ts";
import type { Command } from "../command.ts";
import { showProgress, streamSink } from "../progress.ts";
import { parseReference } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  flags: [
    { name: "change", short: "c", kind: "strings", usage: "Apply a Dockerfile instruction to the image" },
    { name: "message", short: "m", kind: "string", usage: "Message in the image's history" },
    { name: "platform", kind: "string", usage: "Platform of the image, os[/arch[/variant]]" },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const [source = "", reference] = flags.positional;
    if (reference !== undefined) parseReference(reference);
    const isUrl = /^https?:\/\//.test(source);
    if (!isUrl && source !== "-") await (await open(source)).close();
    const archive = isUrl ? undefined : source === "-" ? process.stdin : createReadStream(source);
    const query = {
      fromSrc: isUrl ? source : "-",
      repo: reference,
      message: flags.string("message") || undefined,
      changes: flags.strings("change").length === 0 ? undefined : flags.strings("change"),
      platform: flags.string("platform") || undefined,
    };
    const lines = createImage(context.client, query, { archive: archive as AsyncIterable<Buffer> | undefined });
    await showProgress(lines, streamSink(process.stdout, context.out, context.env));
    return 0;
  },
};
