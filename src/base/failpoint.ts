// Named points where a test makes the engine fail: `await failpoint("container.create.prepared")` between two steps.
// Armed by GANTRY_FAILPOINTS="name=kind[;name=kind…]" in the daemon's environment, or by a file of that text which
// GANTRY_FAILPOINTS_FILE names and which is read at every point; never by a request.
//
// Release bundles define GANTRY_RELEASE as true: then the table is empty and the function does nothing. The table is
// module-level, but not state: it is parsed once from the environment, frozen, and nobody can change it. Passing it
// to every step of every operation would put a test's concern into every signature of the engine.
//
// The names in use are those in the source: tools and tests list them with failpointNamesIn().

import { readFileSync } from "node:fs";
import { EngineError } from "./errors.ts";

/** True in a release bundle, set by esbuild's `define`; not declared when development runs the sources. */
declare const GANTRY_RELEASE: boolean | undefined;

/** kill9: SIGKILL to this process. error: a System error. enospc: what a full disk gives. delay: wait, then go on. */
export type FailpointAction =
  | { readonly kind: "kill9" | "error" | "enospc" }
  | { readonly kind: "delay"; readonly delayMs: number };

export type Failpoints = ReadonlyMap<string, FailpointAction>;

const namePattern = /^[a-z0-9-]+(\.[a-z0-9-]+)+$/;

/**
 * Parses "name=kind[;name=kind…]", where kind is `kill9`, `error`, `enospc` or `delay(<ms>)`.
 *
 * @throws InvalidParameter a name or kind is none: a test whose failpoint is misspelt must not pass
 */
export function parseFailpoints(text: string): Failpoints {
  const table = new Map<string, FailpointAction>();
  for (const entry of text.split(";").filter((entry) => entry.trim() !== "")) {
    const [name = "", kind = ""] = entry.split("=", 2).map((part) => part.trim());
    if (!namePattern.test(name)) throw invalid(entry);
    table.set(name, parseAction(kind, entry));
  }
  return table;
}

/**
 * Fails here when the point is armed; otherwise returns undefined at once.
 *
 * @param name room.operation.step, a literal, used once in the whole source
 * @throws System "failpoint x"; or an Error with code ENOSPC
 */
export function failpoint(name: string): Promise<void> | undefined {
  return typeof GANTRY_RELEASE !== "undefined" && GANTRY_RELEASE
    ? undefined
    : hitFailpoint(file === undefined ? armed : parseFailpoints(readFileSync(file, "utf8")), name);
}

/** What failpoint does, on a table given. */
export function hitFailpoint(table: Failpoints, name: string): Promise<void> | undefined {
  const action = table.get(name);
  switch (action?.kind) {
    case undefined:
      return undefined;
    case "kill9":
      process.kill(process.pid, "SIGKILL");
      return undefined;
    case "error":
      throw new EngineError("System", `failpoint ${name}`);
    case "enospc":
      throw Object.assign(new Error(`ENOSPC: no space left on device, write (failpoint ${name})`), {
        code: "ENOSPC",
        errno: -28,
        syscall: "write",
      });
    case "delay":
      return new Promise((resolve) => setTimeout(resolve, action.delayMs));
  }
}

/** The names of the failpoints that a source text contains, in order; for listing them all and finding duplicates. */
export function failpointNamesIn(source: string): readonly string[] {
  return [...source.matchAll(/\bawait\s+failpoint\(\s*"([^"]+)"\s*,?\s*\)/g)].map((match) => match[1] ?? "");
}

function parseAction(kind: string, entry: string): FailpointAction {
  if (kind === "kill9" || kind === "error" || kind === "enospc") return { kind };
  const delayMs = /^delay\((\d{1,6})\)$/.exec(kind)?.[1];
  if (delayMs === undefined) throw invalid(entry);
  return { kind: "delay", delayMs: Number(delayMs) };
}

function invalid(entry: string): EngineError {
  return new EngineError(
    "InvalidParameter",
    `GANTRY_FAILPOINTS: invalid entry ${JSON.stringify(entry)}; expected name=kill9|error|enospc|delay(<ms>)`,
  );
}

const armed: Failpoints =
  typeof GANTRY_RELEASE !== "undefined" && GANTRY_RELEASE
    ? new Map()
    : parseFailpoints(process.env["GANTRY_FAILPOINTS"] ?? "");

/** So that one daemon can be made to fail at one point after the other. */
const file =
  typeof GANTRY_RELEASE !== "undefined" && GANTRY_RELEASE ? undefined : process.env["GANTRY_FAILPOINTS_FILE"];
