// hosts, hostname and resolv.conf of a container: written at its start, and brought up to date where its networks change. They are
// bound into it, so that a change is written into the same file; what somebody has edited stays as they left it.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, messageOf } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import { mergeHosts, type NetworkFiles, type NetworkRequest } from "../network/index.ts";
import { parentsOf } from "./container-links.ts";
import type { ContainerRecord } from "./model.ts";
import { networkRequest } from "./network-request.ts";
import type { Room } from "./room.ts";

const maxFileBytes = 4 << 20;

export interface FilePaths {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export function filePaths(room: Room, id: ContainerId): FilePaths {
  const directory = room.dataDir(id);
  return {
    hosts: join(directory, "hosts"),
    hostname: join(directory, "hostname"),
    resolvConf: join(directory, "resolv.conf"),
  };
}

/** For a start. */
export async function writeNetworkFiles(room: Room, request: NetworkRequest, paths: FilePaths): Promise<void> {
  const { hosts, hostname, resolvConf } = await room.deps.networks.files(request);
  // In a directory that only the engine can write to: no link can stand in the way.
  writeFileSync(paths.hosts, hosts, { mode: 0o644 });
  writeFileSync(paths.hostname, hostname, { mode: 0o644 });
  writeFileSync(paths.resolvConf, resolvConf, { mode: 0o644 });
}

/** @param before what the files were by the engine's will, `after` what they shall be */
export function updateNetworkFiles(room: Room, id: ContainerId, before: NetworkFiles, after: NetworkFiles): void {
  const paths = filePaths(room, id);
  try {
    const hosts = readSmall(paths.hosts);
    rewrite(paths.hosts, hosts, mergeHosts(before.hosts, after.hosts, hosts));
    const resolvConf = readSmall(paths.resolvConf);
    if (resolvConf === before.resolvConf) rewrite(paths.resolvConf, resolvConf, after.resolvConf);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT")
      room.deps.logger.error("a container's hosts file could not be written", {
        container: id,
        error: messageOf(error),
      });
  }
}

/** The container may have made it as large as the disk is. */
function readSmall(path: string): string {
  if (statSync(path).size > maxFileBytes) throw new Error(`${path} is larger than ${maxFileBytes} bytes`);
  return readFileSync(path, "utf8");
}

function rewrite(path: string, found: string, wanted: string): void {
  if (found !== wanted) writeFileSync(path, wanted);
}

/**
 * Does what gives a container another address or another name; the hosts files of those that are linked to it follow. Fails as the
 * change does and never for their sake: the end of a run must not wait for another container's file.
 */
export async function withLinkedFiles<T>(room: Room, id: ContainerId, change: () => Promise<T>): Promise<T> {
  const parents = parentsOf(room, id);
  const look = (record: ContainerRecord): Promise<NetworkFiles | undefined> =>
    room.deps.networks.files(networkRequest(room, record)).catch((error: unknown) => {
      const fields = { container: record.id, error: messageOf(error) };
      room.deps.logger.error("the hosts file of a linked container could not be brought up to date", fields);
      return undefined;
    });
  const before = await Promise.all(parents.map(look));
  const result = await change();
  for (const [index, parent] of parents.entries()) {
    const was = before[index];
    const now = room.containers.get(parent.id)?.record;
    if (was === undefined || now?.state.init === undefined) continue;
    const files = await look(now);
    if (files !== undefined) updateNetworkFiles(room, parent.id, was, files);
  }
  return result;
}
