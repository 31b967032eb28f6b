// An SPDX 2.3 document of the packages in an image. The same tree gives the same document: packages are in the order of their
// URLs, names are made of digests, and its time is 1970, because a tree has none.
// Source: SPDX 2.3, JSON schema.

import { digestOf } from "../../../base/digest.ts";
import { type PackageRecord, packageUrl } from "./package-record.ts";
import type { ScannedTree } from "./scan-tree.ts";

export const spdxPredicateType = "https://spdx.dev/Document";
const noAssertion = "NOASSERTION";
const imageId = "SPDXRef-Image";

interface Found {
  readonly url: string;
  readonly record: PackageRecord;
  readonly paths: readonly string[];
}

/**
 * @param name what the tree is called
 * @param treeId digest that stands for the tree
 */
export function renderSpdx(tree: ScannedTree, name: string, treeId: string): unknown {
  const found = distinct(tree);
  const namespace = `https://spdx.org/spdxdocs/gantry/${digestOf(`${name}\n${treeId}`).slice("sha256:".length)}`;
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: namespace,
    creationInfo: { creators: ["Tool: gantry"], created: "1970-01-01T00:00:00Z" },
    packages: [
      {
        name,
        SPDXID: imageId,
        downloadLocation: noAssertion,
        filesAnalyzed: false,
        licenseConcluded: noAssertion,
        licenseDeclared: noAssertion,
        copyrightText: noAssertion,
        primaryPackagePurpose: "CONTAINER",
      },
      ...found.map(renderPackage),
    ],
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: imageId },
      ...found.map((item) => ({
        spdxElementId: imageId,
        relationshipType: "CONTAINS",
        relatedSpdxElement: spdxId(item),
      })),
    ],
  };
}

function distinct({ packages, distribution }: ScannedTree): readonly Found[] {
  const grouped = Map.groupBy(packages, (record) => packageUrl(record, distribution));
  return [...grouped]
    .map(([url, records]): Found => {
      const paths = [...new Set(records.map(({ path }) => path))].sort();
      return { url, record: records.find(({ path }) => path === paths[0]) as PackageRecord, paths };
    })
    .sort((a, b) => (a.url < b.url ? -1 : 1));
}

/** Letters, digits, dots and dashes; the digest makes it unique. */
function spdxId({ url, record }: Found): string {
  const name = record.name.replaceAll(/[^A-Za-z0-9.-]+/g, "-");
  return `SPDXRef-Package-${record.type}-${name}-${digestOf(url).slice("sha256:".length).slice(0, 16)}`;
}

function renderPackage(found: Found): unknown {
  const { url, record, paths } = found;
  return {
    name: record.name,
    SPDXID: spdxId(found),
    ...(record.version === "" ? {} : { versionInfo: record.version }),
    downloadLocation: noAssertion,
    filesAnalyzed: false,
    sourceInfo: `found in ${paths.join(", ")}`,
    licenseConcluded: noAssertion,
    // What packages write is often no SPDX expression, which this member has to be.
    licenseDeclared: noAssertion,
    ...(record.license === undefined ? {} : { licenseComments: `the package says: ${record.license}` }),
    copyrightText: noAssertion,
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: url }],
  };
}
