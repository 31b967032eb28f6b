// `builder` of daemon.json: what builds may ask for, and how much of what they leave is kept.
// Source: docker's documentation of dockerd, "Daemon configuration file", and "Build garbage collection".

import { EngineError } from "../../base/errors.ts";
import { parseObject } from "../../spec/parse-json.ts";
import { parseGcPolicy } from "../build/solver/gc-policy.ts";

export interface BuilderConfig {
  /** Member `gc`, for parseGcPolicy with the disk's size. */
  readonly gc: unknown;
  /** "network.host", "security.insecure": what a build gets when it asks for it. */
  readonly entitlements: readonly string[];
}

const aDisk = 2 ** 40;

/** @throws InvalidParameter an unknown member, or a value that is none */
export function parseBuilderConfig(value: unknown): BuilderConfig {
  const { gc, entitlements, ...rest } = parseObject(value, "builder");
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new EngineError("InvalidParameter", `builder: unknown setting ${unknown}`);
  parseGcPolicy(gc, aDisk);
  return { gc, entitlements: parseEntitlements(entitlements) };
}

/** As in dockerd: the host's network unless it is switched off, an insecure step only where it is switched on. */
function parseEntitlements(value: unknown): readonly string[] {
  const given = value === undefined ? {} : parseObject(value, "builder.entitlements");
  const flag = (name: string, otherwise: boolean): boolean => {
    const setting = given[name] ?? otherwise;
    if (typeof setting !== "boolean")
      throw new EngineError("InvalidParameter", `builder.entitlements: ${name} must be true or false`);
    return setting;
  };
  const unknown = Object.keys(given).find((name) => !["network-host", "security-insecure"].includes(name));
  if (unknown !== undefined)
    throw new EngineError("InvalidParameter", `builder.entitlements: unknown setting ${unknown}`);
  return [
    ...(flag("network-host", true) ? ["network.host"] : []),
    ...(flag("security-insecure", false) ? ["security.insecure"] : []),
  ];
}
