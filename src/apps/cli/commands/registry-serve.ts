// `gantry registry serve`: a registry in this process, until SIGTERM or SIGINT. It needs no daemon. SIGHUP reads the
// certificates again. Its log goes to stderr.

import { readFileSync } from "node:fs";
import { EngineError, messageOf } from "../../../base/errors.ts";
import type { Flags, FlagSpec } from "../../../base/flags.ts";
import { type Logger, type LogLevel, renderLogLine } from "../../../base/log.ts";
import { nowRfc3339Nano } from "../../../base/time.ts";
import { parseGoDuration, parseRamBytes } from "../../../base/units.ts";
import { createRegistry, type RegistryOptions, type RegistryServer } from "../../../registry/index.ts";
import { clientVersion } from "../client-version.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";

const closeGraceMs = 30_000;
const defaultService = "gantry-registry";

function complainAbout(parse: (text: string) => unknown): (text: string) => string | undefined {
  return (text) => {
    try {
      parse(text);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
}

function durationMs(text: string): number {
  const ns = parseGoDuration(text);
  if (ns < 0) throw new EngineError("InvalidParameter", "a duration must not be negative");
  return ns / 1e6;
}

function text(name: string, usage: string, valueName: string, extra: Partial<FlagSpec> = {}): FlagSpec {
  return { name, kind: "string", usage, valueName, ...extra };
}

function duration(name: string, usage: string, byDefault: string): FlagSpec {
  return text(name, usage, "duration", {
    default: byDefault,
    shownDefault: byDefault,
    complain: complainAbout(durationMs),
  });
}

function oneOf(...words: readonly string[]): (value: string) => string | undefined {
  return (value) => (words.includes(value) ? undefined : `must be one of ${words.join(", ")}`);
}

const flags: readonly FlagSpec[] = [
  text("data", "Directory of blobs and records", "directory", { default: "/var/lib/gantry-registry" }),
  text("listen", "Address and port to serve on", "address", { default: "127.0.0.1:5000" }),
  text("tls-cert", "Certificate, and those that lead to its authority (PEM)", "file"),
  text("tls-key", "Key of the certificate (PEM)", "file"),
  text("tls-client-ca", "Take only clients with a certificate of these authorities (PEM)", "file"),
  { name: "plain-http", kind: "bool", usage: "Serve without TLS on addresses that others reach" },
  text("external-url", "How clients reach the registry, if not as they call it", "URL"),
  text("htpasswd", "Users and bcrypt hashes of their passwords (htpasswd -B)", "file"),
  text("access", "Who may pull, push and delete what (JSON)", "file"),
  text("token-realm", "Token server whose tokens are taken", "URL"),
  text("token-service", "What its tokens are for", "name", { default: defaultService }),
  text("token-issuer", "Who its tokens are of", "name"),
  { name: "token-cert", kind: "strings", valueName: "file", usage: "Certificates or keys of its signatures (PEM)" },
  { name: "read-only", kind: "bool", usage: "Take nothing, delete nothing" },
  { name: "allow-delete", kind: "bool", usage: "Let clients delete", default: "true", shownDefault: "true" },
  text("max-upload-size", "Largest blob that is taken; 0 for any", "bytes", {
    default: "0",
    complain: complainAbout(parseRamBytes),
  }),
  duration("upload-expiry", "How long uploads may be interrupted", "24h"),
  duration("gc-interval", "Time between two garbage collections; 0 for none", "6h"),
  duration("gc-grace", "How long a blob is kept that no manifest needs yet", "24h"),
  { name: "gc-untagged", kind: "bool", usage: "Collect manifests without a tag as well" },
  text("proxy-upstream", "Be a cache of this registry", "URL"),
  text("proxy-username", "Name to log in to it with", "name"),
  text("proxy-password-file", "File with the password", "file"),
  duration("proxy-ttl", "How long a tag is served without asking the upstream", "1m"),
  duration("proxy-keep", "How long the cache keeps what nobody asks for; 0 for ever", "720h"),
  text("log-format", "Form of the log: text or json", "form", { default: "text", complain: oneOf("text", "json") }),
  text("log-level", "Least level that is logged: debug, info, warn, error", "level", {
    default: "info",
    complain: oneOf("debug", "info", "warn", "error"),
  }),
];

function makeLogger(context: CommandContext, given: Flags): Logger {
  const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
  const least = levels.indexOf(given.string("log-level") as LogLevel);
  const format = given.string("log-format") === "json" ? "json" : "text";
  const log =
    (level: LogLevel): Logger["info"] =>
    (message, fields = {}) => {
      if (levels.indexOf(level) >= least)
        context.err(`${renderLogLine(format, level, nowRfc3339Nano(), message, fields)}\n`);
    };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

function parseListen(value: string): { readonly host: string; readonly port: number } {
  const m = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:]*)):(\d{1,5})$/.exec(value);
  const port = Number(m?.[3]);
  if (m === null || port > 65_535)
    throw new CliError(`invalid --listen ${JSON.stringify(value)}: must be ADDRESS:PORT`);
  return { host: m[1] ?? (m[2] === "" || m[2] === undefined ? "::" : m[2]), port };
}

