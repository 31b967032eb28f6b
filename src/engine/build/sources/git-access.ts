// What git may use to get at a remote: tokens and headers from the client's secrets, and its ssh agent. Nothing of it is written
// to a file, an argument list or a log.

import { mkdtempSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import type { BuildClient } from "../client.ts";
import type { GitRemote } from "./git-url.ts";

export interface GitAccess extends AsyncDisposable {
  readonly config: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * @param knownHosts file of host keys; a host seen for the first time is trusted and remembered there
 * @param temporary  directory for the agent's socket
 * @throws Forbidden an ssh remote, and the client forwards no agent
 */
export async function openAccess(
  remote: GitRemote,
  client: BuildClient,
  knownHosts: string,
  temporary: string,
  signal: AbortSignal,
): Promise<GitAccess> {
  if (remote.protocol === "ssh") return openSsh(client, knownHosts, temporary, signal);
  const header = remote.protocol === "git" ? undefined : await authorization(remote.host, client, signal);
  const origin = new URL(remote.url).origin;
  return {
    config: header === undefined ? {} : { [`http.${origin}/.extraHeader`]: `Authorization: ${header}` },
    env: {},
    async [Symbol.asyncDispose]() {},
  };
}

async function authorization(host: string, client: BuildClient, signal: AbortSignal): Promise<string | undefined> {
  for (const suffix of [`.${host}`, ""])
    for (const kind of ["GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"]) {
      const secret = await client.secret(kind + suffix, signal);
      if (secret === undefined) continue;
      const text = Buffer.from(secret).toString().trim();
      if (/[\r\n\0]/.test(text))
        throw new EngineError("InvalidParameter", `secret ${kind}${suffix} has more than one line`);
      return kind === "GIT_AUTH_HEADER" ? text : `basic ${Buffer.from(`x-access-token:${text}`).toString("base64")}`;
    }
  return undefined;
}

async function openSsh(
  client: BuildClient,
  knownHosts: string,
  temporary: string,
  signal: AbortSignal,
): Promise<GitAccess> {
  if (!(await client.hasAgent("default", signal)))
    throw new EngineError("Forbidden", "a git remote over ssh needs an agent: build with --ssh default");
  const directory = mkdtempSync(join(temporary, "ssh-"));
  const path = join(directory, "agent");
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    void connectAgent(socket, client, signal);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(path, resolve);
  await promise;
  await chmod(path, 0o600);
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=accept-new",
    `UserKnownHostsFile="${knownHosts}"`,
    "GlobalKnownHostsFile=/dev/null",
    "ForwardAgent=no",
    "PermitLocalCommand=no",
    "ConnectTimeout=30",
  ];
  return {
    config: {},
    env: {
      SSH_AUTH_SOCK: path,
      GIT_SSH_COMMAND: ["ssh", "-F", "none", ...options.flatMap((option) => ["-o", shellQuoted(option)])].join(" "),
      GIT_SSH_VARIANT: "ssh",
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.unref();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function connectAgent(socket: Socket, client: BuildClient, signal: AbortSignal): Promise<void> {
  try {
    const agent = await client.connectAgent("default", signal);
    agent.on("error", () => socket.destroy());
    socket.on("close", () => agent.destroy());
    agent.pipe(socket).pipe(agent);
  } catch {
    socket.destroy();
  }
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
