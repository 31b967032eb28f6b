// Sources from git: one bare repository per remote is kept, shallow where the remote allows it; a checkout of a commit becomes a kept
// directory. Source: BuildKit's source/git as seen from outside; hardened against CVE-2024-32002, -33748 and CVE-2022-39253's kin.
// Order: a repository's lock is taken alone.

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { copyFile, lstat, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import { KeyedMutex } from "../../../base/mutex.ts";
import type { GitOp, Op } from "../graph/index.ts";
import type { JobContext, OpRunner, ReclaimableStore, RunContext, Snapshot } from "../solver/index.ts";
import { type GitAccess, openAccess } from "./git-access.ts";
import { type GitCommand, GitFailed, runGit } from "./git-command.ts";
import { type ResolvedRef, resolveRef } from "./git-resolve.ts";
import { checkRemote, type GitRemote } from "./git-url.ts";
import type { SourceDirectories } from "./index.ts";
import { KeptDirectories } from "./kept-directories.ts";
import { withTimeLimit } from "./time-limit.ts";
import { importTree, keptKey } from "./tree-import.ts";

export interface GitRunnerDeps {
  /** Repositories are kept below <dataRoot>/build/git. */
  readonly dataRoot: string;
  readonly directories: SourceDirectories;
}

/** A fetch may take this long. */
const longestMs = 30 * 60_000;

export function createGitRunner(deps: GitRunnerDeps): OpRunner & { readonly reclaimable: ReclaimableStore } {
  const root = join(deps.dataRoot, "build", "git");
  const temporary = join(root, "tmp");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const repositories = new KeptDirectories(join(root, "repositories"), "source.git.checkout");
  const locks = new KeyedMutex();
  const resolved = new WeakMap<JobContext, Map<string, ResolvedRef>>();
  const knownHosts = join(root, "known_hosts");

  function withAccess<T>(
    remote: GitRemote,
    job: JobContext,
    signal: AbortSignal,
    work: (access: GitAccess, bounded: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return withTimeLimit(`git of ${remote.shown}`, longestMs, signal, async (bounded) => {
      await using access = await openAccess(remote, job.client, knownHosts, temporary, bounded);
      return await work(access, bounded);
    });
  }

  /** The same ref is the same commit for all of one build. */
  async function resolve(op: GitOp, remote: GitRemote, job: JobContext, signal: AbortSignal): Promise<ResolvedRef> {
    const known = resolved.get(job) ?? new Map<string, ResolvedRef>();
    resolved.set(job, known);
    const name = `${op.remote}\0${op.ref}`;
    const found =
      known.get(name) ??
      (await withAccess(remote, job, signal, (access, bounded) =>
        resolveRef(remote, op.ref, access, temporary, bounded),
      ));
    known.set(name, found);
    checkChecksum(op, found.commit);
    return found;
  }

  return {
    reclaimable: repositories,
    async key(op, job, signal) {
      const git = gitOf(op);
      const { commit } = await resolve(git, checkRemote(git.remote), job, signal);
      return `${commit}${git.keepGitDir ? ".git" : ""}`;
    },
    async run(
      op: Op,
      _inputs: readonly Snapshot[],
      { job, report }: RunContext,
      signal: AbortSignal,
    ): Promise<Snapshot> {
      const git = gitOf(op);
      const remote = checkRemote(git.remote);
      const subdirectory = checkSubdirectory(git.subdirectory);
      const { commit, fullRef } = await resolve(git, remote, job, signal);
      return withAccess(remote, job, signal, async (access, bounded) => {
        using repository = repositories.use(git.remote, `git repository for ${remote.shown}`);
        const bare = join(repository.path, "repository.git");
        const run = (cwd: string, ...words: string[]): Promise<string> =>
          runGit(
            commandOf(cwd, words, access, (data) => report.log(2, data)),
            bounded,
          );
        const work = await mkdtemp(join(temporary, "checkout-"));
        try {
          {
            using _lock = await locks.lock(git.remote);
            bounded.throwIfAborted();
            await fetchCommit(bare, remote, commit, fullRef, run);
            await checkOut(work, bare, remote, commit, git.keepGitDir, run);
          }
          const seconds = (await run(work, "log", "-1", "--format=%ct", commit)).trim();
          const top = await confine(work, subdirectory);
          const directory = await importTree(
            deps.directories,
            top,
            {
              key: keptKey(
                ["git", git.remote, commit, String(git.keepGitDir), subdirectory],
                `${remote.shown}#${commit}`,
              ),
              mtimeNs: BigInt(/^\d{1,12}$/.test(seconds) ? seconds : "0") * 1_000_000_000n,
              without: new Set(git.keepGitDir ? [] : [".git"]),
              modeOf: (mode) => ((mode & 0o111) === 0 ? 0o644 : 0o755),
            },
            bounded,
          );
          return { kind: "directory", directory };
        } finally {
          await rm(work, { recursive: true, force: true });
        }
      });
    },
  };
}

function gitOf(op: Op): GitOp {
  if (op.kind !== "git") throw new EngineError("System", `the git runner was given an op of kind ${op.kind}`);
  return op;
}

function checkChecksum(op: GitOp, commit: string): void {
  if (op.checksum === undefined) return;
  if (!/^[0-9a-f]{7,64}$/.test(op.checksum))
    throw new EngineError("InvalidParameter", `invalid git checksum ${JSON.stringify(op.checksum.slice(0, 100))}`);
  if (!commit.startsWith(op.checksum))
    throw new EngineError("InvalidParameter", `expected checksum to match ${op.checksum}, got ${commit}`);
}

function commandOf(
  cwd: string,
  words: readonly string[],
  access: GitAccess,
  onProgress: (data: Uint8Array) => void,
): GitCommand {
  return { arguments: words, cwd, config: access.config, env: access.env, onProgress };
}

type Run = (cwd: string, ...words: string[]) => Promise<string>;

async function has(bare: string, commit: string, run: Run): Promise<boolean> {
  try {
    await run(bare, "rev-list", "--objects", "--max-count=1", "--quiet", commit, "--");
    return true;
  } catch (error) {
    if (error instanceof GitFailed) return false;
    throw error;
  }
}

/** Brings a commit into the bare repository: alone if the remote can, else with all of its history. */
async function fetchCommit(
  bare: string,
  remote: GitRemote,
  commit: string,
  fullRef: string | undefined,
  run: Run,
): Promise<void> {
  if (!existsSync(join(bare, "HEAD"))) {
    mkdirSync(bare, { recursive: true, mode: 0o700 });
    await run(bare, "init", "--quiet", "--bare", "--template=", ".");
  }
  if (await has(bare, commit, run)) return;
  const shallow = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1", "--force"];
  const target = `refs/gantry/${commit}`;
  const attempts = [
    [...shallow, "--", remote.url, `${fullRef ?? commit}:${target}`],
    [...shallow, "--", remote.url, `${commit}:${target}`],
    [
      ...shallow.filter((word) => word !== "--depth=1"),
      "--",
      remote.url,
      `${fullRef ?? "refs/heads/*"}:${fullRef === undefined ? "refs/gantry/heads/*" : target}`,
    ],
    [
      ...shallow.filter((word) => word !== "--depth=1"),
      "--",
      remote.url,
      "refs/heads/*:refs/gantry/heads/*",
      "refs/tags/*:refs/gantry/tags/*",
    ],
  ];
  let failure: unknown;
  for (const words of attempts) {
    try {
      await run(bare, ...words);
    } catch (error) {
      if (!(error instanceof GitFailed)) throw error;
      failure ??= error;
      continue;
    }
    if (await has(bare, commit, run)) return;
  }
  throw failure ?? new EngineError("NotFound", `commit ${commit} is not in repository ${remote.shown}`);
}

/** A work tree with a repository of its own, so that submodules find one; what it has of objects it borrows. */
async function checkOut(
  work: string,
  bare: string,
  remote: GitRemote,
  commit: string,
  keepGitDir: boolean,
  run: Run,
): Promise<void> {
  await run(work, "init", "--quiet", "--template=", ".");
  const gitDirectory = join(work, ".git");
  mkdirSync(join(gitDirectory, "objects", "info"), { recursive: true });
  const alternates = join(gitDirectory, "objects", "info", "alternates");
  await writeFile(alternates, `${join(bare, "objects")}\n`);
  if (existsSync(join(bare, "shallow"))) await copyFile(join(bare, "shallow"), join(gitDirectory, "shallow"));
  const shownUrl = remote.protocol === "ssh" ? remote.url : withoutUser(remote.url);
  await run(work, "config", "remote.origin.url", remote.url);
  await run(work, "checkout", "--quiet", "--force", "--detach", commit, "--");
  if (existsSync(join(work, ".gitmodules"))) await updateSubmodules(work, run);
  await run(work, "config", "remote.origin.url", shownUrl);
  if (!keepGitDir) return;
  await run(work, "repack", "-a", "-d", "--quiet");
  await rm(alternates, { force: true });
}

async function updateSubmodules(work: string, run: Run): Promise<void> {
  const update = ["submodule", "--quiet", "update", "--init", "--recursive", "--force"];
  try {
    await run(work, ...update, "--depth=1");
  } catch (error) {
    if (!(error instanceof GitFailed) || /not allowed/.test(error.stderr)) throw error;
    await run(work, ...update);
  }
}

function withoutUser(remote: string): string {
  const url = new URL(remote);
  url.username = "";
  url.password = "";
  return url.href;
}

/** @throws InvalidParameter it leads out of the repository by its name */
function checkSubdirectory(subdirectory: string): string {
  const parts = subdirectory.split("/").filter((part) => part !== "" && part !== ".");
  if (subdirectory.includes("\0") || parts.includes("..") || parts.some((part) => part.toLowerCase() === ".git"))
    throw new EngineError(
      "InvalidParameter",
      `invalid subdirectory ${JSON.stringify(subdirectory.slice(0, 300))} of a git repository`,
    );
  return parts.join("/");
}

/** Component by component: a link leads nowhere. @throws NotFound, InvalidParameter it is not a directory */
async function confine(work: string, subdirectory: string): Promise<string> {
  let at = work;
  for (const part of subdirectory === "" ? [] : subdirectory.split("/")) {
    at = join(at, part);
    const status = await lstat(at).catch(() => undefined);
    if (status === undefined) throw new EngineError("NotFound", `subdir not found: ${JSON.stringify(subdirectory)}`);
    if (!status.isDirectory())
      throw new EngineError(
        "InvalidParameter",
        `subdir ${JSON.stringify(subdirectory)} is not a directory of the repository`,
      );
  }
  return at;
}
