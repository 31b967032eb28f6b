// One instruction: its text → its node. A table of keywords; everything that is wrong with one is reported with its line.

import { instructionError } from "./error.ts";
import { type FlagKinds, type Flags, parseFlags } from "./flags.ts";
import { trimSpace } from "./go.ts";
import { healthcheckFlags, parseHealthcheck } from "./healthcheck.ts";
import { parseHeredocOpener } from "./heredoc.ts";
import type {
  CommandLine,
  CopyInstruction,
  FromInstruction,
  Instruction,
  InstructionBase,
  KeyValue,
  OnbuildInstruction,
  RunInstruction,
} from "./index.ts";
import { cutKeyword, type LogicalLine } from "./lines.ts";
import { parseRunMount } from "./mount.ts";
import { quote } from "./go.ts";
import { withSuggestion } from "./suggest.ts";
import { cutFlags, parseJsonWords, parsePairs, splitBlanks, splitQuoted } from "./words.ts";

/** What a keyword's parser gets. */
interface Statement {
  readonly base: InstructionBase;
  /** Upper case. */
  readonly keyword: string;
  /** Behind the flags. */
  readonly rest: string;
  readonly flags: Flags;
  readonly heredocs: LogicalLine["heredocs"];
  readonly bodies: LogicalLine["bodies"];
  readonly escape: "\\" | "`";
  fail(message: string): never;
}

type Parser = (statement: Statement) => Instruction | FromInstruction;

const runFlags: FlagKinds = { mount: "texts", network: "text", security: "text", device: "texts" };
const copyFlags: FlagKinds = {
  chown: "text",
  from: "text",
  chmod: "text",
  link: "bool",
  parents: "bool",
  exclude: "texts",
};
const addFlags: FlagKinds = {
  chown: "text",
  chmod: "text",
  link: "bool",
  "keep-git-dir": "bool",
  checksum: "text",
  exclude: "texts",
  unpack: "bool",
};

const keywords: Readonly<Record<string, { readonly flags: FlagKinds; readonly parse: Parser }>> = {
  FROM: { flags: { platform: "text" }, parse: parseFrom },
  ARG: { flags: {}, parse: parseArg },
  ENV: { flags: {}, parse: (it) => ({ ...it.base, kind: "env", pairs: keyValues(it) }) },
  LABEL: { flags: {}, parse: (it) => ({ ...it.base, kind: "label", pairs: keyValues(it) }) },
  RUN: { flags: runFlags, parse: parseRun },
  COPY: { flags: copyFlags, parse: (it) => parseCopy(it, "copy") },
  ADD: { flags: addFlags, parse: (it) => parseCopy(it, "add") },
  CMD: { flags: {}, parse: (it) => ({ ...it.base, kind: "cmd", command: commandLine(it) }) },
  ENTRYPOINT: { flags: {}, parse: (it) => ({ ...it.base, kind: "entrypoint", command: commandLine(it) }) },
  SHELL: { flags: {}, parse: parseShell },
  EXPOSE: {
    flags: {},
    parse: (it) => ({ ...it.base, kind: "expose", words: atLeastOne(it, splitBlanks(it.rest)).toSorted() }),
  },
  VOLUME: { flags: {}, parse: parseVolume },
  USER: { flags: {}, parse: (it) => ({ ...it.base, kind: "user", word: exactlyOne(it) }) },
  WORKDIR: { flags: {}, parse: (it) => ({ ...it.base, kind: "workdir", word: exactlyOne(it) }) },
  STOPSIGNAL: { flags: {}, parse: (it) => ({ ...it.base, kind: "stopsignal", word: exactlyOne(it) }) },
  MAINTAINER: { flags: {}, parse: (it) => ({ ...it.base, kind: "maintainer", word: exactlyOne(it) }) },
  HEALTHCHECK: {
    flags: healthcheckFlags,
    parse: (it) => ({
      ...it.base,
      kind: "healthcheck",
      ...parseHealthcheck(it.rest, it.flags, (message) => it.fail(message)),
    }),
  },
  ONBUILD: { flags: {}, parse: parseOnbuild },
};

/** Whether the instruction of this text may have heredocs: RUN, COPY and ADD that are no JSON array, also behind ONBUILD. */
export function takesHeredocs(text: string): boolean {
  const { keyword, rest } = cutKeyword(text);
  const upper = keyword.toUpperCase();
  if (upper === "ONBUILD") return takesHeredocs(rest);
  return (upper === "RUN" || upper === "COPY" || upper === "ADD") && parseJsonWords(cutFlags(rest).rest) === undefined;
}

/** @throws DockerfileError whatever is wrong with it */
export function parseInstruction(line: LogicalLine, escape: "\\" | "`"): Instruction | FromInstruction {
  const base = { original: line.text, range: line.range, comments: line.comments };
  const fail: (message: string) => never = (message) => {
    throw instructionError(message, line.range);
  };
  const { keyword, rest: behind } = cutKeyword(line.text);
  const upper = keyword.toUpperCase();
  const found = Object.hasOwn(keywords, upper) ? keywords[upper] : undefined;
  if (found === undefined)
    fail(withSuggestion(`unknown instruction: ${keyword}`, keyword, Object.keys(keywords), true));
  const { flags: words, rest } = cutFlags(behind);
  const flags = parseFlags(words, found.flags, fail);
  return found.parse({
    base,
    keyword: upper,
    rest: trimSpace(rest),
    flags,
    heredocs: line.heredocs,
    bodies: line.bodies,
    escape,
    fail,
  });
}

const mixedArray = "when using JSON array syntax, arrays must be comprised of strings only";

function atLeastOne(it: Statement, words: readonly string[]): readonly string[] {
  return words.length > 0 ? words : it.fail(`${it.keyword} requires at least one argument`);
}

