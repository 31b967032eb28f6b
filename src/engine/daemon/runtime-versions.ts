// The OCI runtimes that are configured: where they are and which version. What is wrong with a version, runtime/ knows.

import { accessSync, constants } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { tryRun } from "../kernel/run.ts";
import type { RuntimeConfig } from "./config.ts";

export interface RuntimeProgram {
  readonly name: string;
  readonly config: RuntimeConfig;
  /** Absolute path; undefined when there is no such program. */
  readonly path: string | undefined;
  readonly kind: "crun" | "runc" | "other";
  /** "1.8.1"; "" when it does not tell. */
  readonly version: string;
  readonly commit: string;
}

/** An absolute path of an executable, looked for in PATH where it has no slash. */
export function findProgram(name: string, path: string = process.env["PATH"] ?? ""): string | undefined {
  const standard = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const dirs = [...new Set([...path.split(delimiter), ...standard])].filter(isAbsolute);
  const candidates = isAbsolute(name) ? [name] : dirs.map((dir) => join(dir, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Reads what `crun --version` and `runc --version` print. Pure. */
export function parseRuntimeVersion(text: string): Pick<RuntimeProgram, "kind" | "version" | "commit"> {
  const m = /^(crun|runc|\S+) version (\S+)/m.exec(text);
  const kind = m?.[1] === "crun" || m?.[1] === "runc" ? m[1] : "other";
  return { kind, version: m?.[2] ?? "", commit: /^commit:\s*(\S+)/m.exec(text)?.[1] ?? "" };
}

async function probe(name: string, config: RuntimeConfig): Promise<RuntimeProgram> {
  const path = findProgram(config.path);
  const unknown = { kind: "other", version: "", commit: "" } as const;
  if (path === undefined) return { name, config, path, ...unknown };
  const said = await tryRun([path, "--version"], { timeoutMs: 5000 }).catch(() => undefined);
  return { name, config, path, ...(said?.exitCode === 0 ? parseRuntimeVersion(said.stdout) : unknown) };
}

export function probeRuntimes(runtimes: Readonly<Record<string, RuntimeConfig>>): Promise<readonly RuntimeProgram[]> {
  return Promise.all(Object.entries(runtimes).map(([name, config]) => probe(name, config)));
}
