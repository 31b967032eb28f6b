// `gantry push`. Source: the docker CLI 28.

import { pushImage } from "../../../client/images.ts";
import { registryAuthOf, serverOfReference } from "../auth/credentials.ts";
import { withLogin } from "../auth/login-retry.ts";
import { CliError, type Command } from "../command.ts";
import { renderNote } from "../note.ts";
import { parsePlatform, renderPlatformJson } from "../platform.ts";
import { showProgress, silentSink, streamSink } from "../progress.ts";
import { parseReference } from "../reference.ts";

const platformNote = `Using --platform pushes only the specified platform manifest of a multi-platform image index.
Other components, like attestations, will not be included.
To push the complete multi-platform image, remove the --platform flag.
`;

/** What the daemon says when it pushed less than the whole index. */
function noteOf(aux: unknown): string | undefined {
  if (typeof aux !== "object" || aux === null || !("manifestPushedInsteadOfIndex" in aux)) return undefined;
  if (aux.manifestPushedInsteadOfIndex !== true) return undefined;
  const { selectedManifest } = aux as { selectedManifest?: { digest?: string; platform?: Record<string, string> } };
  const { os = "", architecture = "", variant = "" } = selectedManifest?.platform ?? {};
  const platform = [os, architecture, variant].filter((part) => part !== "").join("/");
  return `Not all multiplatform-content is present and only the available single-platform image was pushed\n${
    selectedManifest?.digest ?? ""
  } ${platform}`.trimEnd();
}

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  flags: [
    { name: "all-tags", short: "a", kind: "bool", usage: "Push all tags of the repository" },
    { name: "disable-content-trust", kind: "bool", default: "true", usage: "Skip image signing", hidden: true },
    {
      name: "platform",
      kind: "string",
      usage: "Push only this platform's manifest, os[/arch[/variant]], not the index with the others",
    },
    { name: "quiet", short: "q", kind: "bool", usage: "Show no progress" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    const { env } = context;
    const quiet = flags.bool("quiet");
    if (!flags.bool("disable-content-trust")) throw new CliError("content trust is not supported");
    let platform: string | undefined;
    if (flags.string("platform") !== "") {
      try {
        platform = renderPlatformJson(parsePlatform(flags.string("platform")));
      } catch (error) {
        throw new CliError(`Invalid platform ${flags.string("platform")}: ${(error as Error).message}`);
      }
      await context.out(renderNote(platformNote, process.stdout.isTTY, env));
    }
    const { repository, familiarName, tag, digest } = parseReference(name);
    const isBare = tag === "" && digest === "";
    const allTags = flags.bool("all-tags");
    if (allTags && !isBare) throw new CliError("tag can't be used with --all-tags/-a");
    if (digest !== "") throw new CliError("cannot push a digest reference");
    if (!allTags && isBare && !quiet) await context.out("Using default tag: latest\n");
    const server = serverOfReference(name);
    const query = { tag: allTags ? undefined : tag || "latest", platform };
    const notes: string[] = [];
    const sink = quiet ? silentSink : streamSink(process.stdout, context.out, env);
    await withLogin(context, "push", server, await registryAuthOf(context, server), (registryAuth) =>
      showProgress(pushImage(context.client, repository, query, registryAuth), sink, (aux) => {
        const note = noteOf(aux);
        if (note !== undefined) notes.push(note);
      }),
    );
    if (quiet) await context.out(`${familiarName}${allTags ? "" : `:${tag || "latest"}`}\n`);
    for (const note of notes) context.err(renderNote(note, process.stderr.isTTY, env));
    return 0;
  },
};
