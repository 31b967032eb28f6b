// A command line that is not finished → what its last word may become.

import { FlagError, parseFlags, type FlagSpec } from "../../../base/flags.ts";
import type { Client } from "../../../client/client.ts";
import type { CommandEntry, CommandGroup } from "../registry.ts";
import { commandGroups, findInGroup, topCommands } from "../registry.ts";
import { clientOf, globalFlags } from "../global-flags.ts";
import { argumentKinds, flagKinds, type WordKind } from "./kinds.ts";
import { type Candidate, containerNames, imageNames, networkNames, snapshotNames, volumeNames } from "./names.ts";

/** What a shell does with the candidates. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Whether local files and directories complete the word as well. */
  readonly files: "none" | "all" | "directories";
  /** Whether the word goes on after a candidate: no space behind it. */
  readonly goesOn: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

const nothing: Completion = { candidates: [], files: "none", goesOn: false };

function ofWords(words: readonly string[]): Completion {
  return { ...nothing, candidates: words.map((word) => ({ word, about: "" })) };
}

/** How far a command line has come. */
interface Scan {
  readonly positional: readonly string[];
  /** The words from the first positional on. */
  readonly rest: readonly string[];
  /** The flag whose value the next word is. */
  readonly waiting: FlagSpec | undefined;
  readonly flagsEnded: boolean;
}

function isAlone(spec: FlagSpec): boolean {
  return spec.alone !== undefined || spec.kind === "bool" || spec.kind === "count";
}

/** The flag that takes the next word as its value, if this one ends in such a flag. */
function flagInWant(specs: readonly FlagSpec[], word: string): FlagSpec | undefined {
  if (word.startsWith("--")) {
    const spec = word.includes("=") ? undefined : specs.find(({ name }) => `--${name}` === word);
    return spec === undefined || isAlone(spec) ? undefined : spec;
  }
  for (const [index, letter] of Array.from(word.slice(1)).entries()) {
    const spec = specs.find(({ short }) => short === letter);
    if (spec === undefined) return undefined;
    if (!isAlone(spec)) return index === word.length - 2 ? spec : undefined;
  }
  return undefined;
}

function scan(specs: readonly FlagSpec[], words: readonly string[], interspersed: boolean): Scan {
  const positional: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (word === "--") {
      const after = words.slice(index + 1);
      return { positional: [...positional, ...after], rest: after, waiting: undefined, flagsEnded: true };
    }
    if (!word.startsWith("-") || word === "-") {
      positional.push(word);
      if (interspersed) continue;
      const rest = words.slice(index);
      return { positional: rest, rest, waiting: undefined, flagsEnded: true };
    }
    const waiting = flagInWant(specs, word);
    if (waiting === undefined) continue;
    if (index === words.length - 1) return { positional, rest: [], waiting, flagsEnded: false };
    index += 1;
  }
  return { positional, rest: [], waiting: undefined, flagsEnded: false };
}

function flagsOf(specs: readonly FlagSpec[]): Completion {
  const shown = specs.filter(({ hidden, deprecated }) => hidden !== true && deprecated === undefined);
  const about = (usage: string): string => usage.split("\n")[0] ?? "";
  return {
    ...nothing,
    candidates: [
      ...shown.map(({ name, usage }) => ({ word: `--${name}`, about: about(usage) })),
      { word: "--help", about: "Show help" },
    ],
  };
}

function commandsOf(commands: Iterable<readonly [string, { readonly short: string; readonly hidden?: boolean }]>): {
  readonly candidates: readonly Candidate[];
} {
  const shown = [...commands].filter(([, { hidden }]) => hidden !== true);
  return { candidates: shown.map(([word, { short }]) => ({ word, about: short.split("\n")[0] ?? "" })) };
}

