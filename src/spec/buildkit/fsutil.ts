// Trees of files on the wire: entries in walk order, requests for content, content. Source: fsutil's package types.

import { bigInt, bytes, field, int, mapOf, message, nested, string, uint } from "../../grpc/message.ts";

/** `mode` is Go's os.FileMode; `modTime` in nanoseconds since 1970. */
export const Stat = message("fsutil.types.Stat", {
  path: field(1, string),
  mode: field(2, uint),
  uid: field(3, uint),
  gid: field(4, uint),
  size: field(5, int),
  modTime: field(6, bigInt),
  linkname: field(7, string),
  devmajor: field(8, int),
  devminor: field(9, int),
  xattrs: mapOf(10, bytes),
});

/** `type` of a Packet. */
export const packetTypes = { stat: 0, request: 1, data: 2, fin: 3, error: 4 } as const;

/** `ID` is the index of an entry in the order of the stats. An empty stat ends them, empty data ends a file. */
export const Packet = message("fsutil.types.Packet", {
  type: field(1, int),
  stat: nested(2, Stat),
  ID: field(3, uint),
  data: field(4, bytes),
});
