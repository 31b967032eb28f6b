// The face of the Dockerfile language: text → AST with ranges, words expanded, rules of lint. Pure: nothing here reads a file,
// a clock or an environment. Source: Dockerfile reference 1.20.

import type { EngineError } from "../../../base/errors.ts";

/** Lines from 1, columns (UTF-16 units) from 0; `end` is behind the last character. */
export interface Range {
  readonly start: { readonly line: number; readonly column: number };
  readonly end: { readonly line: number; readonly column: number };
}

/** `<<EOF`, `<<-EOF`, `<<"EOF"`: the body as it will be used, tabs stripped where `<<-` asks for it. */
export interface Heredoc {
  readonly name: string;
  readonly content: string;
  /** False when the name was quoted. */
  readonly expand: boolean;
  /** `<<-`. */
  readonly chomp: boolean;
  /** The file descriptor in front of `<<`; 0 without. */
  readonly fd: number;
  readonly range: Range;
}

/** What every instruction has. */
export interface InstructionBase {
  /** The instruction as written, continuation lines joined, without comments: for history and progress. */
  readonly original: string;
  readonly range: Range;
  /** Comment lines directly above it, without "#". */
  readonly comments: readonly string[];
}

/** Shell or exec form. A shell form with heredocs has the lines of the instruction in `words[0]`, their bodies in `heredocs`. */
export interface CommandLine {
  readonly form: "shell" | "exec";
  readonly words: readonly string[];
  readonly heredocs: readonly Heredoc[];
}

export interface KeyValue {
  readonly key: string;
  /** Not expanded; undefined only for ARG without a default. Quotes still in it. */
  readonly value: string | undefined;
}

export interface FromInstruction extends InstructionBase {
  readonly kind: "from";
  /** Not expanded. */
  readonly baseName: string;
  /** Lower-cased; undefined without AS. */
  readonly stageName: string | undefined;
  /** --platform, not expanded. */
  readonly platform: string | undefined;
}

export interface ArgInstruction extends InstructionBase {
  readonly kind: "arg";
  readonly args: readonly KeyValue[];
}
export interface EnvInstruction extends InstructionBase {
  readonly kind: "env";
  readonly pairs: readonly KeyValue[];
}
export interface LabelInstruction extends InstructionBase {
  readonly kind: "label";
  readonly pairs: readonly KeyValue[];
}

/** RUN --mount, split into its options, not expanded; `type` is bind where it was not said. */
export interface RunMount {
  /** As written; `expandRunMount` makes of it a mount whose values are expanded and checked. */
  readonly raw: string;
  readonly type: "bind" | "cache" | "tmpfs" | "secret" | "ssh";
  readonly from: string | undefined;
  readonly source: string | undefined;
  readonly target: string | undefined;
  /** undefined: the type's own default. */
  readonly readonly: boolean | undefined;
  readonly id: string | undefined;
  readonly sharing: "shared" | "private" | "locked" | undefined;
  readonly required: boolean | undefined;
  /** Of a secret: environment variable that gets its value. */
  readonly env: string | undefined;
  /** tmpfs: as written, "64m". */
  readonly size: string | undefined;
  readonly mode: string | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
}

export interface RunInstruction extends InstructionBase {
  readonly kind: "run";
  readonly command: CommandLine;
  readonly mounts: readonly RunMount[];
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
}

/** COPY and ADD. */
export interface CopyInstruction extends InstructionBase {
  readonly kind: "copy" | "add";
  /** Paths, patterns, URLs or heredocs, in order; paths not expanded. */
  readonly sources: readonly (
    | { readonly kind: "path"; readonly path: string }
    | { readonly kind: "heredoc"; readonly heredoc: Heredoc }
  )[];
  readonly destination: string;
  readonly from: string | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  readonly keepGitDir: boolean | undefined;
  readonly checksum: string | undefined;
  /** ADD: undefined is the default (local archives are unpacked, downloads are not). */
  readonly unpack: boolean | undefined;
}

export interface CommandInstruction extends InstructionBase {
  readonly kind: "cmd" | "entrypoint";
  readonly command: CommandLine;
}
export interface ShellInstruction extends InstructionBase {
  readonly kind: "shell";
  readonly shell: readonly string[];
}
export interface WordsInstruction extends InstructionBase {
  readonly kind: "expose" | "volume";
  readonly words: readonly string[];
}
export interface WordInstruction extends InstructionBase {
  readonly kind: "user" | "workdir" | "stopsignal" | "maintainer";
  readonly word: string;
}
export interface HealthcheckInstruction extends InstructionBase {
  readonly kind: "healthcheck";
  /** ["NONE"], ["CMD", …], ["CMD-SHELL", text], as in the image's config. */
  readonly test: readonly string[];
  /** Nanoseconds; 0 where not said. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}
export interface OnbuildInstruction extends InstructionBase {
  readonly kind: "onbuild";
  /** The trigger's text, as the image's config has it. */
  readonly trigger: string;
}

/** What stands in a stage. */
export type Instruction =
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | RunInstruction
  | CopyInstruction
  | CommandInstruction
  | ShellInstruction
  | WordsInstruction
  | WordInstruction
  | HealthcheckInstruction
  | OnbuildInstruction;

export interface Stage {
  readonly from: FromInstruction;
  readonly index: number;
  readonly instructions: readonly Instruction[];
  readonly range: Range;
}

export interface Directives {
  /** `# syntax=`; undefined without. */
  readonly syntax: { readonly value: string; readonly range: Range } | undefined;
  readonly escape: "\\" | "`";
  /** `# check=skip=A,B;error=true`. */
  readonly check: {
    readonly skip: readonly string[];
    readonly error: boolean;
    readonly experimental: readonly string[];
  };
}

export interface Dockerfile {
  /** As shown in messages. */
  readonly filename: string;
  readonly source: string;
  readonly directives: Directives;
  /** ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  /** Found while parsing; the other rules are `lintDockerfile`'s. */
  readonly warnings: readonly LintWarning[];
}

export interface LintWarning {
  /** "StageNameCasing": the rule's name as docker's documentation has it. */
  readonly rule: string;
  readonly description: string;
  readonly url: string;
  readonly detail: string;
  readonly range: Range;
}

/** An error of a Dockerfile: its message begins with `dockerfile parse error on line N: ` where buildx shows it so; the doors show the excerpt. */
export interface LocatedError extends EngineError {
  readonly ranges: readonly Range[];
}

/** How a value is looked up; undefined is "not set", which `${v-d}` tells from empty. */
export type Lookup = (name: string) => string | undefined;

export { expandRunMount, parseDockerfile, parseTrigger } from "./parse.ts";
export { parseCheckOptions } from "./directives.ts";
export { DockerfileError, isDockerfileError, renderExcerpt } from "./error.ts";
export { expandHeredoc, expandWord, expandWords, type Expansion } from "./expand.ts";
export { lintDockerfile, lintViolation, type LintFacts } from "./lint.ts";
export { isSkipped, warningOf, type LintRuleName } from "./lint-rules.ts";
export { parseIgnoreFile, type IgnoreMatcher, createIgnoreMatcher } from "./ignore.ts";
