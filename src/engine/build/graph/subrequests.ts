// Questions about a Dockerfile instead of a build: its arguments, secrets and targets, what lint says; JSON as buildx reads it, and text as it
// prints it. Source: BuildKit's frontend.outline, frontend.targets, frontend.lint and frontend.subrequests.describe, version 1.0.0.

import {
  type Dockerfile,
  expandWord,
  type Instruction,
  type LintWarning,
  type Range,
  renderExcerpt,
} from "../dockerfile/index.ts";
import type { LowerOptions } from "./index.ts";
import { noLimits } from "./limits.ts";
import { baseName } from "./paths.ts";
import type { StageNode } from "./stage-node.ts";
import { planStages } from "./stages.ts";

/** Lines of something. */
export interface SubrequestLocation {
  readonly ranges: readonly { readonly start: { readonly line: number }; readonly end: { readonly line: number } }[];
}

export interface Outline {
  readonly name?: string;
  readonly description?: string;
  readonly args?: readonly {
    readonly name: string;
    readonly description?: string;
    readonly value?: string;
    readonly location: SubrequestLocation;
  }[];
  readonly secrets?: readonly OutlineNeed[];
  readonly ssh?: readonly OutlineNeed[];
  readonly sources: readonly string[];
}

/** A secret or an agent. */
export interface OutlineNeed {
  readonly name: string;
  readonly required?: boolean;
  readonly location: SubrequestLocation;
}

export interface TargetList {
  readonly targets: readonly {
    readonly name?: string;
    readonly default?: boolean;
    readonly description?: string;
    readonly base?: string;
    readonly platform?: string;
    readonly location: SubrequestLocation;
  }[];
  readonly sources: readonly string[];
}

export interface LintResult {
  readonly warnings?: readonly unknown[];
  readonly sources: readonly { readonly filename: string; readonly language: string; readonly data: string }[];
  readonly buildError?: { readonly message: string; readonly location: SubrequestLocation };
}

