// What of networks and of containers' places on them is compared: without ids, times, and what the daemon chose by chance.

import { type Json, pick } from "./steps.ts";

/** MAC addresses (but for those of the scenarios, 02:00:…) and ports that the daemon chose have no value to compare. */
export function masked(value: unknown): unknown {
  const text = JSON.stringify(value)
    .replaceAll(/"(?!02:00:)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"/g, '"<mac>"')
    .replaceAll(/"HostPort":"(?:3[2-9]|[45]\d|6[0-5])\d{3}"/g, '"HostPort":"<port>"')
    .replaceAll(/"PublicPort":(?:3[2-9]|[45]\d|6[0-5])\d{3}\b/g, '"PublicPort":"<port>"');
  return JSON.parse(text);
}

/** A network with its members as a list, without what no two daemons share. */
export function shown(json: unknown): unknown {
  const { Id: _, Created: __, Containers, ...network } = json as Json;
  const members = Object.values((Containers ?? {}) as Readonly<Record<string, Json>>);
  const byName = (a: Json, b: Json): number => (String(a["Name"]) < String(b["Name"]) ? -1 : 1);
  return masked({ ...network, Members: members.sort(byName) });
}

/** Names of the networks of a list, in order of the alphabet. */
export function names(json: unknown): unknown {
  return (json as readonly Json[]).map(({ Name }) => String(Name)).toSorted((a, b) => (a < b ? -1 : 1));
}

/** Endpoints of a container as inspect shows them. */
export function endpoints(json: unknown): unknown {
  const settings = (json as Json)["NetworkSettings"] as Json;
  return masked({ mode: ((json as Json)["HostConfig"] as Json)["NetworkMode"], networks: settings["Networks"] });
}

export function ports(json: unknown): unknown {
  return masked(pick("Ports")((json as Json)["NetworkSettings"]));
}
