// Command-line flags with the semantics of Go's pflag, which Docker's programs use: specs are data, parsing and the usage
// text are pure functions of them. `-it` bundles, `-p80`, `-p=80`, `--name x`, `--name=x`, `--rm=false`, `--`, and
// either interspersed positionals or a stop at the first one (docker run, docker exec).
// Source: pflag 1.0 (behaviour and error texts only).

/** One flag of a command. */
export interface FlagSpec {
  readonly name: string;
  /** One character. */
  readonly short?: string;
  /**
   * bool: optional =value; count: each occurrence adds one; strings: each occurrence appends; others: the last one wins.
   */
  readonly kind: "bool" | "string" | "strings" | "int" | "count";
  readonly usage: string;
  /** How the usage text names the value: "list", "bytes", "duration"; by kind when missing. */
  readonly valueName?: string;
  /** For string and int, as text; bool flags default to false, "true" turns one on. */
  readonly default?: string;
  /** Shown in the usage text in place of `default`. */
  readonly shownDefault?: string;
  /** The value when the flag stands alone: `--gpus` without `=`. Such a flag never takes the next argument. */
  readonly alone?: string;
  readonly hidden?: boolean;
  /** Why it should no longer be used; adds a warning when it is. */
  readonly deprecated?: string;
  /** Complaint about a value, or undefined when it is good. */
  readonly complain?: (value: string) => string | undefined;
}

/** What a command line said. Accessors throw on a name that no spec has: a mistake of the program. */
export interface Flags {
  readonly positional: readonly string[];
  /** Number of positionals before `--`, or -1 without one. */
  readonly dashIndex: number;
  /** `--help` or `-h` (where no flag of that name exists) was met; parsing stopped there. */
  readonly help: boolean;
  /** Uses of deprecated flags, a line each. */
  readonly warnings: readonly string[];
  isSet(name: string): boolean;
  bool(name: string): boolean;
  /** The default, or "" without one, when not set. */
  string(name: string): string;
  strings(name: string): readonly string[];
  /** Of int and count flags; 0 when neither set nor defaulted. */
  int(name: string): number;
}

/** A command line that cannot be parsed; the message is pflag's. */
export class FlagError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FlagError";
  }
}

const boolTexts: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((text) => [text, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((text) => [text, false] as const),
]);

/** Go's ParseBool: 1, t, T, TRUE, true, True and their opposites; undefined for anything else. */
export function parseBool(text: string): boolean | undefined {
  return boolTexts.get(text);
}

/** Go's ParseInt with base 0: decimal, 0x, 0o, 0b, leading 0 for octal; undefined for anything else. */
export function parseInteger(text: string): number | undefined {
  const m = /^([+-]?)(?:(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)|0([0-7]+)|([0-9]+))$/.exec(text);
  if (m === null) return undefined;
  if (m[4] !== undefined && m[4].length > 1 && m[4].startsWith("0")) return undefined;
  const value = Number(m[2] ?? (m[3] === undefined ? m[4] : `0o${m[3]}`));
  return m[1] === "-" ? -value : value;
}

