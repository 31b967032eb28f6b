// `gantry info`: what the daemon is and has. The text's shape is the docker CLI 28's.

import { parseJson } from "../../../client/json.ts";
import { systemInfoText } from "../../../client/system.ts";
import { renderBinarySize } from "../../../base/units.ts";
import type { SystemInfo } from "../../../spec/docker/system.ts";
import { clientVersion } from "../client-version.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import { compileTemplate, TemplateError } from "../format/template.ts";
import { objectFormatFlag } from "../format-flag.ts";

function listLine(title: string, values: readonly string[] | null | undefined): string[] {
  return values === null || values === undefined || values.length === 0 ? [] : [`  ${title}: ${values.join(" ")}`];
}

function pluginLines(info: SystemInfo): string[] {
  const { Volume, Network, Authorization, Log } = info.Plugins ?? {};
  return [
    " Plugins:",
    `  Volume: ${(Volume ?? []).join(" ")}`,
    `  Network: ${(Network ?? []).join(" ")}`,
    ...listLine("Authorization", Authorization),
    `  Log: ${(Log ?? []).join(" ")}`,
  ];
}

function securityLines(options: readonly string[] | null | undefined): string[] {
  if (options === null || options === undefined || options.length === 0) return [];
  const lines = [" Security Options:"];
  for (const option of options) {
    const fields = option.split(",").map((field) => field.split("="));
    const name = fields.find(([key]) => key === "name")?.[1] ?? option;
    lines.push(`  ${name}`);
    for (const [key = "", value = ""] of fields)
      if (key !== "name") lines.push(`   ${key === "profile" ? "Profile" : key}: ${value}`);
  }
  return lines;
}

function optional(title: string, value: string | undefined): string[] {
  return value === undefined || value === "" ? [] : [` ${title}: ${value}`];
}

function block(title: string, values: readonly string[] | null | undefined): string[] {
  if (values === null || values === undefined || values.length === 0) return [];
  return [` ${title}:`, ...values.map((value) => `  ${value}`)];
}

function registryLines(info: SystemInfo): string[] {
  const registry = info.RegistryConfig;
  if (registry === null || registry === undefined) return [];
  const insecure = Object.entries(registry.IndexConfigs ?? {})
    .filter(([, index]) => index?.Secure === false)
    .map(([name]) => name);
  return [
    ...block("Insecure Registries", [...insecure, ...(registry.InsecureRegistryCIDRs ?? [])]),
    ...block(
      "Registry Mirrors",
      (registry.Mirrors ?? []).map((mirror) => mirror),
    ),
  ];
}

function serverLines(info: SystemInfo): string[] {
  const runtimes = Object.keys(info.Runtimes ?? {}).sort();
  return [
    "Server:",
    ` Containers: ${info.Containers ?? 0}`,
    `  Running: ${info.ContainersRunning ?? 0}`,
    `  Paused: ${info.ContainersPaused ?? 0}`,
    `  Stopped: ${info.ContainersStopped ?? 0}`,
    ` Images: ${info.Images ?? 0}`,
    ...optional("Server Version", info.ServerVersion),
    ` Storage Driver: ${info.Driver ?? ""}`,
    ...(info.DriverStatus ?? []).map(([name = "", value = ""]) => `  ${name}: ${value}`),
    ...optional("Logging Driver", info.LoggingDriver),
    ...optional("Cgroup Driver", info.CgroupDriver),
    ...optional("Cgroup Version", info.CgroupVersion),
    ...pluginLines(info),
    ...block("CDI spec directories", info.CDISpecDirs),
    ` Swarm: ${info.Swarm?.LocalNodeState ?? "inactive"}`,
    ...(runtimes.length === 0
      ? []
      : [` Runtimes: ${runtimes.join(" ")}`, ` Default Runtime: ${info.DefaultRuntime ?? ""}`]),
    ` Init Binary: ${info.InitBinary ?? ""}`,
    ` containerd version: ${info.ContainerdCommit?.ID ?? ""}`,
    ` runc version: ${info.RuncCommit?.ID ?? ""}`,
    ` init version: ${info.InitCommit?.ID ?? ""}`,
    ...securityLines(info.SecurityOptions),
    ...optional("Kernel Version", info.KernelVersion),
    ...optional("Operating System", info.OperatingSystem),
    ...optional("OSType", info.OSType),
    ...optional("Architecture", info.Architecture),
    ` CPUs: ${info.NCPU ?? 0}`,
    ` Total Memory: ${renderBinarySize(info.MemTotal ?? 0)}`,
    ...optional("Name", info.Name),
    ...optional("ID", info.ID),
    ` Docker Root Dir: ${info.DockerRootDir ?? ""}`,
    ` Debug Mode: ${info.Debug ?? false}`,
    ...(info.Debug === true
      ? [
          `  File Descriptors: ${info.NFd ?? 0}`,
          `  Goroutines: ${info.NGoroutines ?? 0}`,
          `  System Time: ${info.SystemTime ?? ""}`,
          `  EventsListeners: ${info.NEventsListener ?? 0}`,
        ]
      : []),
    ...optional("HTTP Proxy", info.HttpProxy),
    ...optional("HTTPS Proxy", info.HttpsProxy),
    ...optional("No Proxy", info.NoProxy),
    ...block("Labels", info.Labels),
    ` Experimental: ${info.ExperimentalBuild ?? false}`,
    ...registryLines(info),
    ` Live Restore Enabled: ${info.LiveRestoreEnabled ?? false}`,
    ...optional("Product License", info.ProductLicense),
    ...(info.DefaultAddressPools === undefined ||
    info.DefaultAddressPools === null ||
    info.DefaultAddressPools.length === 0
      ? []
      : [
          " Default Address Pools:",
          ...info.DefaultAddressPools.map(({ Base = "", Size = 0 }) => `   Base: ${Base}, Size: ${Size}`),
        ]),
    ...(info.FirewallBackend?.Driver ? [` Firewall Backend: ${info.FirewallBackend.Driver}`] : []),
    "",
  ];
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [objectFormatFlag],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const format = flags.string("format");
    const client = { Version: clientVersion, Context: "default", Debug: context.debug };
    let text: string;
    try {
      text = await systemInfoText(context.client);
    } catch (error) {
      if (format === "")
        await context.out(
          `Client:\n Version:    ${client.Version}\n Context:    default\n Debug Mode: ${client.Debug}\n\nServer:\n`,
        );
      throw new CliError(describeError(error));
    }
    const info = parseJson(text) as SystemInfo;
    if (format !== "") {
      await showFormat(context, format, { ...info, ClientInfo: client });
      return 0;
    }
    const head = [
      "Client:",
      ` Version:    ${client.Version}`,
      " Context:    default",
      ` Debug Mode: ${client.Debug}`,
      "",
    ];
    await context.out(escapeControls(`${[...head, ...serverLines(info)].join("\n")}\n`));
    for (const warning of info.Warnings ?? []) context.err(`${escapeControls(warning)}\n`);
    return 0;
  },
};

async function showFormat(context: CommandContext, format: string, root: unknown): Promise<void> {
  let template: ReturnType<typeof compileTemplate>;
  try {
    template = compileTemplate(format === "json" ? "{{json .}}" : format);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new CliError(`template parsing error: ${error.message}`, { exitCode: 64 });
  }
  try {
    await context.out(`${template.execute(root)}\n`);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    await context.out("\n");
    throw new CliError(
      error.message.replace(/map has no entry for key "([^"]*)"$/, "can't evaluate field $1 in type system.dockerInfo"),
    );
  }
}
