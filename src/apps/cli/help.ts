// Usage texts in the shape of the docker CLI's: usage line, description, aliases, options or commands, a closing hint.

import { renderFlagUsages, type FlagSpec } from "../../base/flags.ts";
import type { Command } from "./command.ts";
import { commandGroups, commonCommands, topCommands, type CommandEntry, type CommandGroup } from "./registry.ts";

/** Docker wraps at the terminal's width, or at 80 columns without a terminal. */
function columns(): number {
  return process.stdout.columns ?? 80;
}

function commandLines(commands: Iterable<readonly [string, { readonly short: string }]>, width: number): string {
  return [...commands].map(([name, { short }]) => `  ${name.padEnd(width)} ${short.split("\n")[0]}\n`).join("");
}

function optionsSection(title: string, flags: readonly FlagSpec[]): string {
  if (flags.length === 0) return "";
  return `\n${title}:\n${renderFlagUsages(flags, columns())}`;
}

/** `gantry rm --help`. */
export function commandHelp(path: string, entry: CommandEntry, command: Command): string {
  const aliases =
    entry.aliases.length < 2 ? "" : `\nAliases:\n  ${entry.aliases.map((alias) => `gantry ${alias}`).join(", ")}\n`;
  const options = optionsSection("Options", command.flags);
  return `Usage:  ${path} ${command.usage}\n\n${entry.short}\n${aliases}${options}`;
}

/** Commands and groups of a group, by name. */
function inOrder(group: CommandGroup): readonly (readonly [string, { readonly short: string }])[] {
  return [...group.commands, ...(group.groups ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** `gantry container --help`. */
export function groupHelp(name: string, group: CommandGroup): string {
  return `Usage:  gantry ${name} COMMAND

${group.short}

Commands:
${commandLines(inOrder(group), 11)}
Run 'gantry ${name} COMMAND --help' for more information on a command.
`;
}

/** `gantry --help`. */
export function rootHelp(flags: readonly FlagSpec[]): string {
  const all = [...topCommands];
  return `Usage:  gantry [OPTIONS] COMMAND

Runs containers through the Docker Engine API

Common Commands:
${commandLines(all.slice(0, commonCommands), 11)}
Management Commands:
${commandLines(commandGroups, 11)}
Commands:
${commandLines(
  all.slice(commonCommands).filter(([, { hidden }]) => hidden !== true),
  11,
)}${optionsSection("Global Options", flags)}
Run 'gantry COMMAND --help' for more information on a command.
`;
}
