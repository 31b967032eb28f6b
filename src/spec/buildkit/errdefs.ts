// Details of a build's failure: what buildx prints the Dockerfile's excerpt from. They travel as Any whose value is JSON, with the
// members of the messages by their proto names. Source: BuildKit's package errdefs; containerd's typeurl.

import type { StatusDetail } from "../../grpc/status.ts";

const prefix = "github.com/moby/buildkit/errdefs.";
const stepType = "gantry.Step+json";

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

/** Gantry's own: the state before the step that failed is kept under this id for a while, as an image that can be run. */
export function stepDetail(stepId: string): StatusDetail {
  return { typeUrl: stepType, value: Buffer.from(JSON.stringify({ stepId })) };
}

/** What details of a failure say; those of unknown types are left out. */
export function readDetails(details: readonly StatusDetail[]): {
  readonly source:
    | { readonly filename: string; readonly source: string; readonly ranges: readonly ErrorRange[] }
    | undefined;
  readonly vertex: string | undefined;
  readonly stepId: string | undefined;
} {
  const find = (type: string): unknown => {
    const found = details.find(({ typeUrl }) => typeUrl === type);
    return found === undefined ? undefined : JSON.parse(Buffer.from(found.value).toString());
  };
  const source = find(`${prefix}Source+json`) as
    | {
        readonly info?: { readonly filename?: string; readonly data?: string };
        readonly ranges?: readonly ErrorRange[];
      }
    | undefined;
  return {
    source:
      source?.info === undefined
        ? undefined
        : {
            filename: source.info.filename ?? "",
            source: Buffer.from(source.info.data ?? "", "base64").toString(),
            ranges: source.ranges ?? [],
          },
    vertex: (find(`${prefix}Vertex+json`) as { readonly digest?: string } | undefined)?.digest,
    stepId: (find(stepType) as { readonly stepId?: string } | undefined)?.stepId,
  };
}

function detail(type: string, value: unknown): StatusDetail {
  return { typeUrl: `${prefix}${type}`, value: Buffer.from(JSON.stringify(value)) };
}
