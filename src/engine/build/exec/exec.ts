// createExec: the runner of RUN, the cache mounts, the failed steps that are kept.

import type { ContainerId } from "../../../base/ids.ts";
import { EngineError } from "../../../base/errors.ts";
import type { ExecOp, Op } from "../graph/index.ts";
import type { OpRunner, Selector } from "../solver/index.ts";
import { CacheMounts } from "./cache-mounts.ts";
import type { Exec, ExecDeps } from "./index.ts";
import { KeptSteps } from "./kept-steps.ts";
import { runStep, type StepRoom } from "./step.ts";

function execOf(op: Op): ExecOp {
  if (op.kind !== "exec") throw new EngineError("System", `an op of kind ${op.kind} is no step`);
  return op;
}

/** Of an input that is only read, what its mounts show; undefined where it is the root, written to, or fills a cache. */
export function selectorOf(op: ExecOp, input: number): Selector | undefined {
  if (input === 0) return undefined;
  const sources: Selector["sources"][number][] = [];
  for (const mount of op.mounts) {
    if ((mount.type !== "bind" && mount.type !== "cache") || mount.input !== input) continue;
    if (mount.type === "cache" || !mount.readonly) return undefined;
    sources.push({ path: mount.source, allowWildcard: false, followLinks: true, parents: false, exclude: [] });
  }
  return sources.length === 0 ? undefined : { sources };
}

/**
 * Opens the cache mounts. What an earlier daemon left running has been ended before (endStaleSteps).
 *
 * @throws System the directories of cache mounts cannot be read
 */
export async function createExec(deps: ExecDeps): Promise<Exec> {
  const { cgroupVersion, cgroupMounts, hybrid } = deps.facts;
  const caches = await CacheMounts.open(deps.store, deps.paths.dataRoot, deps.logger);
  const room: StepRoom = {
    deps,
    hierarchies: { version: cgroupVersion, mounts: cgroupMounts, hybrid },
    caches,
    kept: new KeptSteps(deps.layers, (id) => deps.onStepDropped?.(id)),
    running: new Map(),
  };
  const closing = new AbortController();
  const steps = new Set<Promise<unknown>>();
  const runner: OpRunner = {
    key: () => Promise.resolve(""),
    async run(op, inputs, context, signal) {
      const step = runStep(room, execOf(op), inputs, context, AbortSignal.any([signal, closing.signal]));
      steps.add(step);
      try {
        return await step;
      } finally {
        steps.delete(step);
      }
    },
    selector: (op, input) => selectorOf(execOf(op), input),
  };
  return {
    runner,
    mounts: {
      list: () => caches.list(),
      remove: (id) => caches.remove(id),
      hold: (id, signal) => caches.hold(id, signal),
      fill: (id, fillDirectory, signal) => caches.fill(id, fillDirectory, signal),
    },
    keptStep: (stepId) => room.kept.get(stepId),
    findKeptStep: (prefix) => room.kept.find(prefix),
    runningCgroups: () => new Set([...room.running.values()].map(({ cgroup }) => cgroup)),
    networkUser(id: ContainerId) {
      const step = room.running.get(id);
      if (step === undefined) return undefined;
      return { id, name: `build-${id.slice(0, 12)}`, networkMode: step.networkMode, pid: 0 };
    },
    async close() {
      closing.abort(new EngineError("Cancelled", "the daemon is shutting down"));
      await Promise.allSettled(steps);
      room.kept[Symbol.dispose]();
      await caches.settled();
    },
  };
}
