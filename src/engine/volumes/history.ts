// Stub until snapshots of volumes are built.
import { EngineError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Files } from "../files/index.ts";
import type { Change, Store } from "../store/index.ts";
import type { Trees, VolumeHistory, VolumeRecord } from "./index.ts";

const missing = (what: string) => () =>
  Promise.reject(new EngineError("NotImplemented", `${what} is not supported yet`));

/** What the history asks of the room that owns the volumes. */
export interface VolumeHistoryDeps {
  readonly store: Store;
  readonly trees: Trees;
  readonly files: Files;
  /** The volume, locked against removal and other operations on its data until disposed, and where its data is (mounted for this where needed). @throws NotFound */
  readonly use: (
    volume: string,
  ) => Promise<AsyncDisposable & { readonly record: VolumeRecord; readonly data: string; readonly directory: string }>;
  /** Makes a local volume whose data is the content of `fresh` (renamed into place), with one commit. @throws Conflict it is there already */
  readonly adopt: (
    record: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
    fresh: string,
  ) => Promise<void>;
  /** A new directory on the volumes' own file system that a start of the daemon sweeps away. */
  readonly staging: () => Promise<string>;
  readonly publish: (action: string, volume: string, attributes: Readonly<Record<string, string>>) => void;
  readonly logger: Logger;
}

/** `restoreHistory` finishes what a killed daemon left; `dropVolume` gives the rows to delete with a volume. */
export function createVolumeHistory(_deps: VolumeHistoryDeps): VolumeHistory & {
  load(): Promise<void>;
  /** Snapshots of a volume that is being removed: rows for its commit; their files are in the volume's directory. */
  removal(volume: string): readonly Change[];
} {
  return {
    load: () => Promise.resolve(),
    removal: () => [],
    snapshot: missing("volume snapshot"),
    snapshots: missing("volume snapshot"),
    removeSnapshot: missing("volume snapshot"),
    restore: missing("volume restore"),
    export: missing("volume export"),
    import: missing("volume import"),
  };
}
