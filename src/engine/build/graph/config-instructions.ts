// Instructions that change the image's configuration only: ENV, LABEL, EXPOSE, USER, VOLUME, CMD, ENTRYPOINT, SHELL, STOPSIGNAL,
// HEALTHCHECK, MAINTAINER, ONBUILD, ARG. Each is expanded with the variables as they are before it.

import type { CommandLine, Instruction, KeyValue } from "../dockerfile/index.ts";
import { DockerfileError, expandWord, expandWords } from "../dockerfile/index.ts";
import { parseExposed } from "./expose.ts";
import { goDuration, goList, goQuote, goQuoteList, goQuoteRune } from "./go-format.ts";
import type { StageState } from "./stage-state.ts";
import { isSignal } from "./signals.ts";

/** What the instructions of a build share. */
export interface LanguageFacts {
  readonly escape: "\\" | "`";
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globalArgs: ReadonlyMap<string, string>;
  /** Called with every name that was looked up without a value. */
  onUnset(name: string, instruction: Instruction, state: StageState): void;
  onArgument(name: string): void;
}

/** The words of a shell or exec form, with the stage's shell in front of a shell form. */
export function commandWords(state: StageState, command: CommandLine): readonly string[] {
  if (command.form === "exec") return command.words;
  return [...shellOf(state), command.words.join(" ")];
}

export function shellOf(state: StageState): readonly string[] {
  const { Shell } = state.config;
  return Shell !== undefined && Shell !== null && Shell.length > 0 ? Shell : ["/bin/sh", "-c"];
}

/** Of a union of instructions the one that can be of kind K. */
type OfKind<K, I = Instruction> = I extends Instruction ? (K extends I["kind"] ? I : never) : never;

type Handlers = {
  readonly [K in Instruction["kind"]]?: (state: StageState, instruction: OfKind<K>, facts: LanguageFacts) => void;
};

/** Expands one word with the stage's variables. */
export function expandIn(state: StageState, word: string, instruction: Instruction, facts: LanguageFacts): string {
  const { text, unset } = expandWord(word, state.lookup, facts.escape);
  for (const name of unset) facts.onUnset(name, instruction, state);
  return text;
}

function pairsOf(
  state: StageState,
  pairs: readonly KeyValue[],
  instruction: Instruction,
  facts: LanguageFacts,
): readonly (readonly [string, string])[] {
  return pairs.map(({ key, value }) => [
    expandIn(state, key, instruction, facts),
    expandIn(state, value ?? "", instruction, facts),
  ]);
}

function sortedRecord<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...new Map(entries)].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

