// `gantry login`: the daemon tries the credentials at the registry, then they are kept. Docker Hub's login through a web page
// is not offered: without a user name and a password they are asked for. Source: the docker CLI 28.

import { checkLogin } from "../../../client/images.ts";
import { defaultServer, findCredentials, hostnameOf, storeCredentials, type AuthConfig } from "../auth/credentials.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import { renderNote } from "../note.ts";

const insecurePassword = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n";
const otherAccount = "To login with a different account, run 'gantry logout' followed by 'gantry login'";
const maxPasswordBytes = 1024 * 1024;

async function readPassword(): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxPasswordBytes) throw new CliError("the password on stdin is longer than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8").replace(/\n$/, "").replace(/\r$/, "");
}

/** Tries credentials; what is to be kept afterwards. */
async function tryLogin(context: CommandContext, auth: AuthConfig): Promise<AuthConfig> {
  const { username, password, serverAddress: serveraddress } = auth;
  const answer = await checkLogin(context.client, { username, password, serveraddress });
  if (!answer.IdentityToken) return auth;
  return { ...auth, password: "", identityToken: answer.IdentityToken };
}

async function finish(context: CommandContext, auth: AuthConfig): Promise<number> {
  let plainFile: string;
  try {
    plainFile = (await storeCredentials(context, auth)).plainFile;
  } catch (error) {
    throw new CliError(`Error saving credentials: ${describeError(error)}`);
  }
  // A token in place of the password is no reason to warn.
  if (plainFile !== "" && auth.password !== "")
    context.err(
      escapeControls(
        `\nWARNING! Your credentials are stored unencrypted in '${plainFile}'.\n` +
          "Configure a credential helper to remove this warning. See\n" +
          "https://docs.docker.com/go/credential-store/\n\n",
      ),
    );
  await context.out("Login Succeeded\n");
  return 0;
}

export const command: Command = {
  usage: "[OPTIONS] [SERVER]",
  flags: [
    { name: "password", short: "p", kind: "string", usage: "Password or access token" },
    { name: "password-stdin", kind: "bool", usage: "Read the password or access token from stdin" },
    { name: "username", short: "u", kind: "string", usage: "User name" },
  ],
  args: { min: 0, max: 1 },
  async run(context, flags) {
    const [given = ""] = flags.positional;
    const server =
      given === "" || ["docker.io", "index.docker.io", "registry-1.docker.io"].includes(hostnameOf(given))
        ? defaultServer
        : hostnameOf(given);
    let username = flags.string("username");
    let password = flags.string("password");
    if (flags.isSet("password") && flags.bool("password-stdin"))
      throw new CliError("conflicting options: cannot specify both --password and --password-stdin");
    if (flags.isSet("username") && username === "") throw new CliError("username is empty");
    if (flags.isSet("password") && password === "") throw new CliError("password is empty");
    if (flags.isSet("password")) context.err(insecurePassword);
    if (flags.bool("password-stdin")) {
      if (username === "") throw new CliError("the --password-stdin option requires --username to be set");
      password = await readPassword();
      if (password === "") throw new CliError("password is empty");
    }
    const isBare = username === "" && password === "";
    const kept = isBare ? await findCredentials(context, server) : undefined;
    if (kept !== undefined && kept.username !== "" && kept.password !== "") {
      context.err(escapeControls(`Authenticating with existing credentials... [Username: ${kept.username}]\n`));
      context.err(`${renderNote(otherAccount, process.stderr.isTTY, context.env)}\n\n`);
      try {
        return await finish(context, await tryLogin(context, kept));
      } catch (error) {
        if (error instanceof CliError) throw error;
        context.err(escapeControls(`Login did not succeed, error: ${describeError(error)}\n`));
      }
    }
    const { askCredentials } = await import("../auth/prompt.ts");
    const asked = await askCredentials(context, server, { username, password, suggested: kept?.username ?? "" });
    ({ username, password } = asked);
    const auth = { username, password, serverAddress: server, identityToken: "", registryToken: "" };
    return finish(context, await tryLogin(context, auth));
  },
};
