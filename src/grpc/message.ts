// Messages as tables of fields, read and written over pbf's reader and writer. A table is the type too: what decode returns and
// what encode takes is inferred from it. Members that the table does not name are skipped; a member that the wire does not name has
// its default. Source: Protocol Buffers, "Encoding" (proto3).
//
//   const Range = message("pb.Range", { start: nested(1, Position), end: nested(2, Position) });
//   Range.decode(bytes).start?.line        Range.encode({ start: { line: 3 } })

import { PbfReader, PbfWriter } from "pbf";
import { EngineError } from "../base/errors.ts";

/** One value as it stands on the wire. Source: "Encoding", wire types 0, 1, 2 and 5. */
export interface Scalar<T> {
  readonly wire: 0 | 1 | 2 | 5;
  readonly initial: T;
  read(reader: PbfReader): T;
  write(writer: PbfWriter, value: T): void;
  isInitial(value: T): boolean;
}

/** A member: its number, its value when absent, and how it is read and written. */
export interface Field<Out, In = Out> {
  readonly number: number;
  initial(): Out;
  /** @param previous what was read of this member before: the last one wins, repeated ones are collected. */
  read(reader: PbfReader, previous: Out): Out;
  write(writer: PbfWriter, value: In): void;
}

type Fields = Readonly<Record<string, Field<unknown, never>>>;
type OutOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer Out, never> ? Out : never };
type InOf<F extends Fields> = { readonly [K in keyof F]?: Parameters<F[K]["write"]>[1] | undefined };

/** A kind of message. */
export interface MessageType<Out, In> {
  /** "moby.buildkit.v1.SolveRequest". */
  readonly name: string;
  /** Bytes members are views of `bytes`, not copies. @throws InvalidParameter the bytes are no such message */
  decode(bytes: Uint8Array): Out;
  /** @param headroom bytes left free in front, for a frame's head */
  encode(value: In, headroom?: number): Uint8Array;
  readFields(reader: PbfReader, end: number): Out;
  writeFields(writer: PbfWriter, value: In): void;
}

/** What decoding a message gives. */
export type MessageOf<M> = M extends MessageType<infer Out, never> ? Out : never;
/** What encoding a message takes: every member may be left out. */
export type MessageInit<M extends AnyMessage> = Parameters<M["encode"]>[0];
export type AnyMessage = MessageType<unknown, never>;

export function message<F extends Fields>(name: string, fields: F): MessageType<OutOf<F>, InOf<F>> {
  const members = Object.entries(fields);
  const byNumber = new Map(members.map(([key, field]) => [field.number, { key, field }]));

  function readFields(reader: PbfReader, end: number): OutOf<F> {
    const result: Record<string, unknown> = {};
    for (const [key, field] of members) result[key] = field.initial();
    for (let number = reader.nextField(end); number !== 0; number = reader.nextField(end)) {
      const member = byNumber.get(number);
      if (member !== undefined) result[member.key] = member.field.read(reader, result[member.key]);
    }
    if (reader.pos !== end) throw malformed(name);
    return result as OutOf<F>;
  }
  function writeFields(writer: PbfWriter, value: InOf<F>): void {
    for (const [key, field] of members) {
      const member: unknown = value[key];
      if (member !== undefined) field.write(writer, member as never);
    }
  }
  return {
    name,
    readFields,
    writeFields,
    decode(bytes) {
      const reader = new PbfReader(bytes);
      try {
        return readFields(reader, bytes.length);
      } catch (error) {
        throw error instanceof EngineError ? error : malformed(name, error);
      }
    },
    encode(value, headroom = 0) {
      const writer = new PbfWriter(new Uint8Array(Math.max(64, headroom)));
      writer.pos = headroom;
      writeFields(writer, value);
      return writer.finish();
    },
  };
}

function malformed(name: string, cause?: unknown): EngineError {
  return new EngineError("InvalidParameter", `malformed ${name} message`, { cause });
}

/** A member of wire type 2 must end where the message around it does, or before. */
function endOf(reader: PbfReader): number {
  const end = reader.readVarint() + reader.pos;
  if (end > reader.length) throw malformed("protobuf");
  return end;
}

export const string: Scalar<string> = {
  wire: 2,
  initial: "",
  read: (reader) => text(reader),
  write: (writer, value) => writer.writeString(value),
  isInitial: (value) => value === "",
};
export const bytes: Scalar<Uint8Array> = {
  wire: 2,
  initial: new Uint8Array(0),
  read: (reader) => {
    const end = endOf(reader);
    const view = reader.buf.subarray(reader.pos, end);
    reader.pos = end;
    return view;
  },
  write: (writer, value) => writer.writeBytes(value),
  isInitial: (value) => value.length === 0,
};
export const bool: Scalar<boolean> = {
  wire: 0,
  initial: false,
  read: (reader) => reader.readBoolean(),
  write: (writer, value) => writer.writeBoolean(value),
  isInitial: (value) => !value,
};
/** int32, int64 and enums; exact up to 2⁵³. */
export const int: Scalar<number> = {
  wire: 0,
  initial: 0,
  read: (reader) => reader.readVarint(true),
  write: (writer, value) => writer.writeVarint(value),
  isInitial: (value) => value === 0,
};
/** uint32 and uint64; exact up to 2⁵³. */
export const uint: Scalar<number> = { ...int, read: (reader) => reader.readVarint(false) };
/** int64 whose last digits matter: nanoseconds. */
export const bigInt: Scalar<bigint> = {
  wire: 0,
  initial: 0n,
  read: readBigInt,
  write: writeBigInt,
  isInitial: (value) => value === 0n,
};

