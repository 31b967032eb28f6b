// The name of a downloaded file: one component of a path, whatever an address or a server says. Source: CVE-2026-33747's kin.

import { EngineError } from "../../../base/errors.ts";

/** @throws InvalidParameter it is not the name of one file */
export function checkFileName(name: string): string {
  const bad = name === "" || name === "." || name === ".." || /[/\\\0]/.test(name) || Buffer.byteLength(name) > 255;
  if (bad)
    throw new EngineError("InvalidParameter", `invalid name of a download: ${JSON.stringify(name.slice(0, 300))}`);
  return name;
}

/**
 * What a download is called: as the build says; else as `Content-Disposition` says; else the last part of the address; else "download".
 *
 * @throws InvalidParameter the build or the server gave a name with a path in it
 */
export function fileNameOf(given: string, disposition: string | undefined, url: URL): string {
  if (given !== "") return checkFileName(given);
  const said = disposition === undefined ? undefined : nameInDisposition(disposition);
  if (said !== undefined) return checkFileName(said);
  const last = decoded(url.pathname.slice(url.pathname.lastIndexOf("/") + 1));
  return last === "" ? "download" : checkFileName(last);
}

/** Source: RFC 6266, RFC 8187. */
function nameInDisposition(header: string): string | undefined {
  const extended = /;\s*filename\*\s*=\s*(?:utf-8|iso-8859-1)'[^']*'([^;\s]+)/i.exec(header)?.[1];
  if (extended !== undefined) return decoded(extended);
  const plain = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(header);
  return plain === null ? undefined : (plain[1]?.replace(/\\(.)/g, "$1") ?? plain[2]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
