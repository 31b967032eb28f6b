// containerd's content store as a service: blobs at a client. Source: containerd's API, package services.content.v1.

import { bytes, field, int, mapOf, message, nested, repeated, repeatedMessage, string } from "../../grpc/message.ts";
import { bidi, serverStream, service, unary } from "../../grpc/service.ts";
import { Empty, Timestamp } from "./types.ts";

export const Info = message("containerd.services.content.v1.Info", {
  digest: field(1, string),
  size: field(2, int),
  created_at: nested(3, Timestamp),
  updated_at: nested(4, Timestamp),
  labels: mapOf(5, string),
});
export const InfoRequest = message("containerd.services.content.v1.InfoRequest", { digest: field(1, string) });
export const InfoResponse = message("containerd.services.content.v1.InfoResponse", { info: nested(1, Info) });
export const ListContentRequest = message("containerd.services.content.v1.ListContentRequest", {
  filters: repeated(1, string),
});
export const ListContentResponse = message("containerd.services.content.v1.ListContentResponse", {
  info: repeatedMessage(1, Info),
});
export const DeleteContentRequest = message("containerd.services.content.v1.DeleteContentRequest", {
  digest: field(1, string),
});
/** `size` 0 is everything from `offset`. */
export const ReadContentRequest = message("containerd.services.content.v1.ReadContentRequest", {
  digest: field(1, string),
  offset: field(2, int),
  size: field(3, int),
});
export const ReadContentResponse = message("containerd.services.content.v1.ReadContentResponse", {
  offset: field(1, int),
  data: field(2, bytes),
});
export const Status = message("containerd.services.content.v1.Status", {
  started_at: nested(1, Timestamp),
  updated_at: nested(2, Timestamp),
  ref: field(3, string),
  offset: field(4, int),
  total: field(5, int),
  expected: field(6, string),
});
export const StatusRequest = message("containerd.services.content.v1.StatusRequest", { ref: field(1, string) });
export const StatusResponse = message("containerd.services.content.v1.StatusResponse", { status: nested(1, Status) });
/** `action` of a write. */
export const writeActions = { stat: 0, write: 1, commit: 2 } as const;
export const WriteContentRequest = message("containerd.services.content.v1.WriteContentRequest", {
  action: field(1, int),
  ref: field(2, string),
  total: field(3, int),
  expected: field(4, string),
  offset: field(5, int),
  data: field(6, bytes),
  labels: mapOf(7, string),
});
export const WriteContentResponse = message("containerd.services.content.v1.WriteContentResponse", {
  action: field(1, int),
  started_at: nested(2, Timestamp),
  updated_at: nested(3, Timestamp),
  offset: field(4, int),
  total: field(5, int),
  digest: field(6, string),
});
export const AbortRequest = message("containerd.services.content.v1.AbortRequest", { ref: field(1, string) });

export const Content = service("containerd.services.content.v1.Content", {
  Info: unary(InfoRequest, InfoResponse),
  List: serverStream(ListContentRequest, ListContentResponse),
  Delete: unary(DeleteContentRequest, Empty),
  Read: serverStream(ReadContentRequest, ReadContentResponse),
  Status: unary(StatusRequest, StatusResponse),
  Write: bidi(WriteContentRequest, WriteContentResponse),
  Abort: unary(AbortRequest, Empty),
});
