// argv → command → exit code. Parsing errors exit 125 as docker's do; a wrong number of arguments exits 1.

import { FlagError, parseFlags, type Flags } from "../../base/flags.ts";
import { CliError, type Command, type CommandContext } from "./command.ts";
import { describeError } from "./errors.ts";
import { escapeControls } from "./escape.ts";
import { clientOf, globalFlags } from "./global-flags.ts";
import { commandGroups, findInGroup, topCommands, type CommandEntry, type CommandGroup } from "./registry.ts";

/** Where the program reads its environment and writes; tests hand over their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string | Buffer) => Promise<void>;
  readonly err: (text: string | Buffer) => void;
  readonly errDrained: (text: string | Buffer) => Promise<void>;
}

function write(stream: NodeJS.WriteStream, text: string | Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.write(text, (error) => (error ? reject(error) : resolve()));
  return promise;
}

const processSurroundings: Surroundings = {
  env: process.env,
  out: (text) => write(process.stdout, text),
  err: (text) => void process.stderr.write(text),
  errDrained: (text) => write(process.stderr, text),
};

/** The complaint about a number of arguments in docker's words, or undefined when it fits. */
export function argsComplaint(path: string, args: Command["args"], count: number): string | undefined {
  const { min, max } = args;
  if (count >= min && count <= max) return undefined;
  const plural = (n: number): string => `${n} argument${n === 1 ? "" : "s"}`;
  const quoted = `'${path}'`;
  if (max === 0) return `${quoted} accepts no arguments`;
  if (min === max) return `${quoted} requires ${plural(min)}`;
  if (max === Number.POSITIVE_INFINITY) return `${quoted} requires at least ${plural(min)}`;
  if (min === 0) return `${quoted} requires at most ${plural(max)}`;
  return `${quoted} requires at least ${min} and at most ${plural(max)}`;
}

function complainAboutFlags(surroundings: Surroundings, path: string, usage: string, error: FlagError): number {
  surroundings.err(
    `${escapeControls(error.message)}\n\nUsage:  ${path} ${usage}\n\nRun '${path} --help' for more information\n`,
  );
  return 125;
}

async function runCommand(
  surroundings: Surroundings,
  path: string,
  entry: CommandEntry,
  args: readonly string[],
  globals: Flags,
): Promise<number> {
  const { command } = await entry.load();
  let flags: Flags;
  try {
    flags = parseFlags(command.flags, args, { interspersed: command.interspersed ?? true });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return complainAboutFlags(surroundings, path, command.usage, error);
  }
  if (flags.help) {
    const { commandHelp } = await import("./help.ts");
    await surroundings.out(commandHelp(path, entry, command));
    return 0;
  }
  for (const warning of flags.warnings) surroundings.err(`${warning}\n`);
  const complaint = argsComplaint(path, command.args, flags.positional.length);
  if (complaint !== undefined) {
    const verb = command.args.max === Number.POSITIVE_INFINITY ? "See" : "Run";
    surroundings.err(
      `gantry: ${complaint}\n\nUsage:  ${path} ${command.usage}\n\n${verb} '${path} --help' for more information\n`,
    );
    return 1;
  }
  const context: CommandContext = {
    path,
    client: clientOf(globals, surroundings.env),
    env: surroundings.env,
    configDir: globals.string("config"),
    debug: globals.bool("debug"),
    out: surroundings.out,
    err: surroundings.err,
    errDrained: surroundings.errDrained,
  };
  return (await command.run(context, flags)) ?? 0;
}

