// HEALTHCHECK: its options in nanoseconds and its test as the image's config has it.

import { parseDuration, parseInt32, quote } from "./go.ts";
import type { HealthcheckInstruction } from "./index.ts";
import type { Flags } from "./flags.ts";
import { parseJsonWords } from "./words.ts";
import { cutKeyword } from "./lines.ts";

/** Options of HEALTHCHECK. */
export const healthcheckFlags = {
  interval: "text",
  timeout: "text",
  "start-period": "text",
  "start-interval": "text",
  retries: "text",
} as const;

const shortestNs = 1e6;

/** @param fail throws an error of the instruction with that message */
export function parseHealthcheck(
  rest: string,
  flags: Flags,
  fail: (message: string) => never,
): Pick<HealthcheckInstruction, "test" | "interval" | "timeout" | "startPeriod" | "startInterval" | "retries"> {
  if (rest === "") fail("HEALTHCHECK requires at least one argument");
  const { keyword, rest: command } = cutKeyword(rest);
  const type = keyword.toUpperCase();
  if (type === "NONE") {
    if (command !== "") fail("HEALTHCHECK NONE takes no arguments");
    return { test: ["NONE"], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  }
  if (type !== "CMD") fail(`Unknown type ${quote(type)} in HEALTHCHECK (try CMD)`);
  const words = parseJsonWords(command);
  if (words === "mixed") fail("when using JSON array syntax, arrays must be comprised of strings only");
  if (command === "" || words?.length === 0) fail("Missing command after HEALTHCHECK CMD");
  const duration = (name: string) => parseInterval(name, flags.text(name), fail);
  return {
    test: words === undefined ? ["CMD-SHELL", command] : ["CMD", ...words],
    interval: duration("interval"),
    timeout: duration("timeout"),
    startPeriod: duration("start-period"),
    startInterval: duration("start-interval"),
    retries: parseRetries(flags.text("retries"), fail),
  };
}

function parseInterval(name: string, value: string | undefined, fail: (message: string) => never): number {
  if (value === undefined || value === "") return 0;
  const duration = parseDuration(value);
  if (typeof duration === "string") fail(duration);
  if (duration !== 0 && duration < shortestNs) fail(`Interval ${quote(name)} cannot be less than 1ms`);
  return duration;
}

function parseRetries(value: string | undefined, fail: (message: string) => never): number {
  if (value === undefined || value === "") return 0;
  const retries = parseInt32(value);
  if (typeof retries === "string") fail(retries);
  if (retries < 0) fail(`--retries cannot be negative (${retries})`);
  return retries;
}
