// `gantry port`. Source: the docker CLI 28.

import { inspectContainerRaw } from "../../../client/containers.ts";
import type { PortBinding } from "../../../spec/docker/container.ts";
import { CliError, type Command } from "../command.ts";
import { parsePort } from "../create-request/ports.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import { compareNatural } from "../format/natural-order.ts";

type Ports = Readonly<Record<string, readonly PortBinding[] | null>>;

function render({ HostIp = "", HostPort = "" }: PortBinding): string {
  return `${HostIp.includes(":") ? `[${HostIp}]` : HostIp}:${HostPort}`;
}

function renderAll(ports: Ports): readonly string[] {
  const lines = Object.entries(ports).flatMap(([port, bindings]) =>
    (bindings ?? []).map((binding) => `${port} -> ${render(binding)}`),
  );
  return lines.sort(compareNatural);
}

/** @throws CliError it is no port, or not published */
function renderOne(ports: Ports, wanted: string, container: string): readonly string[] {
  const [port = "", protocol = ""] = wanted.split(/\/(.*)/s);
  try {
    parsePort(port);
  } catch (error) {
    throw new CliError(`Error: invalid port (${port}): ${describeError(error)}`);
  }
  const bindings = ports[`${port}/${protocol || "tcp"}`] ?? [];
  if (bindings.length === 0) throw new CliError(`Error: No public port '${wanted}' published for ${container}`);
  return bindings.map(render);
}

export const command: Command = {
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  flags: [],
  args: { min: 1, max: 2 },
  async run(context, flags) {
    const [name = "", wanted = ""] = flags.positional;
    const { value } = await inspectContainerRaw(context.client, name);
    const ports = value.NetworkSettings?.Ports ?? {};
    const lines = wanted === "" ? renderAll(ports) : renderOne(ports, wanted, name);
    await context.out(lines.map((line) => `${escapeControls(line)}\n`).join(""));
    return 0;
  },
};
