// The functions that --format templates may call (Go's built-in ones and Docker's), truth, and printing as Go's fmt does.

import { TemplateError } from "./template-parse.ts";

type TemplateFunction = (...args: readonly unknown[]) => unknown;

/** Go's truth: false, 0, "", nil and empty lists and maps are false. */
export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object") return Object.keys(value).length > 0;
  return Boolean(value);
}

/** Go's %v: lists as [a b], maps as map[k:v], sorted; nil as <nil>, nothing at all as <no value>. */
export function printValue(value: unknown): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(printValue).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, element]) => `${key}:${printValue(element)}`).join(" ")}]`;
  }
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return value.toString();
  return "<func>";
}

function text(value: unknown): string {
  if (typeof value !== "string")
    throw new TemplateError(`wrong type for value; expected string; got ${goTypeOf(value)}`);
  return value;
}

function integer(value: unknown): number {
  if (typeof value !== "number") throw new TemplateError(`wrong type for value; expected int; got ${goTypeOf(value)}`);
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new TemplateError(`wrong type for value; expected []string; got ${goTypeOf(value)}`);
  return value;
}

function goTypeOf(value: unknown): string {
  if (value === null || value === undefined) return "nil";
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "object") return "map[string]interface {}";
  return { string: "string", number: "int", boolean: "bool", bigint: "int64" }[typeof value as string] ?? "func";
}

/** Go sorts the keys of maps, not the members of structs. The API's structs have capitals; OCI's have a media type. */
function isGoMap(members: readonly (readonly [string, unknown])[]): boolean {
  return members.every(([key]) => !/^[A-Z]/.test(key) && key !== "mediaType");
}

/** A value as compact JSON, as Go's encoder writes it without HTML escaping. Methods without arguments are called. */
export function renderJson(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(renderJson).join(",")}]`;
  if (typeof value === "object") {
    const members = Object.entries(value).filter(
      ([, element]) => element !== undefined && typeof element !== "function",
    );
    if (isGoMap(members)) members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, element]) => `${renderJson(key)}:${renderJson(element)}`).join(",")}}`;
  }
  if (typeof value === "string")
    return JSON.stringify(value).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  return JSON.stringify(value);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  throw new TemplateError("incompatible types for comparison");
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function equal(a: unknown, b: unknown): boolean {
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null);
  if (isNumber(a) && isNumber(b)) return BigInt(a) === BigInt(b);
  if (typeof a !== typeof b || typeof a === "object") throw new TemplateError("incompatible types for comparison");
  return a === b;
}

function indexInto(value: unknown, keys: readonly unknown[]): unknown {
  let current = value;
  for (const key of keys) {
    if (current === null || current === undefined) throw new TemplateError("index of untyped nil");
    if (Array.isArray(current)) {
      const at = integer(key);
      if (at < 0 || at >= current.length) throw new TemplateError(`index out of range: ${at}`);
      current = (current as unknown[])[at];
    } else if (typeof current === "object") {
      const name = text(key);
      current = Object.hasOwn(current, name) ? (current as Record<string, unknown>)[name] : "";
    } else if (typeof current === "string") current = new TextEncoder().encode(current)[integer(key)];
    else throw new TemplateError(`can't index item of type ${goTypeOf(current)}`);
  }
  return current;
}

function slice(value: unknown, from: unknown, to: unknown): unknown {
  const start = from === undefined ? 0 : integer(from);
  const end = to === undefined ? undefined : integer(to);
  const length = typeof value === "string" ? value.length : list(value).length;
  for (const at of [start, end ?? length])
    if (at < 0 || at > length) throw new TemplateError(`index out of range: ${at}`);
  return typeof value === "string" ? value.slice(start, end) : list(value).slice(start, end);
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return Object.keys(value).length;
  if (value === null) return 0;
  throw new TemplateError(`len of type ${goTypeOf(value)}`);
}

/** Go's Sprintf for the verbs that make sense over JSON: v s q d x X f g e t c %, with flags, width and precision. */
function sprintf(format: string, args: readonly unknown[]): string {
  let used = 0;
  const out = format.replace(
    /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width, precision, verb: string) => {
      if (verb === "%") return "%";
      if (used >= args.length) return `%!${verb}(MISSING)`;
      const value = args[used];
      used += 1;
      const digits = precision === undefined ? undefined : Number(precision);
      let shown = formatVerb(verb, value, digits, flags);
      if (flags.includes("+") && typeof value === "number" && value >= 0) shown = `+${shown}`;
      const room = width === undefined ? 0 : Number(width);
      if (flags.includes("-")) return shown.padEnd(room);
      return flags.includes("0") ? shown.padStart(room, "0") : shown.padStart(room);
    },
  );
  if (used >= args.length) return out;
  const extra = args.slice(used).map((value) => `${goTypeOf(value)}=${printValue(value)}`);
  return `${out}%!(EXTRA ${extra.join(", ")})`;
}