function given(parsed: Flags, name: string): string | undefined {
  const value = parsed.string(name);
  return value === "" ? undefined : value;
}

/** Both or none. */
function pair(parsed: Flags, first: string, second: string): readonly [string, string] | undefined {
  const [a, b] = [given(parsed, first), given(parsed, second)];
  if ((a === undefined) !== (b === undefined)) throw new CliError(`--${first} and --${second} belong together`);
  return a === undefined || b === undefined ? undefined : [a, b];
}

function externalUrl(parsed: Flags): string | undefined {
  const value = given(parsed, "external-url");
  if (value === undefined) return undefined;
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "")
    throw new CliError(`invalid --external-url ${JSON.stringify(value)}: must be as https://registry.example.com`);
  return url.origin;
}

function authOptions(parsed: Flags, external: string | undefined): RegistryOptions["auth"] {
  const realm = given(parsed, "token-realm");
  const [issuer, certFiles] = [given(parsed, "token-issuer"), parsed.strings("token-cert")];
  const [htpasswdFile, accessFile] = [given(parsed, "htpasswd"), given(parsed, "access")];
  if (realm === undefined && (issuer !== undefined || certFiles.length > 0))
    throw new CliError("--token-issuer and --token-cert need --token-realm");
  if (realm !== undefined && (issuer === undefined || certFiles.length === 0))
    throw new CliError("--token-realm needs --token-issuer and --token-cert");
  if (realm !== undefined && (htpasswdFile !== undefined || accessFile !== undefined))
    throw new CliError("--token-realm and --htpasswd or --access exclude each other");
  const named = parsed.string("token-service");
  const service = parsed.isSet("token-service") || external === undefined ? named : new URL(external).host;
  const token = realm === undefined || issuer === undefined ? undefined : { realm, service, issuer, certFiles };
  return { htpasswdFile, accessFile, service, token };
}

function mirrorOptions(parsed: Flags, env: CommandContext["env"]): RegistryOptions["mirror"] {
  const url = given(parsed, "proxy-upstream");
  const login = pair(parsed, "proxy-username", "proxy-password-file");
  if (url === undefined && login !== undefined) throw new CliError("--proxy-username needs --proxy-upstream");
  if (url === undefined) return undefined;
  const readPassword = (file: string): string => readFileSync(file, "utf8").replace(/\r?\n$/, "");
  if (login !== undefined) readPassword(login[1]);
  return {
    url,
    username: login?.[0] ?? "",
    password: () => (login === undefined ? "" : readPassword(login[1])),
    env,
    userAgent: `gantry-registry/${clientVersion}`,
    ttlMs: durationMs(parsed.string("proxy-ttl")),
    keepMs: durationMs(parsed.string("proxy-keep")),
  };
}

function registryOptions(parsed: Flags, context: CommandContext): RegistryOptions {
  const tls = pair(parsed, "tls-cert", "tls-key");
  const clientCaFile = given(parsed, "tls-client-ca");
  if (clientCaFile !== undefined && tls === undefined)
    throw new CliError("--tls-client-ca needs --tls-cert and --tls-key");
  const external = externalUrl(parsed);
  return {
    directory: parsed.string("data"),
    listen: {
      ...parseListen(parsed.string("listen")),
      plainHttp: parsed.bool("plain-http"),
      tls: tls === undefined ? undefined : { certFile: tls[0], keyFile: tls[1], clientCaFile },
    },
    auth: authOptions(parsed, external),
    readOnly: parsed.bool("read-only"),
    allowDelete: parsed.bool("allow-delete"),
    maxUploadBytes: parseRamBytes(parsed.string("max-upload-size")) || Number.MAX_SAFE_INTEGER,
    uploadExpiryMs: durationMs(parsed.string("upload-expiry")),
    collection: {
      intervalMs: durationMs(parsed.string("gc-interval")),
      graceMs: durationMs(parsed.string("gc-grace")),
      untagged: parsed.bool("gc-untagged"),
    },
    mirror: mirrorOptions(parsed, context.env),
    externalUrl: external,
    logger: makeLogger(context, parsed),
  };
}

/** Serves until a signal ends it; a second one ends it at once. */
async function serveUntilSignal(server: RegistryServer, logger: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const reload = (): void => server.reload();
  process.on("SIGHUP", reload);
  process.once("SIGTERM", resolve).once("SIGINT", resolve);
  logger.info("closing", { signal: await promise });
  process.once("SIGTERM", () => process.exit(1)).once("SIGINT", () => process.exit(1));
  await server.close(closeGraceMs);
  process.removeListener("SIGHUP", reload);
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags,
  args: { min: 0, max: 0 },
  async run(context, parsed) {
    const options = registryOptions(parsed, context);
    const server = await createRegistry(options);
    options.logger.info("registry is served", { url: server.url, data: options.directory });
    await serveUntilSignal(server, options.logger);
    return 0;
  },
};
