// JSON from strangers, made harmless at the door: bounded in size and depth before it is parsed, no key twice in one object
// (two readers could disagree about such a document: CVE-2021-41190's class), and small readers that check types.

import { EngineError } from "../base/errors.ts";

/** Manifests, indexes and configs are refused beyond this, as registries do. */
export const maxDocumentBytes = 4 << 20;
const maxDepth = 64;

export type JsonObject = { readonly [key: string]: unknown };

/**
 * Parses a document.
 *
 * @param what for messages: "image config", "manifest"
 * @throws InvalidParameter too large, too deep, no JSON, or a key twice
 */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > maxDocumentBytes) throw refused(what, `larger than ${maxDocumentBytes} bytes`);
  const text = Buffer.from(bytes).toString("utf8");
  checkStructure(text, what);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EngineError("InvalidParameter", `invalid ${what}: not JSON`, { cause });
  }
}

function refused(what: string, why: string): EngineError {
  return new EngineError("InvalidParameter", `invalid ${what}: ${why}`);
}

/** One pass without recursion. What is no JSON at all is left to JSON.parse. */
function checkStructure(text: string, what: string): void {
  const open: (Set<string> | undefined)[] = [];
  const token = /["{}[\]]/g;
  const afterKey = /\s*:/y;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    switch (match[0]) {
      case "{":
        open.push(new Set());
        break;
      case "[":
        open.push(undefined);
        break;
      case '"': {
        const end = endOfString(text, match.index + 1);
        const keys = open.at(-1);
        token.lastIndex = end;
        afterKey.lastIndex = end;
        if (keys === undefined || !afterKey.test(text)) break;
        const key = unescape(text.slice(match.index, end), what);
        if (keys.has(key)) throw refused(what, `the key ${JSON.stringify(key.slice(0, 80))} appears twice`);
        keys.add(key);
        break;
      }
      default:
        open.pop();
    }
    if (open.length > maxDepth) throw refused(what, `nested deeper than ${maxDepth} levels`);
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at + 1;
  }
  return text.length;
}

function unescape(quoted: string, what: string): string {
  if (!quoted.includes("\\")) return quoted;
  try {
    return JSON.stringify(JSON.parse(quoted));
  } catch {
    throw refused(what, "not JSON");
  }
}

/** @throws InvalidParameter unless an object */
export function parseObject(value: unknown, what: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refused(what, "not an object");
  return value as JsonObject;
}

/** @throws InvalidParameter unless an array */
export function parseArray(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw refused(what, "not an array");
  return value;
}

/** @throws InvalidParameter unless a string */
export function parseString(value: unknown, what: string): string {
  if (typeof value !== "string") throw refused(what, "not a string");
  return value;
}

/** undefined for a missing or null value. */
export function optional<T>(value: unknown, what: string, parse: (value: unknown, what: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : parse(value, what);
}

/** @throws InvalidParameter unless an array of strings */
export function parseStrings(value: unknown, what: string): readonly string[] {
  return parseArray(value, what).map((item) => parseString(item, what));
}

/** @throws InvalidParameter unless an object with string values */
export function parseStringMap(value: unknown, what: string): Readonly<Record<string, string>> {
  const object = parseObject(value, what);
  for (const item of Object.values(object)) parseString(item, what);
  return object as Record<string, string>;
}
