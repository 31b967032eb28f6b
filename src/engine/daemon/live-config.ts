// The configuration while the daemon runs: what SIGHUP may change, and what waits for the next start.

import type { DaemonConfig } from "./config.ts";

/** Holds the configuration in force; rooms that see reloads read through it. */
export interface LiveConfig {
  readonly current: DaemonConfig;
}

/** The keys that a reload applies. */
const reloadable = [
  "debug",
  "logLevel",
  "runtimes",
  "defaultRuntime",
  "shutdownTimeoutSeconds",
  "labels",
  "registryMirrors",
  "insecureRegistries",
  "builder",
  "maxConcurrentDownloads",
  "maxConcurrentUploads",
  "maxDownloadAttempts",
] as const;

/** What a reload makes of the configuration in force and the one just read. Pure. */
export function planReload(
  now: DaemonConfig,
  read: DaemonConfig,
): {
  readonly config: DaemonConfig;
  /** Keys that differ but need a restart. */
  readonly waiting: readonly string[];
} {
  const config: DaemonConfig = {
    ...now,
    debug: read.debug,
    logLevel: read.logLevel,
    runtimes: read.runtimes,
    defaultRuntime: read.defaultRuntime,
    shutdownTimeoutSeconds: read.shutdownTimeoutSeconds,
    labels: read.labels,
    registryMirrors: read.registryMirrors,
    insecureRegistries: read.insecureRegistries,
    builder: read.builder,
    maxConcurrentDownloads: read.maxConcurrentDownloads,
    maxConcurrentUploads: read.maxConcurrentUploads,
    maxDownloadAttempts: read.maxDownloadAttempts,
  };
  const applied: ReadonlySet<string> = new Set(reloadable);
  const waiting = Object.entries(read)
    .filter(
      ([key, value]) =>
        !applied.has(key) &&
        JSON.stringify(value) !== JSON.stringify(Object.entries(now).find(([name]) => name === key)?.[1]),
    )
    .map(([key]) => key);
  return { config, waiting };
}

/** The attributes of the event that announces a reload, as dockerd names them. */
export function reloadAttributes(config: DaemonConfig, hostName: string): Readonly<Record<string, string>> {
  const runtimes = Object.entries(config.runtimes).map(([name, { path, args }]) => [
    name,
    args.length > 0 ? { path, runtimeArgs: args } : { path },
  ]);
  return {
    name: hostName,
    debug: String(config.debug),
    "default-runtime": config.defaultRuntime,
    "insecure-registries": JSON.stringify(config.insecureRegistries),
    labels: JSON.stringify(config.labels),
    "live-restore": "true",
    "max-concurrent-downloads": String(config.maxConcurrentDownloads),
    "max-concurrent-uploads": String(config.maxConcurrentUploads),
    "max-download-attempts": String(config.maxDownloadAttempts),
    "registry-mirrors": JSON.stringify(config.registryMirrors),
    runtimes: JSON.stringify(Object.fromEntries(runtimes)),
    "shutdown-timeout": String(config.shutdownTimeoutSeconds),
  };
}
