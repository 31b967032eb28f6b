// How hostile layers are tested: refused with a status and a line, or unpacked without touching anything outside.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { UnpackBench, type UnpackLimits } from "./unpack-bench.ts";

/** Exit statuses of gantry-unpack. */
export const badArchive = 1;
export const limit = 2;

export interface UnpackCases {
  /** Where the archives are unpacked; only within a test or an archive's function. */
  readonly bench: () => UnpackBench;
  /** The archive is refused with this status and a line that matches. */
  readonly refuses: (
    title: string,
    archive: () => Uint8Array,
    status: number,
    said: RegExp,
    limits?: UnpackLimits,
  ) => void;
  /** The archive is unpacked, but stays inside; `look` says what has to be there. */
  readonly confines: (title: string, archive: () => Uint8Array, look: (layer: string) => void) => void;
}

/** Registers the bench with the test file that calls this. */
export function unpackCases(): UnpackCases {
  let bench: UnpackBench;
  before(() => {
    bench = new UnpackBench();
  });
  after(() => bench[Symbol.dispose]());
  return {
    bench: () => bench,
    refuses: (title, archive, status, said, limits = {}) => {
      it(`refuses ${title}`, () => {
        const run = bench.run(archive(), limits);
        assert.deepEqual(bench.canaryChanges(), []);
        assert.equal(run.status, status, run.said);
        assert.match(run.said, said);
        assert.equal(run.said.includes("\n"), false, "one line");
        assert.equal(run.out, "");
      });
    },
    confines: (title, archive, look) => {
      it(`confines ${title}`, () => {
        const run = bench.run(archive());
        assert.deepEqual(bench.canaryChanges(), []);
        assert.equal(run.status, 0, run.said);
        look(run.layer);
      });
    },
  };
}
