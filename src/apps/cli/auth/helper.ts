// The programs that keep credentials, docker-credential-NAME: a verb as argument, the request on stdin, the answer on stdout,
// exit status 1 with a message on stdout when it failed. Secrets pass through pipes only.
// Source: github.com/docker/docker-credential-helpers, README "Development" (the protocol).

import { CliError } from "../command.ts";

/** What a helper keeps of one server. */
export interface HelperCredentials {
  /** "<token>" says that the secret is an identity token. */
  readonly username: string;
  readonly secret: string;
}

type Env = Readonly<Record<string, string | undefined>>;
type Verb = "get" | "store" | "erase";

const doing: Readonly<Record<Verb, string>> = { get: "getting", store: "storing", erase: "erasing" };
const notFound = "credentials not found in native keychain";
const maxAnswerBytes = 1024 * 1024;

async function run(name: string, verb: Verb, input: string, env: Env): Promise<string> {
  const { spawn } = await import("node:child_process");
  const program = `docker-credential-${name}`;
  const failure = (reason: string, out: string): CliError =>
    new CliError(`error ${doing[verb]} credentials - err: ${reason}, out: \`${out.trim()}\``);
  if (name.includes("/")) throw failure(`exec: ${JSON.stringify(program)}: not a name of a program`, "");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(program, [verb], { stdio: ["pipe", "pipe", "inherit"], env });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (out.length < maxAnswerBytes) out += text;
  });
  child.stdin.on("error", () => undefined);
  child.on("error", (error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "executable file not found in $PATH" : (error.code ?? error.message);
    reject(failure(`exec: ${JSON.stringify(program)}: ${reason}`, ""));
  });
  child.on("close", (code, signal) => {
    if (code === 0) resolve(out);
    else if (out.trim() === notFound) resolve("");
    // What a helper prints when it fails is its message; of a request with a secret nothing is repeated.
    else reject(failure(signal === null ? `exit status ${code}` : `signal ${signal}`, out.slice(0, 1024)));
  });
  child.stdin.end(input);
  return promise;
}

/** undefined where the helper has nothing for this server. @throws CliError the helper failed */
export async function getFromHelper(name: string, server: string, env: Env): Promise<HelperCredentials | undefined> {
  const text = await run(name, "get", server, env);
  if (text.trim() === "") return undefined;
  try {
    const { Username, Secret } = JSON.parse(text) as Record<string, unknown>;
    if (typeof Username === "string" && typeof Secret === "string") return { username: Username, secret: Secret };
  } catch {
    // Said below, without the text.
  }
  throw new CliError(
    `error getting credentials - err: docker-credential-${name} answered with something else than JSON`,
  );
}

/** @throws CliError the helper failed */
export async function storeWithHelper(
  name: string,
  server: string,
  credentials: HelperCredentials,
  env: Env,
): Promise<void> {
  const request = { ServerURL: server, Username: credentials.username, Secret: credentials.secret };
  await run(name, "store", JSON.stringify(request), env);
}

/** @throws CliError the helper failed */
export async function eraseWithHelper(name: string, server: string, env: Env): Promise<void> {
  await run(name, "erase", server, env);
}
