// Plugins by name: found when they are asked for, activated once, kept while the daemon runs. One that goes and comes back,
// at its old place or another one, works again: its address is looked up for every call.

import { EngineError } from "../../base/errors.ts";
import { parseManifest } from "./answers.ts";
import { PluginClient } from "./client.ts";
import { findPlugin, isPluginName, listPluginNames } from "./discovery.ts";
import type { Plugins, PluginsDeps } from "./index.ts";
import { defaultPluginTiming } from "./timing.ts";
import { PluginVolumeDriver } from "./volume-driver.ts";

interface Plugin {
  readonly client: PluginClient;
  /** undefined until it has answered. */
  implements: readonly string[] | undefined;
  activating: Promise<void> | undefined;
  volumeDriver: PluginVolumeDriver | undefined;
}

/** The plugins of the directories; nothing is touched before one is asked for. */
export function createPlugins(deps: PluginsDeps): Plugins {
  const { directories, logger, timing = defaultPluginTiming } = deps;
  const closing = new AbortController();
  const plugins = new Map<string, Plugin>();

  function open(name: string): Plugin {
    const find = () => findPlugin(name, directories);
    const client = new PluginClient({ find, name, timing, logger, signal: closing.signal });
    const plugin: Plugin = { client, implements: undefined, activating: undefined, volumeDriver: undefined };
    plugins.set(name, plugin);
    return plugin;
  }

  /** One handshake, however many ask at once; a failed one is made anew by the next who asks. */
  async function handshake(plugin: Plugin, name: string): Promise<void> {
    try {
      const answer = await plugin.client.call("Plugin.Activate", undefined, { timeoutMs: timing.activateMs });
      plugin.implements = parseManifest(answer);
      logger.debug("plugin is activated", { plugin: name, implements: plugin.implements.join(",") });
    } finally {
      plugin.activating = undefined;
    }
  }

  /** One handshake, however many ask at once; a failed one is made anew by the next who asks. */
  function activate(plugin: Plugin, name: string): Promise<void> {
    plugin.activating ??= handshake(plugin, name);
    return plugin.activating;
  }

  function activated(kind: string): readonly string[] {
    return [...plugins]
      .filter(([, plugin]) => plugin.implements?.includes(kind) === true)
      .map(([name]) => name)
      .sort();
  }

  return {
    async volumeDriver(name) {
      let plugin = plugins.get(name);
      if (plugin?.implements === undefined) {
        if (!isPluginName(name) || (await findPlugin(name, directories)) === undefined)
          throw new EngineError("NotFound", `plugin ${JSON.stringify(name.slice(0, 200))} not found`);
        plugin ??= plugins.get(name) ?? open(name);
      }
      // One that did not implement it may have been replaced since.
      if (plugin.implements?.includes("VolumeDriver") !== true) await activate(plugin, name);
      if (plugin.implements?.includes("VolumeDriver") !== true) {
        throw new EngineError(
          "System",
          `legacy plugin: Plugin does not implement the requested driver: plugin=${JSON.stringify(name)}, requested implementation="VolumeDriver"`,
        );
      }
      plugin.volumeDriver ??= new PluginVolumeDriver(name, plugin.client, timing, logger);
      return plugin.volumeDriver;
    },
    // One that went away is still asked, so that a list can say that its volumes are missing.
    names: () => Promise.resolve([...new Set([...listPluginNames(directories), ...activated("VolumeDriver")])]),
    activated,
    close: () => closing.abort(),
  };
}
