// HEALTHCHECK of a Dockerfile: flags, then NONE or CMD. Source: Dockerfile reference, "HEALTHCHECK".

import { EngineError } from "../../base/errors.ts";
import type { HealthConfig } from "../../spec/docker/container.ts";

const units: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const durations: Readonly<Record<string, "Interval" | "Timeout" | "StartPeriod" | "StartInterval">> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/** Nanoseconds of a Go duration. */
function parseDuration(text: string, flag: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text)
    throw invalid(`time: invalid duration ${JSON.stringify(text)}`);
  const ns = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? 0), 0);
  if (ns !== 0 && ns < 1e6) throw invalid(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`);
  return Math.round(ns);
}

/**
 * Parses what follows HEALTHCHECK.
 *
 * @param parseList a JSON list of strings, or undefined
 * @throws InvalidParameter malformed
 */
export function parseHealthcheck(
  text: string,
  parseList: (text: string) => readonly string[] | undefined,
): HealthConfig {
  const flags: { -readonly [K in keyof HealthConfig]: HealthConfig[K] } = {};
  let rest = text;
  for (let flag = takeFlag(rest); flag !== undefined; flag = takeFlag(rest)) {
    rest = flag.rest;
    const duration = durations[flag.name];
    if (duration !== undefined) flags[duration] = parseDuration(flag.value, flag.name);
    else if (flag.name !== "retries") throw invalid(`unknown flag: --${flag.name}`);
    else if (!/^\d{1,9}$/.test(flag.value))
      throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(flag.value)}: invalid syntax`);
    else flags.Retries = Number(flag.value);
  }
  const [, kind = "", command = ""] = /^(\S*)\s*(.*)$/s.exec(rest) ?? [];
  switch (kind.toUpperCase()) {
    case "":
      throw invalid("HEALTHCHECK requires at least one argument");
    case "NONE":
      if (command !== "") throw invalid("HEALTHCHECK NONE takes no arguments");
      return { Test: ["NONE"] };
    case "CMD": {
      const list = parseList(command);
      if (command === "" || list?.length === 0) throw invalid("Missing command after HEALTHCHECK CMD");
      return { Test: list === undefined ? ["CMD-SHELL", command] : ["CMD", ...list], ...flags };
    }
    default:
      throw invalid(`Unknown type ${JSON.stringify(kind.toUpperCase())} in HEALTHCHECK (try CMD)`);
  }
}

function takeFlag(text: string): { readonly name: string; readonly value: string; readonly rest: string } | undefined {
  const match = /^--([A-Za-z-]+)=(\S*)\s*/.exec(text);
  if (match === null) return undefined;
  return { name: match[1] ?? "", value: match[2] ?? "", rest: text.slice(match[0].length) };
}
