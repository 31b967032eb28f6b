// Published and exposed ports in the API's shapes. Pure. Source: Engine API 1.51, NetworkSettings.Ports and ContainerSummary.Ports;
// order as dockerd 28's JSON has it: keys as text, addresses as they were published.

import type { Port, PortBinding, PortMap } from "../../../spec/docker/container.ts";
import type { PublishedPort } from "./index.ts";
import { parseExposed } from "./parse.ts";

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * NetworkSettings.Ports of a container that runs; of one that does not it is {}.
 *
 * @param exposed keys of Config.ExposedPorts: those that are not published are null
 */
export function renderPortMap(ports: readonly PublishedPort[], exposed: readonly string[]): PortMap {
  const map = new Map<string, PortBinding[] | null>();
  for (const { port, protocol } of parseExposed(exposed)) map.set(`${port}/${protocol}`, null);
  for (const { containerPort, protocol, hostIp, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`;
    const binding = { HostIp: hostIp, HostPort: String(hostPort) };
    const list = map.get(key) ?? null;
    if (list === null) map.set(key, [binding]);
    else list.push(binding);
  }
  return Object.fromEntries([...map].toSorted(([a], [b]) => compareText(a, b)));
}

/** Ports of the list, of a container that runs. */
export function renderPortSummaries(ports: readonly PublishedPort[], exposed: readonly string[]): readonly Port[] {
  return Object.entries(renderPortMap(ports, exposed)).flatMap(([key, bindings]): readonly Port[] => {
    const [number = "", word = "tcp"] = key.split("/");
    const inner = { PrivatePort: Number(number), Type: word as "tcp" | "udp" | "sctp" };
    if (bindings === null) return [inner];
    return bindings.map(({ HostIp = "", HostPort = "" }) => ({ IP: HostIp, ...inner, PublicPort: Number(HostPort) }));
  });
}
