// Which suites of which archive a bootstrap uses: the Release files of the candidates are fetched through APT's own helper, so
// that APT's proxies, certificates and retries hold. Nothing is trusted here: APT verifies signatures when it installs.
// Source: apt-helper of apt 2.6 ("download-file"); wiki.debian.org/DebianRepository/Format, "Release".

import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "../command.ts";
import type { AptSource } from "./apt-sources.ts";
import type { Distribution } from "./distributions.ts";
import { parseRelease, type Release } from "./plan.ts";

const helper = "/usr/lib/apt/apt-helper";

/** Why a file was not fetched: it is not there, or something else with APT's words. */
class FetchError extends Error {
  readonly isMissing: boolean;
  constructor(message: string, isMissing: boolean) {
    super(message);
    this.name = "FetchError";
    this.isMissing = isMissing;
  }
}

async function download(url: string, path: string): Promise<void> {
  const args = ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  execFile(
    helper,
    [...args, "download-file", url, path],
    { env: { ...process.env, LC_ALL: "C" } },
    (error, out, err) => {
      if (error === null) return resolve();
      if (error.code === "ENOENT") return reject(new CliError(`${helper} is missing: install the package apt`));
      const line = err.split("\n").find((text) => text.startsWith("E: Failed to fetch")) ?? err.trim();
      reject(new FetchError(line.replace(/^E: /, ""), /404|File not found|Not Found/.test(`${out}${err}`)));
    },
  );
  return promise;
}

async function fetchRelease(source: AptSource, directory: string): Promise<Release> {
  const path = join(directory, "Release");
  try {
    try {
      await download(`${source.uri}/dists/${source.suite}/InRelease`, path);
    } catch (error) {
      if (!(error instanceof FetchError) || !error.isMissing) throw error;
      await download(`${source.uri}/dists/${source.suite}/Release`, path);
    }
    return parseRelease(await readFile(path, "utf8"), source);
  } finally {
    await rm(path, { force: true });
  }
}

function first(sources: readonly AptSource[]): readonly AptSource[] {
  const seen = new Set<string>();
  return sources.filter(({ uri }) => !seen.has(uri) && seen.add(uri));
}

/** The archive that has the suite: the first of the machine's that is the distribution's. */
async function findMain(
  distribution: Distribution,
  suite: string,
  candidates: readonly AptSource[],
  directory: string,
): Promise<Release> {
  const failures: string[] = [];
  for (const source of candidates) {
    try {
      const release = await fetchRelease(source, directory);
      if (release.origin === distribution.origin) return release;
    } catch (error) {
      if (!(error instanceof FetchError)) throw error;
      if (!error.isMissing) failures.push(error.message);
    }
  }
  if (failures.length > 0)
    throw new CliError(`no mirror of ${distribution.name} ${suite} can be reached:\n  ${failures.join("\n  ")}`);
  const where = candidates.map(({ uri }) => `\n  ${uri}`).join("");
  throw new CliError(
    candidates.length === 0
      ? "no APT sources are configured on this machine: name a mirror with --mirror"
      : `no suite ${JSON.stringify(suite)} of ${distribution.name} at the configured mirrors:${where}\nName another with --mirror`,
  );
}

/**
 * The suite itself, its updates and its security updates, as far as the machine's sources (or --mirror) have them.
 *
 * @param directory a directory of the caller's for files in passing
 * @throws CliError nothing has the suite, or no mirror answers
 */
export async function findReleases(
  distribution: Distribution,
  suite: string,
  options: {
    readonly sources: readonly AptSource[];
    readonly mirrors: readonly string[];
    readonly components: readonly string[];
    readonly directory: string;
  },
): Promise<readonly Release[]> {
  const { components, directory, mirrors, sources } = options;
  const plain = { suite, components, signedBy: "", trusted: false };
  if (mirrors.length > 0) {
    const own = mirrors.map((uri) => ({ ...plain, uri: uri.replace(/\/+$/, "") }));
    const found: Release[] = [await findMain(distribution, suite, own.slice(0, 1), directory)];
    for (const source of own.slice(1)) {
      const wanted = /security/.test(source.uri) ? `${suite}-security` : suite;
      found.push(await findMain(distribution, wanted, [{ ...source, suite: wanted }], directory));
    }
    return found;
  }
  const isExtra = (name: string): boolean => /-(?:updates|security|backports|proposed(?:-updates)?)$/.test(name);
  // A source of the wanted suite comes first, then the other archives that the machine knows.
  const archives = sources.filter(({ suite: name }) => !isExtra(name));
  const ordered = first([...archives.filter(({ suite: name }) => name === suite), ...archives]);
  const main = await findMain(
    distribution,
    suite,
    ordered.map((source) => ({ ...source, suite, components })),
    directory,
  );
  const security = first(sources.filter(({ suite: name }) => name.endsWith("-security")));
  const extras = [
    ...(sources.some((source) => source.uri === main.source.uri && source.suite.endsWith("-updates"))
      ? [{ ...main.source, suite: `${suite}-updates` }]
      : []),
    ...security.map((source) => ({ ...source, suite: `${suite}-security`, components })),
  ];
  const found = [main];
  for (const source of extras) {
    try {
      const release = await fetchRelease(source, directory);
      if (release.origin === distribution.origin) found.push(release);
    } catch (error) {
      // sid has neither: a suite without updates is whole.
      if (!(error instanceof FetchError) || !error.isMissing)
        throw error instanceof FetchError ? new CliError(error.message) : error;
    }
  }
  return found;
}