function locationOf(range: Range): SubrequestLocation {
  return { ranges: [{ start: { line: range.start.line }, end: { line: range.end.line } }] };
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** Of the comment lines above something the one that begins with its name. */
function descriptionOf(comments: readonly string[], name: string): string | undefined {
  for (const line of comments) {
    const [first, ...rest] = line.trim().split(/\s+/);
    if (name !== "" && first?.toLowerCase() === name.toLowerCase() && rest.length > 0) return rest.join(" ");
  }
  return undefined;
}

interface ArgumentFacts {
  readonly name: string;
  readonly value: string;
  readonly description: string | undefined;
  readonly range: Range;
  readonly uses: readonly string[];
}

/** ARGs of the file's head, by name. */
function globalFacts(dockerfile: Dockerfile, values: ReadonlyMap<string, string>): Map<string, ArgumentFacts> {
  const facts = new Map<string, ArgumentFacts>();
  const { escape } = dockerfile.directives;
  for (const { args, comments, range } of dockerfile.globalArgs) {
    for (const { key, value } of args)
      facts.set(key, {
        name: key,
        value: values.get(key) ?? "",
        description: descriptionOf(comments, key),
        range,
        uses: value === undefined ? [] : expandWord(value, (name) => values.get(name), escape).used,
      });
  }
  return facts;
}

interface StageFacts {
  readonly args: readonly ArgumentFacts[];
  readonly secrets: readonly OutlineNeed[];
  readonly ssh: readonly OutlineNeed[];
}

function stageFacts(
  node: StageNode,
  dockerfile: Dockerfile,
  global: ReadonlyMap<string, ArgumentFacts>,
  values: ReadonlyMap<string, string>,
  buildArgs: ReadonlyMap<string, string>,
): StageFacts {
  const { escape } = dockerfile.directives;
  const args = new Map<string, ArgumentFacts>();
  const env = new Map<string, string>();
  const secrets: OutlineNeed[] = [];
  const ssh: OutlineNeed[] = [];
  const useGlobal = (name: string): void => {
    const known = global.get(name);
    if (known === undefined || args.has(name)) return;
    args.set(name, known);
    for (const other of known.uses) useGlobal(other);
  };
  const from = node.index === undefined ? undefined : dockerfile.stages[node.index]?.from;
  for (const word of [from?.baseName, from?.platform])
    if (word !== undefined) for (const name of expandWord(word, (one) => values.get(one), escape).used) useGlobal(name);
  const take = (instruction: Instruction): void => {
    if (instruction.kind === "env")
      for (const { key, value } of instruction.pairs)
        env.set(key, expandWord(value ?? "", (name) => env.get(name), escape).text);
    if (instruction.kind === "arg") {
      for (const { key, value } of instruction.args) {
        const given = buildArgs.get(key);
        const own = value === undefined ? undefined : expandWord(value, (name) => env.get(name), escape).text;
        const result = given ?? own ?? values.get(key);
        if (result !== undefined) env.set(key, result);
        if (given === undefined && own === undefined && values.has(key)) useGlobal(key);
        else
          args.set(key, {
            name: key,
            value: result ?? "",
            description: descriptionOf(instruction.comments, key),
            range: instruction.range,
            uses: [],
          });
      }
    }
    if (instruction.kind !== "run") return;
    for (const mount of instruction.mounts) {
      const need = (name: string): OutlineNeed => ({
        name,
        ...(mount.required === true ? { required: true } : {}),
        location: locationOf(instruction.range),
      });
      if (mount.type === "secret") secrets.push(need(mount.source ?? mount.id ?? baseName(mount.target ?? "")));
      if (mount.type === "ssh") ssh.push(need(mount.id ?? "default"));
    }
  };
  for (const { instruction } of node.commands) take(instruction);
  return { args: [...args.values()], secrets, ssh };
}

/** Options of a question: it is about the text, whatever the platform. */
function questionOptions(target: string, buildArgs: ReadonlyMap<string, string>): LowerOptions {
  return {
    target,
    platforms: [],
    buildPlatform: { os: "linux", architecture: "amd64" },
    buildArgs,
    labels: {},
    noCache: false,
    networkMode: "default",
    hostname: "",
    limits: noLimits,
    contexts: new Map(),
    mainContext: { kind: "local", name: "context" },
    ignorePatterns: [],
    sourceDateEpoch: undefined,
    cacheMountNamespace: "",
  };
}

/** Answer of --call=outline: what the target takes. Values that base images set are not looked at. */
export function outlineOf(
  dockerfile: Dockerfile,
  target: string,
  buildArgs: ReadonlyMap<string, string>,
  options: LowerOptions = questionOptions(target, buildArgs),
): Outline {
  const platform = options.platforms[0] ?? options.buildPlatform;
  const plan = planStages(dockerfile, options, platform, new Map());
  const global = globalFacts(dockerfile, plan.globalArgs);
  const args = new Map<string, ArgumentFacts>();
  const secrets = new Map<string, OutlineNeed>();
  const ssh = new Map<string, OutlineNeed>();
  for (const node of plan.reachable) {
    const facts = stageFacts(node, dockerfile, global, plan.globalArgs, buildArgs);
    for (const one of facts.args) if (!args.has(one.name)) args.set(one.name, one);
    for (const one of facts.secrets) if (!secrets.has(one.name)) secrets.set(one.name, one);
    for (const one of facts.ssh) if (!ssh.has(one.name)) ssh.set(one.name, one);
  }
  const line = (need: OutlineNeed): number => need.location.ranges[0]?.start.line ?? 0;
  const sortedArgs = [...args.values()].sort((a, b) => a.range.start.line - b.range.start.line);
  const list = (needs: ReadonlyMap<string, OutlineNeed>): readonly OutlineNeed[] =>
    [...needs.values()].sort((a, b) => line(a) - line(b));
  const from = plan.target.index === undefined ? undefined : dockerfile.stages[plan.target.index]?.from;
  const stageName = from?.stageName ?? "";
  const description = from === undefined ? undefined : descriptionOf(from.comments, stageName);
  return {
    ...(stageName === "" ? {} : { name: stageName }),
    ...(description === undefined ? {} : { description }),
    ...(sortedArgs.length === 0
      ? {}
      : {
          args: sortedArgs.map(({ name, value, description, range }) => ({
            name,
            ...(description === undefined ? {} : { description }),
            ...(value === "" ? {} : { value }),
            location: locationOf(range),
          })),
        }),
    ...(secrets.size === 0 ? {} : { secrets: list(secrets) }),
    ...(ssh.size === 0 ? {} : { ssh: list(ssh) }),
    sources: [base64(dockerfile.source)],
  };
}

/** Answer of --call=targets. */
export function targetsOf(dockerfile: Dockerfile): TargetList {
  return {
    targets: dockerfile.stages.map(({ from, index }) => {
      const description = descriptionOf(from.comments, from.stageName ?? "");
      return {
        ...(from.stageName === undefined ? {} : { name: from.stageName }),
        ...(index === dockerfile.stages.length - 1 ? { default: true } : {}),
        ...(description === undefined ? {} : { description }),
        base: from.baseName,
        ...(from.platform === undefined ? {} : { platform: from.platform }),
        location: locationOf(from.range),
      };
    }),
    sources: [base64(dockerfile.source)],
  };
}

/** Columns as Go's tabwriter makes them: every cell but the last as wide as the widest, and `gap` more. */
function table(rows: readonly (readonly string[])[], gap: number): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + gap))).join("");
  return rows.map((row) => `${line(row)}\n`).join("");
}

