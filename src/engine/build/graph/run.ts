// RUN: the process, its environment, mounts, and what history says of it.

import type { Digest } from "../../../base/digest.ts";
import type { CommandLine, RunInstruction } from "../dockerfile/index.ts";
import { commandWords, type LanguageFacts, shellOf } from "./config-instructions.ts";
import { type CopySource, upperFirst } from "./copy.ts";
import type { Emitter } from "./emitter.ts";
import { proxyNames } from "./global-args.ts";
import type { ExecOp } from "./index.ts";
import { showCommand } from "./raw-expand.ts";
import { lowerMounts } from "./run-mounts.ts";
import type { StageState } from "./stage-state.ts";

interface Process {
  readonly args: readonly string[];
  readonly scripts: ExecOp["scripts"];
  /** " (first line...)" of a body that is the whole command. */
  readonly summary: string;
}

/** `<<EOF` and nothing else. */
const onlyHeredoc = /^\d*<<-?(?:"[^"<]+"|'[^'<]+'|[^\s<"']+)$/;

function summaryOf(content: string): string {
  const lines = content.trim().split(/\r?\n/);
  return ` (${lines[0] ?? ""}${lines.length > 1 ? "..." : ""})`;
}

/** What is run. A body with `#!` is a script; another body is what the shell is given; else the shell reads the heredocs itself. */
function processOf(state: StageState, command: CommandLine): Process {
  const [first] = command.heredocs;
  const line = command.words[0] ?? "";
  if (command.form === "exec" || first === undefined)
    return { args: commandWords(state, command), scripts: [], summary: "" };
  if (command.heredocs.length === 1 && onlyHeredoc.test(line.trim())) {
    const { content, name } = first;
    const summary = summaryOf(content);
    if (!content.startsWith("#!")) return { args: [...shellOf(state), content], scripts: [], summary };
    const path = `/dev/pipes/${name}`;
    return { args: [...shellOf(state), path], scripts: [{ path, content }], summary };
  }
  const bodies = command.heredocs.map(({ content, name }) => `\n${content}${name}`).join("");
  return { args: [...shellOf(state), line + bodies], scripts: [], summary: "" };
}

/** Proxies of the build arguments, under both spellings. */
function proxiesOf(buildArgs: ReadonlyMap<string, string>): readonly (readonly [string, string])[] {
  const found = new Map<string, string>();
  for (const [name, value] of [...buildArgs].sort(([a], [b]) => (a < b ? -1 : 1)))
    if (proxyNames.includes(name.toLowerCase())) found.set(name.toLowerCase(), value);
  return [...found].flatMap(([name, value]) => [[name.toUpperCase(), value] as const, [name, value] as const]);
}

/** "|1 V=1 /bin/sh -c make": arguments in front, with the values that they have by now. */
function historyLine(state: StageState, args: readonly string[]): string {
  const values = new Map<string, string>();
  for (const { key, value } of state.buildArgs) values.set(key, state.lookup(key) ?? value ?? "");
  const prefix = values.size === 0 ? [] : [`|${values.size}`, ...[...values].map(([key, value]) => `${key}=${value}`)];
  return [...prefix, ...args].join(" ");
}

/** @throws InvalidParameter a mount that cannot be */
export function lowerRun(
  state: StageState,
  instruction: RunInstruction,
  sourceOf: (mount: number) => CopySource,
  emitter: Emitter,
  facts: LanguageFacts,
  step: { readonly isOnBuild: boolean; readonly withPlatform: boolean },
): Digest {
  const { options } = emitter;
  const { args, scripts, summary } = processOf(state, instruction.command);
  const root = state.result ?? emitter.emptyTree();
  const { mounts, inputs } = lowerMounts(state, instruction, sourceOf, 1, emitter, facts);
  const env = new Map(state.env);
  const agent = mounts.find(({ type }) => type === "ssh");
  if (agent?.type === "ssh" && !env.has("SSH_AUTH_SOCK")) env.set("SSH_AUTH_SOCK", agent.target);
  const proxies = proxiesOf(options.buildArgs).filter(([name]) => !env.has(name));
  const network = instruction.network === "default" ? options.networkMode : instruction.network;
  const op: ExecOp = {
    kind: "exec",
    args,
    env: [...env, ...proxies].map(([name, value]) => `${name}=${value}`),
    ignoredEnv: proxies.map(([name]) => name),
    user: state.config.User ?? "",
    workingDirectory: state.workdir,
    hostname: options.hostname,
    network: network === "sandbox" ? "default" : network,
    security: instruction.security,
    mounts,
    scripts,
    platform: state.platform,
    limits: options.limits,
  };
  const secrets = new Set(
    mounts.flatMap((mount) => (mount.type === "secret" && mount.env !== undefined ? [mount.env] : [])),
  );
  const shown = showCommand(
    instruction.original + summary,
    (name) => (secrets.has(name) ? "****" : state.lookup(name)),
    facts.escape,
  );
  const name = state.prefix(upperFirst(shown), step.withPlatform, step.isOnBuild);
  const result = emitter.add(op, [root, ...inputs], name, [instruction.range], state.node.ignoreCache);
  const line = historyLine(state, args);
  state.result = result;
  state.directory = undefined;
  state.commit(`RUN ${line} # buildkit`, result);
  return result;
}
