// Creating a container for `run` and `create`: the request, the id file, the missing image. Source: the docker CLI 28.

import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import type { Flags, FlagSpec } from "../../base/flags.ts";
import { DaemonError } from "../../client/client.ts";
import { createContainer } from "../../client/containers.ts";
import { objectMember, readConfigFile } from "./auth/config-file.ts";
import { CliError, type CommandContext } from "./command.ts";
import type { CreateBody } from "./create-request/body.ts";
import { describeError } from "./errors.ts";
import { escapeControls } from "./escape.ts";
import { silentSink, streamSink } from "./progress.ts";
import { pullImage } from "./pull.ts";
import { withDefaultTag } from "./reference.ts";

/** Flags of both commands that are about making, not about the container. */
export const creationFlags: readonly FlagSpec[] = [
  { name: "disable-content-trust", kind: "bool", default: "true", usage: "Skip image verification", hidden: true },
  { name: "use-api-socket", kind: "bool", usage: "Give the container the API socket", hidden: true },
];

/** Turns anything thrown into docker's report of `run`, and of flags of `create`: exit 125 and a hint. */
export function creationError(error: unknown): CliError {
  return error instanceof CliError ? error : new CliError(describeError(error), { exitCode: 125, hint: true });
}

/** The file of --cidfile; disposing without an id removes it. */
class IdFile implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  #written = false;

  constructor(path: string) {
    this.#path = path;
    if (statSync(path, { throwIfNoEntry: false }) !== undefined)
      throw new Error(`container ID file found, make sure the other container isn't running or delete ${path}`);
    try {
      this.#fd = openSync(path, "wx", 0o644);
    } catch (error) {
      throw new Error(`failed to create the container ID file: ${describeError(error)}`, { cause: error });
    }
  }

  write(id: string): void {
    writeSync(this.#fd, id);
    this.#written = true;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (!this.#written) rmSync(this.#path, { force: true });
  }
}

function isMissingImage(error: unknown): boolean {
  return error instanceof DaemonError && error.status === 404 && /no such image|no such manifest/i.test(error.message);
}

/**
 * Creates the container, pulling the image where --pull says so; warnings go to stderr.
 *
 * @returns the id
 * @throws CliError with exit code 125 and a hint for a bad --pull; DaemonError, Error
 */
export async function createFromFlags(context: CommandContext, flags: Flags, body: CreateBody): Promise<string> {
  const policy = flags.string("pull");
  if (!["always", "missing", "never"].includes(policy))
    throw new CliError(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`, {
      exitCode: 125,
      hint: true,
    });
  if (flags.bool("use-api-socket")) throw new Error("--use-api-socket is not supported");
  if (!flags.bool("disable-content-trust")) throw new Error("content trust is not supported");
  const image = body.Image ?? "";
  // An id (12 or 64 hex digits, or sha256:…) names an image without being a reference with a default tag.
  const reference = /^(?:sha256:)?[0-9a-f]{64}$/.test(image) ? image : withDefaultTag(image);
  const cidPath = flags.string("cidfile");
  using idFile = cidPath === "" ? undefined : new IdFile(cidPath);
  const options = { name: flags.string("name"), platform: checkPlatform(flags.string("platform")) };
  const request = { ...body, Env: withProxies(context, flags, body.Env ?? null) };
  const sink = flags.bool("quiet") ? silentSink : streamSink(process.stderr, context.errDrained, context.env);
  const pull = (): Promise<void> => pullImage(context, reference, { platform: options.platform }, sink);
  if (policy === "always") await pull();
  const attempt = (): ReturnType<typeof createContainer> => createContainer(context.client, request, options);
  const created = await attempt().catch(async (error: unknown) => {
    if (policy !== "missing" || !isMissingImage(error)) throw error;
    if (!flags.bool("quiet")) context.err(`Unable to find image '${escapeControls(reference)}' locally\n`);
    await pull();
    return attempt();
  });
  for (const warning of created.Warnings ?? []) context.err(`WARNING: ${escapeControls(warning)}\n`);
  const id = created.Id ?? "";
  idFile?.write(id);
  return id;
}

/** Adds the variables of `proxies` in config.json that --env does not set, in capitals and in small letters. */
function withProxies(context: CommandContext, flags: Flags, env: readonly string[] | null): readonly string[] | null {
  const proxies = objectMember(readConfigFile(context.configDir), "proxies");
  const own = proxies[context.client.host] ?? proxies["default"];
  if (typeof own !== "object" || own === null) return env;
  const set = new Set(flags.strings("env").map((text) => text.replace(/=.*$/s, "")));
  const added: string[] = [];
  for (const member of ["httpProxy", "httpsProxy", "noProxy", "ftpProxy", "allProxy"]) {
    const value: unknown = (own as Readonly<Record<string, unknown>>)[member];
    if (typeof value !== "string" || value === "") continue;
    const name = member.replace("Proxy", "_PROXY").toUpperCase();
    for (const spelling of [name, name.toLowerCase()]) if (!set.has(spelling)) added.push(`${spelling}=${value}`);
  }
  return added.length === 0 ? env : [...(env ?? []), ...added];
}

const knownPlatforms = new Set(
  "linux windows darwin freebsd amd64 x86_64 arm64 aarch64 arm armv7 armhf armel 386 i386 ppc64le s390x riscv64 mips64le loong64".split(
    " ",
  ),
);

function checkPlatform(text: string): string {
  if (text === "") return "";
  const parts = text.toLowerCase().split("/");
  if (parts.length === 1 && !knownPlatforms.has(parts[0] ?? ""))
    throw new Error(
      `error parsing specified platform: ${JSON.stringify(text)}: unknown operating system or architecture: invalid argument`,
    );
  return text;
}