const handlers: Handlers = {
  arg(state, instruction, facts) {
    const line: string[] = [];
    for (const { key, value } of instruction.args) {
      const given = facts.buildArgs.get(key);
      let result: string | undefined;
      if (given !== undefined) result = given;
      else if (value !== undefined) result = expandIn(state, value, instruction, facts);
      else result = facts.globalArgs.get(key);
      if (result !== undefined) state.setEnv(key, result);
      state.buildArgs.push({ key, value: result });
      facts.onArgument(key);
      line.push(result === undefined ? key : `${key}=${result}`);
    }
    state.commit(`ARG ${line.join(" ")}`, undefined);
  },
  env(state, instruction, facts) {
    const pairs = pairsOf(state, instruction.pairs, instruction, facts);
    const env = [...(state.config.Env ?? [])];
    for (const [key, value] of pairs) {
      if (key === "") throw new DockerfileError("ENV names can not be blank", [instruction.range]);
      const at = env.findIndex((pair) => pair.startsWith(`${key}=`));
      if (at === -1) env.push(`${key}=${value}`);
      else env[at] = `${key}=${value}`;
      state.setEnv(key, value);
    }
    state.config.Env = env;
    state.commit(`ENV ${pairs.map(([key, value]) => `${key}=${value}`).join(" ")}`, undefined);
  },
  label(state, instruction, facts) {
    const pairs = pairsOf(state, instruction.pairs, instruction, facts);
    for (const [key] of pairs)
      if (key === "") throw new DockerfileError("LABEL names can not be blank", [instruction.range]);
    state.config.Labels = sortedRecord([...Object.entries(state.config.Labels ?? {}), ...pairs]);
    state.commit(`LABEL ${pairs.map(([key, value]) => `${key}=${value}`).join(" ")}`, undefined);
  },
  expose(state, instruction, facts) {
    const words = instruction.words.flatMap((word) => {
      expandIn(state, word, instruction, facts);
      return expandWords(word, state.lookup, facts.escape);
    });
    const ports = parseExposed(words);
    const exposed = Object.entries(state.config.ExposedPorts ?? {});
    state.config.ExposedPorts = sortedRecord([...exposed, ...ports.map((port) => [port, {}] as const)]);
    state.commit(`EXPOSE ${goList(ports)}`, undefined);
  },
  user(state, instruction, facts) {
    state.config.User = expandIn(state, instruction.word, instruction, facts);
    state.commit(`USER ${state.config.User}`, undefined);
  },
  volume(state, instruction, facts) {
    const paths = instruction.words.map((word) => expandIn(state, word, instruction, facts));
    if (paths.includes(""))
      throw new DockerfileError("VOLUME specified can not be an empty string", [instruction.range]);
    const volumes = Object.entries(state.config.Volumes ?? {});
    state.config.Volumes = sortedRecord([...volumes, ...paths.map((path) => [path, {}] as const)]);
    state.commit(`VOLUME ${goList(paths)}`, undefined);
  },
  cmd(state, instruction) {
    const words = commandWords(state, instruction.command);
    state.config.Cmd = words;
    state.config.ArgsEscaped = true;
    state.cmdSet = true;
    state.commit(`CMD ${goQuoteList(words)}`, undefined);
  },
  entrypoint(state, instruction) {
    const words = commandWords(state, instruction.command);
    state.config.Entrypoint = words;
    if (!state.cmdSet) delete state.config.Cmd;
    state.commit(`ENTRYPOINT ${goQuoteList(words)}`, undefined);
  },
  shell(state, instruction) {
    state.config.Shell = instruction.shell;
    state.commit(`SHELL ${goList(instruction.shell)}`, undefined);
  },
  stopsignal(state, instruction, facts) {
    const signal = expandIn(state, instruction.word, instruction, facts);
    if (!isSignal(signal)) throw new DockerfileError(`invalid signal: ${signal}`, [instruction.range]);
    state.config.StopSignal = signal;
    state.commit(`STOPSIGNAL ${signal}`, undefined);
  },
  maintainer(state, instruction) {
    state.author = instruction.word;
    state.commit(`MAINTAINER ${instruction.word}`, undefined);
  },
  onbuild(state, instruction) {
    state.config.OnBuild = [...(state.config.OnBuild ?? []), instruction.trigger];
  },
  healthcheck(state, instruction) {
    const { test, interval, timeout, startPeriod, startInterval, retries } = instruction;
    state.config.Healthcheck = {
      Test: [...test],
      ...(interval === 0 ? {} : { Interval: interval }),
      ...(timeout === 0 ? {} : { Timeout: timeout }),
      ...(startPeriod === 0 ? {} : { StartPeriod: startPeriod }),
      ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
      ...(retries === 0 ? {} : { Retries: retries }),
    };
    const times = [interval, timeout, startPeriod, startInterval].map((ns) => goQuote(goDuration(ns))).join(" ");
    state.commit(`HEALTHCHECK &{${goQuoteList(test)} ${times} ${goQuoteRune(retries)}}`, undefined);
  },
};

/** @returns false for an instruction that works on the tree */
export function applyConfig(state: StageState, instruction: Instruction, facts: LanguageFacts): boolean {
  const handler = handlers[instruction.kind] as
    | ((state: StageState, instruction: Instruction, facts: LanguageFacts) => void)
    | undefined;
  if (handler === undefined) return false;
  handler(state, instruction, facts);
  return true;
}
