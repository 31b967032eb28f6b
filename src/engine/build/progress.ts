// What a build tells while it runs: one model, which the doors render as Docker's JSON stream, as BuildKit's StatusResponse, or
// for a terminal. Whoever subscribes late gets everything from the beginning.

/** Nanoseconds since 1970, as text would lose them: bigint. */
export type TimestampNs = bigint;

export interface VertexProgress {
  /** sha256:…; the same vertex keeps it, and its `startedAt`, through all of its messages. */
  readonly digest: string;
  /** "[build 2/5] RUN make". */
  readonly name: string;
  readonly inputs: readonly string[];
  readonly startedAt: TimestampNs | undefined;
  readonly completedAt: TimestampNs | undefined;
  readonly cached: boolean;
  /** "" while all is well. */
  readonly error: string;
}

/** An instruction of the build as it stands in the Dockerfile, in order, over all stages that are built. */
export interface PlannedStep {
  /** "RUN make". */
  readonly instruction: string;
  /** The vertex that carries it out; undefined where it only changes the image's configuration. */
  readonly vertex: string | undefined;
  /** Of an instruction that names an image: its id. */
  readonly imageId?: string;
  /** Not of the file: an ONBUILD of the image that the FROM before it names. */
  readonly isTrigger?: boolean;
}

export type BuildEvent =
  /** Told once, when it is known what will be done; the classic endpoint numbers its steps by it. */
  | { readonly kind: "plan"; readonly steps: readonly PlannedStep[] }
  | { readonly kind: "vertex"; readonly vertex: VertexProgress }
  | {
      readonly kind: "status";
      readonly vertex: string;
      /** "extracting sha256:…", "transferring context:". */
      readonly id: string;
      readonly current: number;
      /** 0 when it is not known. */
      readonly total: number;
      readonly at: TimestampNs;
      readonly startedAt: TimestampNs;
      readonly completedAt: TimestampNs | undefined;
    }
  | {
      readonly kind: "log";
      readonly vertex: string;
      readonly stream: 1 | 2;
      readonly data: Uint8Array;
      readonly at: TimestampNs;
    }
  | {
      readonly kind: "warning";
      readonly vertex: string;
      readonly level: number;
      readonly short: string;
      readonly detail: readonly string[];
      readonly url: string;
      readonly filename: string;
      readonly source: string;
      readonly ranges: readonly import("./dockerfile/index.ts").Range[];
    };

/** Speaks for one vertex. */
export interface VertexReporter {
  readonly digest: string;
  log(stream: 1 | 2, data: Uint8Array): void;
  /** Progress of something with a name inside the vertex; `done` ends it. */
  status(id: string, current: number, total: number, done: boolean): void;
}

/** All events of one build. */
export interface BuildProgress {
  emit(event: BuildEvent): void;
  /**
   * Runs `work` as a vertex: started, completed, error told. Internal steps of the build ("[internal] load build definition") use it too.
   *
   * @param digest chosen by the caller; unique in the build
   */
  vertex<T>(
    vertex: { readonly digest: string; readonly name: string; readonly inputs?: readonly string[] },
    work: (report: VertexReporter) => Promise<T>,
  ): Promise<T>;
  /** Everything so far, then what comes, until the build is closed or the signal aborts. */
  subscribe(signal: AbortSignal): AsyncIterable<readonly BuildEvent[]>;
  close(): void;
}

export { createBuildProgress } from "./progress-log.ts";
