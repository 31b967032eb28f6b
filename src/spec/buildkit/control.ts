// Control: builds, their progress and history, the cache. Source: BuildKit's API, package moby.buildkit.v1.

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
import { bidi, serverStream, service, unary } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import { Definition, ProgressGroup, Range, SourceInfo } from "./ops.ts";
import { BuildkitVersion, Timestamp, WorkerRecord } from "./types.ts";

/** Durations in nanoseconds, spaces in bytes. */
export const PruneRequest = message("moby.buildkit.v1.PruneRequest", {
  filter: repeated(1, string),
  all: field(2, bool),
  keepDuration: field(3, int),
  reservedSpace: field(4, int),
  maxUsedSpace: field(5, int),
  minFreeSpace: field(6, int),
});
export const DiskUsageRequest = message("moby.buildkit.v1.DiskUsageRequest", {
  filter: repeated(1, string),
  ageLimit: field(2, int),
});
export const UsageRecord = message("moby.buildkit.v1.UsageRecord", {
  ID: field(1, string),
  Mutable: field(2, bool),
  InUse: field(3, bool),
  Size: field(4, int),
  Parent: field(5, string),
  CreatedAt: nested(6, Timestamp),
  LastUsedAt: nested(7, Timestamp),
  UsageCount: field(8, int),
  Description: field(9, string),
  RecordType: field(10, string),
  Shared: field(11, bool),
  Parents: repeated(12, string),
});
export const DiskUsageResponse = message("moby.buildkit.v1.DiskUsageResponse", {
  record: repeatedMessage(1, UsageRecord),
});

export const Exporter = message("moby.buildkit.v1.Exporter", { Type: field(1, string), Attrs: mapOf(2, string) });
export const CacheOptionsEntry = message("moby.buildkit.v1.CacheOptionsEntry", {
  Type: field(1, string),
  Attrs: mapOf(2, string),
});
export const CacheOptions = message("moby.buildkit.v1.CacheOptions", {
  ExportRefDeprecated: field(1, string),
  ImportRefsDeprecated: repeated(2, string),
  ExportAttrsDeprecated: mapOf(3, string),
  Exports: repeatedMessage(4, CacheOptionsEntry),
  Imports: repeatedMessage(5, CacheOptionsEntry),
});
export const SolveRequest = message("moby.buildkit.v1.SolveRequest", {
  Ref: field(1, string),
  Definition: nested(2, Definition),
  ExporterDeprecated: field(3, string),
  ExporterAttrsDeprecated: mapOf(4, string),
  Session: field(5, string),
  Frontend: field(6, string),
  FrontendAttrs: mapOf(7, string),
  Cache: nested(8, CacheOptions),
  Entitlements: repeated(9, string),
  FrontendInputs: mapOfMessages(10, Definition),
  Internal: field(11, bool),
  /** Opaque: that there is one is all that is looked at. */
  SourcePolicy: optional(12, bytes),
  Exporters: repeatedMessage(13, Exporter),
  EnableSessionExporter: field(14, bool),
});
export const SolveResponse = message("moby.buildkit.v1.SolveResponse", { ExporterResponse: mapOf(1, string) });

export const StatusRequest = message("moby.buildkit.v1.StatusRequest", { Ref: field(1, string) });
export const Vertex = message("moby.buildkit.v1.Vertex", {
  digest: field(1, string),
  inputs: repeated(2, string),
  name: field(3, string),
  cached: field(4, bool),
  started: nested(5, Timestamp),
  completed: nested(6, Timestamp),
  error: field(7, string),
  progressGroup: nested(8, ProgressGroup),
});
export const VertexStatus = message("moby.buildkit.v1.VertexStatus", {
  ID: field(1, string),
  vertex: field(2, string),
  name: field(3, string),
  current: field(4, int),
  total: field(5, int),
  timestamp: nested(6, Timestamp),
  started: nested(7, Timestamp),
  completed: nested(8, Timestamp),
});
export const VertexLog = message("moby.buildkit.v1.VertexLog", {
  vertex: field(1, string),
  timestamp: nested(2, Timestamp),
  stream: field(3, int),
  msg: field(4, bytes),
});
export const VertexWarning = message("moby.buildkit.v1.VertexWarning", {
  vertex: field(1, string),
  level: field(2, int),
  short: field(3, bytes),
  detail: repeated(4, bytes),
  url: field(5, string),
  info: nested(6, SourceInfo),
  ranges: repeatedMessage(7, Range),
});
export const StatusResponse = message("moby.buildkit.v1.StatusResponse", {
  vertexes: repeatedMessage(1, Vertex),
  statuses: repeatedMessage(2, VertexStatus),
  logs: repeatedMessage(3, VertexLog),
  warnings: repeatedMessage(4, VertexWarning),
});

