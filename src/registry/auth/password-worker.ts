// The thread that compares passwords with bcrypt hashes, one after the other, so that no request waits for a login. The build
// makes a file of its own of it, registry-password-worker.js beside the bundles.

import { parentPort } from "node:worker_threads";
import { compareSync } from "bcryptjs";

/** What the thread is asked; it answers with a boolean. */
export interface Comparison {
  readonly password: string;
  readonly hash: string;
}

function isRight({ hash, password }: Comparison): boolean {
  try {
    return compareSync(password, hash);
  } catch {
    // A hash that has the form of one, and impossible rounds.
    return false;
  }
}

parentPort?.on("message", (comparison: Comparison) => parentPort?.postMessage(isRight(comparison)));