async function dispatch(surroundings: Surroundings, argv: readonly string[]): Promise<number> {
  const specs = globalFlags(surroundings.env);
  let globals: Flags;
  try {
    globals = parseFlags(specs, argv, { interspersed: false });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return complainAboutFlags(surroundings, "gantry", "[OPTIONS] COMMAND [ARG...]", error);
  }
  if (globals.bool("version")) {
    const { clientCommit, clientVersion } = await import("./client-version.ts");
    await surroundings.out(`Gantry version ${clientVersion}, build ${clientCommit}\n`);
    return 0;
  }
  const [first, second, ...rest] = globals.positional;
  const isHelp = first === "help" || globals.help;
  const name = first === "help" ? second : first;
  if (name === undefined || (globals.help && first === undefined)) {
    const { rootHelp } = await import("./help.ts");
    await surroundings.out(rootHelp(specs));
    return 0;
  }
  const helpArgs = isHelp ? ["--help"] : [];
  const top = topCommands.get(name);
  if (top !== undefined)
    return runCommand(surroundings, `gantry ${name}`, top, isHelp ? helpArgs : globals.positional.slice(1), globals);
  const group = commandGroups.get(name);
  if (group === undefined) {
    surroundings.err(
      `gantry: unknown command: gantry ${escapeControls(name)}\n\nRun 'gantry --help' for more information\n`,
    );
    return 1;
  }
  const words = first === "help" ? rest : globals.positional.slice(1);
  return dispatchGroup(surroundings, name, group, words, { isHelp, globals });
}

/** @param name the words that lead to the group: "volume", "volume snapshot" */
async function dispatchGroup(
  surroundings: Surroundings,
  name: string,
  group: CommandGroup,
  words: readonly string[],
  outer: { readonly isHelp: boolean; readonly globals: Flags },
): Promise<number> {
  const [sub, ...rest] = words;
  const path = `gantry ${name}`;
  if (sub === undefined || sub === "--help" || sub === "-h") {
    const { groupHelp } = await import("./help.ts");
    if (sub === undefined && !outer.isHelp) surroundings.err(groupHelp(name, group));
    else await surroundings.out(groupHelp(name, group));
    return 0;
  }
  if (sub.startsWith("-"))
    return complainAboutFlags(
      surroundings,
      path,
      "COMMAND",
      new FlagError(
        sub.startsWith("--") ? `unknown flag: ${sub}` : `unknown shorthand flag: '${sub.charAt(1)}' in ${sub}`,
      ),
    );
  const inner = group.groups?.get(sub);
  if (inner !== undefined) return dispatchGroup(surroundings, `${name} ${sub}`, inner, rest, outer);
  const found = findInGroup(name, group, sub);
  if (found === undefined) {
    surroundings.err(
      `gantry: unknown command: ${path} ${escapeControls(sub)}\n\nUsage:  ${path}\n\nRun '${path} --help' for more information\n`,
    );
    return 1;
  }
  return runCommand(surroundings, `${path} ${sub}`, found, outer.isHelp ? ["--help"] : rest, outer.globals);
}

function reportFailure(surroundings: Surroundings, error: unknown, path: string): number {
  if (error instanceof CliError) {
    if (error.message !== "") {
      const prefix = error.hint ? "gantry: " : "";
      const hint = error.hint ? `\n\nRun '${path} --help' for more information` : "";
      surroundings.err(`${prefix}${escapeControls(error.message)}${hint}\n`);
    }
    return error.exitCode;
  }
  surroundings.err(`${escapeControls(describeError(error))}\n`);
  return 1;
}

/** How the command was called, for hints: the leading words that name commands. */
function pathOf(argv: readonly string[]): string {
  const words = argv.filter((word) => !word.startsWith("-"));
  const at = words.findIndex((word) => topCommands.has(word) || commandGroups.has(word));
  const path = ["gantry"];
  let groups: ReadonlyMap<string, CommandGroup> | undefined = commandGroups;
  for (const word of at < 0 ? [] : words.slice(at)) {
    path.push(word);
    const group: CommandGroup | undefined = groups?.get(word);
    if (group === undefined) break;
    groups = group.groups;
  }
  return path.join(" ");
}

/** Runs the program; resolves with its exit code. Nothing is thrown. */
export async function main(argv: readonly string[], surroundings: Surroundings = processSurroundings): Promise<number> {
  try {
    return await dispatch(surroundings, argv);
  } catch (error) {
    const code = reportFailure(surroundings, error, pathOf(argv));
    if (argv.includes("-D") || argv.includes("--debug"))
      surroundings.err(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return code;
  }
}