/** @throws what the daemon, or its absence, throws */
async function ofKind(kind: WordKind, client: Client, word: string, before: readonly string[]): Promise<Completion> {
  if (typeof kind !== "string") return ofWords(kind.oneOf);
  const named = async (names: Promise<readonly Candidate[]>): Promise<Completion> => ({
    ...nothing,
    candidates: (await names).filter((candidate) => !before.includes(candidate.word)),
  });
  switch (kind) {
    case "nothing":
      return nothing;
    case "file":
      return { ...nothing, files: "all" };
    case "directory":
      return { ...nothing, files: "directories" };
    case "image":
      return named(imageNames(client));
    case "network":
      return named(networkNames(client));
    case "volume":
      return named(volumeNames(client));
    case "snapshot":
      return named(snapshotNames(client, before[0] ?? ""));
    case "object":
      return named(
        Promise.all([
          containerNames(client, "container"),
          imageNames(client),
          networkNames(client),
          volumeNames(client),
        ]).then((lists) => lists.flat()),
      );
    case "copy":
    case "bind": {
      if (/[:/]/.test(word)) return { ...nothing, files: "all" };
      const names = kind === "copy" ? containerNames(client, "container") : volumeNames(client);
      const candidates = (await names).map(({ word: name, about }) => ({ word: `${name}:`, about }));
      return { candidates, files: "all", goesOn: true };
    }
    case "container":
    case "running":
    case "startable":
    case "paused":
      return named(containerNames(client, kind));
  }
}

function withPrefix({ candidates, ...rest }: Completion, prefix: string): Completion {
  return { ...rest, candidates: candidates.map(({ word, about }) => ({ word: `${prefix}${word}`, about })) };
}

async function ofCommand(
  entry: CommandEntry,
  words: readonly string[],
  last: string,
  client: Client,
): Promise<Completion> {
  const { command } = await entry.load();
  const { positional, waiting, flagsEnded } = scan(command.flags, words, command.interspersed ?? true);
  if (waiting !== undefined) return ofKind(flagKinds[waiting.name] ?? "nothing", client, last, positional);
  if (last.startsWith("-") && !flagsEnded) {
    const [, name = "", value] = /^--([^=]*)(?:=(.*))?$/s.exec(last) ?? [];
    if (value === undefined) return flagsOf(command.flags);
    return withPrefix(await ofKind(flagKinds[name] ?? "nothing", client, value, positional), `--${name}=`);
  }
  const kinds = argumentKinds[entry.aliases[0] ?? ""];
  if (kinds === undefined || positional.length >= command.args.max) return nothing;
  return ofKind(kinds.first[positional.length] ?? kinds.rest, client, last, positional);
}

async function ofGroup(
  name: string,
  group: CommandGroup,
  words: readonly string[],
  last: string,
  client: Client,
): Promise<Completion> {
  const [sub, ...rest] = words;
  if (sub === undefined) return { ...nothing, ...commandsOf([...group.commands, ...(group.groups ?? [])]) };
  const inner = group.groups?.get(sub);
  if (inner !== undefined) return ofGroup(`${name} ${sub}`, inner, rest, last, client);
  const entry = findInGroup(name, group, sub);
  return entry === undefined ? nothing : ofCommand(entry, rest, last, client);
}

async function ofLine(words: readonly string[], last: string, env: Env): Promise<Completion> {
  const specs = globalFlags(env);
  const { rest, waiting } = scan(specs, words, false);
  const globals = words.slice(0, words.length - rest.length);
  if (waiting !== undefined) globals.pop();
  const client = clientOf(parseFlags(specs, globals, { interspersed: false }), env);
  if (waiting !== undefined) return ofKind(flagKinds[waiting.name] ?? "nothing", client, last, []);
  const [name, ...more] = rest[0] === "help" ? rest.slice(1) : rest;
  if (name === undefined) {
    if (last.startsWith("-")) return flagsOf(specs);
    return { ...nothing, ...commandsOf([...topCommands, ...commandGroups]) };
  }
  const top = topCommands.get(name);
  if (top !== undefined) return ofCommand(top, more, last, client);
  const group = commandGroups.get(name);
  return group === undefined ? nothing : ofGroup(name, group, more, last, client);
}

/**
 * What the last word may become: what begins as it does.
 *
 * @param words after the program's name, the last one unfinished, "" for a new one
 * @throws what the daemon, or its absence, throws
 */
export async function completeLine(words: readonly string[], env: Env): Promise<Completion> {
  const last = words.at(-1) ?? "";
  let completion: Completion;
  try {
    completion = await ofLine(words.slice(0, -1), last, env);
  } catch (error) {
    if (error instanceof FlagError) return nothing;
    throw error;
  }
  const candidates = completion.candidates.filter(({ word }) => word.startsWith(last));
  return { ...completion, candidates: candidates.sort((a, b) => (a.word < b.word ? -1 : 1)) };
}
