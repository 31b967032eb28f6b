// Secrets and agents of a step. Files of secrets lie in the step's run directory, which is in memory then; values of environment
// variables go nowhere but into the process's environment.

import { chmodSync, chownSync, closeSync, constants, openSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { EngineError, messageOf } from "../../../base/errors.ts";
import type { ShimView } from "../../runtime/shim.ts";
import type { BuildClient } from "../client.ts";
import type { StepMount } from "../graph/index.ts";

type SecretMount = Extract<StepMount, { type: "secret" }>;
type SshMount = Extract<StepMount, { type: "ssh" }>;

/** What goes into the step for its secrets and agents. */
export interface StepAccess extends Disposable {
  readonly env: readonly string[];
  readonly mounts: readonly { readonly target: string; readonly tree: ShimView["tree"]; readonly readonly: boolean }[];
}

/** So many programs of a step talk to one agent at a time: each takes descriptors of the daemon, and a stream to the client. */
const maxAgentConnections = 64;

/** The values that the client has; undefined for an optional one that it has not. */
export type SecretValues = ReadonlyMap<SecretMount, Uint8Array>;

/** BuildKit's limit. */
const maxSecretBytes = 500 * 1024;

/** @throws NotFound "secret x: not found" */
export async function fetchSecrets(
  mounts: readonly StepMount[],
  client: BuildClient,
  signal: AbortSignal,
): Promise<SecretValues> {
  const values = new Map<SecretMount, Uint8Array>();
  for (const mount of mounts) {
    if (mount.type !== "secret") continue;
    const value = await client.secret(mount.id, signal);
    if (value === undefined && mount.required) throw new EngineError("NotFound", `secret ${mount.id}: not found`);
    if (value === undefined) continue;
    if (value.byteLength > maxSecretBytes)
      throw new EngineError("InvalidParameter", `secret ${mount.id}: larger than ${maxSecretBytes / 1024} KiB`);
    if (mount.env !== undefined && value.includes(0))
      throw new EngineError("InvalidParameter", `secret ${mount.id}: a variable cannot hold a NUL byte`);
    values.set(mount, value);
  }
  return values;
}

/** The agents that the client has. @throws NotFound one that is required is not there */
export async function findAgents(
  mounts: readonly StepMount[],
  client: BuildClient,
  signal: AbortSignal,
): Promise<ReadonlySet<SshMount>> {
  const found = new Set<SshMount>();
  for (const mount of mounts) {
    if (mount.type !== "ssh") continue;
    if (await client.hasAgent(mount.id, signal)) found.add(mount);
    else if (mount.required) throw new EngineError("NotFound", `unset ssh forward key ${mount.id}`);
  }
  return found;
}

/** Files and sockets in `runDir`, until disposed. @param env of the step, as it is without them */
export async function openAccess(
  runDir: string,
  secrets: SecretValues,
  agents: ReadonlySet<SshMount>,
  env: readonly string[],
  client: BuildClient,
  signal: AbortSignal,
): Promise<StepAccess> {
  const added: string[] = [];
  const mounts: StepAccess["mounts"][number][] = [];
  const servers: Disposable[] = [];
  const dispose = (): void => {
    for (const server of servers) server[Symbol.dispose]();
  };
  try {
    let n = 0;
    for (const [{ target, env: name, mode, uid, gid }, value] of secrets) {
      if (name !== undefined) added.push(`${name}=${Buffer.from(value).toString("utf8")}`);
      if (target === undefined) continue;
      const path = join(runDir, `secret-${n++}`);
      writeFileSync(path, value, { mode: 0o600, flag: "wx" });
      own(path, mode, uid, gid);
      mounts.push({ target, tree: { kind: "path", path, isSocket: false }, readonly: true });
    }
    let first = true;
    for (const { id, target, mode, uid, gid } of agents) {
      const name = `agent-${n++}.sock`;
      servers.push(await forwardAgent(runDir, name, () => client.connectAgent(id, signal)));
      const path = join(runDir, name);
      own(path, mode, uid, gid);
      mounts.push({ target, tree: { kind: "path", path, isSocket: true }, readonly: false });
      if (first && !env.some((entry) => entry.startsWith("SSH_AUTH_SOCK="))) added.push(`SSH_AUTH_SOCK=${target}`);
      first = false;
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { env: added, mounts, [Symbol.dispose]: dispose };
}

function own(path: string, mode: number, uid: number, gid: number): void {
  chownSync(path, uid, gid);
  chmodSync(path, mode & 0o7777);
}

/** A socket whose connections are the client's agent's. */
async function forwardAgent(runDir: string, name: string, connect: () => Promise<Duplex>): Promise<Disposable> {
  const open = new Set<Duplex>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    void connect().then(
      (agent) => bridge(socket, agent),
      (error: unknown) => socket.destroy(error instanceof Error ? error : new Error(messageOf(error))),
    );
  });
  server.maxConnections = maxAgentConnections;
  await listen(server, runDir, name);
  return {
    [Symbol.dispose]: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

function bridge(socket: Socket, agent: Duplex): void {
  agent.on("error", () => socket.destroy());
  agent.once("close", () => socket.destroy());
  socket.once("close", () => agent.destroy());
  socket.pipe(agent);
  agent.pipe(socket);
}

/** A path too long for a socket's address is reached through the directory's descriptor. */
async function listen(server: Server, runDir: string, name: string): Promise<void> {
  const directory = openSync(runDir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(`/proc/self/fd/${directory}/${name}`, resolve);
    });
  } finally {
    closeSync(directory);
  }
}
