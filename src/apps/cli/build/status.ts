// What the daemon tells of a build that runs, as the CLI uses it; times are nanoseconds since 1970.

export interface VertexStatus {
  readonly digest: string;
  readonly name: string;
  readonly cached: boolean;
  readonly error: string;
  readonly startedNs: bigint | undefined;
  readonly completedNs: bigint | undefined;
}

/** Something with a name that goes on inside a vertex. */
export interface TaskStatus {
  readonly vertex: string;
  readonly id: string;
  readonly current: number;
  /** 0 when it is not known. */
  readonly total: number;
  readonly startedNs: bigint | undefined;
  readonly completedNs: bigint | undefined;
}

export interface LogStatus {
  readonly vertex: string;
  readonly atNs: bigint;
  readonly data: Uint8Array;
}

export interface WarningStatus {
  readonly vertex: string;
  readonly short: string;
  readonly url: string;
  readonly detail: readonly string[];
  readonly filename: string;
  readonly source: string;
  /** First lines, from 1. */
  readonly lines: readonly (readonly [first: number, last: number])[];
}

export interface BuildStatus {
  readonly vertexes: readonly VertexStatus[];
  readonly tasks: readonly TaskStatus[];
  readonly logs: readonly LogStatus[];
  readonly warnings: readonly WarningStatus[];
}

/** Shows a build's progress. */
export interface BuildDisplay {
  show(status: BuildStatus): void;
  /** The build is over; nothing is shown after it. */
  end(): void;
}

/** "1.2s". */
export function renderSeconds(ns: bigint): string {
  return `${(Number(ns) / 1e9).toFixed(1)}s`;
}