function text(reader: PbfReader): string {
  const end = endOf(reader);
  const { buf, pos } = reader;
  reader.pos = end;
  return Buffer.from(buf.buffer, buf.byteOffset + pos, end - pos).toString("utf8");
}

function readBigInt(reader: PbfReader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.buf[reader.pos++];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
  }
  throw malformed("protobuf");
}

function writeBigInt(writer: PbfWriter, value: bigint): void {
  writer.realloc(10);
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    writer.buf[writer.pos++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  writer.buf[writer.pos++] = Number(rest);
}

/** A value that is its default when absent, and absent when it is its default. */
export function field<T>(number: number, scalar: Scalar<T>): Field<T> {
  return {
    number,
    initial: () => scalar.initial,
    read: (reader, previous) => (reader.type === scalar.wire ? scalar.read(reader) : previous),
    write: (writer, value) => {
      if (!scalar.isInitial(value)) writeTagged(writer, number, scalar, value);
    },
  };
}

/** A value whose presence counts: members of a oneof, proto3 `optional`. */
export function optional<T>(number: number, scalar: Scalar<T>): Field<T | undefined> {
  return {
    number,
    initial: () => undefined,
    read: (reader, previous) => (reader.type === scalar.wire ? scalar.read(reader) : previous),
    write: (writer, value) => {
      if (value !== undefined) writeTagged(writer, number, scalar, value);
    },
  };
}

/** A message inside the message; undefined when absent. */
export function nested<Out, In>(number: number, type: MessageType<Out, In>): Field<Out | undefined, In | undefined> {
  return {
    number,
    initial: () => undefined,
    read: (reader, previous) => (reader.type === 2 ? type.readFields(reader, endOf(reader)) : previous),
    write: (writer, value) => {
      if (value !== undefined) writer.writeMessage(number, (item: In) => type.writeFields(writer, item), value);
    },
  };
}

/** Scalars, one after the other or packed, as numbers are unless the sender is old. */
export function repeated<T>(number: number, scalar: Scalar<T>): Field<readonly T[]> {
  return {
    number,
    initial: () => [],
    read(reader, previous) {
      // Made by `initial`, seen by nobody until the message is complete.
      const items = previous as T[];
      if (reader.type === scalar.wire) items.push(scalar.read(reader));
      else if (reader.type === 2) for (const end = endOf(reader); reader.pos < end; ) items.push(scalar.read(reader));
      return items;
    },
    write(writer, values) {
      if (values.length === 0) return;
      if (scalar.wire === 2) for (const value of values) writeTagged(writer, number, scalar, value);
      else
        writer.writeMessage(
          number,
          (items: readonly T[]) => items.forEach((item) => scalar.write(writer, item)),
          values,
        );
    },
  };
}

export function repeatedMessage<Out, In>(
  number: number,
  type: MessageType<Out, In>,
): Field<readonly Out[], readonly In[]> {
  return {
    number,
    initial: () => [],
    read(reader, previous) {
      // Made by `initial`, seen by nobody until the message is complete.
      if (reader.type === 2) (previous as Out[]).push(type.readFields(reader, endOf(reader)));
      return previous;
    },
    write(writer, values) {
      for (const value of values) writer.writeMessage(number, (item: In) => type.writeFields(writer, item), value);
    },
  };
}

/** A map by text; any name is a key, `__proto__` too, hence a Map. A plain object will do for writing. */
export function mapOf<T>(
  number: number,
  scalar: Scalar<T>,
): Field<ReadonlyMap<string, T>, ReadonlyMap<string, T> | Readonly<Record<string, T>>> {
  return mapField(number, message("map entry", { key: field(1, string), value: field(2, scalar) }));
}

export function mapOfMessages<Out, In>(
  number: number,
  type: MessageType<Out, In>,
): Field<ReadonlyMap<string, Out>, ReadonlyMap<string, In> | Readonly<Record<string, In>>> {
  const entry = message("map entry", { key: field(1, string), value: nested(2, type) });
  return mapField(number, {
    readFields(reader, end) {
      const { key, value } = entry.readFields(reader, end);
      return { key, value: value ?? type.decode(new Uint8Array(0)) };
    },
    writeFields: (...args) => entry.writeFields(...args),
  });
}

function mapField<Out, In>(
  number: number,
  entry: {
    readFields(reader: PbfReader, end: number): { readonly key: string; readonly value: Out };
    writeFields(writer: PbfWriter, value: { readonly key: string; readonly value: In }): void;
  },
): Field<ReadonlyMap<string, Out>, ReadonlyMap<string, In> | Readonly<Record<string, In>>> {
  return {
    number,
    initial: () => new Map(),
    read(reader, previous) {
      if (reader.type !== 2) return previous;
      const { key, value } = entry.readFields(reader, endOf(reader));
      return (previous as Map<string, Out>).set(key, value);
    },
    write(writer, value) {
      const items: Iterable<readonly [string, In]> = value instanceof Map ? value.entries() : Object.entries(value);
      for (const [key, item] of items)
        writer.writeMessage(
          number,
          (pair: { readonly key: string; readonly value: In }) => entry.writeFields(writer, pair),
          { key, value: item },
        );
    },
  };
}

function writeTagged<T>(writer: PbfWriter, number: number, scalar: Scalar<T>, value: T): void {
  writer.writeTag(number, scalar.wire);
  scalar.write(writer, value);
}
