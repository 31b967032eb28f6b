// A ref of a remote → the commit that it is now. Source: BuildKit's rule: branches before tags, an annotated tag is its commit.

import { EngineError } from "../../../base/errors.ts";
import type { GitAccess } from "./git-access.ts";
import { runGit } from "./git-command.ts";
import { checkRef, type GitRemote, isCommitId } from "./git-url.ts";

export interface ResolvedRef {
  readonly commit: string;
  /** "refs/heads/main"; undefined when a commit id was asked for. */
  readonly fullRef: string | undefined;
}

/** @throws NotFound the remote has no such ref; InvalidParameter it is none */
export async function resolveRef(
  remote: GitRemote,
  ref: string,
  access: GitAccess,
  cwd: string,
  signal: AbortSignal,
): Promise<ResolvedRef> {
  if (isCommitId(ref)) return { commit: ref, fullRef: undefined };
  if (ref !== "") checkRef(ref);
  const patterns = ref === "" ? ["HEAD"] : [ref, `${ref}^{}`];
  const listing = await runGit(
    {
      arguments: ["ls-remote", "--symref", "--", remote.url, ...patterns],
      cwd,
      config: access.config,
      env: access.env,
    },
    signal,
  );
  const commits = new Map<string, string>();
  let head: string | undefined;
  for (const line of listing.split("\n")) {
    const [left = "", name = ""] = line.split("\t");
    if (left.startsWith("ref: ") && name === "HEAD") head = left.slice("ref: ".length);
    else if (isCommitId(left)) commits.set(name, left);
  }
  if (ref === "") {
    const commit = commits.get("HEAD");
    if (commit === undefined) throw new EngineError("NotFound", `repository ${remote.shown} has no default branch`);
    return { commit, fullRef: head !== undefined && head.startsWith("refs/") ? head : "HEAD" };
  }
  const plain = ref.replace(/^refs\//, "");
  for (const name of [`refs/heads/${ref}`, `refs/${plain}`, `refs/tags/${ref}`]) {
    const commit = commits.get(`${name}^{}`) ?? commits.get(name);
    if (commit !== undefined) return { commit, fullRef: name };
  }
  throw new EngineError("NotFound", `repository does not contain ref ${ref}: ${remote.shown}`);
}
