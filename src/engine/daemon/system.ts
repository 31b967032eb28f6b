// The system port of the API: info, version and check, out of all rooms.

import type { CheckFinding, SystemPort } from "../api/ports.ts";
import type { BuildCache } from "../build/solver/index.ts";
import type { Containers } from "../containers/index.ts";
import type { Events } from "../events/index.ts";
import type { Images } from "../images/index.ts";
import type { Networks } from "../network/index.ts";
import type { Plugins } from "../plugins/index.ts";
import type { HostFacts } from "../runtime/index.ts";
import type { Store } from "../store/index.ts";
import type { Volumes } from "../volumes/index.ts";
import type { BuildInfo } from "./build-info.ts";
import { type Check, checkSystem } from "./check.ts";
import { createDiskMeter } from "./disk-usage.ts";
import { renderInfo, renderVersion } from "./info.ts";
import type { InitProgram } from "./init-program.ts";
import type { LiveConfig } from "./live-config.ts";
import { checkPermissions, permissionTable } from "./permissions.ts";
import type { RuntimeProgram } from "./runtime-versions.ts";

export interface SystemDeps {
  readonly live: LiveConfig;
  readonly build: BuildInfo;
  readonly facts: HostFacts;
  readonly init: InitProgram | undefined;
  readonly engineId: string;
  readonly rooms: {
    readonly store: Store;
    readonly images: Images;
    readonly networks: Networks;
    readonly volumes: Volumes;
    readonly plugins: Plugins;
    readonly containers: Containers;
    readonly events: Events;
    readonly buildCache: BuildCache;
  };
  runtimes(): readonly RuntimeProgram[];
}

/** Every room's look at its invariants, in the order in which repairs build upon each other. */
function checksOf({ live, rooms }: SystemDeps): readonly Check[] {
  const { store, images, networks, volumes, containers, buildCache } = rooms;
  const { dataRoot, execRoot, hosts } = live.current;
  const sockets = hosts.filter((host) => host.startsWith("unix://")).map((host) => host.slice("unix://".length));
  const checkStore = async (): Promise<readonly CheckFinding[]> =>
    (await store.check()).map((detail) => ({ invariant: "F18", subject: "gantry.db", detail, repaired: false }));
  return [
    checkStore,
    (repair) => containers.check({ repair }),
    (repair) => volumes.check({ repair }),
    (repair) => networks.check(new Set(containers.running().map(({ id }) => id)), { repair }),
    (repair) => images.check({ repair }),
    async (repair) => (await buildCache.check(repair)).map((finding) => ({ invariant: "F10", ...finding })),
    (repair) => Promise.try(() => checkPermissions(permissionTable({ dataRoot, execRoot, sockets }), repair)),
  ];
}

export function createSystem(deps: SystemDeps): SystemPort {
  const { live, build, facts, init, engineId, rooms } = deps;
  const measureDisk = createDiskMeter(rooms);
  return {
    info: () =>
      Promise.try(() =>
        renderInfo({
          engineId,
          build,
          config: live.current,
          facts,
          init,
          runtimes: deps.runtimes(),
          states: rooms.containers.states(),
          imageCount: rooms.images.count(),
          eventListeners: rooms.events.listenerCount(),
          volumeDrivers: rooms.plugins.activated("VolumeDriver"),
        }),
      ),
    version: () =>
      Promise.try(() => renderVersion({ build, facts, init, config: live.current, runtimes: deps.runtimes() })),
    diskUsage: (types) => measureDisk(types),
    check: ({ repair }) => checkSystem(checksOf(deps), repair),
  };
}
