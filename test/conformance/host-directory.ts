// A directory of the host that the scenarios bind from. Its path has no value to compare: answers show it as <host>.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const hostDirectory = join(tmpdir(), `gantry-conformance-${process.pid}`);

/** Makes it with a directory `d` and files `f` and `g` in it; disposing removes it with all that daemons have made there. */
export function makeHostDirectory(): Disposable {
  mkdirSync(join(hostDirectory, "d/inner"), { recursive: true });
  writeFileSync(join(hostDirectory, "d/inner/file"), "of the host\n");
  for (const name of ["f", "g"]) writeFileSync(join(hostDirectory, name), "a file\n");
  return { [Symbol.dispose]: () => rmSync(hostDirectory, { recursive: true, force: true }) };
}
