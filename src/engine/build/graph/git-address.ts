// Addresses of git repositories as Dockerfiles and contexts write them: `url#ref:subdirectory`, `url?ref=…&subdir=…`, scp-like ones,
// and github.com/… without a scheme. Whether one may be fetched is the runner's to say.

import { EngineError } from "../../../base/errors.ts";

/** A repository, what of it, and what it must be. */
export interface GitAddress {
  readonly remote: string;
  readonly ref: string;
  readonly subdirectory: string;
  readonly keepGitDir: boolean | undefined;
  readonly checksum: string | undefined;
}

const scp = /^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^\s]+$/;

function isRepository(text: string): boolean {
  const whole = text.split(/[?#]/, 1)[0] ?? "";
  if (/^(?:git|ssh):\/\//.test(whole)) return true;
  if (/^https?:\/\//.test(whole)) return whole.endsWith(".git");
  return scp.test(whole) || whole.startsWith("github.com/");
}

/** undefined: no git repository. @throws InvalidParameter a query that is not known, two refs */
export function parseGitAddress(text: string): GitAddress | undefined {
  if (!isRepository(text)) return undefined;
  const [beforeFragment = "", ...fragments] = text.split("#");
  const [address = "", ...queries] = beforeFragment.split("?");
  const fragment = fragments.join("#");
  const colon = fragment.indexOf(":");
  let ref = colon === -1 ? fragment : fragment.slice(0, colon);
  let subdirectory = colon === -1 ? "" : fragment.slice(colon + 1);
  let keepGitDir: boolean | undefined;
  let checksum: string | undefined;
  for (const [name, value] of new URLSearchParams(queries.join("?"))) {
    if (name === "ref" || name === "branch" || name === "tag") {
      const whole = name === "ref" ? value : `refs/${name === "tag" ? "tags" : "heads"}/${value}`;
      if (ref !== "" && ref !== whole) throw new EngineError("InvalidParameter", `ref conflicts: ${ref} vs ${whole}`);
      ref = whole;
    } else if (name === "subdir") {
      if (subdirectory !== "" && subdirectory !== value)
        throw new EngineError("InvalidParameter", `subdir conflicts: ${subdirectory} vs ${value}`);
      subdirectory = value;
    } else if (name === "checksum" || name === "commit") checksum = value;
    else if (name === "keep-git-dir") keepGitDir = value === "" || /^(?:1|t|true)$/i.test(value);
    else throw new EngineError("InvalidParameter", `unexpected query ${JSON.stringify(name)}`);
  }
  const remote = address.startsWith("github.com/") ? `https://${address}` : address;
  return { remote, ref, subdirectory, keepGitDir, checksum };
}
