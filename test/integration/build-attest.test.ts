// SBOMs of trees in the image store: layers over one another, and this host's own database of packages beside what dpkg says of
// it. Needs root.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { createAttest } from "../../src/engine/build/attest/index.ts";
import { createBuildLayers } from "../../src/engine/build/layers/index.ts";
import { layersOf } from "../support/build-outputs.ts";
import { ImageRoom } from "../support/image-room.ts";
import { file, symlink, tarOf } from "../support/tar.ts";
import { packPath } from "../support/unpack-bench.ts";

interface Document {
  readonly packages: readonly {
    readonly name: string;
    readonly versionInfo?: string;
    readonly externalRefs?: readonly { readonly referenceLocator: string }[];
  }[];
}

async function sbomOf(...tars: readonly Buffer[]): Promise<Document> {
  await using stack = new AsyncDisposableStack();
  const room = await ImageRoom.open();
  stack.defer(() => room.close());
  const layers = createBuildLayers({ snapshots: room.snapshots, store: room.store });
  const attest = createAttest({ layers, packPath });
  const chain = await layersOf(room, ...tars);
  const { predicate, predicateType } = await attest.sbom(chain, "linux/amd64", AbortSignal.timeout(60_000));
  assert.equal(predicateType, "https://spdx.dev/Document");
  const again = await attest.sbom(chain, "linux/amd64", AbortSignal.timeout(60_000));
  assert.deepEqual(again.predicate, predicate);
  return predicate as Document;
}

function urls({ packages }: Document): readonly string[] {
  return packages.flatMap(({ externalRefs = [] }) => externalRefs.map(({ referenceLocator }) => referenceLocator));
}

describe("an SBOM", () => {
  test("is of the merged tree: what an upper layer replaced or deleted is not in it", async () => {
    const metadata = "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n\nText\n";
    const base = tarOf(
      file("usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\n'),
      symlink("etc/os-release", "../usr/lib/os-release"),
      file("var/lib/dpkg/status", "Package: old\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"),
      file("srv/node_modules/left/package.json", '{"name":"left","version":"1.0.0"}'),
      file("srv/node_modules/right/package.json", '{"name":"right","version":"1.0.0"}'),
      file("srv/node_modules/right/lib/package.json", '{"name":"inner","version":"9.0.0"}'),
    );
    const upper = tarOf(
      file("var/lib/dpkg/status", "Package: new\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n"),
      file("srv/node_modules/.wh.left", ""),
      file("usr/lib/python3/dist-packages/requests-2.31.0.dist-info/METADATA", metadata),
    );
    assert.deepEqual(urls(await sbomOf(base, upper)), [
      "pkg:deb/debian/new@2?arch=all&distro=debian-12",
      "pkg:npm/right@1.0.0",
      "pkg:pypi/requests@2.31.0",
    ]);
  });

  test("has the packages of a real database that dpkg says are installed", async () => {
    const format = "${db:Status-Status} ${Package} ${Version}\\n";
    const said = execFileSync("dpkg-query", ["-W", "-f", format], { encoding: "utf8" });
    const installed = said
      .split("\n")
      .flatMap((line) => (line.startsWith("installed ") ? [line.slice("installed ".length)] : []));
    const document = await sbomOf(
      tarOf(
        file("etc/os-release", readFileSync("/etc/os-release")),
        file("var/lib/dpkg/status", readFileSync("/var/lib/dpkg/status")),
      ),
    );
    const found = document.packages.slice(1).map(({ name, versionInfo }) => `${name} ${versionInfo}`);
    assert.deepEqual([...found].sort(), [...new Set(installed)].sort());
    assert.ok(found.length > 50);
  });

  test("of an empty tree has the tree alone", async () => {
    assert.deepEqual(
      (await sbomOf()).packages.map(({ name }) => name),
      ["linux/amd64"],
    );
  });
});
