// gRPC over node:http2, both ends, on connections that somebody else made: framing, status, trailers, metadata. Messages are read and
// written by tables of fields over pbf (see message.ts). Source: "gRPC over HTTP2"; protobuf encoding.

export {};
