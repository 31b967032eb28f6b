// Carries out local ops: a directory of the client's, as it is at this moment. Only its content identifies it.

import type { Op } from "../graph/index.ts";
import type { OpRunner } from "../solver/index.ts";

export function createLocalRunner(): OpRunner {
  return {
    async key() {
      return undefined;
    },
    async run(op, _inputs, { job, report }, signal) {
      const { name, includePatterns, excludePatterns, followPaths } = localOf(op);
      const id = `transferring ${name}:`;
      let sentBytes = 0;
      const progress = (bytes: number): void => {
        sentBytes = bytes;
        report.status(id, bytes, 0, false);
      };
      report.status(id, 0, 0, false);
      const options = { includePatterns, excludePatterns, followPaths, progress };
      const directory = await job.client.syncDirectory(name, options, signal);
      report.status(id, sentBytes, 0, true);
      return { kind: "directory", directory };
    },
  };
}

function localOf(op: Op): Extract<Op, { kind: "local" }> {
  if (op.kind !== "local") throw new TypeError(`no local op: ${op.kind}`);
  return op;
}
