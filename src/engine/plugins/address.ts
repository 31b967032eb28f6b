// Where a plugin is reached: what the files of a plugin directory say. A .sock file is the address itself, a .spec file holds
// one, a .json file holds one with TLS. Source: docs.docker.com, "Docker Plugin API", Plugin discovery and JSON specification.

import { isAbsolute } from "node:path";
import { EngineError, messageOf } from "../../base/errors.ts";

/** Files of the client's side of TLS, and whether the server's certificate is believed unseen. */
export interface PluginTls {
  readonly insecureSkipVerify: boolean;
  /** undefined: the system's. */
  readonly caFile: string | undefined;
  /** Both or none. */
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

export type PluginAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly tls: PluginTls | undefined };

function invalid(file: string, what: string): EngineError {
  return new EngineError("System", `plugin specification ${file}: ${what}`);
}

function parseAddress(text: string, tls: PluginTls | undefined, file: string): PluginAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "unix:") {
    // Not the URL's own path: it would be escaped.
    const path = text.slice("unix://".length);
    if (!text.startsWith("unix://") || !isAbsolute(path) || path.includes("\0"))
      throw invalid(file, `${JSON.stringify(text)} is no socket: unix:///absolute/path is needed`);
    if (Buffer.byteLength(path) > 107)
      throw invalid(file, `the path of the socket is longer than 107 bytes: ${path.slice(0, 200)}`);
    return { kind: "unix", path };
  }
  const secure = url?.protocol === "https:";
  // URL knows the ports of http and https alone, and keeps a host of another scheme escaped: it is read as http.
  const plain = /^(tcp|http|https):\/\//i.test(text) ? text.replace(/^[a-z]+/i, "http") : "";
  const read = URL.canParse(plain) ? new URL(plain) : undefined;
  if (url === undefined || read === undefined || read.hostname === "")
    throw invalid(
      file,
      `${JSON.stringify(text.slice(0, 200))} is no address: unix:///path, tcp://host:port or https://host:port is needed`,
    );
  if (read.username !== "" || read.password !== "") throw invalid(file, "an address with credentials is not supported");
  if (!secure && tls !== undefined)
    throw invalid(file, `TLSConfig needs an https:// address: ${JSON.stringify(text.slice(0, 200))} is not encrypted`);
  const port = /:(\d+)$/.exec(text.replace(/^[a-z]+:\/\//i, "").replace(/[/?#].*$/, ""))?.[1];
  return {
    kind: "tcp",
    host: read.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === undefined ? (secure ? 443 : 80) : Number(port),
    // Without TLSConfig the certificate is not verified: so it is documented.
    tls: secure
      ? (tls ?? { insecureSkipVerify: true, caFile: undefined, certFile: undefined, keyFile: undefined })
      : undefined,
  };
}

/** @throws System naming the file */
export function parseSpecFile(text: string, file: string): PluginAddress {
  return parseAddress(text.trim(), undefined, file);
}

/** @throws System naming the file: no JSON, an unknown member, a wrong type */
export function parseJsonFile(text: string, file: string): PluginAddress {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(file, `no JSON: ${messageOf(error)}`);
  }
  const members = readObject(value, ["Name", "Addr", "TLSConfig"], file);
  const address = members.get("Addr");
  if (typeof address !== "string") throw invalid(file, "Addr must be a string");
  const tls = members.get("TLSConfig");
  return parseAddress(address.trim(), tls === undefined || tls === null ? undefined : parseTls(tls, file), file);
}

function parseTls(value: unknown, file: string): PluginTls {
  const members = readObject(
    value,
    ["InsecureSkipVerify", "CAFile", "CertFile", "KeyFile", "ExclusiveRootPools", "MinVersion", "Passphrase"],
    file,
  );
  const refused = ["ExclusiveRootPools", "MinVersion", "Passphrase"].find((key) => members.has(key));
  if (refused !== undefined) throw invalid(file, `TLSConfig.${refused} is not supported`);
  const path = (key: string): string | undefined => {
    const text = members.get(key) ?? "";
    if (typeof text !== "string") throw invalid(file, `TLSConfig.${key} must be a string`);
    return text === "" ? undefined : text;
  };
  const insecureSkipVerify = members.get("InsecureSkipVerify") ?? false;
  if (typeof insecureSkipVerify !== "boolean")
    throw invalid(file, "TLSConfig.InsecureSkipVerify must be true or false");
  const [certFile, keyFile] = [path("CertFile"), path("KeyFile")];
  if ((certFile === undefined) !== (keyFile === undefined))
    throw invalid(file, "TLSConfig needs CertFile and KeyFile together");
  return { insecureSkipVerify, caFile: path("CAFile"), certFile, keyFile };
}

/** Members by their proper name; names are read in any case, as dockerd does. */
function readObject(value: unknown, known: readonly string[], file: string): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(file, "not an object");
  return new Map(
    Object.entries(value).map(([key, member]): [string, unknown] => {
      const name = known.find((candidate) => candidate.toLowerCase() === key.toLowerCase());
      if (name === undefined) throw invalid(file, `unknown member ${JSON.stringify(key.slice(0, 100))}`);
      return [name, member];
    }),
  );
}

/** The address as dockerd shows it where a connection fails: "unix /run/x.sock", "tcp 127.0.0.1:80". */
export function showAddress(address: PluginAddress): string {
  if (address.kind === "unix") return `unix ${address.path}`;
  return `tcp ${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
