// Values in a call's metadata: what HTTP/2 cannot carry is escaped, and a second name says so. Source: BuildKit's session/filesync.

import type { MetadataInit } from "../../../grpc/index.ts";

/** @returns nothing for no values */
export function renderValues(name: string, values: readonly string[]): MetadataInit {
  if (values.length === 0) return {};
  const isPlain = values.every((value) => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value));
  if (isPlain) return { [name]: values };
  return { [name]: values.map((value) => encodeURIComponent(value)), [`${name}-encoded`]: "1" };
}