function exactlyOne(it: Statement): string {
  return it.rest === "" ? it.fail(`${it.keyword} requires exactly one argument`) : it.rest;
}

function keyValues(it: Statement): readonly KeyValue[] {
  atLeastOne(it, splitBlanks(it.rest));
  const pairs = parsePairs(it.keyword, it.rest, it.escape);
  if (typeof pairs === "string") it.fail(pairs);
  if (pairs.some((pair) => pair.key === "")) it.fail(`${it.keyword} names can not be blank`);
  return pairs;
}

function commandLine(it: Statement): CommandLine {
  const words = parseJsonWords(it.rest);
  if (words === "mixed") it.fail(mixedArray);
  if (words !== undefined) return { form: "exec", words, heredocs: [] };
  return { form: "shell", words: it.rest === "" ? [] : [it.rest], heredocs: it.heredocs };
}

function listOfWords(it: Statement): readonly string[] {
  const words = parseJsonWords(it.rest);
  return words === "mixed" ? it.fail(mixedArray) : (words ?? splitBlanks(it.rest));
}

function parseFrom(it: Statement): FromInstruction {
  const [baseName, as, name, ...more] = splitBlanks(it.rest);
  const named = as !== undefined;
  if (baseName === undefined || more.length > 0 || (named && (name === undefined || as.toLowerCase() !== "as")))
    it.fail("FROM requires either one or three arguments");
  const stageName = name?.toLowerCase();
  if (stageName !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(stageName))
    it.fail(`invalid name for build stage: ${quote(name ?? "")}, name can't start with a number or contain symbols`);
  return { ...it.base, kind: "from", baseName, stageName, platform: it.flags.text("platform") || undefined };
}

function parseArg(it: Statement): Instruction {
  const args = atLeastOne(it, splitQuoted(it.rest, it.escape)).map((word): KeyValue => {
    const cut = word.indexOf("=");
    if (cut === 0) it.fail("ARG names can not be blank");
    return cut < 0 ? { key: word, value: undefined } : { key: word.slice(0, cut), value: word.slice(cut + 1) };
  });
  return { ...it.base, kind: "arg", args };
}

function parseRun(it: Statement): RunInstruction {
  if (it.flags.texts("device").length > 0)
    it.fail("device feature is only supported in Dockerfile frontend 1.14.0-labs or later");
  const network = it.flags.text("network") ?? "default";
  if (network !== "default" && network !== "none" && network !== "host")
    it.fail(`invalid network mode ${quote(network)}`);
  const security = it.flags.text("security") ?? "sandbox";
  if (security !== "sandbox" && security !== "insecure") it.fail(`security ${quote(security)} is not valid`);
  const command = commandLine(it);
  if (command.form === "exec" && command.words.length === 0) it.fail("RUN requires at least one argument");
  const mounts = it.flags.texts("mount").map((mount) => parseRunMount(mount, undefined, (message) => it.fail(message)));
  return { ...it.base, kind: "run", command, mounts, network, security };
}

function parseCopy(it: Statement, kind: "copy" | "add"): CopyInstruction {
  const words = listOfWords(it);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2)
    it.fail(
      `${it.keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  const isJson = parseJsonWords(it.rest) !== undefined;
  if (!isJson && parseHeredocOpener(destination) !== undefined)
    it.fail(`${it.keyword} cannot accept a heredoc as a destination`);
  const sources = words.slice(0, -1).map((path): CopyInstruction["sources"][number] => {
    const opener = isJson ? undefined : parseHeredocOpener(path);
    if (opener === undefined) return { kind: "path", path };
    const heredoc = it.heredocs.findLast((found) => found.name === opener.name);
    return heredoc === undefined ? it.fail(`no body of heredoc ${quote(opener.name)}`) : { kind: "heredoc", heredoc };
  });
  const from = it.flags.text("from") || undefined;
  if (from !== undefined && /\$[\w{]/.test(from))
    it.fail(
      "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
    );
  return {
    ...it.base,
    kind,
    sources,
    destination,
    from,
    chown: it.flags.text("chown") || undefined,
    chmod: it.flags.text("chmod") || undefined,
    link: it.flags.bool("link") === true,
    parents: it.flags.bool("parents") === true,
    exclude: it.flags.texts("exclude"),
    keepGitDir: it.flags.bool("keep-git-dir"),
    checksum: it.flags.text("checksum") || undefined,
    unpack: it.flags.bool("unpack"),
  };
}

function parseShell(it: Statement): Instruction {
  const words = parseJsonWords(it.rest);
  if (words === "mixed") it.fail(mixedArray);
  if (it.rest === "" || words?.length === 0) it.fail("SHELL requires at least one argument");
  if (words === undefined) it.fail("SHELL requires the arguments to be in JSON form");
  return { ...it.base, kind: "shell", shell: words };
}

function parseVolume(it: Statement): Instruction {
  const words = atLeastOne(it, listOfWords(it)).map(trimSpace);
  if (words.includes("")) it.fail("VOLUME specified can not be an empty string");
  return { ...it.base, kind: "volume", words };
}

function parseOnbuild(it: Statement): OnbuildInstruction {
  atLeastOne(it, splitBlanks(it.rest));
  const keyword = cutKeyword(it.rest).keyword.toUpperCase();
  if (keyword === "ONBUILD") it.fail("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (keyword === "FROM" || keyword === "MAINTAINER") it.fail(`${keyword} isn't allowed as an ONBUILD trigger`);
  const bodies = it.heredocs.map(({ name }, index) => `\n${it.bodies[index] ?? ""}${name}`);
  return { ...it.base, kind: "onbuild", trigger: it.rest + bodies.join("") };
}
