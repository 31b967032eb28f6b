// Whether a container that has ended is started again, and when. Pure.
// Source: Engine API 1.51, RestartPolicy; dockerd's back-off: 100 ms, doubled up to a minute, reset by 10 s of running.

import type { RestartPolicy } from "../../spec/docker/container.ts";

const firstDelayMs = 100;
const longestDelayMs = 60_000;
const steadyRunMs = 10_000;

export interface EndedRun {
  readonly policy: RestartPolicy;
  readonly exitCode: number;
  /** Restarts by the policy so far. */
  readonly restartCount: number;
  readonly manuallyStopped: boolean;
  readonly ranForMs: number;
  /** Delay before this run; 0 when it was started by hand. */
  readonly lastDelayMs: number;
}

/** The delay before the next start, or undefined for none. */
export function planRestart(run: EndedRun): number | undefined {
  if (!isWanted(run)) return undefined;
  const last = run.ranForMs >= steadyRunMs ? 0 : run.lastDelayMs;
  return last === 0 ? firstDelayMs : Math.min(last * 2, longestDelayMs);
}

function isWanted({ policy, exitCode, restartCount, manuallyStopped }: EndedRun): boolean {
  switch (policy.Name) {
    case "always":
      return true;
    case "unless-stopped":
      return !manuallyStopped;
    case "on-failure": {
      const limit = policy.MaximumRetryCount ?? 0;
      return exitCode !== 0 && (limit === 0 || restartCount < limit);
    }
    case "":
    case "no":
    case undefined:
      return false;
  }
}
