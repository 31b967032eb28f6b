// Sources of ADD that are no paths: URLs and git repositories.

import { parseDigest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { CopyInstruction } from "../dockerfile/index.ts";
import { parseGitAddress } from "./git-address.ts";
import type { GitOp, HttpOp } from "./index.ts";
import { baseName } from "./paths.ts";

function isUrl(source: string): boolean {
  return source.startsWith("http://") || source.startsWith("https://");
}

/** undefined: a path. @throws InvalidParameter an address that cannot be used, COPY of one */
export function remoteSource(
  source: string,
  instruction: CopyInstruction,
  checksum: string | undefined,
): GitOp | HttpOp | undefined {
  const git = gitSource(source, instruction, checksum);
  if (git !== undefined) return git;
  if (!isUrl(source)) return undefined;
  if (instruction.kind !== "add") throw new EngineError("InvalidParameter", "source can't be a URL for COPY");
  return {
    kind: "http",
    url: source,
    filename: fileName(source),
    checksum: checksum === undefined ? undefined : parseDigest(checksum),
    mode: 0o600,
  };
}

function gitSource(source: string, instruction: CopyInstruction, checksum: string | undefined): GitOp | undefined {
  const git = parseGitAddress(source);
  if (git === undefined) return undefined;
  if (instruction.kind !== "add") throw new EngineError("InvalidParameter", "source can't be a git ref for COPY");
  const { keepGitDir } = instruction;
  if (keepGitDir !== undefined && git.keepGitDir !== undefined && keepGitDir !== git.keepGitDir)
    throw new EngineError("InvalidParameter", "inconsistent keep-git-dir configuration");
  if (checksum !== undefined && git.checksum !== undefined && checksum !== git.checksum)
    throw new EngineError(
      "InvalidParameter",
      `checksum mismatch ${JSON.stringify(checksum)} != ${JSON.stringify(git.checksum)}`,
    );
  return {
    kind: "git",
    remote: git.remote,
    ref: git.ref,
    subdirectory: git.subdirectory,
    keepGitDir: git.keepGitDir ?? keepGitDir ?? false,
    checksum: git.checksum ?? checksum,
  };
}

function fileName(url: string): string {
  const name = URL.canParse(url) ? baseName(new URL(url).pathname) : "";
  if (name === "") return "__unnamed__";
  try {
    const decoded = decodeURIComponent(name);
    return decoded === "" || /[/\0]/.test(decoded) || decoded === "." || decoded === ".." ? "__unnamed__" : decoded;
  } catch {
    return name;
  }
}
