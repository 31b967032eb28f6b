// Details of a build's failure: what buildx prints the Dockerfile's excerpt from. They travel as Any whose value is JSON, with the
// members of the messages by their proto names. Source: BuildKit's package errdefs; containerd's typeurl.

import type { StatusDetail } from "../../grpc/status.ts";

const prefix = "github.com/moby/buildkit/errdefs.";

/** Lines from 1, characters from 0. */
export interface ErrorRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

/** Where in a source the error is. */
export function sourceDetail(filename: string, source: string, ranges: readonly ErrorRange[]): StatusDetail {
  const data = Buffer.from(source).toString("base64");
  return detail("Source+json", { info: { filename, data }, ranges });
}

/** The step that failed. */
export function vertexDetail(digest: string): StatusDetail {
  return detail("Vertex+json", { digest });
}

function detail(type: string, value: unknown): StatusDetail {
  return { typeUrl: `${prefix}${type}`, value: Buffer.from(JSON.stringify(value)) };
}
