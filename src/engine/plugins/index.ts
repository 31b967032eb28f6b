// The face of the plugins room: programs of third parties that serve Docker's plugin protocol on a socket. Found when they are
// asked for, by a socket or a spec file. Source: docs.docker.com, "Docker Plugin API" (legacy protocol) and "Volume plugin protocol".

import type { Logger } from "../../base/log.ts";
import type { VolumeDriver } from "../volumes/index.ts";
import type { PluginTiming } from "./timing.ts";

/** Where plugins are looked for, in this order. */
export interface PluginDirectories {
  /** name.sock, or name/name.sock. */
  readonly sockets: readonly string[];
  /** name.spec (an address) or name.json (address and TLS). */
  readonly specs: readonly string[];
}

export const defaultPluginDirectories: PluginDirectories = {
  sockets: ["/run/docker/plugins"],
  specs: ["/etc/docker/plugins", "/usr/lib/docker/plugins"],
};

export interface Plugins {
  /** @throws NotFound `plugin "x" not found`; System it does not answer, or implements no VolumeDriver */
  volumeDriver(name: string): Promise<VolumeDriver>;
  /** Names that the directories show, whatever they implement, and drivers of volumes that were activated; none of them is called. */
  names(): Promise<readonly string[]>;
  /** Names of those that were activated and implement the interface, for `docker info`. */
  activated(kind: "VolumeDriver" | "NetworkDriver" | "IpamDriver" | "authz"): readonly string[];
  close(): void;
}

export interface PluginsDeps {
  readonly directories: PluginDirectories;
  readonly logger: Logger;
  /** defaultPluginTiming without it. */
  readonly timing?: PluginTiming;
}

export { createPlugins } from "./plugins.ts";
