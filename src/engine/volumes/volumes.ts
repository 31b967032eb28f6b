// Stub until the room is built.
import { EngineError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Events } from "../events/index.ts";
import type { Files } from "../files/index.ts";
import type { ProjectQuotas } from "../kernel/project-quota.ts";
import type { Store } from "../store/index.ts";
import type { Trees, VolumeDrivers, Volumes, VolumeUsers } from "./index.ts";

export interface VolumesDeps {
  readonly store: Store;
  readonly trees: Trees;
  readonly files: Files;
  readonly drivers: VolumeDrivers;
  readonly users: VolumeUsers;
  readonly events: Events;
  readonly quotas: ProjectQuotas;
  readonly dataRoot: string;
  readonly logger: Logger;
}

const missing = (what: string) => () =>
  Promise.reject(new EngineError("NotImplemented", `${what} is not supported yet`));

export function createVolumes(_deps: VolumesDeps): Volumes {
  return {
    restore: () => Promise.resolve(),
    settle: () => Promise.resolve(),
    provide: missing("volume"),
    mount: missing("volume"),
    unmount: () => Promise.resolve(),
    has: () => false,
    removeAnonymous: () => Promise.resolve(),
    usage: () => Promise.resolve([]),
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
    create: missing("volume create"),
    list: () => Promise.resolve({ Volumes: [], Warnings: null }),
    inspect: (name) => Promise.reject(new EngineError("NotFound", `get ${name}: no such volume`)),
    update: missing("volume update"),
    remove: (name) => Promise.reject(new EngineError("NotFound", `get ${name}: no such volume`)),
    prune: () => Promise.resolve({ VolumesDeleted: [], SpaceReclaimed: 0 }),
    history: {
      snapshot: missing("volume snapshot"),
      snapshots: missing("volume snapshot"),
      removeSnapshot: missing("volume snapshot"),
      restore: missing("volume restore"),
      export: missing("volume export"),
      import: missing("volume import"),
    },
  };
}
