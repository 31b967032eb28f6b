// gRPC over node:http2, both ends, on connections that somebody else made: framing, status, trailers, metadata. Messages are read and
// written by tables of fields over pbf (see message.ts). Source: "gRPC over HTTP2"; protobuf encoding.

export { type BidiCall, type CallOptions, connectGrpc, type GrpcClient } from "./connect.ts";
export type { MessageInit, MessageOf, MessageType } from "./message.ts";
export { firstValue, type Metadata, type MetadataInit } from "./metadata.ts";
export {
  type Call,
  type GrpcConnection,
  type GrpcServerOptions,
  type Handler,
  implement,
  type Implementation,
  serveGrpc,
} from "./server.ts";
export type { Service } from "./service.ts";
export { codes, GrpcError, grpcErrorOf, type StatusDetail } from "./status.ts";
