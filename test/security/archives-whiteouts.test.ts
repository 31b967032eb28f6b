// Whiteouts: what a layer deletes becomes overlayfs' own marks. Source: OCI image-spec 1.1, layer.md, "Whiteouts"; kernel,
// Documentation/filesystems/overlayfs.rst. Needs root and python3.

import assert from "node:assert/strict";
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { directory, file, hardlink, tarOf } from "../support/tar.ts";
import { UnpackBench, xattrsOf } from "../support/unpack-bench.ts";

let bench: UnpackBench;
before(() => {
  bench = new UnpackBench();
});
after(() => bench[Symbol.dispose]());

function unpack(archive: Uint8Array): string {
  const run = bench.run(archive);
  assert.equal(run.status, 0, run.said);
  assert.deepEqual(bench.canaryChanges(), []);
  return run.layer;
}

/** The tree as the spec wants it. */
function unpacksTo(title: string, archive: () => Uint8Array, look: (layer: string) => void): void {
  it(title, () => look(unpack(archive())));
}

const isWhiteout = (path: string): boolean => {
  const stat = lstatSync(path);
  return stat.isCharacterDevice() && stat.rdev === 0;
};
const isOpaque = (path: string): boolean => xattrsOf(path)["trusted.overlay.opaque"] === "79";

describe("whiteouts", () => {
  unpacksTo(
    "turns .wh.x into a character device 0:0",
    () => tarOf(directory("d"), file("d/.wh.gone"), file(".wh.top")),
    (layer) => {
      assert.deepEqual([isWhiteout(join(layer, "d/gone")), isWhiteout(join(layer, "top"))], [true, true]);
      assert.deepEqual(readdirSync(join(layer, "d")), ["gone"]);
    },
  );
  unpacksTo(
    "makes a directory opaque by .wh..wh..opq, before or after its members",
    () =>
      tarOf(
        directory("a"),
        file("a/.wh..wh..opq"),
        file("a/f", "x"),
        directory("b"),
        file("b/f", "x"),
        file("b/.wh..wh..opq"),
      ),
    (layer) => {
      assert.deepEqual([isOpaque(join(layer, "a")), isOpaque(join(layer, "b"))], [true, true]);
      assert.deepEqual([readdirSync(join(layer, "a")), readdirSync(join(layer, "b"))], [["f"], ["f"]]);
    },
  );
  unpacksTo(
    "keeps a file of the same layer, whichever comes first",
    () => tarOf(file("a", "x"), file(".wh.a"), file(".wh.b"), file("b", "y")),
    (layer) => {
      assert.deepEqual([lstatSync(join(layer, "a")).isFile(), lstatSync(join(layer, "b")).isFile()], [true, true]);
    },
  );
  unpacksTo(
    "makes a directory that replaces a deleted one opaque",
    () => tarOf(file(".wh.d"), directory("d"), file("d/f"), directory("e"), file(".wh.e"), file(".wh.i"), file("i/f")),
    (layer) => {
      assert.deepEqual(
        [isOpaque(join(layer, "d")), isOpaque(join(layer, "e")), isOpaque(join(layer, "i"))],
        [true, true, true],
      );
    },
  );
  unpacksTo(
    "takes a whiteout with content and with any owner",
    () => tarOf(file(".wh.x", "ignored", { uid: 5 }), file("after", "y")),
    (layer) => {
      assert.deepEqual([isWhiteout(join(layer, "x")), readdirSync(layer).sort()], [true, ["after", "x"]]);
    },
  );
  unpacksTo(
    "takes a whiteout that is a hard link or a directory",
    () => tarOf(file("f"), hardlink(".wh.x", "f"), directory(".wh.y/")),
    (layer) => {
      assert.deepEqual([isWhiteout(join(layer, "x")), isWhiteout(join(layer, "y"))], [true, true]);
    },
  );
});
