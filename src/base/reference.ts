// Image references in Docker's grammar: [domain/]path[:tag][@digest]; "busybox" is docker.io/library/busybox.
// Texts of refusals are dockerd's. Source: distribution/reference, grammar in its package documentation.

import type { Brand } from "./brand.ts";
import { type Digest, parseDigest } from "./digest.ts";
import { EngineError } from "./errors.ts";

/** A whole, normalised reference as text, with a tag or a digest: "docker.io/library/busybox:latest". */
export type Reference = Brand<"Reference">;

/** The parts of a normalised reference. */
export interface Named {
  /** "docker.io", "localhost:5000", "[::1]:5000" */
  readonly domain: string;
  /** "library/busybox" */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const defaultDomain = "docker.io";
const legacyDefaultDomain = "index.docker.io";
const officialPrefix = "library/";
const maxPathLength = 255;

const domainLabel = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domain = `(?:${domainLabel}(?:\\.${domainLabel})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const pathComponent = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const whole = new RegExp(`^(${domain})/(${pathComponent}(?:/${pathComponent})*)(?::(${tag}))?(?:@(${digest}))?$`);
const wholeTag = new RegExp(`^${tag}$`);
const identifier = /^[0-9a-f]{64}$/;

// Longer than any valid reference (path 255, domain 255 by DNS, tag 128, digest 71): the expressions never see more.
const maxLength = 1024;

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

function splitDomain(text: string): { readonly domain: string; readonly remainder: string } {
  const slash = text.indexOf("/");
  const first = slash === -1 ? "" : text.slice(0, slash);
  const isDomain = slash !== -1 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  let domain = isDomain ? first : defaultDomain;
  let remainder = isDomain ? text.slice(slash + 1) : text;
  if (domain === legacyDefaultDomain) domain = defaultDomain;
  if (domain === defaultDomain && !remainder.includes("/")) remainder = officialPrefix + remainder;
  return { domain, remainder };
}

/**
 * Parses and normalises; adds no tag.
 *
 * @throws InvalidParameter with dockerd's text: "invalid reference format", "… must be lowercase", …
 */
export function parseNamed(text: string): Named {
  if (identifier.test(text))
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  if (text.length > maxLength && !/[:@]/.test(text))
    throw invalid("repository name must not be more than 255 characters");
  if (text.length > maxLength) throw invalid("invalid reference format");
  const { domain, remainder } = splitDomain(text);
  const remote = remainder.split(":", 1)[0] ?? "";
  if (remote.toLowerCase() !== remote)
    throw invalid(`invalid reference format: repository name (${remote}) must be lowercase`);
  const match = whole.exec(`${domain}/${remainder}`);
  if (match === null) throw invalid("invalid reference format");
  const path = match[2] ?? "";
  if (path.length > maxPathLength) throw invalid(`repository name must not be more than ${maxPathLength} characters`);
  let parsedDigest: Digest | undefined;
  if (match[4] !== undefined) {
    if (!match[4].startsWith("sha256:")) throw invalid("unsupported digest algorithm");
    if (match[4].length !== "sha256:".length + 64) throw invalid("invalid checksum digest length");
    parsedDigest = parseDigest(match[4]);
  }
  return { domain: match[1] ?? "", path, tag: match[3], digest: parsedDigest };
}

/** The same with tag "latest" unless it has a tag or a digest. */
export function withDefaultTag(named: Named): Named {
  return named.tag === undefined && named.digest === undefined ? { ...named, tag: "latest" } : named;
}

/**
 * Puts a tag on a repository, in place of the one that it has.
 *
 * @throws InvalidParameter "invalid tag format"
 */
export function withTag(named: Named, tag: string): Named {
  if (!wholeTag.test(tag)) throw invalid("invalid tag format");
  return { domain: named.domain, path: named.path, tag, digest: undefined };
}

/** "docker.io/library/busybox": what two references of one repository share. */
export function repositoryOf(named: Named): string {
  return `${named.domain}/${named.path}`;
}

/** The repository as Docker shows it: without the default domain and "library/". */
export function familiarRepository(named: Named): string {
  if (named.domain !== defaultDomain) return repositoryOf(named);
  const short = named.path.startsWith(officialPrefix) ? named.path.slice(officialPrefix.length) : named.path;
  return short.includes("/") ? named.path : short;
}

function suffix(named: Named): string {
  return (named.tag === undefined ? "" : `:${named.tag}`) + (named.digest === undefined ? "" : `@${named.digest}`);
}

/** "busybox:latest" */
export function renderFamiliar(named: Named): string {
  return familiarRepository(named) + suffix(named);
}

/**
 * The key under which a reference is stored: with the default tag where it has none, and without the tag where it has a
 * digest, because a digest alone decides.
 */
export function renderReference(named: Named): Reference {
  const whole = withDefaultTag(named);
  return (repositoryOf(whole) + suffix(whole.digest === undefined ? whole : { ...whole, tag: undefined })) as Reference;
}

/** Either a whole image id, or a name. Source: ParseAnyReference of distribution/reference. */
export function parseAnyReference(
  text: string,
): { readonly id: Digest; readonly named?: never } | { readonly named: Named; readonly id?: never } {
  if (identifier.test(text)) return { id: parseDigest(`sha256:${text}`) };
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return { id: parseDigest(text) };
  return { named: parseNamed(text) };
}