function complaintAbout(spec: FlagSpec, value: string): string | undefined {
  if (spec.kind === "bool" && parseBool(value) === undefined)
    return `strconv.ParseBool: parsing ${quote(value)}: invalid syntax`;
  if (spec.kind === "int") {
    const parsed = parseInteger(value);
    if (parsed === undefined) return `strconv.ParseInt: parsing ${quote(value)}: invalid syntax`;
    if (!Number.isSafeInteger(parsed)) return `strconv.ParseInt: parsing ${quote(value)}: value out of range`;
  }
  return spec.complain?.(value);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

class ParsedFlags implements Flags {
  readonly positional: string[] = [];
  readonly warnings: string[] = [];
  dashIndex = -1;
  help = false;
  readonly #specs: ReadonlyMap<string, FlagSpec>;
  readonly #values = new Map<string, string[]>();

  constructor(specs: ReadonlyMap<string, FlagSpec>) {
    this.#specs = specs;
  }

  /** @throws FlagError the value does not fit the flag */
  set(spec: FlagSpec, value: string): void {
    const complaint = complaintAbout(spec, value);
    if (complaint !== undefined) {
      const shown = spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
      throw new FlagError(`invalid argument ${quote(value)} for ${quote(shown)} flag: ${complaint}`);
    }
    const before = this.#values.get(spec.name);
    if (before === undefined && spec.deprecated !== undefined)
      this.warnings.push(`Flag --${spec.name} has been deprecated, ${spec.deprecated}`);
    if (before !== undefined && (spec.kind === "strings" || spec.kind === "count")) before.push(value);
    else this.#values.set(spec.name, [value]);
  }

  isSet(name: string): boolean {
    this.#spec(name);
    return this.#values.has(name);
  }

  bool(name: string): boolean {
    return parseBool(this.string(name)) ?? false;
  }

  string(name: string): string {
    return this.#values.get(name)?.at(-1) ?? this.#spec(name).default ?? "";
  }

  strings(name: string): readonly string[] {
    this.#spec(name);
    return this.#values.get(name) ?? [];
  }

  int(name: string): number {
    if (this.#spec(name).kind === "count") return this.strings(name).length;
    return parseInteger(this.string(name)) ?? 0;
  }

  #spec(name: string): FlagSpec {
    const spec = this.#specs.get(name);
    if (spec === undefined) throw new TypeError(`no flag --${name} is defined`);
    return spec;
  }
}

/** What a flag gets when it stands alone, or undefined when it needs a value. */
function aloneValue(spec: FlagSpec): string | undefined {
  if (spec.alone !== undefined) return spec.alone;
  if (spec.kind === "bool") return "true";
  return spec.kind === "count" ? "+1" : undefined;
}

/**
 * Parses a command line without its program name.
 *
 * @param options.interspersed  flags may follow positionals (the default); false stops at the first positional
 * @throws FlagError unknown flag, missing or unfitting value; texts are pflag's
 */
export function parseFlags(
  specs: readonly FlagSpec[],
  args: readonly string[],
  options: { readonly interspersed?: boolean } = {},
): Flags {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const byShort = new Map(specs.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec]])));
  const flags = new ParsedFlags(byName);
  const rest = [...args];

  function parseLong(arg: string): void {
    const body = arg.slice(2);
    if (body.startsWith("-") || body.startsWith("=")) throw new FlagError(`bad flag syntax: ${arg}`);
    const at = body.indexOf("=");
    const name = at < 0 ? body : body.slice(0, at);
    const spec = byName.get(name);
    if (spec === undefined) {
      if (name !== "help") throw new FlagError(`unknown flag: --${name}`);
      flags.help = true;
      return;
    }
    const value = at < 0 ? (aloneValue(spec) ?? rest.shift()) : body.slice(at + 1);
    if (value === undefined) throw new FlagError(`flag needs an argument: ${arg}`);
    flags.set(spec, value);
  }

  function parseShort(arg: string): void {
    let letters = arg.slice(1);
    while (letters !== "") {
      const letter = String.fromCodePoint(letters.codePointAt(0) ?? 0);
      const after = letters.slice(letter.length);
      const spec = byShort.get(letter);
      if (spec === undefined) {
        if (letter !== "h") throw new FlagError(`unknown shorthand flag: '${letter}' in -${letters}`);
        flags.help = true;
        return;
      }
      const alone = aloneValue(spec);
      if (after.length > 1 && after.startsWith("=")) {
        flags.set(spec, after.slice(1));
        return;
      }
      if (alone !== undefined) {
        flags.set(spec, alone);
        letters = after;
        continue;
      }
      const value = after === "" ? rest.shift() : after;
      if (value === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${letters}`);
      flags.set(spec, value);
      return;
    }
  }

  while (!flags.help) {
    const arg = rest.shift();
    if (arg === undefined) break;
    if (arg === "--") {
      flags.dashIndex = flags.positional.length;
      flags.positional.push(...rest.splice(0));
    } else if (!arg.startsWith("-") || arg === "-") {
      flags.positional.push(arg);
      if (options.interspersed === false) flags.positional.push(...rest.splice(0));
    } else if (arg.startsWith("--")) parseLong(arg);
    else parseShort(arg);
  }
  return flags;
}

function valueNameOf(spec: FlagSpec): string {
  if (spec.valueName !== undefined) return spec.valueName;
  return { bool: "", count: "count", string: "string", strings: "list", int: "int" }[spec.kind];
}

function defaultTextOf(spec: FlagSpec): string {
  if (spec.shownDefault !== undefined) return ` (default ${spec.shownDefault})`;
  const value = spec.default;
  if (value === undefined || value === "" || value === "0" || value === "false") return "";
  return ` (default ${spec.kind === "string" ? quote(value) : value})`;
}

function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.join(`\n${indent}`);
}

/**
 * The table of flags for a usage text: sorted by name, aligned, a line each and a final newline; "" without any.
 *
 * @param columns width to wrap at; 0 or undefined does not wrap
 */
export function renderFlagUsages(specs: readonly FlagSpec[], columns?: number): string {
  const shown = specs
    .filter((spec) => spec.hidden !== true && spec.deprecated === undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((spec) => {
      const valueName = valueNameOf(spec);
      const alone = spec.kind === "bool" || spec.kind === "count" ? undefined : spec.alone;
      const left = `${spec.short === undefined ? "      " : `  -${spec.short}, `}--${spec.name}`;
      const optional = alone === undefined ? "" : spec.kind === "string" ? `[=${quote(alone)}]` : `[=${alone}]`;
      return {
        left: `${left}${valueName === "" ? "" : ` ${valueName}`}${optional}`,
        right: spec.usage + defaultTextOf(spec),
      };
    });
  const width = Math.max(0, ...shown.map(({ left }) => left.length)) + 3;
  const room = columns === undefined || columns === 0 ? 0 : columns - width;
  return shown
    .map(({ left, right }) => {
      const text = room < 24 ? right.replaceAll("\n", `\n${" ".repeat(width)}`) : wrap(right, room, " ".repeat(width));
      return `${left.padEnd(width)}${text}\n`;
    })
    .join("");
}
