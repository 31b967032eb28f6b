// --env-file and --label-file: a variable per line, "#" comments, no quoting. A name alone takes this process's value or is
// left out. Source: the docker CLI 28.

import { readFileSync } from "node:fs";
import { ValueError } from "./values.ts";

/**
 * @param inherit  value of a name that stands alone; undefined leaves it out
 * @throws Error   the file cannot be read (node's error) or has a bad name
 */
export function readEnvFile(path: string, inherit: (name: string) => string | undefined): readonly string[] {
  const text = readFileSync(path, "utf8").replace(/^\ufeff/, "");
  const out: string[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.replace(/^\s+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const name = at < 0 ? line : line.slice(0, at);
    if (name === "") throw new ValueError(`invalid env file (${path}): no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new ValueError(`invalid env file (${path}): variable '${name}' contains whitespaces`);
    if (at >= 0) out.push(`${name}=${line.slice(at + 1)}`);
    else {
      const value = inherit(name);
      if (value !== undefined) out.push(`${name}=${value}`);
    }
  }
  return out;
}
