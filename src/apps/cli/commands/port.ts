// `gantry port`. Source: the docker CLI 28.

import { inspectContainerRaw } from "../../../client/containers.ts";
import { CliError } from "../command.ts";
import { escapeControls } from "../escape.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  flags: [],
  args: { min: 1, max: 2 },
  async run(context, flags) {
    const [name = "", wanted] = flags.positional;
    const { value } = await inspectContainerRaw(context.client, name);
    const ports = Object.entries(value.NetworkSettings?.Ports ?? {});
    const key = wanted === undefined ? undefined : wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const address = (host: string): string => (host.includes(":") ? `[${host}]` : host);
    const lines: string[] = [];
    for (const [from, bindings] of ports)
      for (const { HostIp = "", HostPort = "" } of (key === undefined || key === from ? bindings : undefined) ?? [])
        lines.push(key === undefined ? `${from} -> ${address(HostIp)}:${HostPort}` : `${address(HostIp)}:${HostPort}`);
    if (key !== undefined && !ports.some(([from, bindings]) => from === key && bindings !== null))
      throw new CliError(`Error: No public port '${wanted ?? ""}' published for ${name}`);
    await context.out(
      lines
        .sort()
        .map((line) => `${escapeControls(line)}\n`)
        .join(""),
    );
    return 0;
  },
};
