// Which Gantry this is. A bundle has it from tools/build.ts; development reads package.json.

import { readFileSync } from "node:fs";

/** Set by esbuild's `define` as one JSON object; not declared when development runs the sources. */
declare const GANTRY_BUILD: { readonly version: string; readonly commit: string; readonly time: string } | undefined;

export interface BuildInfo {
  readonly version: string;
  /** Full commit id; "" when not known. */
  readonly commit: string;
  /** RFC 3339; "" when not built. */
  readonly time: string;
}

export function readBuildInfo(): BuildInfo {
  if (typeof GANTRY_BUILD !== "undefined") return GANTRY_BUILD;
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { readonly version: string };
  return { version: `${version}-dev`, commit: "", time: "" };
}
