// Certificates of a registry: `<host[:port]>/` in the first of the directories that has one, read anew for every operation.
// *.crt are CAs beside the system's; *.cert with *.key of the same name are client certificates. Refusals are dockerd's.
// Source: Docker's documentation, "Verify repository client with certificates".

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { EngineError, errnoOf, messageOf } from "../base/errors.ts";

/** What certs.d says of one host; PEM texts. */
export interface CertificateFiles {
  readonly authorities: readonly string[];
  readonly certificates: readonly { readonly certificate: string; readonly key: string; readonly file: string }[];
  /** Where they are; "" when there are none. */
  readonly directory: string;
}

/** No files: the system's CAs alone. */
export const noCertificateFiles: CertificateFiles = { authorities: [], certificates: [], directory: "" };

function refused(message: string, cause?: unknown): EngineError {
  return new EngineError("InvalidParameter", message, { cause });
}

function list(directory: string): readonly string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "EPERM"].includes(errnoOf(error) ?? "")) return undefined;
    throw refused(`open ${directory}: ${messageOf(error)}`, error);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw refused(
      `open ${path}: ${errnoOf(error) === "ENOENT" ? "no such file or directory" : messageOf(error)}`,
      error,
    );
  }
}

function readDirectory(directory: string, names: readonly string[]): CertificateFiles {
  const withEnding = (ending: string): readonly string[] => names.filter((name) => name.endsWith(ending));
  for (const name of withEnding(".key")) {
    const certificate = `${name.slice(0, -".key".length)}.cert`;
    if (!names.includes(certificate)) throw refused(`missing client certificate ${certificate} for key ${name}`);
  }
  return {
    directory,
    authorities: withEnding(".crt").map((name) => read(join(directory, name))),
    certificates: withEnding(".cert").map((name) => {
      const key = `${name.slice(0, -".cert".length)}.key`;
      if (!names.includes(key))
        throw refused(`missing key ${key} for client certificate ${name}. CA certificates must use the extension .crt`);
      return { certificate: read(join(directory, name)), key: read(join(directory, key)), file: join(directory, name) };
    }),
  };
}

/**
 * @param host "registry.example:5000", as in references
 * @throws InvalidParameter a certificate without its key, a key without its certificate, files that cannot be read
 */
export function readCertificateFiles(directories: readonly string[], host: string): CertificateFiles {
  if (!/^[A-Za-z0-9.:[\]_-]+$/.test(host) || /^\.+$/.test(host)) return noCertificateFiles;
  for (const parent of directories) {
    const directory = join(parent, host);
    const names = list(directory);
    if (names !== undefined) return readDirectory(directory, names);
  }
  return noCertificateFiles;
}

/** Contexts made of certificates, kept while they are the same: to parse the system's CAs takes milliseconds. */
export class SecureContexts {
  readonly #contexts = new Map<string, SecureContext>();
  #systemAuthorities: readonly string[] | undefined;

  /** Names the content of the files; equal for equal content. */
  static fingerprint(files: CertificateFiles): string {
    const hash = createHash("sha256");
    for (const part of [...files.authorities, "", ...files.certificates.flatMap((c) => [c.certificate, c.key])])
      hash.update(`${part.length}:`).update(part);
    return hash.digest("hex");
  }

  /** @throws InvalidParameter the PEM is none, or key and certificate do not belong together */
  of(files: CertificateFiles): SecureContext {
    const fingerprint = SecureContexts.fingerprint(files);
    const known = this.#contexts.get(fingerprint);
    if (known !== undefined) return known;
    this.#systemAuthorities ??= [...new Set([...getCACertificates("system"), ...getCACertificates("bundled")])];
    try {
      const context = createSecureContext({
        ca: [...this.#systemAuthorities, ...files.authorities],
        minVersion: "TLSv1.2",
        ...(files.certificates.length === 0
          ? {}
          : { cert: files.certificates.map((c) => c.certificate), key: files.certificates.map((c) => c.key) }),
      });
      if (this.#contexts.size >= 64) this.#contexts.clear();
      this.#contexts.set(fingerprint, context);
      return context;
    } catch (error) {
      throw refused(`invalid certificates in ${files.directory}: ${messageOf(error)}`, error);
    }
  }
}
