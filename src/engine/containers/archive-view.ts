// What is seen of a container from outside: of one that runs its first process' root, with all of its mounts; of another one its
// layers, its volumes and binds and its own hosts, hostname and resolv.conf, mounted where nobody else sees them.

import { existsSync } from "node:fs";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { FileRoot, RootMount } from "../files/index.ts";
import type { Container } from "./container.ts";
import { mountsOf } from "./mount-plan.ts";
import { filePaths } from "./network-files.ts";
import { holdRootMounts } from "./root-mounts.ts";
import type { Room } from "./room.ts";
import { hasProcess } from "./state.ts";

/** To be disposed when the program that looks has opened what it needs, or has made what it makes. */
export interface ContainerView extends AsyncDisposable {
  readonly container: Container;
  readonly root: FileRoot;
  /** Where its passwd and group are looked up (RuntimeSpecs.resolveUser). */
  readonly roots: readonly string[];
}

/**
 * Opens a view. Of a container that does not run it holds the mutex until disposed.
 *
 * @param purpose "write": the writable layer can be written to, unless HostConfig.ReadonlyRootfs
 * @throws Conflict it is being removed; NotFound it is gone, or a volume of it is; System a volume's driver failed
 */
export async function openView(room: Room, id: ContainerId, purpose: "read" | "write"): Promise<ContainerView> {
  await using stack = new AsyncDisposableStack();
  const { container } = stack.use(await room.lock(id));
  const { record } = container;
  if (container.removing)
    throw new EngineError("Conflict", `You cannot copy files of container ${id} which is being removed`);
  const { init, status } = record.state;
  if (hasProcess(status) && init !== undefined) {
    const { pid, startTime } = init;
    return {
      container,
      root: { kind: "live", pid, startTime },
      roots: [`/proc/${pid}/root`],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  // Until its shim has left, the last run's overlay is mounted.
  if (purpose === "write") await container.cleared;
  const dirs = room.deps.snapshots.dirs(id);
  const { mounts } = stack.use(await holdRootMounts(room, record));
  const readOnlyRoot = record.hostConfig.ReadonlyRootfs === true;
  const own = ownFiles(room, container, readOnlyRoot);
  const owned = stack.move();
  return {
    container,
    root: { kind: "stopped", dirs, mounts: [...mounts, ...own], readOnly: purpose === "read" || readOnlyRoot },
    roots: [dirs.upper, ...dirs.lower],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** They are there since its first start; what is mounted at their places is another's. */
function ownFiles(room: Room, { id, record }: Container, readOnly: boolean): readonly RootMount[] {
  const { hosts, hostname, resolvConf } = filePaths(room, id);
  const taken = new Set(mountsOf(record).map(({ destination }) => destination));
  const all = [
    { source: hosts, target: "/etc/hosts" },
    { source: hostname, target: "/etc/hostname" },
    { source: resolvConf, target: "/etc/resolv.conf" },
  ];
  return all
    .filter(({ source, target }) => !taken.has(target) && existsSync(source))
    .map(({ source, target }) => ({ source, subpath: "", target, readOnly }));
}
