// The flags before the command: which daemon, and how to reach it. Order of hosts: -H, GANTRY_HOST, DOCKER_HOST, the default.

import { homedir } from "node:os";
import { join } from "node:path";
import { parseBool, type Flags, type FlagSpec } from "../../base/flags.ts";
import { Client, type TlsFiles } from "../../client/client.ts";
import { defaultHost } from "../../client/endpoint.ts";
import { CliError } from "./command.ts";
import { clientVersion } from "./client-version.ts";

type Env = Readonly<Record<string, string | undefined>>;

function defaultConfigDir(env: Env): string {
  return env["GANTRY_CONFIG"] || env["DOCKER_CONFIG"] || join(homedir(), ".docker");
}

function certDir(env: Env): string {
  return env["DOCKER_CERT_PATH"] || defaultConfigDir(env);
}

const logLevels = ["debug", "info", "warn", "error", "fatal"];

/** The global flags; some defaults name directories of the environment's. */
export function globalFlags(env: Env): readonly FlagSpec[] {
  const certs = certDir(env);
  return [
    {
      name: "config",
      kind: "string",
      usage: "Directory of client configuration files",
      default: defaultConfigDir(env),
    },
    {
      name: "context",
      short: "c",
      kind: "string",
      usage: "Name of a context (contexts are not supported; use --host)",
    },
    { name: "debug", short: "D", kind: "bool", usage: "Show causes of errors" },
    { name: "host", short: "H", kind: "strings", usage: "Socket of the daemon to connect to" },
    {
      name: "log-level",
      short: "l",
      kind: "string",
      usage: 'Logging level ("debug", "info", "warn", "error", "fatal")',
      default: "info",
    },
    { name: "tls", kind: "bool", usage: "Use TLS; implied by --tlsverify" },
    {
      name: "tlscacert",
      kind: "string",
      usage: "Trust only certificates signed by this CA",
      default: join(certs, "ca.pem"),
    },
    { name: "tlscert", kind: "string", usage: "Path of the TLS certificate file", default: join(certs, "cert.pem") },
    { name: "tlskey", kind: "string", usage: "Path of the TLS key file", default: join(certs, "key.pem") },
    { name: "tlsverify", kind: "bool", usage: "Use TLS and verify the daemon" },
    { name: "version", short: "v", kind: "bool", usage: "Print the client's version and quit" },
  ];
}

function tlsOf(flags: Flags, env: Env): TlsFiles | undefined {
  const verify = flags.isSet("tlsverify") ? flags.bool("tlsverify") : (env["DOCKER_TLS_VERIFY"] ?? "") !== "";
  const use = verify || flags.bool("tls") || parseBool(env["DOCKER_TLS"] ?? "") === true;
  if (!use) return undefined;
  return { ca: flags.string("tlscacert"), cert: flags.string("tlscert"), key: flags.string("tlskey"), verify };
}

/**
 * The client that the global flags and the environment ask for. Connects to nothing.
 *
 * @throws CliError -H given twice, a context asked for, an unknown log level, a host that is none
 */
export function clientOf(flags: Flags, env: Env): Client {
  const hosts = flags.strings("host");
  const context = flags.string("context") || (hosts.length > 0 ? "" : (env["DOCKER_CONTEXT"] ?? ""));
  if (hosts.length > 0 && flags.isSet("context"))
    throw new CliError("conflicting options: cannot specify both --host and --context");
  if (context !== "" && context !== "default")
    throw new CliError(`context ${JSON.stringify(context)}: contexts are not supported; name the daemon with --host`);
  if (hosts.length > 1) throw new CliError("Specify only one -H");
  if (!logLevels.includes(flags.string("log-level")))
    throw new CliError(`Unable to parse logging level: ${flags.string("log-level")}`);
  const host = hosts[0] ?? (env["GANTRY_HOST"] || env["DOCKER_HOST"] || defaultHost);
  try {
    return new Client({
      host,
      tls: host.startsWith("unix:") ? undefined : tlsOf(flags, env),
      apiVersion: env["DOCKER_API_VERSION"]?.replace(/^v/, "") || undefined,
      userAgent: `Gantry-Client/${clientVersion} (linux)`,
    });
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}
