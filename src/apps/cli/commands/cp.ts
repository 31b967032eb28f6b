// `gantry cp`: files out of a container, and into one. Source: the docker CLI 28.

import { readContainerArchive, statContainerPath, writeContainerArchive } from "../../../client/archive.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { packTree } from "../copy/pack.ts";
import {
  checkLocalDestination,
  type CopySide,
  findLocalDestination,
  findLocalSource,
  followLink,
  planCopy,
  rebase,
  resolveLocal,
  splitCopyArgument,
  splitEntry,
  withoutEnd,
} from "../copy/paths.ts";
import { CopyProgress } from "../copy/progress.ts";
import { unpackArchive } from "../copy/unpack.ts";
import { escapeControls } from "../escape.ts";

interface CopyOptions {
  readonly follow: boolean;
  readonly archive: boolean;
  readonly quiet: boolean;
}

async function copyFromContainer(
  context: CommandContext,
  container: string,
  typedSource: string,
  typedTarget: string,
  options: CopyOptions,
): Promise<void> {
  const { client } = context;
  const target = typedTarget === "-" ? "-" : resolveLocal(typedTarget);
  checkLocalDestination(target);
  let source = { path: typedSource, rebaseName: "" };
  if (options.follow) {
    const stat = await statContainerPath(client, container, typedSource);
    if (stat?.kind === "link") source = rebase(typedSource, followLink(typedSource, stat.linkTarget));
  }
  const { stat, tar } = await readContainerArchive(client, container, source.path);
  if (target === "-") {
    for await (const piece of tar) await context.out(piece);
    return;
  }
  const progress = new CopyProgress(context, options.quiet);
  progress.start("Copying from container - ");
  try {
    const side: CopySide = { ...source, exists: true, isDirectory: stat.kind === "directory" };
    const plan = planCopy(side, findLocalDestination(target));
    await unpackArchive(progress.count(tar), {
      ...plan,
      archiveName: splitEntry(source.path).name,
      keepOwners: options.archive && process.getuid?.() === 0,
      warn: (text) => context.err(escapeControls(text)),
    });
  } finally {
    await tar.return();
    progress.finish(target);
  }
}

/** Where a path in a container is, over one link. */
async function findTarget(context: CommandContext, container: string, typed: string): Promise<CopySide> {
  let path = typed;
  let stat = await statContainerPath(context.client, container, typed);
  if (stat?.kind === "link") {
    path = followLink(typed, stat.linkTarget);
    stat = await statContainerPath(context.client, container, path);
  }
  if (stat?.kind === "device" || stat?.kind === "other") {
    const reason = stat.kind === "device" ? "got a device" : "got an irregular file";
    throw new CliError(`destination "${container}:${typed}" must be a directory or a regular file: ${reason}`);
  }
  return { path, exists: stat !== undefined, isDirectory: stat?.kind === "directory", rebaseName: "" };
}

async function copyToContainer(
  context: CommandContext,
  container: string,
  typedSource: string,
  typedTarget: string,
  options: CopyOptions,
): Promise<void> {
  const target = await findTarget(context, container, typedTarget);
  const progress = new CopyProgress(context, options.quiet);
  let directory = target.path;
  let tar: AsyncIterable<Buffer>;
  if (typedSource === "-") {
    if (!target.isDirectory) throw new CliError(`destination "${container}:${typedTarget}" must be a directory`);
    tar = process.stdin as AsyncIterable<Buffer>;
  } else {
    const source = findLocalSource(resolveLocal(typedSource), options.follow);
    const plan = planCopy(source, target);
    directory = plan.directory;
    tar = progress.count(packTree(withoutEnd(source.path), plan.name));
  }
  progress.start("Copying to container - ");
  try {
    await writeContainerArchive(context.client, container, directory, tar, { ownByUser: options.archive });
  } finally {
    progress.finish(`${container}:${target.path}`);
  }
}

export const command: Command = {
  usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tgantry cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
  flags: [
    {
      name: "archive",
      short: "a",
      kind: "bool",
      usage:
        "Owners: those of the container's files here (as root), the container's user there; by default, yours here and the files' own there",
    },
    {
      name: "follow-link",
      short: "L",
      kind: "bool",
      usage: "Copy what SRC_PATH leads to, where it is a symbolic link",
    },
    {
      name: "quiet",
      short: "q",
      kind: "bool",
      usage: "Show no progress; without a terminal there is none anyway",
    },
  ],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [from = "", to = ""] = flags.positional;
    if (from === "") throw new CliError("source can not be empty");
    if (to === "") throw new CliError("destination can not be empty");
    const options: CopyOptions = {
      follow: flags.bool("follow-link"),
      archive: flags.bool("archive"),
      quiet: flags.isSet("quiet") ? flags.bool("quiet") : !process.stdout.isTTY,
    };
    const [source, target] = [splitCopyArgument(from), splitCopyArgument(to)];
    if (source.container !== "" && target.container !== "")
      throw new CliError("copying between containers is not supported");
    if (source.container === "" && target.container === "")
      throw new CliError("must specify at least one container source");
    if (source.container !== "") await copyFromContainer(context, source.container, source.path, target.path, options);
    else await copyToContainer(context, target.container, source.path, target.path, options);
    return 0;
  },
};
