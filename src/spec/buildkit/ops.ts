// The parts of LLB that travel to doors which run no LLB: definitions as opaque bytes, places in sources, platforms.
// Source: BuildKit's API, package pb.

import {
  bool,
  bytes,
  field,
  int,
  mapOf,
  mapOfMessages,
  message,
  nested,
  optional,
  repeated,
  repeatedMessage,
  string,
} from "../../grpc/message.ts";

export const Platform = message("pb.Platform", {
  Architecture: field(1, string),
  OS: field(2, string),
  Variant: field(3, string),
  OSVersion: field(4, string),
  OSFeatures: repeated(5, string),
});

/** Lines from 1, characters from 0. */
export const Position = message("pb.Position", { line: field(1, int), character: field(2, int) });
export const Range = message("pb.Range", { start: nested(1, Position), end: nested(2, Position) });

export const SourceInfo = message("pb.SourceInfo", {
  filename: field(1, string),
  data: field(2, bytes),
  language: field(4, string),
});

/** What is said of an op beside its definition; nothing of it is read. */
export const OpMetadata = message("pb.OpMetadata", { ignore_cache: field(1, bool) });
/** A graph: each op's bytes, inputs before those who need them; the last one names the result as its only input. */
export const Definition = message("pb.Definition", { def: repeated(1, bytes), metadata: mapOfMessages(2, OpMetadata) });

/** Output `index` of the op whose bytes have that digest. */
export const Input = message("pb.Input", { digest: field(1, string), index: field(2, int) });
export const SourceOp = message("pb.SourceOp", { identifier: field(1, string), attrs: mapOf(2, string) });
/** The kinds of ops that are told apart; of those that are not run only their presence. */
export const Op = message("pb.Op", {
  inputs: repeatedMessage(1, Input),
  exec: optional(2, bytes),
  source: nested(3, SourceOp),
  file: optional(4, bytes),
  build: optional(5, bytes),
  merge: optional(6, bytes),
  diff: optional(7, bytes),
  platform: nested(10, Platform),
});

export const ProgressGroup = message("pb.ProgressGroup", { id: field(1, string), name: field(2, string) });
