// What the tests of sources share: a client without secrets, a job, a context, and a directory of their own.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../src/base/log.ts";
import { EngineError } from "../../src/base/errors.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import type { Op } from "../../src/engine/build/graph/index.ts";
import type { JobContext, OpRunner, RunContext } from "../../src/engine/build/solver/index.ts";
import { createSourceDirectories } from "../../src/engine/build/sources/directories.ts";
import type { SourceDirectories, SourceDirectory } from "../../src/engine/build/sources/index.ts";

export const never = new AbortController().signal;

export interface SourcesWorld extends Disposable {
  readonly dataRoot: string;
  readonly directories: SourceDirectories;
}

export async function sourcesWorld(): Promise<SourcesWorld> {
  const dataRoot = mkdtempSync(join(tmpdir(), "gantry-sources-"));
  const directories = await createSourceDirectories({
    root: join(dataRoot, "build", "contexts"),
    logger: silentLogger,
  });
  return { dataRoot, directories, [Symbol.dispose]: () => rmSync(dataRoot, { recursive: true, force: true }) };
}

function absent(): never {
  throw new EngineError("NotFound", "this client has none");
}

export function clientWith(secrets: Readonly<Record<string, string>>): BuildClient {
  return {
    sessionId: "test",
    syncDirectory: absent,
    upload: absent,
    secret: async (id) => (secrets[id] === undefined ? undefined : Buffer.from(secrets[id])),
    hasAgent: async () => false,
    connectAgent: absent,
    credentials: async () => undefined,
    sendStream: absent,
    sendDirectory: absent,
    contentStore: absent,
  };
}

export function jobOf(secrets: Readonly<Record<string, string>> = {}): JobContext {
  return {
    ref: "test",
    client: clientWith(secrets),
    progress: { emit() {}, vertex: absent, subscribe: absent, close() {} },
    entitlements: new Set(),
    clampTimes: undefined,
    keepFailed: false,
  };
}

/** Runs an op as the solver does: its key first. */
export async function runSource(
  runner: OpRunner,
  op: Op,
  job: JobContext = jobOf(),
  log: Buffer[] = [],
): Promise<{ readonly key: string | undefined; readonly directory: SourceDirectory }> {
  const key = await runner.key(op, job, never);
  const context: RunContext = {
    job,
    vertex: {
      digest: `sha256:${"0".repeat(64)}` as RunContext["vertex"]["digest"],
      op,
      inputs: [],
      name: "",
      ranges: [],
      ignoreCache: false,
    },
    report: { digest: "", log: (_stream, data) => void log.push(Buffer.from(data)), status() {} },
  };
  const snapshot = await runner.run(op, [], context, never);
  if (snapshot.kind !== "directory") throw new Error("a source gives a directory");
  return { key, directory: snapshot.directory };
}