function formatVerb(verb: string, value: unknown, precision: number | undefined, flags: string): string {
  const wrong = `%!${verb}(${goTypeOf(value)}=${printValue(value)})`;
  switch (verb) {
    case "v":
      return printValue(value);
    case "s":
      if (typeof value === "number" || typeof value === "boolean") return wrong;
      return printValue(value).slice(0, precision);
    case "q":
      if (Array.isArray(value))
        return `[${value.map((element) => formatVerb("q", element, precision, flags)).join(" ")}]`;
      return JSON.stringify(printValue(value));
    case "d":
      return isNumber(value) ? String(value) : wrong;
    case "x":
    case "X": {
      const hex = isNumber(value)
        ? value.toString(16)
        : typeof value === "string"
          ? Buffer.from(value).toString("hex")
          : wrong;
      return verb === "X" ? hex.toUpperCase() : hex;
    }
    case "f":
      return typeof value === "number" ? value.toFixed(precision ?? 6) : wrong;
    case "e":
      return typeof value === "number" ? value.toExponential(precision ?? 6) : wrong;
    case "g":
      return typeof value === "number" ? String(value) : wrong;
    case "t":
      return typeof value === "boolean" ? String(value) : wrong;
    case "T":
      return goTypeOf(value);
    case "c":
      return typeof value === "number" ? String.fromCodePoint(value) : wrong;
    default:
      return wrong;
  }
}

function print(args: readonly unknown[]): string {
  let out = "";
  for (const [index, value] of args.entries()) {
    if (index > 0 && typeof value !== "string" && typeof args[index - 1] !== "string") out += " ";
    out += printValue(value);
  }
  return out;
}

const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ["json", (value) => renderJson(value)],
  ["split", (value, separator) => text(value).split(text(separator))],
  ["join", (values, separator) => list(values).map(printValue).join(text(separator))],
  [
    "title",
    (value) =>
      text(value).replace(
        /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
        (_, before, letter) => `${before}${(letter as string).toUpperCase()}`,
      ),
  ],
  ["lower", (value) => text(value).toLowerCase()],
  ["upper", (value) => text(value).toUpperCase()],
  [
    "pad",
    (value, before, after) =>
      text(value) === "" ? "" : `${" ".repeat(integer(before))}${text(value)}${" ".repeat(integer(after))}`,
  ],
  ["truncate", (value, length) => Array.from(text(value)).slice(0, integer(length)).join("")],
  ["println", (...args) => `${args.map(printValue).join(" ")}\n`],
  ["print", (...args) => print(args)],
  ["printf", (format, ...args) => sprintf(text(format), args)],
  ["len", lengthOf],
  ["index", (value, ...keys) => indexInto(value, keys)],
  ["slice", slice],
  ["not", (value) => !isTrue(value)],
  ["and", (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1)],
  ["or", (...args) => args.find(isTrue) ?? args.at(-1)],
  [
    "eq",
    (first, ...others) => {
      if (others.length === 0) throw new TemplateError("missing argument for comparison");
      return others.some((other) => equal(first, other));
    },
  ],
  ["ne", (a, b) => !equal(a, b)],
  ["lt", (a, b) => compare(a, b) < 0],
  ["le", (a, b) => compare(a, b) <= 0],
  ["gt", (a, b) => compare(a, b) > 0],
  ["ge", (a, b) => compare(a, b) >= 0],
  ["urlquery", (...args) => encodeURIComponent(print(args)).replaceAll("%20", "+")],
  ["html", (...args) => print(args).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)],
]);

/** The names of all functions. */
export const functionNames: readonly string[] = [...functions.keys()];

/** How many arguments each function wants at least, where that is not one. */
const leastArguments: Readonly<Record<string, number>> = {
  split: 2,
  join: 2,
  truncate: 2,
  pad: 3,
  ne: 2,
  lt: 2,
  le: 2,
  gt: 2,
  ge: 2,
  print: 0,
  println: 0,
};

/** @throws TemplateError unknown function, or arguments that do not fit it */
export function callFunction(name: string, args: readonly unknown[]): unknown {
  const found = functions.get(name);
  if (found === undefined) throw new TemplateError(`function ${JSON.stringify(name)} not defined`);
  const least = leastArguments[name] ?? 1;
  if (args.length < least)
    throw new TemplateError(`wrong number of args for ${name}: want ${least} got ${args.length}`);
  return found(...args);
}
