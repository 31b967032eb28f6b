// Credentials of registries: where they are kept (config.json, or a credential program of credHelpers or credsStore), and the
// header that carries them to the daemon, for the registry of a reference and no other. Source: the docker CLI 28,
// cli/config/credentials; Engine API 1.51, "Authentication".

import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import type { CommandContext } from "../command.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import { parseReference } from "../reference.ts";
import {
  changeConfigFile,
  loadConfigFile,
  objectMember,
  textMember,
  type AuthEntry,
  type ConfigFile,
} from "./config-file.ts";
import { eraseWithHelper, getFromHelper, storeWithHelper } from "./helper.ts";

/** As the API's AuthConfig; members that are not there are "". */
export interface AuthConfig {
  readonly username: string;
  readonly password: string;
  readonly serverAddress: string;
  readonly identityToken: string;
  readonly registryToken: string;
}

/** Docker Hub's key in config.json. */
export const defaultServer = "https://index.docker.io/v1/";

type Env = Readonly<Record<string, string | undefined>>;
type Keeper = Pick<CommandContext, "configDir" | "env" | "err">;

/** "http://host:port/v2/" → "host:port". */
export function hostnameOf(server: string): string {
  return server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

/** The key of a reference's registry. @throws Error it is no reference */
export function serverOfReference(reference: string): string {
  const host = parseReference(reference).repository.split("/")[0] ?? "";
  return host === "docker.io" ? defaultServer : host;
}

/** @throws Error it is not base64 of "user:password" */
export function decodeAuth(text: string): { readonly username: string; readonly password: string } {
  const decoded = Buffer.from(text, "base64").toString("utf8");
  const at = decoded.indexOf(":");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || at < 0) throw new Error("it is not base64 of USER:PASSWORD");
  return { username: decoded.slice(0, at), password: decoded.slice(at + 1).replace(/^\0+|\0+$/g, "") };
}

function isProgram(name: string, env: Env): boolean {
  return (env["PATH"] ?? "").split(":").some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The platform's own program, where neither the file names one nor credentials are in it already. */
function platformHelper(file: ConfigFile, env: Env): string {
  if (Object.keys(objectMember(file, "auths")).length > 0) return "";
  if (Object.keys(objectMember(file, "credHelpers")).length > 0) return "";
  const name = isProgram("pass", env) ? "pass" : "secretservice";
  return isProgram(`docker-credential-${name}`, env) ? name : "";
}

/** The credential program for a server; "" for the file itself. */
function helperOf(file: ConfigFile, server: string, env: Env): string {
  const own = objectMember(file, "credHelpers")[server];
  if (typeof own === "string") return own;
  return textMember(file, "credsStore") || platformHelper(file, env);
}

function entryOf(file: ConfigFile, server: string): AuthEntry | undefined {
  const auths = objectMember(file, "auths");
  const key = server in auths ? server : Object.keys(auths).find((name) => hostnameOf(name) === server);
  const entry = key === undefined ? undefined : auths[key];
  return typeof entry === "object" && entry !== null ? entry : undefined;
}

/**
 * What is kept for a server; undefined when there is nothing.
 *
 * @throws CliError, Error the credential program failed, or the entry is damaged; no secret is in the message
 */
export async function findCredentials(keeper: Keeper, server: string): Promise<AuthConfig | undefined> {
  const file = loadConfigFile(keeper.configDir, keeper.err);
  const empty = { username: "", password: "", serverAddress: server, identityToken: "", registryToken: "" };
  const helper = helperOf(file, server, keeper.env);
  if (helper !== "") {
    const found = await getFromHelper(helper, server, keeper.env);
    if (found === undefined) return undefined;
    if (found.username === "<token>") return { ...empty, identityToken: found.secret };
    return { ...empty, username: found.username, password: found.secret };
  }
  const entry = entryOf(file, server);
  if (entry === undefined) return undefined;
  let user = { username: "", password: "" };
  try {
    if (entry.auth !== undefined && entry.auth !== "") user = decodeAuth(entry.auth);
  } catch (error) {
    throw new Error(`invalid auth of ${server} in ${file.path}: ${(error as Error).message}`, { cause: error });
  }
  return { ...empty, ...user, identityToken: entry.identitytoken ?? "", registryToken: entry.registrytoken ?? "" };
}

/** How credentials were kept. */
export interface Kept {
  /** The file, where they are in it unencrypted; "" with a credential program. */
  readonly plainFile: string;
}

/** Keeps credentials. @throws CliError the program or the file refuses */
export async function storeCredentials(keeper: Keeper, auth: AuthConfig): Promise<Kept> {
  const server = auth.serverAddress;
  const file = loadConfigFile(keeper.configDir, keeper.err);
  const helper = helperOf(file, server, keeper.env);
  if (helper !== "") {
    const isToken = auth.identityToken !== "";
    const secret = isToken ? auth.identityToken : auth.password;
    await storeWithHelper(helper, server, { username: isToken ? "<token>" : auth.username, secret }, keeper.env);
  }
  const plain = {
    auth: Buffer.from(`${auth.username}:${auth.identityToken === "" ? auth.password : ""}`).toString("base64"),
    ...(auth.identityToken === "" ? {} : { identitytoken: auth.identityToken }),
  };
  const entry = helper === "" ? plain : {};
  const auths = objectMember(file, "auths");
  if (JSON.stringify(auths[server]) === JSON.stringify(entry)) return { plainFile: "" };
  changeConfigFile(keeper.configDir, (members) => {
    members["auths"] = { ...(members["auths"] as object | undefined), [server]: entry };
  });
  return { plainFile: helper === "" ? file.path : "" };
}

/** Forgets a server's credentials. @throws CliError the program or the file refuses */
export async function eraseCredentials(keeper: Keeper, server: string): Promise<void> {
  const file = loadConfigFile(keeper.configDir, keeper.err);
  const helper = helperOf(file, server, keeper.env);
  if (helper !== "") await eraseWithHelper(helper, server, keeper.env);
  if (!(server in objectMember(file, "auths"))) return;
  changeConfigFile(keeper.configDir, (members) => {
    const { [server]: _removed, ...rest } = members["auths"] as Record<string, unknown>;
    members["auths"] = rest;
  });
}

/** The value of X-Registry-Auth: base64url of JSON, "{}" for nobody. */
export function renderRegistryAuth(auth: AuthConfig | undefined): string {
  const members = {
    username: auth?.username || undefined,
    password: auth?.password || undefined,
    serveraddress: auth?.serverAddress || undefined,
    identitytoken: auth?.identityToken || undefined,
    registrytoken: auth?.registryToken || undefined,
  };
  const padded = Buffer.from(JSON.stringify(members), "utf8").toString("base64");
  return padded.replaceAll("+", "-").replaceAll("/", "_");
}

/** X-Registry-Auth for a server; a failing credential program is a warning, and the request goes without. */
export async function registryAuthOf(keeper: Keeper, server: string): Promise<string> {
  try {
    return renderRegistryAuth(await findCredentials(keeper, server));
  } catch (error) {
    keeper.err(escapeControls(`WARNING: no credentials for ${server}: ${describeError(error)}\n`));
    return renderRegistryAuth(undefined);
  }
}
