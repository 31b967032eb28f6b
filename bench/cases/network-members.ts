// Containers that the network benches load, and where they are.

import type { EngineUnderTest } from "../engines.ts";
import type { NamespacePath } from "../net-load.ts";

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** Length of one measurement of traffic. */
  readonly ms: number;
  /** Numbers of containers at which growth is looked at. */
  readonly sizes: readonly number[];
}

interface Created {
  readonly Id: string;
}

/** Makes a container that sleeps, with the given parts of its HostConfig, and starts it. */
export async function startIdle(
  engine: EngineUnderTest,
  hostConfig: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
  name = "",
): Promise<string> {
  const { Id } = await engine.api.json<Created>("POST", `/containers/create${name === "" ? "" : `?name=${name}`}`, {
    Image: "busybox",
    Cmd: ["sleep", "100000"],
    HostConfig: hostConfig,
    ...more,
  });
  await engine.api.text("POST", `/containers/${Id}/start`);
  return Id;
}

export async function removeContainer(engine: EngineUnderTest, id: string): Promise<void> {
  await engine.api.text("DELETE", `/containers/${id}?force=1`);
}

/** `count` ports from `first` on, each published at its own number. */
export function published(first: number, count: number): { readonly host: object; readonly config: object } {
  const ports = Array.from({ length: count }, (_, index) => first + index);
  return {
    host: { PortBindings: Object.fromEntries(ports.map((port) => [`${port}/tcp`, [{ HostPort: String(port) }]])) },
    config: { ExposedPorts: Object.fromEntries(ports.map((port) => [`${port}/tcp`, {}])) },
  };
}

interface Inspected {
  readonly State: { readonly Pid: number };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

/** A container's namespace, and its address on its only network. */
export async function placeOf(
  engine: EngineUnderTest,
  id: string,
): Promise<{ readonly where: NamespacePath; readonly address: string }> {
  const { State, NetworkSettings } = await engine.api.json<Inspected>("GET", `/containers/${id}/json`);
  const address = Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? "";
  return { where: `/proc/${State.Pid}/ns/net`, address };
}
