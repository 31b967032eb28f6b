// `gantry version`: client and daemon, as text, JSON or by template. The text's shape is the docker CLI 28's.

import { compareVersions, newestApiVersion, type Client } from "../../../client/client.ts";
import { systemVersion } from "../../../client/system.ts";
import type { SystemVersion } from "../../../spec/docker/system.ts";
import { clientCommit, clientVersion } from "../client-version.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { escapeControls } from "../escape.ts";
import { describeError } from "../errors.ts";
import { objectFormatFlag } from "../format-flag.ts";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };

interface ClientInfo {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly DefaultAPIVersion: string;
  readonly GitCommit: string;
  readonly NodeVersion: string;
  readonly Os: string;
  readonly Arch: string;
  readonly Context: string;
}

function clientInfo(client: Client): ClientInfo {
  return {
    Version: clientVersion,
    ApiVersion: client.apiVersion,
    DefaultAPIVersion: newestApiVersion,
    GitCommit: clientCommit,
    NodeVersion: process.version,
    Os: process.platform,
    Arch: architectures[process.arch] ?? process.arch,
    Context: "default",
  };
}

/** "2026-09-15T11:02:57.000000000+00:00" as "Tue Sep 15 11:02:57 2026". */
function shownTime(text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms) || !/^\d{4}-\d\d-\d\dT/.test(text)) return text;
  const m = /^(\w{3}), (\d\d) (\w{3}) (\d{4}) ([\d:]{8})/.exec(new Date(ms).toUTCString());
  if (m === null) return text;
  return `${m[1]} ${m[3]} ${String(Number(m[2])).padStart(2)} ${m[5]} ${m[4]}`;
}

function renderClient(info: ClientInfo): string {
  const api =
    compareVersions(info.ApiVersion, info.DefaultAPIVersion) === 0
      ? info.ApiVersion
      : `${info.ApiVersion} (downgraded from ${info.DefaultAPIVersion})`;
  const lines: readonly (readonly [string, string])[] = [
    ["Version:", info.Version],
    ["API version:", api],
    ["Node version:", info.NodeVersion],
    ["Git commit:", info.GitCommit],
    ["OS/Arch:", `${info.Os}/${info.Arch}`],
    ["Context:", info.Context],
  ];
  return `Client:\n${lines.map(([name, value]) => ` ${name.padEnd(18)} ${value}\n`).join("")}`;
}

function renderServer(server: SystemVersion): string {
  const platform = server.Platform?.Name ?? "";
  let out = `Server:${platform === "" ? "" : ` ${platform}`}\n`;
  for (const { Name = "", Version = "", Details } of server.Components ?? []) {
    const details = Object.entries(Details ?? {}).map(([key, value]) => [key, String(value)] as const);
    out += ` ${Name}:\n  ${"Version:".padEnd(17)} ${Version}\n`;
    if (Name === "Engine") {
      const of = (key: string): string => details.find(([name]) => name === key)?.[1] ?? "";
      const lines: readonly (readonly [string, string])[] = [
        ["API version:", `${of("ApiVersion")} (minimum version ${of("MinAPIVersion")})`],
        ["Go version:", of("GoVersion")],
        ["Git commit:", of("GitCommit")],
        ["Built:", shownTime(of("BuildTime"))],
        ["OS/Arch:", `${of("Os")}/${of("Arch")}`],
        ["Experimental:", of("Experimental")],
      ];
      for (const [name, value] of lines) out += `  ${name.padEnd(17)} ${value}\n`;
    } else
      for (const [name, value] of details.sort(([a], [b]) => (a < b ? -1 : 1)))
        out += `  ${`${name}:`.padEnd(17)} ${value}\n`;
  }
  return out;
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [objectFormatFlag],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const { client } = context;
    let server: SystemVersion | undefined;
    let failure: unknown;
    try {
      server = await systemVersion(client);
    } catch (error) {
      failure = error;
    }
    const info = clientInfo(client);
    const format = flags.string("format");
    if (format === "") {
      await context.out(
        escapeControls(`${renderClient(info)}${server === undefined ? "" : `\n${renderServer(server)}`}`),
      );
    } else await showFormat(context, format, info, server);
    if (failure === undefined) return 0;
    throw new CliError(describeError(failure));
  },
};

async function showFormat(
  context: CommandContext,
  format: string,
  client: ClientInfo,
  server: SystemVersion | undefined,
): Promise<void> {
  const { compileTemplate, TemplateError } = await import("../format/template.ts");
  const components = (server?.Components ?? []).map((component) => ({
    ...component,
    Details: {
      ...Object.fromEntries(Object.entries(component.Details ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))),
      ...(typeof component.Details?.["BuildTime"] === "string"
        ? { BuildTime: shownTime(component.Details["BuildTime"]) }
        : {}),
    },
  }));
  const root = { Client: client, Server: server === undefined ? null : { ...server, Components: components } };
  let template: ReturnType<typeof compileTemplate>;
  try {
    template = compileTemplate(format === "json" ? "{{json .}}" : format, { missing: missingMember });
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new CliError(`template parsing error: ${error.message.replace("template: :", "template: version:")}`, {
      exitCode: 64,
    });
  }
  try {
    await context.out(`${template.execute(root)}\n`);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    await context.out("\n");
    throw new CliError(
      error.message
        .replace("template: :", "template: version:")
        .replace('executing ""', 'executing "version"')
        .replace(/map has no entry for key "([^"]*)"$/, "can't evaluate field $1 in type system.versionInfo"),
    );
  }
}

/** What the daemon leaves out when it is empty. */
function missingMember(path: string): unknown {
  if (path === "Server.Experimental") return false;
  return /^Server\.\w+$/.test(path) ? "" : undefined;
}
