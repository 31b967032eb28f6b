// Makes attestations: provenance of what the builder knows, an SBOM of what is in the tree.

import { chainIdsOf } from "../../../base/digest.ts";
import { hostArchitecture } from "../../../spec/oci/platform.ts";
import { packTar } from "../../snapshots/packer.ts";
import type { Attest, AttestDeps } from "./index.ts";
import { renderProvenance } from "./provenance.ts";
import { scanTree } from "./scan-tree.ts";
import { renderSpdx, spdxPredicateType } from "./spdx.ts";

/** See Attest. */
export function createAttest(deps: AttestDeps): Attest {
  return {
    provenance: (facts) => renderProvenance(facts, { os: "linux", architecture: hostArchitecture() }),
    sbom: async (layers, name, signal) => {
      using _ = deps.layers.keep(layers);
      const directories = deps.layers.directories(layers);
      const run = { args: ["export", ...directories], subject: `file system of ${name}`, kind: "System" } as const;
      const tree =
        directories.length === 0
          ? { distribution: { id: "", versionId: "" }, packages: [] }
          : await scanTree(packTar(deps.packPath, run, signal));
      const treeId = chainIdsOf(layers).at(-1) ?? "empty";
      return { predicateType: spdxPredicateType, predicate: renderSpdx(tree, name, treeId) };
    },
  };
}
