// The face of attestations: provenance (how it was built) and SBOM (what is in it), as in-toto statements.
// Source: in-toto attestation v1, SLSA provenance v0.2 and v1, SPDX 2.3.

import type { DiffId, Digest } from "../../../base/digest.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import type { Graph } from "../graph/index.ts";
import type { BuildLayers } from "../layers/index.ts";

export interface Attestation {
  readonly predicateType: string;
  readonly predicate: unknown;
}

/** What a provenance is made of. */
export interface ProvenanceFacts {
  readonly version: "v0.2" | "v1";
  readonly mode: "min" | "max";
  readonly builderId: string;
  readonly ref: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly platform: Platform;
  /** The frontend's options, without values of secrets; build arguments among them. */
  readonly request: Readonly<Record<string, string>>;
  readonly materials: readonly { readonly uri: string; readonly digest: Readonly<Record<string, string>> }[];
  readonly dockerfile: { readonly filename: string; readonly source: string };
  readonly graph: Graph;
  readonly reproducible: boolean;
}

export interface AttestDeps {
  readonly layers: BuildLayers;
  readonly packPath: string;
}

export interface Attest {
  provenance(facts: ProvenanceFacts): Attestation;
  /** Looks into the tree: dpkg, apk, npm, pip, Go binaries. */
  sbom(layers: readonly DiffId[], name: string, signal: AbortSignal): Promise<Attestation>;
}

/** Statement of an attestation about an image's manifest. */
export type StatementOf = (
  attestation: Attestation,
  subject: { readonly name: string; readonly digest: Digest },
) => unknown;

export { createAttest } from "./attest.ts";
