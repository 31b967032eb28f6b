// Legacy links (`--link` on the default bridge): kept by the linked container's id, so that it may be renamed and restarted. They
// are lines of /etc/hosts, variables of the environment, and names in inspect and list.
// Source: Docker's documentation of legacy container links; behaviour of dockerd 28.5.

import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { HostConfig } from "../../spec/docker/container.ts";
import type { LinkedHost } from "../network/index.ts";
import type { ContainerRecord } from "./model.ts";
import { resolveContainer } from "./resolve.ts";
import type { Room } from "./room.ts";
import { hasProcess } from "./state.ts";

interface Link {
  readonly child: ContainerRecord;
  readonly alias: string;
}

/** "name:alias", and "/name:/self/alias" as inspect prints it; the name alone is its own alias. */
function parseLink(text: string): { readonly target: string; readonly alias: string } | undefined {
  const [target = "", alias = target, ...rest] = text.split(":");
  if (target === "" || alias === "" || rest.length > 0) return undefined;
  return { target: target.replace(/^\//, ""), alias: alias.slice(alias.lastIndexOf("/") + 1) };
}

/** Links count on the default bridge; elsewhere those of the endpoints do, and dockerd passes over these. */
function hasLinks({ Links, NetworkMode }: HostConfig): boolean {
  return (Links ?? []).length > 0 && ["", "default", "bridge"].includes(NetworkMode ?? "");
}

/**
 * The links with ids in place of names, and what is wrong with them, in dockerd's words.
 *
 * @param hostConfig with the defaults filled in
 */
export function planLinks(
  room: Room,
  hostConfig: HostConfig,
): { readonly links: readonly string[] | null; readonly invalid: readonly string[] } {
  if (!hasLinks(hostConfig)) return { links: null, invalid: [] };
  const links: string[] = [];
  const invalid: string[] = [];
  for (const text of hostConfig.Links ?? []) {
    const parsed = parseLink(text);
    if (parsed === undefined || !/^[\w.-]+$/.test(parsed.alias)) {
      invalid.push(`bad format for links: ${text}`);
      continue;
    }
    try {
      const child = room.get(resolveContainer(room, parsed.target));
      if (child.record.hostConfig.NetworkMode === "host")
        invalid.push(
          "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        );
      links.push(`${child.id}:${parsed.alias}`);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      invalid.push(`could not get container for ${parsed.target}: ${error.message}`);
    }
  }
  return { links, invalid };
}

/** The links of a container whose targets still exist. */
function linksOf(room: Room, { hostConfig }: ContainerRecord): readonly Link[] {
  if (!hasLinks(hostConfig)) return [];
  return (hostConfig.Links ?? []).flatMap((text) => {
    const parsed = parseLink(text);
    const child = parsed === undefined ? undefined : room.containers.get(parsed.target as ContainerId)?.record;
    return parsed === undefined || child === undefined ? [] : [{ child, alias: parsed.alias }];
  });
}

/** As inspect prints them: "/db:/web/alias". */
export function renderLinks(room: Room, record: ContainerRecord): readonly string[] | null {
  const links = linksOf(room, record).map(({ child, alias }) => `/${child.name}:/${record.name}/${alias}`);
  return links.length === 0 ? null : links;
}

/** @throws System a linked container does not run */
export function requireLinks(room: Room, record: ContainerRecord): void {
  for (const { child, alias } of linksOf(room, record))
    if (!hasProcess(child.state.status))
      throw new EngineError(
        "System",
        `Cannot link to a non running container: /${child.name} AS /${record.name}/${alias}`,
      );
}

/** For /etc/hosts. */
export function linkedHosts(room: Room, record: ContainerRecord): readonly LinkedHost[] {
  return linksOf(room, record).map(({ child, alias }) => ({
    containerId: child.id,
    name: child.name,
    alias,
    hostname: child.config.Hostname ?? "",
  }));
}

/** The containers that run and are linked to one. */
export function parentsOf(room: Room, id: ContainerId): readonly ContainerRecord[] {
  return [...room.containers.values()]
    .map(({ record }) => record)
    .filter(
      (record) =>
        hasLinks(record.hostConfig) &&
        hasProcess(record.state.status) &&
        linksOf(room, record).some(({ child }) => child.id === id),
    );
}

/** Variables that tell a container about those it is linked to: DB_PORT_5432_TCP_ADDR and the like. */
export function linkEnvironment(room: Room, record: ContainerRecord): readonly string[] {
  return linksOf(room, record).flatMap(({ child, alias }) => {
    const address = room.deps.networks.settings(
      {
        id: child.id,
        name: child.name,
        config: child.config,
        hostConfig: child.hostConfig,
        networkingConfig: child.networkingConfig,
      },
      true,
    ).IPAddress;
    return renderEnvironment(alias, address ?? "", record.name, child);
  });
}

function renderEnvironment(alias: string, address: string, self: string, child: ContainerRecord): readonly string[] {
  const prefix = alias.replaceAll("-", "_").toUpperCase();
  const ports = Object.keys(child.config.ExposedPorts ?? {})
    .map((key) => {
      const [number = "", protocol = "tcp"] = key.split("/");
      return { number, protocol };
    })
    .toSorted((a, b) =>
      a.protocol === b.protocol ? Number(a.number) - Number(b.number) : a.protocol < b.protocol ? -1 : 1,
    );
  const [first] = ports;
  const lines = first === undefined ? [] : [`${prefix}_PORT=${first.protocol}://${address}:${first.number}`];
  for (const { number, protocol } of ports) {
    const name = `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
    lines.push(
      `${name}=${protocol}://${address}:${number}`,
      `${name}_ADDR=${address}`,
      `${name}_PORT=${number}`,
      `${name}_PROTO=${protocol}`,
    );
  }
  lines.push(`${prefix}_NAME=/${self}/${alias}`);
  for (const entry of child.config.Env ?? []) {
    const [name = ""] = entry.split("=");
    if (entry.includes("=") && name !== "HOME" && name !== "PATH") lines.push(`${prefix}_ENV_${entry}`);
  }
  return lines;
}
