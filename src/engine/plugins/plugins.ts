// Stub until the room is built.
import { EngineError } from "../../base/errors.ts";
import type { Plugins, PluginsDeps } from "./index.ts";

export function createPlugins(_deps: PluginsDeps): Plugins {
  return {
    volumeDriver: (name) => Promise.reject(new EngineError("NotFound", `plugin ${JSON.stringify(name)} not found`)),
    names: () => Promise.resolve([]),
    activated: () => [],
    close: () => {},
  };
}
