// What `gantry build` lets the daemon ask for: directories, secrets, agents, credentials, places for outputs.

import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { once } from "node:events";
import { resolve } from "node:path";
import type { ClientSession, SessionOutput } from "../../../client/session/index.ts";
import { createClientSession } from "../../../client/session/index.ts";
import { findCredentials } from "../auth/credentials.ts";
import { CliError, type CommandContext } from "../command.ts";
import { checkOutputPath } from "../output-file.ts";
import type { BuildContext } from "./context.ts";
import type { BuildOptions, BuildOutput } from "./options.ts";
import { isLayout } from "./stores.ts";

const maxSecretBytes = 500 * 1024;

/** @throws CliError a secret's file, or a directory, is not there; an output cannot be written */
export async function makeSession(
  context: CommandContext,
  options: BuildOptions,
  source: BuildContext,
  stores: ReadonlyMap<string, string>,
): Promise<ClientSession> {
  const secrets = new Map<string, Uint8Array>();
  for (const secret of options.secrets) secrets.set(secret.id, await readSecret(secret, context.env));
  const directories = new Map([
    ...source.directories,
    ...[...options.directories].map(([name, path]) => [name, resolve(path)] as const),
  ]);
  return createClientSession(
    {
      directories,
      secret: async (id) => secrets.get(id),
      agent: async (id) => {
        const path = options.agents.get(id);
        if (path === undefined) return undefined;
        const socket = createConnection(path);
        await once(socket, "connect");
        return socket;
      },
      credentials: async (host) => {
        const auth = await findCredentials(context, serverOf(host));
        if (auth === undefined) return undefined;
        return auth.identityToken === ""
          ? { username: auth.username, secret: auth.password }
          : { username: "", secret: auth.identityToken };
      },
      outputs: new Map(options.outputs.flatMap((output, index) => sessionOutput(output, index))),
      uploads: source.uploads,
      stores,
    },
    source.directories.get("context") ?? source.attributes["context"] ?? "",
  );
}

/** Docker Hub's key in config.json is a URL. */
function serverOf(host: string): string {
  return ["registry-1.docker.io", "docker.io", "index.docker.io"].includes(host) ? "https://index.docker.io/v1/" : host;
}

async function readSecret(
  secret: BuildOptions["secrets"][number],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Uint8Array> {
  const { id, path, env: name } = secret;
  if (path === undefined) {
    // A name alone is the environment's variable, and otherwise a file of that name.
    const value = env[name ?? id];
    if (value !== undefined) return Buffer.from(value);
    if (name !== undefined) throw new CliError(`secret ${id}: the environment has no ${name}`);
  }
  const file = path ?? id;
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new CliError(`failed to read secret ${id}: ${(error as Error).message}`);
  }
  if (bytes.length > maxSecretBytes)
    throw new CliError(`invalid secret ${id}: it is larger than ${maxSecretBytes} bytes`);
  return bytes;
}

function sessionOutput(output: BuildOutput, index: number): readonly (readonly [number, SessionOutput])[] {
  const { type, destination } = output;
  if (destination === undefined || isLayout(output)) return [];
  if (type === "local") {
    if (destination === "-") throw new CliError("dest - is for one stream: give a directory");
    return [[index, { kind: "directory", path: resolve(destination) }]];
  }
  if (destination === "-") {
    if (process.stdout.isTTY)
      throw new CliError("output to the console is not supported: redirect stdout, or give dest=FILE");
    return [[index, { kind: "stream", open: async () => process.stdout }]];
  }
  try {
    checkOutputPath(destination);
  } catch (error) {
    throw new CliError((error as Error).message);
  }
  return [[index, { kind: "stream", open: async () => createWriteStream(destination, { mode: 0o644 }) }]];
}
