// A plugin as a driver of volumes. Source: docs.docker.com, "Docker volume plugins", Volume plugin protocol.

import { stat } from "node:fs/promises";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { DriverVolume, VolumeDriver } from "../volumes/index.ts";
import { parseMountpoint, parseScope, parseVolume, readErr, readMember } from "./answers.ts";
import type { CallOptions, PluginClient } from "./client.ts";
import type { PluginTiming } from "./timing.ts";

export class PluginVolumeDriver implements VolumeDriver {
  readonly name: string;
  readonly #client: PluginClient;
  readonly #timing: PluginTiming;
  readonly #logger: Logger;
  #scope: "local" | "global" | undefined;

  constructor(name: string, client: PluginClient, timing: PluginTiming, logger: Logger) {
    this.name = name;
    this.#client = client;
    this.#timing = timing;
    this.#logger = logger;
  }

  /** "local" for a plugin that does not say: Capabilities is younger than the protocol. */
  async scope(): Promise<"local" | "global"> {
    if (this.#scope !== undefined) return this.#scope;
    try {
      const scope = parseScope(await this.#call("Capabilities", {}, this.#timing.shortMs, { once: true }));
      if (scope === undefined)
        this.#logger.warn("volume plugin names no scope that is known; its volumes are local", { plugin: this.name });
      this.#scope = scope ?? "local";
      return this.#scope;
    } catch (error) {
      this.#logger.warn("volume plugin does not tell its capabilities; its volumes are local", {
        plugin: this.name,
        error: messageOf(error),
      });
      return "local";
    }
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    if (await this.#has(name)) return;
    await this.#call("Create", { Name: name, Opts: options }, this.#timing.longMs);
  }

  async #has(name: string): Promise<boolean> {
    try {
      await this.get(name);
      return true;
    } catch (error) {
      if (isEngineError(error, "NotFound")) return false;
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#call("Remove", { Name: name });
  }

  /** The protocol has no code for "not there": a plugin that answers with an error, or no volume, has none. */
  async get(name: string): Promise<DriverVolume> {
    const method = "VolumeDriver.Get";
    const answer = await this.#ask("Get", { Name: name }, {});
    const said = readErr(method, answer);
    const value = readMember(answer, "Volume");
    if (said !== "" || value === undefined) {
      throw new EngineError("NotFound", "no such volume", {
        cause: said === "" ? undefined : new EngineError("System", said),
      });
    }
    const volume = parseVolume(method, value);
    if (volume.name !== name)
      throw new EngineError("System", `${method}: the plugin answered for volume ${volume.name} in place of ${name}`);
    return volume;
  }

  /** A dead plugin is not waited for. Volumes that cannot be used here, by their names first of all, are left out and logged. */
  async list(): Promise<readonly DriverVolume[]> {
    const method = "VolumeDriver.List";
    const answer = await this.#call("List", {}, this.#timing.shortMs, { once: true });
    const entries = readMember(answer, "Volumes") ?? [];
    if (!Array.isArray(entries))
      throw new EngineError("System", `${method}: the plugin's answer cannot be used: Volumes is no list`);
    const volumes: DriverVolume[] = [];
    const complaints: string[] = [];
    for (const entry of entries as readonly unknown[]) {
      try {
        volumes.push(parseVolume(method, entry));
      } catch (error) {
        complaints.push(messageOf(error));
      }
    }
    if (complaints.length > 0) {
      const details = { plugin: this.name, volumes: complaints.length, first: complaints[0] };
      this.#logger.warn("volumes of a plugin are left out", details);
    }
    return volumes;
  }

  /** Each user is told to the plugin by its ID, so that it can tell a second user from one who asks again. */
  async mount(name: string, user: string): Promise<string> {
    const method = "VolumeDriver.Mount";
    const answer = await this.#call("Mount", { Name: name, ID: user }, this.#timing.longMs);
    try {
      const path = parseMountpoint(method, answer);
      if (path === "") throw new EngineError("System", `${method}: the plugin names no mountpoint of volume ${name}`);
      await stat(path).catch((error: unknown) => {
        throw new EngineError("System", `${method}: the mountpoint that the plugin names: ${messageOf(error)}`, {
          cause: error,
        });
      });
      return path;
    } catch (error) {
      await this.unmount(name, user).catch((late: unknown) => {
        const details = { plugin: this.name, volume: name, error: messageOf(late) };
        this.#logger.warn("a mount that cannot be used is not taken back by its plugin", details);
      });
      throw error;
    }
  }

  async unmount(name: string, user: string): Promise<void> {
    await this.#call("Unmount", { Name: name, ID: user });
  }

  /** @throws System what the plugin says no with, as it says it */
  async #call(
    verb: string,
    body: unknown,
    timeoutMs = this.#timing.shortMs,
    options: Partial<CallOptions> = {},
  ): Promise<unknown> {
    const answer = await this.#ask(verb, body, { timeoutMs, ...options });
    const said = readErr(`VolumeDriver.${verb}`, answer);
    if (said !== "") throw new EngineError("System", said);
    return answer;
  }

  #ask(verb: string, body: unknown, options: Partial<CallOptions>): Promise<unknown> {
    return this.#client.call(`VolumeDriver.${verb}`, body, { timeoutMs: this.#timing.shortMs, ...options });
  }
}
