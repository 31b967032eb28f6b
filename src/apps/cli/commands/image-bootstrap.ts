// `gantry image bootstrap`: makes a base image of a Debian-like distribution from an APT mirror, without any registry. The same
// state of the mirror gives the same image id, on any machine with the same mmdebstrap.

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import type { Flags } from "../../../base/flags.ts";
import { loadImages } from "../../../client/images.ts";
import { readAptSources } from "../bootstrap/apt-sources.ts";
import {
  findDistribution,
  hostArchitecture,
  ociArchitectures,
  suiteOf,
  type Distribution,
} from "../bootstrap/distributions.ts";
import { planBootstrap, type BootstrapPlan, type BootstrapRequest } from "../bootstrap/plan.ts";
import { findReleases } from "../bootstrap/releases.ts";
import { archiveOf, makeLayer, renderConfig } from "../bootstrap/run.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { escapeControls } from "../escape.ts";
import { showProgress, silentSink, streamSink } from "../progress.ts";
import { withDefaultTag } from "../reference.ts";

const variants = ["minbase", "apt", "essential", "required", "buildd", "important", "standard"];

/** root where this is root; else user namespaces, which need a range of subordinate ids. */
function modeOf(): "root" | "unshare" {
  if (process.getuid?.() === 0) return "root";
  const { username } = userInfo();
  const hasRange = ["/etc/subuid", "/etc/subgid"].every((path) => {
    try {
      return readFileSync(path, "utf8")
        .split("\n")
        .some((line) => line.startsWith(`${username}:`));
    } catch {
      return false;
    }
  });
  if (hasRange) return "unshare";
  throw new CliError(
    `making a root file system needs root, or subordinate ids for user ${username}: run as root, or add them with ` +
      "usermod --add-subuids 100000-165535 --add-subgids 100000-165535",
  );
}

function words(values: readonly string[]): readonly string[] {
  return values.flatMap((value) => value.split(/[\s,]+/)).filter((word) => word !== "");
}

function requestOf(flags: Flags): BootstrapRequest {
  const [text = ""] = flags.positional;
  const m = /^([a-z0-9-]+)(?::([A-Za-z0-9][A-Za-z0-9._-]*))?$/.exec(text);
  if (m === null) throw new CliError(`${JSON.stringify(text)} is no DISTRIBUTION:SUITE, such as debian:bookworm`);
  const distribution: Distribution | undefined = findDistribution(m[1] ?? "");
  if (distribution === undefined)
    throw new CliError(`unknown distribution ${JSON.stringify(m[1])}: debian and ubuntu can be made`);
  const variant = flags.string("variant");
  if (!variants.includes(variant))
    throw new CliError(`unknown variant ${JSON.stringify(variant)}: one of ${variants.join(", ")}`);
  const architecture = flags.string("architecture") || hostArchitecture();
  if (ociArchitectures[architecture] === undefined)
    throw new CliError(
      `unknown architecture ${JSON.stringify(architecture)}: one of ${Object.keys(ociArchitectures).join(", ")}`,
    );
  const include = words(flags.strings("include"));
  const bad = include.find((name) => !/^[a-z0-9?~][a-zA-Z0-9+.:=~?/*()!|_-]*$/.test(name));
  if (bad !== undefined) throw new CliError(`--include: ${JSON.stringify(bad)} is no name of a package`);
  return {
    distribution,
    suite: suiteOf(distribution, m[2] ?? ""),
    tag: withDefaultTag(flags.string("tag") || text),
    architecture,
    variant,
    include,
    keyring: flags.string("keyring"),
    isOwnMirror: flags.strings("mirror").length > 0,
    mode: modeOf(),
  };
}

async function makePlan(context: CommandContext, flags: Flags, directory: string): Promise<BootstrapPlan> {
  const request = requestOf(flags);
  const components = words(flags.strings("components"));
  const mirrors = flags.strings("mirror");
  for (const mirror of mirrors)
    if (!/^(?:https?|file|copy):\S+$/.test(mirror)) throw new CliError(`--mirror: ${JSON.stringify(mirror)} is no URL`);
  const releases = await findReleases(request.distribution, request.suite, {
    sources: mirrors.length > 0 ? [] : readAptSources("/etc/apt"),
    mirrors,
    components: components.length === 0 ? ["main"] : components,
    directory,
  });
  const given = context.env["SOURCE_DATE_EPOCH"] ?? "";
  if (given !== "" && !/^\d{1,12}$/.test(given)) throw new CliError("SOURCE_DATE_EPOCH is no number of seconds");
  return planBootstrap(request, releases, given === "" ? Math.max(...releases.map(({ date }) => date)) : Number(given));
}

function renderPlan(plan: BootstrapPlan): string {
  const { argv, config, env, tag } = plan;
  return `${JSON.stringify({ tag, env, argv, config }, undefined, 2)}\n`;
}

export const command: Command = {
  usage: "[OPTIONS] DISTRIBUTION[:SUITE]",
  flags: [
    { name: "architecture", kind: "string", usage: "Debian's name of the architecture (default: this machine's)" },
    { name: "components", kind: "strings", usage: "Components of the archive (default main)" },
    {
      name: "dry-run",
      kind: "bool",
      usage: "Print the plan as JSON: mmdebstrap's arguments, the image's configuration",
    },
    { name: "include", kind: "strings", usage: "Install these packages too" },
    { name: "keyring", kind: "string", usage: "File or directory with keys that sign the archive" },
    {
      name: "mirror",
      kind: "strings",
      usage: `Archive to install from, in place of this machine's APT sources. It stays in the image's own sources; otherwise these name the distribution's public archive. A second one with "security" in its URL is for security updates`,
    },
    { name: "quiet", short: "q", kind: "bool", usage: "Print the image's id only" },
    { name: "tag", short: "t", kind: "string", usage: "Name of the image (default: as the distribution was named)" },
    {
      name: "variant",
      kind: "string",
      default: "minbase",
      usage: `How much to install: ${variants.join(", ")}; never recommended packages`,
    },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const quiet = flags.bool("quiet");
    const directory = await mkdtemp(join(tmpdir(), "gantry-bootstrap-"));
    try {
      const plan = await makePlan(context, flags, directory);
      if (flags.bool("dry-run")) {
        await context.out(renderPlan(plan));
        return 0;
      }
      // A daemon that is not there is better known before the work than after it.
      await context.client.ping();
      const layer = await makeLayer(plan, directory, quiet ? undefined : (text) => context.err(text));
      const config = renderConfig(plan, layer);
      const lines = loadImages(context.client, archiveOf(plan, layer, config), {
        quiet: quiet || !process.stdout.isTTY,
        platform: undefined,
      });
      await showProgress(lines, quiet ? silentSink : streamSink(process.stdout, context.out, context.env));
      await context.out(escapeControls(`sha256:${createHash("sha256").update(config).digest("hex")}\n`));
      return 0;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
