// gantryd's command line: help, version, --validate, or the daemon itself.

import { EngineError, messageOf } from "../../base/errors.ts";
import { FlagError, type Flags, parseFlags, renderFlagUsages } from "../../base/flags.ts";
import { readBuildInfo } from "./build-info.ts";
import { type DaemonConfig, resolveConfig } from "./config.ts";
import { runDaemon } from "./daemon.ts";
import { directives } from "./directives.ts";

const specs = directives.map(({ flag }) => flag);

function renderHelp(columns: number | undefined): string {
  return [
    "\nUsage:  gantryd [OPTIONS]\n",
    "The daemon of Gantry: runs containers and speaks the Docker Engine API.\n",
    "Options:",
    renderFlagUsages(specs, columns),
  ].join("\n");
}

function complain(message: string): number {
  process.stderr.write(`gantryd: ${message}\n`);
  return 1;
}

/** @returns the exit status: 0, 1 for what cannot be started, 125 for a wrong command line */
export async function main(args: readonly string[]): Promise<number> {
  let flags: Flags;
  try {
    flags = parseFlags(specs, args);
    if (flags.positional.length > 0) throw new FlagError('"gantryd" accepts no arguments.');
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\nSee 'gantryd --help'.\n`);
    return 125;
  }
  if (flags.help || flags.bool("help")) {
    process.stdout.write(renderHelp(process.stdout.columns));
    return 0;
  }
  const build = readBuildInfo();
  if (flags.bool("version")) {
    process.stdout.write(`Gantry version ${build.version}, build ${build.commit === "" ? "unknown" : build.commit}\n`);
    return 0;
  }
  for (const warning of flags.warnings) process.stderr.write(`${warning}\n`);
  let config: DaemonConfig;
  try {
    config = resolveConfig(flags);
  } catch (error) {
    return complain(messageOf(error));
  }
  if (flags.bool("validate")) {
    process.stderr.write("configuration OK\n");
    return 0;
  }
  try {
    return await runDaemon(flags, config, build);
  } catch (error) {
    if (!(error instanceof EngineError) && error instanceof Error) return complain(error.stack ?? error.message);
    return complain(messageOf(error));
  }
}
