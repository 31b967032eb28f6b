// The sockets that the API is served on: unix, tcp and what systemd hands over. A unix socket is 0600 from its first moment
// and gets its group afterwards; a stale one is taken away only when nobody answers on it.
// Source: sd_listen_fds(3), unix(7).

import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { EngineError, errnoOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

export interface ListenOptions {
  readonly group: string;
  readonly groupRequired: boolean;
  readonly logger: Logger;
}

/** gid of a group in /etc/group; undefined when it is not there. */
export function groupId(name: string, groupFile: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  for (const line of groupFile.split("\n")) {
    const [entry, , gid = ""] = line.split(":");
    if (entry === name && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", (error) => resolve(errnoOf(error) === "EAGAIN"));
  return promise;
}

/** @throws Conflict somebody listens there, or something that is no socket has the name */
async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket())
    throw new EngineError("Conflict", `can't create unix socket ${path}: something that is no socket is there`);
  if (await answers(path))
    throw new EngineError("Conflict", `can't create unix socket ${path}: another process listens there`);
  rmSync(path, { force: true });
}

function listening(server: Server, start: () => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", () => {
    server.removeListener("error", reject);
    resolve();
  });
  start();
  return promise;
}

async function listenUnix(server: Server, path: string, options: ListenOptions): Promise<void> {
  const gid = groupId(options.group, readFileSync("/etc/group", "utf8"));
  if (gid === undefined && options.groupRequired)
    throw new EngineError("InvalidParameter", `group ${options.group} not found; it was named with --group`);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await removeStale(path);
  const before = process.umask(0o177);
  try {
    // The socket file is made inside the call to listen, so the mask holds for it and for nothing else.
    await listening(server, () => {
      server.listen(path);
      process.umask(before);
    });
  } finally {
    process.umask(before);
  }
  if (gid === undefined) return;
  chownSync(path, 0, gid);
  chmodSync(path, 0o660);
}

/** The descriptors that systemd passed to this process, by number, with their names where they have some. */
export function passedDescriptors(env: NodeJS.ProcessEnv, pid: number): readonly number[] {
  if (env["LISTEN_PID"] !== String(pid)) return [];
  const count = Number(env["LISTEN_FDS"] ?? 0);
  return Number.isSafeInteger(count) && count > 0 ? Array.from({ length: count }, (_, i) => 3 + i) : [];
}

/**
 * Serves on one address of --host; `makeServer` is called once for each socket that it means.
 *
 * @param host  unix:///path, tcp://host:port, fd:// (all that were passed), fd://n
 * @throws Conflict         the address is taken
 * @throws InvalidParameter no descriptor was passed; the group named does not exist
 */
export async function listen(
  host: string,
  makeServer: (tcp: boolean) => Server,
  options: ListenOptions,
): Promise<readonly Server[]> {
  if (host.startsWith("unix://")) {
    const server = makeServer(false);
    await listenUnix(server, host.slice("unix://".length), options);
    return [server];
  }
  if (host.startsWith("fd://")) {
    const which = host.slice("fd://".length);
    const passed = passedDescriptors(process.env, process.pid);
    const wanted = which === "" || which === "*" ? passed : passed.filter((fd) => fd === Number(which));
    if (wanted.length === 0)
      throw new EngineError(
        "InvalidParameter",
        `no sockets found via socket activation for ${host}: make sure the service was started by systemd`,
      );
    const servers: Server[] = [];
    for (const fd of wanted) {
      const server = makeServer(false);
      await listening(server, () => server.listen({ fd }));
      servers.push(server);
    }
    return servers;
  }
  const m = /^tcp:\/\/(.*):(\d+)$/.exec(host);
  const address = (m?.[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  const server = makeServer(true);
  try {
    await listening(server, () => server.listen({ host: address === "" ? "::" : address, port: Number(m?.[2] ?? 0) }));
  } catch (error) {
    if (errnoOf(error) !== "EADDRINUSE") throw error;
    throw new EngineError("Conflict", `can't listen on ${host}: another process listens there`, { cause: error });
  }
  return [server];
}
