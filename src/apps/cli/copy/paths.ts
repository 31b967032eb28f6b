// Where `cp` copies from and to: docker's rules of paths, without any effect. A path's end decides: "dir/" must be a directory,
// "dir/." is what the directory holds. Source: the docker CLI 28 and its documentation, "docker container cp".

import { lstatSync, readlinkSync, realpathSync, statSync, type Stats } from "node:fs";
import { basename, dirname, isAbsolute, join, normalize, resolve } from "node:path";
import { errnoOf } from "../../../base/errors.ts";
import { CliError } from "../command.ts";

/** One side of a copy. */
export interface CopySide {
  /** With the "/" or "/." that it was typed with. */
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
  /** The name that was typed, where a link led to another one; "" for none. */
  readonly rebaseName: string;
}

/** What to unpack where. */
export interface CopyPlan {
  /** The directory to unpack in. */
  readonly directory: string;
  /** The name that the copied file or directory gets in it; "." for what the directory holds. */
  readonly name: string;
}

/** "container:path" apart; a path that is absolute, or begins with ".", has no container. */
export function splitCopyArgument(text: string): { readonly container: string; readonly path: string } {
  const at = text.indexOf(":");
  if (isAbsolute(text) || at < 0 || text.startsWith(".")) return { container: "", path: text };
  return { container: text.slice(0, at), path: text.slice(at + 1) };
}

function endsInSlash(path: string): boolean {
  return path.endsWith("/");
}

function endsInDot(path: string): boolean {
  return path === "." || path.endsWith("/.");
}

/** `clean` with the end that `typed` has. */
function withEndOf(clean: string, typed: string): string {
  let path = clean;
  if (!endsInDot(path) && endsInDot(typed)) path = endsInSlash(path) ? `${path}.` : `${path}/.`;
  return !endsInSlash(path) && endsInSlash(typed) ? `${path}/` : path;
}

/** A local path made absolute. */
export function resolveLocal(path: string): string {
  return withEndOf(resolve(path), path);
}

/** A path's directory and last part; that of "/a/." is ".", that of "/" is "/". */
export function splitEntry(path: string): { readonly directory: string; readonly name: string } {
  if (endsInDot(path)) return { directory: cleanOf(path), name: "." };
  const clean = cleanOf(path);
  return { directory: dirname(clean), name: clean === "/" ? "/" : basename(clean) };
}

function cleanOf(path: string): string {
  const clean = normalize(path);
  const bare = clean.length > 1 && endsInSlash(clean) ? clean.slice(0, -1) : clean;
  return bare === "" ? "." : bare;
}

function lastPart(path: string): string {
  return endsInDot(path) ? "." : basename(path);
}

/** Where a link leads to, as a path of its own. */
export function followLink(path: string, target: string): string {
  return isAbsolute(target) ? target : join(splitEntry(path).directory, target);
}

/** A resolved path with the end of the typed one, and the typed name where it differs. */
export function rebase(typed: string, resolved: string): { readonly path: string; readonly rebaseName: string } {
  const path = withEndOf(resolved, typed);
  return { path, rebaseName: lastPart(typed) === lastPart(path) ? "" : lastPart(typed) };
}

/**
 * What is copied from here. Its parent directories may be links; it is followed itself with `follow`, or when it ends in "/".
 *
 * @throws Error of the file system
 */
export function findLocalSource(path: string, follow: boolean): CopySide {
  let source: { readonly path: string; readonly rebaseName: string };
  if (follow) source = rebase(path, followAll(path));
  else {
    const at = path.lastIndexOf("/") + 1;
    const parent = realpathSync(path.slice(0, at));
    const resolved = `${parent === "/" ? "" : parent}/${path.slice(at)}`;
    const isRenamed = endsInSlash(path) && lastPart(path) !== lastPart(resolved);
    source = { path: resolved, rebaseName: isRenamed ? lastPart(path) : "" };
  }
  const isDirectory = lstatSync(withoutEnd(source.path)).isDirectory();
  if (!isDirectory && (endsInSlash(source.path) || endsInDot(source.path))) throw new CliError("not a directory");
  return { ...source, exists: true, isDirectory };
}

/** Where a path leads to in the end. @throws Error of the file system; for a link to nothing, it names what is missing */
function followAll(path: string): string {
  const bare = withoutEnd(path);
  if (lstatSync(bare).isSymbolicLink()) lstatSync(followLink(bare, readlinkSync(bare)));
  return realpathSync(bare);
}

/** A path without "/" or "/." at its end. */
export function withoutEnd(path: string): string {
  return path.replace(/(?<=.)\/\.?$/, "");
}

const maxLinks = 10;

/**
 * Where something is copied to here. Links are followed, the last one's target need not exist, its directory must.
 *
 * @throws Error of the file system; CliError
 */
export function findLocalDestination(typed: string): CopySide {
  let path = typed;
  for (let links = 0; links <= maxLinks + 1; links += 1) {
    const stat: Stats | undefined = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      if (!statSync(splitEntry(path).directory).isDirectory()) throw new CliError("not a directory");
      return { path, exists: false, isDirectory: false, rebaseName: "" };
    }
    if (!stat.isSymbolicLink()) return { path, exists: true, isDirectory: stat.isDirectory(), rebaseName: "" };
    path = followLink(path, readlinkSync(path));
  }
  throw new CliError(`too many symlinks in ${typed}`);
}

/** As statSync, which with `throwIfNoEntry` takes "file/" for something that is not there. @throws Error of the file system */
function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** @throws CliError nothing can be written there */
export function checkLocalDestination(path: string): void {
  const directory = dirname(cleanOf(path));
  if (statSync(directory, { throwIfNoEntry: false }) === undefined)
    throw new CliError(`invalid output path: directory ${JSON.stringify(directory)} does not exist`);
  const stat = statIfThere(path);
  if (stat?.isCharacterDevice() === true || stat?.isBlockDevice() === true)
    throw new CliError(
      `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file: got a device`,
    );
}

/**
 * Where the copied thing goes, and what it is called there.
 *
 * @throws CliError a directory would replace a file, or a directory that is asked for is not there
 */
export function planCopy(source: CopySide, destination: CopySide): CopyPlan {
  const own = source.rebaseName || splitEntry(source.path).name;
  if (destination.exists && destination.isDirectory)
    return { directory: destination.path, name: own === "/" ? "." : own };
  const { directory, name } = splitEntry(destination.path);
  if (destination.exists && source.isDirectory) throw new CliError("cannot copy directory");
  const mustBeDirectory = endsInSlash(destination.path) || endsInDot(destination.path);
  if (!destination.exists && !source.isDirectory && mustBeDirectory) throw new CliError("no such directory");
  // "new/." is made as "new" is.
  if (name === ".") return { directory: dirname(directory), name: basename(directory) };
  return { directory, name };
}
