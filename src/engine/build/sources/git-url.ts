// Which remotes git may be pointed at, and how they are shown. Source: CVE-2019-13139; git's url.c and connect.c.

import { EngineError, isEngineError } from "../../../base/errors.ts";
import { type GitAddress, parseGitAddress } from "../graph/git-address.ts";

export type { GitAddress };

/** What git may speak; "file" and "ext" would run or read what is on this host. */
export const gitProtocols = ["https", "http", "ssh", "git"] as const;

const scp = /^(?:[A-Za-z0-9_.~+-]+@)?([A-Za-z0-9][A-Za-z0-9.-]*):(?!:)([^\s]+)$/;

export interface GitRemote {
  /** As git gets it. */
  readonly url: string;
  readonly protocol: (typeof gitProtocols)[number];
  readonly host: string;
  /** Without a password. */
  readonly shown: string;
}

/** @throws InvalidParameter a protocol that is not allowed, something that git would take for an option or a command */
export function checkRemote(remote: string): GitRemote {
  const refused = (why: string) =>
    new EngineError(
      "InvalidParameter",
      `invalid git remote ${JSON.stringify(hidePassword(remote).slice(0, 300))}: ${why}`,
    );
  if (remote.startsWith("-")) throw refused("it begins with a dash");
  // oxlint-disable-next-line no-control-regex
  if (/[\s\u0000-\u001f\u007f]/.test(remote)) throw refused("it has white space or control characters in it");
  if (remote.includes("::")) throw refused("remote helpers are not allowed");
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(remote)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    const match = scp.exec(remote);
    if (match === null || match[2]?.startsWith("-") === true) throw refused("it is no address of a repository");
    return { url: remote, protocol: "ssh", host: match[1] ?? "", shown: remote };
  }
  const protocol = gitProtocols.find((allowed) => allowed === scheme);
  if (protocol === undefined) throw refused(`protocol ${scheme} is not allowed`);
  if (!URL.canParse(remote) || /:\/\/\//.test(remote)) throw refused("it is no URL");
  const url = new URL(remote);
  if (url.hostname === "" || url.hostname.startsWith("-") || decodedStartsWithDash(url.username))
    throw refused("its host or user is invalid");
  return { url: remote, protocol, host: url.host, shown: hidePassword(remote) };
}

function decodedStartsWithDash(text: string): boolean {
  try {
    return decodeURIComponent(text).startsWith("-");
  } catch {
    return true;
  }
}

/** `user:password@` becomes `user:xxxxx@`, as Docker shows it. */
export function hidePassword(text: string): string {
  return text.replace(/:\/\/([^/@:\s]*):[^/@\s]*@/g, "://$1:xxxxx@");
}

/** @throws InvalidParameter a ref that git would take for an option, or that no ref can be called */
export function checkRef(ref: string): void {
  const bad =
    ref.startsWith("-") ||
    ref.length > 1024 ||
    // oxlint-disable-next-line no-control-regex
    /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|\/$|^\/|\.lock(?:\/|$)/.test(ref);
  if (bad) throw new EngineError("InvalidParameter", `invalid git ref ${JSON.stringify(ref.slice(0, 300))}`);
}

/** Whether it is a whole commit id; those need no asking. */
export function isCommitId(ref: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(ref);
}

/** Whether a context or a source of ADD is meant for git; what is wrong with it is `parseGitUrl`'s to say. */
export function isGitUrl(text: string): boolean {
  try {
    return parseGitAddress(text) !== undefined;
  } catch (error) {
    if (isEngineError(error)) return true;
    throw error;
  }
}

/** @throws InvalidParameter it is no address of a repository, its query is not known, or its refs contradict each other */
export function parseGitUrl(text: string): GitAddress {
  const address = parseGitAddress(text);
  if (address === undefined)
    throw new EngineError("InvalidParameter", `invalid git URL ${JSON.stringify(hidePassword(text).slice(0, 300))}`);
  return address;
}