/** Bytes of a connection inside a call. */
export const BytesMessage = message("moby.buildkit.v1.BytesMessage", { data: field(1, bytes) });
export const ListWorkersRequest = message("moby.buildkit.v1.ListWorkersRequest", { filter: repeated(1, string) });
export const ListWorkersResponse = message("moby.buildkit.v1.ListWorkersResponse", {
  record: repeatedMessage(1, WorkerRecord),
});
export const InfoRequest = message("moby.buildkit.v1.InfoRequest", {});
export const InfoResponse = message("moby.buildkit.v1.InfoResponse", { buildkitVersion: nested(1, BuildkitVersion) });

export const Descriptor = message("moby.buildkit.v1.Descriptor", {
  media_type: field(1, string),
  digest: field(2, string),
  size: field(3, int),
  annotations: mapOf(5, string),
});
export const BuildResultInfo = message("moby.buildkit.v1.BuildResultInfo", {
  ResultDeprecated: nested(1, Descriptor),
  Attestations: repeatedMessage(2, Descriptor),
});
export const BuildHistoryRequest = message("moby.buildkit.v1.BuildHistoryRequest", {
  ActiveOnly: field(1, bool),
  Ref: field(2, string),
  EarlyExit: field(3, bool),
  Filter: repeated(4, string),
  Limit: field(5, int),
});
export const BuildHistoryRecord = message("moby.buildkit.v1.BuildHistoryRecord", {
  Ref: field(1, string),
  Frontend: field(2, string),
  FrontendAttrs: mapOf(3, string),
  Exporters: repeatedMessage(4, Exporter),
  error: nested(5, Status),
  CreatedAt: nested(6, Timestamp),
  CompletedAt: nested(7, Timestamp),
  logs: nested(8, Descriptor),
  ExporterResponse: mapOf(9, string),
  Result: nested(10, BuildResultInfo),
  Results: mapOfMessages(11, BuildResultInfo),
  Generation: field(12, int),
  trace: nested(13, Descriptor),
  pinned: field(14, bool),
  numCachedSteps: field(15, int),
  numTotalSteps: field(16, int),
  numCompletedSteps: field(17, int),
  externalError: nested(18, Descriptor),
  numWarnings: field(19, int),
});
/** `type` of a BuildHistoryEvent. */
export const historyEventTypes = { started: 0, complete: 1, deleted: 2 } as const;
export const BuildHistoryEvent = message("moby.buildkit.v1.BuildHistoryEvent", {
  type: field(1, int),
  record: nested(2, BuildHistoryRecord),
});
export const UpdateBuildHistoryRequest = message("moby.buildkit.v1.UpdateBuildHistoryRequest", {
  Ref: field(1, string),
  Pinned: field(2, bool),
  Delete: field(3, bool),
  Finalize: field(4, bool),
});
export const UpdateBuildHistoryResponse = message("moby.buildkit.v1.UpdateBuildHistoryResponse", {});

export const Control = service("moby.buildkit.v1.Control", {
  DiskUsage: unary(DiskUsageRequest, DiskUsageResponse),
  Prune: serverStream(PruneRequest, UsageRecord),
  Solve: unary(SolveRequest, SolveResponse),
  Status: serverStream(StatusRequest, StatusResponse),
  Session: bidi(BytesMessage, BytesMessage),
  ListWorkers: unary(ListWorkersRequest, ListWorkersResponse),
  Info: unary(InfoRequest, InfoResponse),
  ListenBuildHistory: serverStream(BuildHistoryRequest, BuildHistoryEvent),
  UpdateBuildHistory: unary(UpdateBuildHistoryRequest, UpdateBuildHistoryResponse),
});
