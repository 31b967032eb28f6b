// LLBBridge: what a client that builds (buildx) calls while its Control.Solve stands. Source: BuildKit's API, package
// moby.buildkit.v1.frontend.

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
import { bidi, service, unary } from "../../grpc/service.ts";
import { Status } from "../../grpc/status.ts";
import { Stat } from "./fsutil.ts";
import { Definition, Platform, Range, SourceInfo, SourceOp } from "./ops.ts";
import { APICap, WorkerRecord } from "./types.ts";

export const Ref = message("moby.buildkit.v1.frontend.Ref", { id: field(1, string), def: nested(2, Definition) });
export const RefMap = message("moby.buildkit.v1.frontend.RefMap", { refs: mapOfMessages(1, Ref) });
/** One ref, or one per platform; `refDeprecated` and `refsDeprecated` for clients that know no others. */
export const Result = message("moby.buildkit.v1.frontend.Result", {
  refDeprecated: optional(1, string),
  ref: nested(3, Ref),
  refs: nested(4, RefMap),
  metadata: mapOf(10, bytes),
});
export const ReturnRequest = message("moby.buildkit.v1.frontend.ReturnRequest", {
  result: nested(1, Result),
  error: nested(2, Status),
});
export const ReturnResponse = message("moby.buildkit.v1.frontend.ReturnResponse", {});
export const InputsRequest = message("moby.buildkit.v1.frontend.InputsRequest", {});
export const InputsResponse = message("moby.buildkit.v1.frontend.InputsResponse", {
  Definitions: mapOfMessages(1, Definition),
});
export const ResolveImageConfigRequest = message("moby.buildkit.v1.frontend.ResolveImageConfigRequest", {
  Ref: field(1, string),
  Platform: nested(2, Platform),
  ResolveMode: field(3, string),
  LogName: field(4, string),
  ResolverType: field(5, int),
  SessionID: field(6, string),
  StoreID: field(7, string),
});
export const ResolveImageConfigResponse = message("moby.buildkit.v1.frontend.ResolveImageConfigResponse", {
  Digest: field(1, string),
  Config: field(2, bytes),
  Ref: field(3, string),
});
export const ResolveSourceMetaRequest = message("moby.buildkit.v1.frontend.ResolveSourceMetaRequest", {
  Source: nested(1, SourceOp),
  Platform: nested(2, Platform),
  LogName: field(3, string),
  ResolveMode: field(4, string),
});
export const ResolveSourceMetaResponse = message("moby.buildkit.v1.frontend.ResolveSourceMetaResponse", {
  Source: nested(1, SourceOp),
  Image: nested(
    2,
    message("moby.buildkit.v1.frontend.ResolveSourceImageResponse", {
      Digest: field(1, string),
      Config: field(2, bytes),
    }),
  ),
});
export const CacheOptionsEntry = message("moby.buildkit.v1.frontend.CacheOptionsEntry", {
  Type: field(1, string),
  Attrs: mapOf(2, string),
});
export const SolveRequest = message("moby.buildkit.v1.frontend.SolveRequest", {
  Definition: nested(1, Definition),
  Frontend: field(2, string),
  FrontendOpt: mapOf(3, string),
  allowResultReturn: field(5, bool),
  allowResultArrayRef: field(6, bool),
  Final: field(10, bool),
  CacheImports: repeatedMessage(12, CacheOptionsEntry),
  FrontendInputs: mapOfMessages(13, Definition),
  Evaluate: field(14, bool),
});
export const SolveResponse = message("moby.buildkit.v1.frontend.SolveResponse", {
  ref: field(1, string),
  result: nested(3, Result),
});
export const FileRange = message("moby.buildkit.v1.frontend.FileRange", {
  Offset: field(1, int),
  Length: field(2, int),
});
export const ReadFileRequest = message("moby.buildkit.v1.frontend.ReadFileRequest", {
  Ref: field(1, string),
  FilePath: field(2, string),
  Range: nested(3, FileRange),
});
export const ReadFileResponse = message("moby.buildkit.v1.frontend.ReadFileResponse", { Data: field(1, bytes) });
export const ReadDirRequest = message("moby.buildkit.v1.frontend.ReadDirRequest", {
  Ref: field(1, string),
  DirPath: field(2, string),
  IncludePattern: field(3, string),
});
export const ReadDirResponse = message("moby.buildkit.v1.frontend.ReadDirResponse", {
  entries: repeatedMessage(1, Stat),
});
export const StatFileRequest = message("moby.buildkit.v1.frontend.StatFileRequest", {
  Ref: field(1, string),
  Path: field(2, string),
});
export const StatFileResponse = message("moby.buildkit.v1.frontend.StatFileResponse", { stat: nested(1, Stat) });
export const EvaluateRequest = message("moby.buildkit.v1.frontend.EvaluateRequest", { Ref: field(1, string) });
export const EvaluateResponse = message("moby.buildkit.v1.frontend.EvaluateResponse", {});
export const PingRequest = message("moby.buildkit.v1.frontend.PingRequest", {});
export const PongResponse = message("moby.buildkit.v1.frontend.PongResponse", {
  FrontendAPICaps: repeatedMessage(1, APICap),
  LLBCaps: repeatedMessage(2, APICap),
  Workers: repeatedMessage(3, WorkerRecord),
});
export const WarnRequest = message("moby.buildkit.v1.frontend.WarnRequest", {
  digest: field(1, string),
  level: field(2, int),
  short: field(3, bytes),
  detail: repeated(4, bytes),
  url: field(5, string),
  info: nested(6, SourceInfo),
  ranges: repeatedMessage(7, Range),
});
export const WarnResponse = message("moby.buildkit.v1.frontend.WarnResponse", {});
const Unread = message("moby.buildkit.v1.frontend.Unread", {});

export const LLBBridge = service("moby.buildkit.v1.frontend.LLBBridge", {
  ResolveImageConfig: unary(ResolveImageConfigRequest, ResolveImageConfigResponse),
  ResolveSourceMeta: unary(ResolveSourceMetaRequest, ResolveSourceMetaResponse),
  Solve: unary(SolveRequest, SolveResponse),
  ReadFile: unary(ReadFileRequest, ReadFileResponse),
  ReadDir: unary(ReadDirRequest, ReadDirResponse),
  StatFile: unary(StatFileRequest, StatFileResponse),
  Evaluate: unary(EvaluateRequest, EvaluateResponse),
  Ping: unary(PingRequest, PongResponse),
  Return: unary(ReturnRequest, ReturnResponse),
  Inputs: unary(InputsRequest, InputsResponse),
  Warn: unary(WarnRequest, WarnResponse),
  NewContainer: unary(Unread, Unread),
  ReleaseContainer: unary(Unread, Unread),
  ExecProcess: bidi(Unread, Unread),
});
