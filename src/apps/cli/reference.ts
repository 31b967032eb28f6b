// Image references as users type them: "name", "host:port/name:tag", "name@sha256:…". Only what the client itself has to know;
// the daemon judges the rest. Source: the distribution project's reference grammar.

import { CliError } from "./command.ts";

export interface ParsedReference {
  /** With host and "library/": docker.io/library/busybox. */
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  /** As the user would write it, without tag and digest. */
  readonly familiarName: string;
}

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

/** @throws Error "invalid reference format…" */
export function parseReference(text: string): ParsedReference {
  const at = text.indexOf("@");
  const digest = at < 0 ? "" : text.slice(at + 1);
  const withoutDigest = at < 0 ? text : text.slice(0, at);
  const colon = withoutDigest.lastIndexOf(":");
  const hasTag = colon > withoutDigest.lastIndexOf("/");
  const tag = hasTag ? withoutDigest.slice(colon + 1) : "";
  const name = hasTag ? withoutDigest.slice(0, colon) : withoutDigest;
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const hasHost = slash > 0 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  const host = hasHost ? first : "docker.io";
  const rest = hasHost ? name.slice(slash + 1) : name;
  const path = host === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest;
  if (path !== path.toLowerCase())
    throw new Error(`invalid reference format: repository name (${path}) must be lowercase`);
  const isGood =
    path.split("/").every((part) => component.test(part)) &&
    (!hasTag || /^\w[\w.-]{0,127}$/.test(tag)) &&
    (at < 0 || /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/.test(digest)) &&
    (!hasHost || /^(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?$/.test(host));
  if (!isGood) throw new Error("invalid reference format");
  const canonicalHost = host === "index.docker.io" ? "docker.io" : host;
  const familiarPath = path.replace(/^library\/([^/]+)$/, "$1");
  return {
    repository: `${canonicalHost}/${path}`,
    tag,
    digest,
    familiarName: canonicalHost === "docker.io" ? familiarPath : `${canonicalHost}/${path}`,
  };
}

/** "busybox" → "busybox:latest"; what has a tag or digest stays. @throws Error it is none */
export function withDefaultTag(text: string): string {
  const { tag, digest, familiarName } = parseReference(text);
  if (tag !== "" || digest !== "") return `${familiarName}${tag && `:${tag}`}${digest && `@${digest}`}`;
  return `${familiarName}:latest`;
}

/** The target of `tag`. @throws CliError it is none */
export function parseTarget(text: string): { readonly repository: string; readonly tag: string } {
  let target: ParsedReference;
  try {
    target = parseReference(text);
  } catch (error) {
    throw new CliError(
      `Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${(error as Error).message}`,
    );
  }
  if (target.digest !== "") throw new CliError("refusing to create a tag with a digest reference");
  return { repository: target.repository, tag: target.tag || "latest" };
}
