// createShims: shims by spawning and by reconnecting. Both end in a hello, which tells who answers.

import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError, errnoOf, isEngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import { identityOf, ShimClient } from "./shim-client.ts";
import { connectShim, ShimConnection } from "./shim-connection.ts";
import { spawnFields } from "./shim-request.ts";
import { Spawner } from "./shim-spawner.ts";
import type { Shim, ShimOptions, Shims } from "./shim.ts";

const protocolVersion = "1";
/** Includes the mounts and the network that the shim sets up before it answers. */
const helloTimeoutMs = 30_000;
/** It has all been set up: only a shim that hangs, or a machine that swaps, takes its time. */
const reconnectTimeoutMs = 10_000;
const reconnectAttempts = 10;
const reconnectPauseMs = 20;

/** A shim whose set-up failed takes it back before it leaves. */
const leaveTimeoutMs = 5_000;

export interface ShimsDeps {
  /** Absolute path of the gantry-shim program. */
  readonly shimPath: string;
  /** Shown in the spawner's process title: the exec-root of this daemon. */
  readonly label: string;
  readonly logger: Logger;
}

/**
 * A greeted connection, or undefined where nobody listens. A shim that dies closes its connections one after the other: a
 * listener that takes a connection and closes it unanswered is asked again, and is gone by then.
 */
async function reach(id: ContainerId, runDir: string): Promise<ShimClient | undefined> {
  for (let attempt = 1; ; attempt++) {
    let socket: Socket;
    try {
      socket = await connectShim(runDir);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "ECONNREFUSED" || errno === "ENOTDIR") return undefined;
      throw new EngineError("System", `connect to the shim in ${runDir}`, { cause: error });
    }
    try {
      return await greet(socket, id, runDir, reconnectTimeoutMs);
    } catch (error) {
      if (!isEngineError(error, "Unavailable") || attempt === reconnectAttempts) throw error;
      await sleep(reconnectPauseMs);
    }
  }
}

function failureKind(word: string | undefined): "Conflict" | "NotFound" | "System" {
  return word === "conflict" ? "Conflict" : word === "notFound" ? "NotFound" : "System";
}

async function greet(socket: Socket, id: ContainerId, runDir: string, timeoutMs: number): Promise<ShimClient> {
  const connection = new ShimConnection(socket);
  try {
    const reply = await connection.request("hello", [["protocol", protocolVersion]], timeoutMs);
    if (reply.get("protocol") !== protocolVersion || reply.get("id") !== id)
      throw new EngineError("DataLoss", `another container's shim answers in ${runDir}: ${reply.get("id")}`);
    const failed = reply.get("failed");
    if (failed !== undefined) {
      await connection.ended(leaveTimeoutMs);
      throw new EngineError(failureKind(reply.get("failed.kind")), failed);
    }
    const identity = identityOf(reply, reply.get("boot") ?? "");
    return new ShimClient(connection, { id, identity, runDir, runtimePath: reply.get("runtime") ?? "runtime" });
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/**
 * The shims of one daemon. The spawner starts at once.
 *
 * `spawn` rejects with System where the shim's mounts or network failed (what was tried, errno), with Conflict where a program of
 * the host has a port that is to be published, with NotFound where a view's source is not there; nothing is left behind then.
 * `connect` checks that the answering shim is of this boot and of this container.
 */
export function createShims(deps: ShimsDeps): Shims {
  const spawner = new Spawner(deps.shimPath, deps.label, deps.logger);
  const clients = new Set<ShimClient>();
  spawner.start();

  function keep(client: ShimClient): Shim {
    clients.add(client);
    client.on("closed", () => clients.delete(client));
    return client;
  }

  return {
    async spawn(options: ShimOptions): Promise<Shim> {
      const pid = await spawner.request(spawnFields(options));
      const client = await greet(await connectShim(options.runDir), options.id, options.runDir, helloTimeoutMs);
      if (client.identity.pid !== pid) {
        client.disconnect();
        throw new EngineError("Conflict", `shim ${client.identity.pid} answers where ${pid} was started`);
      }
      return keep(client);
    },

    async connect(id: ContainerId, runDir: string): Promise<Shim | undefined> {
      const client = await reach(id, runDir);
      if (client === undefined) return undefined;
      const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
      if (client.identity.bootId !== bootId) {
        client.disconnect();
        return undefined;
      }
      return keep(client);
    },

    onRulesChange(listener: () => void): void {
      spawner.onRulesChange(listener);
    },

    warm(): void {
      spawner.warm();
    },

    /** For the daemon's end: containers live on and nobody hears `closed`. */
    async close(): Promise<void> {
      for (const client of clients) client.disconnect();
      await spawner.close();
    },
  };
}
