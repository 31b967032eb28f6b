// `gantry commit`. Source: the docker CLI 28.

import { commitContainer } from "../../../client/images.ts";
import { CliError, type Command } from "../command.ts";
import { parseReference } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  flags: [
    { name: "author", short: "a", kind: "string", usage: "Author of the image, e.g. Ada <ada@example.org>" },
    { name: "change", short: "c", kind: "strings", usage: "Apply a Dockerfile instruction to the image" },
    { name: "message", short: "m", kind: "string", usage: "Message in the image's history" },
    { name: "pause", short: "p", kind: "bool", default: "true", usage: "Pause the container meanwhile" },
  ],
  args: { min: 1, max: 2 },
  async run(context, flags) {
    const [container = "", reference = ""] = flags.positional;
    const target = reference === "" ? { repository: "", tag: "", digest: "" } : parseReference(reference);
    if (target.digest !== "") throw new CliError("cannot commit to digest reference");
    const changes = flags.strings("change");
    const id = await commitContainer(context.client, {
      container,
      repo: target.repository,
      tag: reference === "" ? "" : target.tag || "latest",
      author: flags.string("author"),
      comment: flags.string("message"),
      changes: changes.length === 0 ? undefined : changes,
      pause: flags.bool("pause") ? undefined : 0,
    });
    await context.out(`${id}\n`);
    return 0;
  },
};
