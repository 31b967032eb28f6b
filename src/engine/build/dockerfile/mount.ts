// `RUN --mount=type=…,key=value`: its options. Source: Dockerfile reference, "RUN --mount". An option that has no meaning for its
// type is an error, where the reference would skip some.

import { parseBool, quote } from "./go.ts";
import type { RunMount } from "./index.ts";
import { withSuggestion } from "./suggest.ts";

const types = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const sharings = ["shared", "private", "locked"] as const;

const aliases: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  rw: "readwrite",
};

/** Keys beside `type`, and the types that take them. */
const keyTypes: Readonly<Record<string, readonly RunMount["type"][]>> = {
  from: ["bind", "cache"],
  source: ["bind", "cache", "secret", "ssh"],
  target: types,
  readonly: types,
  readwrite: types,
  id: ["cache", "secret", "ssh"],
  sharing: types,
  required: ["secret", "ssh"],
  env: ["secret"],
  size: ["tmpfs"],
  mode: ["cache", "secret", "ssh"],
  uid: ["cache", "secret", "ssh"],
  gid: ["cache", "secret", "ssh"],
};

const flagKeys = new Set(["readonly", "readwrite", "required"]);
const idKeys = new Set(["mode", "uid", "gid"]);
const suggestedKeys = ["type", ...Object.keys(keyTypes), ...Object.keys(aliases)];

/** A value that has a variable in it. */
function isOpen(value: string): boolean {
  return /\$./.test(value);
}

/**
 * @param expand expands a value; without it a value with a variable is taken as it is, unchecked
 * @param fail   throws an error of the instruction with that message
 */
export function parseRunMount(
  raw: string,
  expand: ((value: string) => string) | undefined,
  fail: (message: string) => never,
): RunMount {
  const fields = splitCsv(raw, fail).map((field) => readField(field, expand, fail));
  const type = fields
    .filter((field) => field.key === "type")
    .reduce((_, field) => parseType(field.value, fail), "bind" as RunMount["type"]);
  const values = new Map<string, string>();
  for (const { key, written, text, value } of fields) {
    if (key === "type") continue;
    const allowed = Object.hasOwn(keyTypes, key) ? keyTypes[key] : undefined;
    if (allowed === undefined) fail(withSuggestion(`unexpected key '${written}' in '${text}'`, written, suggestedKeys));
    if (!allowed.includes(type)) {
      if (idKeys.has(key)) fail(`${key} not allowed for ${quote(type)} type mounts`);
      if (type === "secret" && key === "from") fail("secret mount should not have a from");
      fail(`unexpected key '${written}' for mount type '${type}'`);
    }
    if (!isOpen(value)) checkValue(key, written, value, fail);
    values.set(key, value);
  }
  const mount = describe(raw, type, values);
  checkTogether(mount, fail);
  return mount;
}

interface Field {
  readonly key: string;
  readonly written: string;
  readonly text: string;
  readonly value: string;
}

function readField(
  text: string,
  expand: ((value: string) => string) | undefined,
  fail: (message: string) => never,
): Field {
  const cut = text.indexOf("=");
  const written = (cut < 0 ? text : text.slice(0, cut)).toLowerCase();
  const key = (Object.hasOwn(aliases, written) ? aliases[written] : undefined) ?? written;
  if (cut < 0) {
    if (!flagKeys.has(key)) fail(`invalid field '${text}' must be a key=value pair`);
    return { key, written, text, value: "true" };
  }
  const value = text.slice(cut + 1);
  if (key === "from" && isOpen(value)) fail(`'from' doesn't support variable expansion, define alias stage instead`);
  return { key, written, text, value: expand === undefined ? value : expand(value) };
}

function parseType(value: string, fail: (message: string) => never): RunMount["type"] {
  const lower = value.toLowerCase();
  return (
    types.find((type) => type === lower) ?? fail(withSuggestion(`unsupported mount type ${quote(value)}`, value, types))
  );
}

function checkValue(key: string, written: string, value: string, fail: (message: string) => never): void {
  if (flagKeys.has(key) && parseBool(value) === undefined) fail(`invalid value for ${written}: ${value}`);
  if (key === "sharing" && !sharings.some((mode) => mode === value.toLowerCase()))
    fail(withSuggestion(`unsupported sharing value ${quote(value)}`, value, sharings));
  if (key === "mode" && (!/^[0-7]+$/.test(value) || Number.parseInt(value, 8) > 0xffffffff))
    fail(`invalid value ${value} for mode`);
  if ((key === "uid" || key === "gid") && (!/^\d+$/.test(value) || Number(value) > 0xffffffff))
    fail(`invalid value ${value} for ${key}`);
  if (key === "size" && !/^\d+(\.\d+)? ?([kmgtp]i?b?|b)?$/i.test(value)) fail(`invalid value for size: ${value}`);
}

function describe(raw: string, type: RunMount["type"], values: ReadonlyMap<string, string>): RunMount {
  const bool = (key: string) => {
    const value = values.get(key);
    return value === undefined ? undefined : parseBool(value);
  };
  const writable = bool("readwrite");
  const filled = (key: string) => values.get(key) || undefined;
  return {
    raw,
    type,
    from: filled("from"),
    source: filled("source"),
    target: filled("target"),
    readonly: bool("readonly") ?? (writable === undefined ? undefined : !writable),
    id: filled("id"),
    sharing: sharings.find((mode) => mode === values.get("sharing")?.toLowerCase()),
    required: bool("required"),
    env: filled("env"),
    size: filled("size"),
    mode: filled("mode"),
    uid: filled("uid"),
    gid: filled("gid"),
  };
}

function checkTogether(mount: RunMount, fail: (message: string) => never): void {
  if (mount.type === "secret") {
    if (mount.sharing !== undefined) fail("secret mount should not define sharing");
    if (mount.source === undefined && mount.target === undefined && mount.id === undefined)
      fail("invalid secret mount. one of source, target required");
    if (mount.source !== undefined && mount.id !== undefined) fail("both source and id can't be set");
  }
  if (mount.sharing !== undefined && mount.type !== "cache") fail(`invalid cache sharing set for ${mount.type} mount`);
  if (mount.type === "ssh" && mount.source !== undefined) fail("ssh does not support source");
  if (
    mount.target !== undefined &&
    /^[./]*$/.test(mount.target) &&
    mount.target.startsWith("/") &&
    !mount.target.includes("...")
  )
    fail(`invalid mount target "/"`);
}

/** One record of comma-separated values; a value may stand in double quotes. */
function splitCsv(text: string, fail: (message: string) => never): readonly string[] {
  const failed = (reason: string) => fail(`failed to parse csv mounts: ${reason}`);
  if (text === "") failed("EOF");
  const fields: string[] = [];
  let index = 0;
  for (;;) {
    if (text[index] === '"') {
      const quoted = /"((?:[^"]|"")*)"(?=,|$)/sy;
      quoted.lastIndex = index;
      const match =
        quoted.exec(text) ??
        failed(`parse error on line 1, column ${index + 1}: extraneous or missing " in quoted-field`);
      fields.push((match[1] ?? "").replaceAll('""', '"'));
      index += match[0].length;
    } else {
      const comma = text.indexOf(",", index);
      const field = text.slice(index, comma < 0 ? undefined : comma);
      const bare = field.indexOf('"');
      if (bare >= 0) failed(`parse error on line 1, column ${index + bare + 1}: bare " in non-quoted field`);
      fields.push(field);
      index += field.length;
    }
    if (index >= text.length) return fields;
    index++;
  }
}
