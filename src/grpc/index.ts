// gRPC over node:http2, both ends, on connections that somebody else made: framing, status, trailers, metadata. Messages are read and
// written by tables of fields over pbf (see message.ts). Source: "gRPC over HTTP2"; protobuf encoding.

export { type BidiCall, type CallOptions, connectGrpc, type GrpcClient } from "./connect.ts";
export { maxMessageBytes } from "./framing.ts";
export {
  bigInt,
  bool,
  bytes,
  field,
  int,
  mapOf,
  mapOfMessages,
  message,
  type MessageInit,
  type MessageOf,
  type MessageType,
  nested,
  optional,
  repeated,
  repeatedMessage,
  string,
  uint,
} from "./message.ts";
export { binaryValue, binaryValues, firstValue, type Metadata, type MetadataInit } from "./metadata.ts";
export {
  type Call,
  type GrpcConnection,
  type GrpcServerOptions,
  type Handler,
  implement,
  type Implementation,
  serveGrpc,
} from "./server.ts";
export { bidi, serverStream, type Service, service, unary } from "./service.ts";
export { codes, GrpcError, grpcErrorOf, Status, type StatusDetail } from "./status.ts";
