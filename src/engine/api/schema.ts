// Request bodies: a schema says which fields there are and of which Go type; decode picks them out of parsed JSON, checks every
// type, and leaves the rest behind. Keys match without regard to case, null means "not given", as in Go's encoding/json,
// whose texts the errors have too.

import { EngineError } from "../../base/errors.ts";
import { JsonNumber, type JsonObject, type JsonValue } from "./json.ts";

export type Schema =
  | { readonly kind: "string" | "bool" | "unit" | "words"; readonly go: string }
  | { readonly kind: "int"; readonly go: string; readonly min: bigint; readonly max: bigint }
  | { readonly kind: "list"; readonly go: string; readonly of: Schema; readonly length?: number }
  | { readonly kind: "map"; readonly go: string; readonly of: Schema; readonly nullable: boolean }
  | ObjectSchema;

export interface ObjectSchema {
  readonly kind: "object";
  readonly go: string;
  /** By lower-case name: the name as written, and its schema. */
  readonly fields: ReadonlyMap<string, readonly [name: string, schema: Schema]>;
}

export function string(go = "string"): Schema {
  return { kind: "string", go };
}

export const bool: Schema = { kind: "bool", go: "bool" };

/** Go's `struct{}`: the value of a set. */
export const unit: Schema = { kind: "unit", go: "struct {}" };

/** A string or a list of strings. */
export const words: Schema = { kind: "words", go: "string" };

function integer(go: string, min: bigint, max: bigint): Schema {
  return { kind: "int", go, min, max };
}

export const int = integer("int", -(2n ** 63n), 2n ** 63n - 1n);
export const int64 = integer("int64", -(2n ** 63n), 2n ** 63n - 1n);
export const duration = integer("time.Duration", -(2n ** 63n), 2n ** 63n - 1n);
export const uint16 = integer("uint16", 0n, 2n ** 16n - 1n);
export const uint32 = integer("uint32", 0n, 2n ** 32n - 1n);
export const uint64 = integer("uint64", 0n, 2n ** 64n - 1n);
export const uint = integer("uint", 0n, 2n ** 64n - 1n);

export function list(of: Schema, go = `[]${of.go}`): Schema {
  return { kind: "list", go, of };
}

/** A Go array: shorter input is filled up with zeros, longer input cut. */
export function tuple(of: Schema, length: number): Schema {
  return { kind: "list", go: `[${length}]${of.go}`, of, length };
}

export function map(of: Schema, go = `map[string]${of.go}`): Schema {
  return { kind: "map", go, of, nullable: false };
}

/** A map to pointers: null values stay. */
export function mapOfPointers(of: Schema): Schema {
  return { kind: "map", go: `map[string]*${of.go}`, of, nullable: true };
}

export function object(go: string, fields: Readonly<Record<string, Schema>>): ObjectSchema {
  const byLower = new Map<string, readonly [string, Schema]>();
  for (const [name, schema] of Object.entries(fields)) byLower.set(name.toLowerCase(), [name, schema]);
  return { kind: "object", go, fields: byLower };
}

/**
 * @param root name of the Go type before the field path in errors; empty for the body of containers/create
 * @returns a plain object with the schema's fields alone; maps have no prototype; undefined for JSON null
 * @throws InvalidParameter a value of another type or out of range
 */
export function decodeObject(schema: ObjectSchema, value: JsonValue, root: string): Readonly<Record<string, unknown>> {
  if (value === null) return {};
  if (!isObject(value)) throw mismatch(value, `Go value of type ${schema.go}`);
  return decodeFields(schema, value, root);
}

function decodeFields(schema: ObjectSchema, value: JsonObject, path: string): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, member] of value) {
    const field = schema.fields.get(key.toLowerCase());
    if (field === undefined) continue;
    const [name, fieldSchema] = field;
    if (member === null) delete result[name];
    else result[name] = decode(fieldSchema, member, `${path}.${name}`, false);
  }
  return result;
}

function decode(schema: Schema, value: JsonValue, path: string, inList: boolean): unknown {
  const target = (): string => `${inList ? "" : "Go struct field "}${path} of type ${schema.go}`;
  switch (schema.kind) {
    case "string":
      if (typeof value !== "string") throw mismatch(value, target());
      return value;
    case "bool":
      if (typeof value !== "boolean") throw mismatch(value, target());
      return value;
    case "unit":
      if (!isObject(value)) throw mismatch(value, target());
      return {};
    case "int":
      return decodeInteger(schema, value, target);
    case "words":
      return decodeWords(value);
    case "list":
      if (!Array.isArray(value)) throw mismatch(value, target());
      return decodeList(schema.of, value, path, schema.length);
    case "map":
      if (!isObject(value)) throw mismatch(value, target());
      return decodeMap(schema.of, value, path, schema.nullable);
    case "object":
      if (!isObject(value)) throw mismatch(value, target());
      return decodeFields(schema, value, path);
  }
}

function decodeInteger(
  schema: { readonly min: bigint; readonly max: bigint },
  value: JsonValue,
  target: () => string,
): number {
  if (!(value instanceof JsonNumber)) throw mismatch(value, target());
  const exact = /^-?[0-9]{1,20}$/.test(value.text) ? BigInt(value.text) : undefined;
  if (exact === undefined || exact < schema.min || exact > schema.max)
    throw invalid(`cannot unmarshal number ${value.text.slice(0, 64)} into ${target()}`);
  return Number(exact);
}

function decodeWords(value: JsonValue): readonly string[] {
  if (typeof value === "string") return [value];
  const target = "Go value of type string";
  if (!Array.isArray(value)) throw mismatch(value, target);
  return value.map((word: JsonValue) => {
    if (word === null) return "";
    if (typeof word !== "string") throw mismatch(value, target);
    return word;
  });
}

function decodeList(of: Schema, value: readonly JsonValue[], path: string, length: number | undefined): unknown[] {
  const cut = length === undefined ? value : value.slice(0, length);
  const result = cut.map((element, i) => (element === null ? zeroOf(of) : decode(of, element, `${path}.${i}`, true)));
  const missing = Math.max(0, (length ?? 0) - result.length);
  for (let i = 0; i < missing; i++) result.push(zeroOf(of));
  return result;
}

function decodeMap(of: Schema, value: JsonObject, path: string, nullable: boolean): Record<string, unknown> {
  const result = Object.create(null) as Record<string, unknown>;
  for (const [key, member] of value) {
    if (key === "__proto__") throw new EngineError("InvalidParameter", `invalid key "__proto__" in ${path}`);
    const here = `${path}.${key.slice(0, 256).replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (member === null) result[key] = nullable ? null : zeroOf(of);
    else result[key] = decode(of, member, here, false);
  }
  return result;
}

function zeroOf(schema: Schema): unknown {
  switch (schema.kind) {
    case "string":
      return "";
    case "bool":
      return false;
    case "int":
      return 0;
    case "list":
    case "words":
      return [];
    case "map":
    case "object":
    case "unit":
      return {};
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return value instanceof Map;
}

function mismatch(value: JsonValue, target: string): EngineError {
  return invalid(`cannot unmarshal ${kindOf(value)} into ${target}`);
}

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", `invalid JSON: json: ${message}`);
}

function kindOf(value: JsonValue): string {
  if (value === null) return "null";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (value instanceof JsonNumber) return "number";
  return Array.isArray(value) ? "array" : "object";
}
