// The CLI's commands about images and registries against a real daemon and Debian's docker-registry, and, where there is a
// docker CLI, byte for byte beside it on the same socket.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { cliArgv, hasDockerCli, TerminalSession } from "../support/cli.ts";
import { type CommandResult, runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { busyboxRoot } from "../support/image.ts";
import { TestRegistry } from "../support/registry.ts";

const noDocker = hasDockerCli() ? false : "no docker CLI 28 or newer on PATH to compare with";
const user = { name: "alice", password: "s3cret-of-alice" };

let daemon: TestDaemon;
let open: TestRegistry;
let closed: TestRegistry;
let dir = "";

before(async () => {
  daemon = await startDaemon();
  open = await TestRegistry.start({ netns: daemon.netns });
  closed = await TestRegistry.start({ netns: daemon.netns, user });
});
after(async () => {
  await open[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});
/** A test with an empty directory of its own; subtests share it. */
function scenario(title: string, act: (t: TestContext) => Promise<void>, skip: string | false = false): void {
  void test(title, { skip }, async (t) => {
    rmSync(dir, { recursive: true, force: true });
    dir = mkdtempSync(join(tmpdir(), "gantry-cli-images-"));
    await act(t);
  });
}

function envOf(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const host = `unix://${daemon.socket}`;
  return { GANTRY_HOST: host, DOCKER_HOST: host, DOCKER_CONTEXT: "", DOCKER_CONFIG: dir, TERM: "xterm", ...more };
}

/** Runs in the daemon's network namespace: `manifest` talks to registries itself. */
function run(
  program: readonly string[],
  args: readonly string[],
  options: { readonly input?: string | Uint8Array; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<CommandResult> {
  const argv = ["nsenter", `--net=/run/netns/${daemon.netns}`, ...program, ...args];
  return runCommand(argv, {
    ...(options.input === undefined ? {} : { input: options.input }),
    env: envOf(options.env),
  });
}

const gantry = (args: readonly string[], options?: Parameters<typeof run>[2]): Promise<CommandResult> =>
  run(cliArgv(), args, options);

async function ok(args: readonly string[], options?: Parameters<typeof run>[2]): Promise<string> {
  const { code, stdout, stderr } = await gantry(args, options);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

scenario("push, pull and run with an image that is not here", async () => {
  const name = `${open.address}/cli/app`;
  await ok(["tag", "busybox", name]);
  const pushed = await ok(["push", name]);
  assert.match(
    pushed,
    /^Using default tag: latest\nThe push refers to repository \[\S+\/cli\/app\]\n\w{12}: Preparing\n\w{12}: Pushed\nlatest: digest: sha256:\w{64} size: \d+\n$/,
  );
  assert.equal(await ok(["push", "-q", name]), `${name}:latest\n`);
  await ok(["rmi", "-f", "busybox", name]);
  const pulled = await ok(["pull", name]);
  assert.match(pulled, /^Using default tag: latest\nlatest: Pulling from cli\/app\n\w{12}: Pulling fs layer\n/);
  assert.match(pulled, /\nStatus: Downloaded newer image for \S+:latest\n\S+\/cli\/app:latest\n$/);
  assert.ok(!/Downloading|%/.test(pulled) && !pulled.includes("\x1b"), pulled);
  await ok(["rmi", name]);
  const { code, stdout, stderr } = await gantry(["run", "--rm", name, "echo", "hi"]);
  assert.deepEqual([code, stdout], [0, "hi\n"]);
  assert.ok(stderr.startsWith(`Unable to find image '${name}:latest' locally\nlatest: Pulling from cli/app\n`), stderr);
  await ok(["rmi", name]);
  const quiet = await gantry(["run", "--rm", "-q", name, "true"]);
  assert.deepEqual([quiet.code, quiet.stderr], [0, ""]);
  const never = await gantry(["run", "--rm", "--pull", "never", `${open.address}/cli/none`]);
  assert.match(never.stderr, /^gantry: Error response from daemon: No such image: /);
  assert.equal(never.code, 125);
  await ok(["tag", name, "busybox"]);
});

scenario("a pull on a terminal draws its lines in place", async () => {
  const name = `${open.address}/cli/app`;
  await ok(["rmi", "-f", "busybox", name]);
  const session = new TerminalSession(`gantry pull ${name}`, dir, envOf());
  assert.equal(await session.end(), 0, session.output);
  const shown = session.output.replaceAll("\x1b[", "<");
  assert.match(shown, /\n<1A<2K\r\w{12}: Pulling fs layer \r<1B/);
  assert.match(shown, /<1A<2K\r\w{12}: Pull complete \r<1BDigest: sha256:/);
  const dumb = new TerminalSession(`gantry pull ${name}`, dir, envOf({ TERM: "dumb" }));
  assert.equal(await dumb.end(), 0);
  assert.ok(!dumb.output.includes("\x1b"), dumb.output);
  await ok(["tag", name, "busybox"]);
});

scenario(
  "login keeps credentials, push and pull use them, logout forgets them; the password is never shown",
  async () => {
    const name = `${closed.address}/cli/private`;
    await ok(["tag", "busybox", name]);
    const refused = await gantry(["push", name]);
    assert.deepEqual([refused.code, refused.stderr.endsWith("no basic auth credentials\n")], [1, true]);
    const wrong = await gantry(["-D", "login", "-u", user.name, "--password-stdin", closed.address], {
      input: "not-it\n",
    });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /401 Unauthorized/);
    assert.doesNotMatch(wrong.stderr, /not-it/);
    const login = await gantry(["login", "-u", user.name, "--password-stdin", closed.address], {
      input: `${user.password}\n`,
    });
    assert.deepEqual([login.code, login.stdout], [0, "Login Succeeded\n"]);
    assert.match(login.stderr, /^\nWARNING! Your credentials are stored unencrypted in /);
    assert.equal(statSync(join(dir, "config.json")).mode & 0o777, 0o600);
    await ok(["push", name]);
    await ok(["rmi", name]);
    await ok(["pull", "-q", name]);
    assert.equal(await ok(["logout", closed.address]), `Removing login credentials for ${closed.address}\n`);
    assert.deepEqual(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")), { auths: {} });
    const gone = await gantry(["-D", "pull", name]);
    assert.equal(gone.code, 1);
    assert.doesNotMatch(gone.stderr + login.stderr + daemon.log, new RegExp(user.password));
  },
);

scenario("a login at a terminal asks, and the password is not echoed", async () => {
  const session = new TerminalSession(`gantry login ${closed.address}`, dir, envOf());
  try {
    await session.waitFor(/Username: /);
    session.type(`${user.name}\n`);
    await session.waitFor(/Password: /);
    assert.match(await session.stty("-a"), / -echo /);
    session.type(`${user.password}\n`);
    assert.equal(await session.end(), 0, session.output);
  } finally {
    session.kill();
  }
  assert.match(session.output, /Login Succeeded/);
  assert.doesNotMatch(session.output, new RegExp(user.password));
});

scenario("save and load: the same bytes each time, whole files or none", async () => {
  await ok(["tag", "busybox", "cli-saved:1"]);
  const [a, b] = [join(dir, "a.tar"), join(dir, "b.tar")];
  await ok(["save", "-o", a, "cli-saved:1"]);
  await ok(["save", "-o", b, "cli-saved:1"]);
  assert.ok(readFileSync(a).equals(readFileSync(b)));
  assert.equal(statSync(a).mode & 0o777, 0o600);
  const failed = await gantry(["save", "-o", join(dir, "c.tar"), "cli-saved:1", "no-such-image"]);
  assert.match(failed.stderr, /^Error response from daemon: No such image: no-such-image/);
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.includes("c.tar")),
    [],
  );
  await ok(["rmi", "cli-saved:1"]);
  assert.equal(await ok(["load", "-i", a]), "Loaded image: cli-saved:1\n");
  assert.equal(await ok(["load", "-q"], { input: readFileSync(b) }), "Loaded image: cli-saved:1\n");
  const terminal = new TerminalSession("gantry save cli-saved:1", dir, envOf());
  assert.equal(await terminal.end(), 1);
  assert.match(terminal.output, /cowardly refusing to save to a terminal\. Use the -o flag or redirect/);
  await ok(["rmi", "cli-saved:1"]);
});

scenario("export, import and commit; diff says what changed", async () => {
  await ok(["run", "--name", "cli-c", "busybox", "sh", "-c", "echo x > /etc/new; chmod 700 /tmp; rm /bin/ls"]);
  const tar = join(dir, "c.tar");
  await ok(["export", "-o", tar, "cli-c"]);
  assert.match(await ok(["import", "-c", 'CMD ["sh"]', "-m", "note", tar, "cli-imported:1"]), /^sha256:\w{64}\n$/);
  assert.equal(await ok(["image", "inspect", "-f", "{{json .Config.Cmd}}", "cli-imported:1"]), '["sh"]\n');
  assert.match(await ok(["commit", "-a", "me", "-c", "ENV A=b", "cli-c", "cli-committed:1"]), /^sha256:\w{64}\n$/);
  assert.equal(
    await ok(["image", "inspect", "-f", "{{.Author}} {{json .Config.Env}}", "cli-committed:1"]),
    'me ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=b"]\n',
  );
  assert.equal(await ok(["image", "diff", "busybox", "cli-committed:1"]), "D /bin/ls\nA /etc/new\nC /tmp\n");
  assert.equal(
    await ok(["image", "diff", "--format", "json", "cli-committed:1", "busybox"]),
    '{"Kind":"A","Path":"/bin/ls","What":""}\n{"Kind":"D","Path":"/etc/new","What":""}\n{"Kind":"C","Path":"/tmp","What":"mode"}\n',
  );
  assert.equal(await ok(["image", "diff", "busybox", "busybox"]), "");
  await ok(["rm", "cli-c"]);
  await ok(["rmi", "cli-imported:1", "cli-committed:1"]);
});

scenario("proxies of the configuration file are in a new container's environment, unless it sets its own", async () => {
  const proxies = { default: { httpProxy: "http://proxy:1", noProxy: "local" } };
  writeFileSync(join(dir, "config.json"), JSON.stringify({ proxies }));
  const env = await ok(["run", "--rm", "-e", "HTTP_PROXY=own", "busybox", "env"]);
  for (const line of ["HTTP_PROXY=own", "http_proxy=http://proxy:1", "NO_PROXY=local", "no_proxy=local"])
    assert.ok(env.split("\n").includes(line), `${line} in ${env}`);
});

scenario("a manifest list is put together, pushed, shown and run", async () => {
  const name = (repository: string): string => `${open.address}/${repository}`;
  await ok(["tag", "busybox", name("cli/part:1")]);
  await ok(["push", "-q", name("cli/part:1")]);
  await ok(["manifest", "create", "--insecure", name("cli/list:1"), name("cli/part:1")]);
  await ok(["manifest", "annotate", name("cli/list:1"), name("cli/part:1"), "--os-version", "1"]);
  const shown = await ok(["manifest", "inspect", name("cli/list:1")]);
  const pushed = await ok(["manifest", "push", "--insecure", "--purge", name("cli/list:1")]);
  assert.match(pushed, /^Pushed ref \S+\/cli\/list@(sha256:\w{64}) with digest: \1\nsha256:\w{64}\n$/);
  assert.equal(await ok(["manifest", "inspect", "--insecure", name("cli/list:1")]), shown);
  assert.equal((await gantry(["manifest", "rm", name("cli/list:1")])).code, 1);
  assert.equal(await ok(["run", "--rm", name("cli/list:1"), "echo", "hi"]), "hi\n");
  await ok(["rmi", name("cli/list:1"), name("cli/part:1")]);
});

scenario("bootstrap: the same archive gives the same image, which runs; failures name what to do", async () => {
  const archive = join(dir, "archive");
  mkdirSync(join(archive, "dists/bookworm"), { recursive: true });
  const date = "Sat, 17 May 2025 09:00:00 UTC";
  writeFileSync(
    join(archive, "dists/bookworm/InRelease"),
    `Origin: Debian\nVersion: 12.11\nCodename: bookworm\nDate: ${date}\n`,
  );
  // In place of mmdebstrap: what it gets is written down, and what it gives is a small root file system.
  const bin = join(dir, "bin");
  mkdirSync(bin);
  const root = busyboxRoot();
  const fake = `#!/bin/sh\nprintf '%s\\n' "$SOURCE_DATE_EPOCH" "$@" > ${dir}/args\necho "I: working" >&2\nexec tar -C ${root} --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 -c .\n`;
  writeFileSync(join(bin, "mmdebstrap"), fake);
  chmodSync(join(bin, "mmdebstrap"), 0o755);
  const options = { env: { PATH: `${bin}:${process.env["PATH"]}` } };
  const args = ["image", "bootstrap", "debian:bookworm", "--mirror", `file://${archive}`, "--tag", "cli-base:1"];
  const first = await gantry(args, options);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^Loaded image: cli-base:1\nsha256:\w{64}\n$/);
  assert.equal(first.stderr, "I: working\n");
  assert.ok(readFileSync(join(dir, "args"), "utf8").startsWith(`${Date.UTC(2025, 4, 17, 9) / 1000}\n--mode=root\n`));
  const id = first.stdout.split("\n")[1] ?? "";
  assert.equal((await gantry([...args, "-q"], options)).stdout, `${id}\n`);
  assert.equal(
    await ok(["image", "inspect", "-f", "{{.Id}} {{.Created}}", "cli-base:1"]),
    `${id} 2025-05-17T09:00:00Z\n`,
  );
  assert.equal(await ok(["run", "--rm", "cli-base:1", "sh", "-c", "ls -d /dev; echo hi"]), "/dev\nhi\n");
  await ok(["rmi", "cli-base:1"]);

  writeFileSync(join(bin, "mmdebstrap"), "#!/bin/sh\necho 'E: out of luck' >&2\nexit 4\n");
  const failed = await gantry([...args, "-q"], options);
  assert.deepEqual([failed.code, failed.stderr], [1, "mmdebstrap failed: exit status 4\nE: out of luck\n"]);
  const unknown = await gantry(["image", "bootstrap", "debian:nosuch", "--mirror", `file://${archive}`], options);
  assert.match(unknown.stderr, /^no suite "nosuch" of debian at the configured mirrors:/);
  const unreachable = await gantry(
    ["image", "bootstrap", "debian:bookworm", "--mirror", "http://127.0.0.1:1/x"],
    options,
  );
  assert.match(unreachable.stderr, /^no mirror of debian bookworm can be reached:\n/);
  assert.match((await gantry(["image", "bootstrap", "plan9:x"])).stderr, /^unknown distribution "plan9"/);
});

function asGantry(text: string): string {
  return text
    .replaceAll("docker: ", "gantry: ")
    .replaceAll(/'docker (?=\S)/g, "'gantry ")
    .replaceAll(/Usage: {2}docker/g, "Usage:  gantry")
    .replaceAll("\nSRun", "\nRun");
}

scenario("words, streams and exit codes are the docker CLI's", (t) => compareWithDocker(t), noDocker);

async function compareWithDocker(t: TestContext): Promise<void> {
  const [plain, auth] = [open.address, closed.address];
  await ok(["tag", "busybox", `${plain}/cli/same:1`]);
  await ok(["push", "-q", `${plain}/cli/same:1`]);
  await ok(["create", "--name", "cli-same", "busybox"]);
  await ok(["manifest", "create", "--insecure", `${plain}/cli/l:1`, `${plain}/cli/same:1`]);
  const lines: readonly (readonly string[])[] = [
    ["push", `${plain}/cli/same:1`],
    ["push", "-a", `${plain}/cli/same`],
    ["push", "-a", `${plain}/cli/same:1`],
    ["push", "no-such-image"],
    ["push", "--platform", "linux/amd64", `${plain}/cli/same:1`],
    ["pull", `${plain}/cli/same:1`],
    ["pull", "-q", `${plain}/cli/same:1`],
    ["pull", "-a", `${plain}/cli/same`],
    ["pull", `${plain}/cli/none`],
    ["pull", `${auth}/cli/none`],
    ["pull", "BAD"],
    ["create", "--pull", "always", `${plain}/cli/none`],
    ["run", "--pull", "always", "--rm", `${plain}/cli/same:1`, "true"],
    ["run", "--rm", `${plain}/cli/none`],
    ["login", auth],
    ["login", "-u", user.name, "-p", "wrong", auth],
    ["login", "-u", user.name, "-p", user.password, auth],
    ["login", auth],
    ["logout", auth],
    ["save", "-o", "/nonexistent/x", "busybox"],
    ["save", "--platform", "foo", "busybox"],
    ["save", "no-such-image"],
    ["load", "-i", "/nonexistent"],
    ["export", "no-such-container"],
    ["export", "-o", "/nonexistent/x", "cli-same"],
    ["commit", "no-such-container", "x"],
    ["import", "/nonexistent"],
    ["tag", "no-such-image", "x"],
    ["image", "inspect", "--platform", "foo", "busybox"],
    ["search", "--limit", "200", "x"],
    ["manifest", "inspect", "--insecure", `${plain}/cli/same:1`],
    ["manifest", "inspect", "--insecure", "-v", `${plain}/cli/same:1`],
    ["manifest", "inspect", "--insecure", `${plain}/cli/none`],
    ["manifest", "inspect", "-v", `${plain}/cli/l:1`],
    ["manifest", "push", "--insecure", `${plain}/cli/l:1`],
    ["manifest", "inspect", "--insecure", `${plain}/cli/l:1`],
    ["manifest", "create", "--insecure", `${plain}/cli/l:1`, `${plain}/cli/same:1`],
    ["manifest", "rm", `${plain}/cli/none`],
  ];
  for (const argv of lines)
    await t.test(argv.join(" "), async () => {
      const docker = await run(["docker"], argv);
      const before = join(dir, "config.json");
      // The two programs have one configuration: a login of the one is not news to the other.
      if (argv[0] === "login" && argv.includes(user.password)) rmSync(before, { force: true });
      const mine = await gantry(argv);
      assert.deepEqual(
        { ...mine, stderr: asGantry(mine.stderr) },
        { ...docker, stdout: asGantry(docker.stdout), stderr: asGantry(docker.stderr) },
      );
    });
  await ok(["rm", "cli-same"]);
}
