// Messages that several services share. Source: google.protobuf.Timestamp, BuildKit's packages types and apicaps.

import {
  bigInt,
  bool,
  field,
  int,
  mapOf,
  message,
  nested,
  repeated,
  repeatedMessage,
  string,
} from "../../grpc/message.ts";
import { Platform } from "./ops.ts";

/** Seconds since 1970, and nanoseconds of that second. */
export const Timestamp = message("google.protobuf.Timestamp", { seconds: field(1, bigInt), nanos: field(2, int) });

const nanosPerSecond = 1_000_000_000n;

/** @param ns since 1970 */
export function timestampOf(ns: bigint): { readonly seconds: bigint; readonly nanos: number } {
  const nanos = ((ns % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
  return { seconds: (ns - nanos) / nanosPerSecond, nanos: Number(nanos) };
}

/** @param time RFC 3339, with up to nine decimals of a second @returns undefined when it is none */
export function timestampOfText(
  time: string | undefined,
): { readonly seconds: bigint; readonly nanos: number } | undefined {
  const ms = time === undefined ? Number.NaN : Date.parse(time);
  if (time === undefined || Number.isNaN(ms)) return undefined;
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? "";
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Number(fraction.padEnd(9, "0")) };
}

export const BuildkitVersion = message("moby.buildkit.v1.types.BuildkitVersion", {
  package: field(1, string),
  version: field(2, string),
  revision: field(3, string),
});

/** keepDuration in nanoseconds; spaces in bytes. */
export const GCPolicy = message("moby.buildkit.v1.types.GCPolicy", {
  all: field(1, bool),
  keepDuration: field(2, int),
  reservedSpace: field(3, int),
  filters: repeated(4, string),
  maxUsedSpace: field(5, int),
  minFreeSpace: field(6, int),
});

export const WorkerRecord = message("moby.buildkit.v1.types.WorkerRecord", {
  ID: field(1, string),
  Labels: mapOf(2, string),
  platforms: repeatedMessage(3, Platform),
  GCPolicy: repeatedMessage(4, GCPolicy),
  BuildkitVersion: nested(5, BuildkitVersion),
});

export const APICap = message("moby.buildkit.v1.apicaps.APICap", {
  ID: field(1, string),
  Enabled: field(2, bool),
  Deprecated: field(3, bool),
  DisabledReason: field(4, string),
  DisabledReasonMsg: field(5, string),
  DisabledAlternative: field(6, string),
});

export const Empty = message("google.protobuf.Empty", {});
