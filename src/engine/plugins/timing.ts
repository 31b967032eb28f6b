// How long plugins are waited for.

/** How long a plugin is waited for. Milliseconds. */
export interface PluginTiming {
  /** Pause before the second attempt to reach it; each further one is twice as long. */
  readonly firstPauseMs: number;
  /** No attempt begins later than this after the first one. */
  readonly giveUpMs: number;
  /** A connection, where the other side is silent. */
  readonly connectMs: number;
  /** An answer to Plugin.Activate. */
  readonly activateMs: number;
  /** An answer to Create and Mount, which may move data. */
  readonly longMs: number;
  /** An answer to all else. */
  readonly shortMs: number;
}

/** dockerd's: attempts after 0, 1, 3, 7 and 15 s; answers within one minute, or two. */
export const defaultPluginTiming: PluginTiming = {
  firstPauseMs: 1000,
  giveUpMs: 30_000,
  connectMs: 10_000,
  activateMs: 30_000,
  longMs: 120_000,
  shortMs: 60_000,
};