export function renderOutline(outline: Outline): string {
  const needs = (title: string, list: readonly OutlineNeed[]): string =>
    `${table([[title, "REQUIRED"], ...list.map(({ name, required }) => [name, required === true ? "true" : ""])], 3)}\n`;
  const { name = "", description = "", args = [], secrets = [], ssh = [] } = outline;
  const argumentRows = args.map(({ name, value = "", description = "" }) => [name, value, description]);
  const title = [name, description].filter((part) => part !== "").join(" - ");
  return [
    title === "" ? "" : `TARGET: ${title}\n\n`,
    args.length === 0 ? "" : `${table([["BUILD ARG", "VALUE", "DESCRIPTION"], ...argumentRows], 3)}\n`,
    secrets.length === 0 ? "" : needs("SECRET", secrets),
    ssh.length === 0 ? "" : needs("SSH", ssh),
  ].join("");
}

export function renderTargets(list: TargetList): string {
  const rows = list.targets.map((target) => {
    const { name = "", description = "" } = target;
    const shown = target.default === true ? `${name} (default)`.trim() : name;
    return [shown, description];
  });
  return table([["TARGET", "DESCRIPTION"], ...rows], 1);
}

/** JSON and text of --check. */
export function renderLint(
  dockerfile: Pick<Dockerfile, "filename" | "source">,
  warnings: readonly LintWarning[],
  buildError?: { readonly message: string; readonly ranges: readonly Range[] },
): { readonly json: LintResult; readonly text: string } {
  const { filename, source } = dockerfile;
  const json: LintResult = {
    ...(warnings.length === 0
      ? {}
      : {
          warnings: warnings.map(({ rule, description, url, detail, range }) => ({
            ruleName: rule,
            description,
            url,
            detail,
            location: locationOf(range),
          })),
        }),
    sources: [{ filename, language: "Dockerfile", data: base64(source) }],
    ...(buildError === undefined
      ? {}
      : {
          buildError: {
            message: buildError.message,
            location: { ranges: buildError.ranges.flatMap((range) => locationOf(range).ranges) },
          },
        }),
  };
  const ordered = [...warnings].sort((a, b) => a.range.start.line - b.range.start.line);
  const text = ordered
    .map(
      ({ rule, url, detail, range }) =>
        `WARNING: ${rule}${url === "" ? "" : ` - ${url}`}\n${detail}\n${renderExcerpt(source, filename, [range])}\n`,
    )
    .join("");
  return { json, text };
}

/** What may be asked; the answer to `frontend.subrequests.describe`. */
export function describeSubrequests(): readonly unknown[] {
  const result = [{ name: "result.json" }, { name: "result.txt" }];
  const one = (name: string, description: string): unknown => ({
    name,
    version: "1.0.0",
    type: "rpc",
    description,
    metadata: result,
  });
  return [
    one("frontend.outline", "List all parameters current build target supports"),
    one("frontend.targets", "List all targets current build supports"),
    one("frontend.lint", "Lint source code"),
    one("frontend.subrequests.describe", "List available subrequest types"),
  ];
}
