// Builds with the unmodified docker CLI and its plugin buildx, as people type them: contexts from everywhere, secrets and agents,
// outputs, questions, caches, bake, a client that hangs up. Debian 12 has no buildx: without it nothing of this can be tested.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { findBuildx } from "../support/buildx.ts";
import { hasDockerCli } from "../support/cli.ts";
import { type CommandResult, startDaemon, type TestDaemon } from "../support/daemon.ts";

const buildx = findBuildx();
const skip =
  hasDockerCli() && buildx !== undefined
    ? false
    : "no docker CLI with the plugin buildx: set DOCKER_BUILDX to its path";

let daemon: TestDaemon;
let context: string;

const files: Readonly<Record<string, string>> = {
  Dockerfile: "FROM busybox AS base\nARG WHO=nobody\nRUN echo hello $WHO\nFROM base AS app\nCOPY a /a\nRUN cat /a\n",
  Scratch: "FROM scratch\nCOPY a /a\n",
  Secrets:
    "FROM busybox\nRUN --mount=type=secret,id=file cat /run/secrets/file\n" +
    'RUN --mount=type=secret,id=env,env=TOKEN echo "length ${#TOKEN}"\n',
  Required: "FROM busybox\nRUN --mount=type=secret,id=none,required=true true\n",
  Agent: "FROM busybox\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo agent at $SSH_AUTH_SOCK\n",
  NoAgent: "FROM busybox\nRUN --mount=type=ssh,id=foo,required=true true\n",
  Contexts: "FROM start\nCOPY --from=dir o /o\nCOPY --from=layout a /from-layout\nRUN cat /o /from-layout\n",
  Limits: "FROM busybox\nRUN cat /etc/hosts; ulimit -n; df -k /dev/shm | tail -n 1; cat /proc/self/cgroup\n",
  Fails: "FROM busybox\nRUN echo before \\\n  && exit 7\n",
  Misspelt: "FROM busybox\nRNU x\n",
  Hangs: "FROM busybox\nRUN echo started; sleep 61\n",
  HostNetwork: "FROM busybox\nRUN --network=host true\n",
  Outline: "FROM busybox AS rel\nARG X=1\nRUN --mount=type=secret,id=s,required=true --mount=type=ssh true\n",
  a: "content of a\n",
  token: "from a file\n",
  "other/o": "content of o\n",
  "bake/docker-bake.hcl":
    'group "default" { targets = ["app", "m"] }\n' +
    'target "base" { dockerfile-inline = "FROM busybox\\nRUN echo isbase > /base\\n" }\n' +
    'target "app" {\n dockerfile-inline = "FROM base\\nRUN cat /base\\n"\n contexts = { base = "target:base" }\n' +
    ' tags = ["baked:app"]\n}\n' +
    'target "m" {\n matrix = { v = ["a", "b"] }\n name = "m-${v}"\n args = { V = v }\n tags = ["baked:${v}"]\n' +
    ' dockerfile-inline = "FROM busybox\\nARG V\\nENV V=$V\\n"\n}\n',
};

before(async () => {
  if (skip !== false || buildx === undefined) return;
  daemon = await startDaemon();
  const plugins = join(daemon.dir, "docker/cli-plugins");
  mkdirSync(plugins, { recursive: true });
  symlinkSync(buildx, join(plugins, "docker-buildx"));
  context = join(daemon.dir, "context");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(context, name, ".."), { recursive: true });
    writeFileSync(join(context, name), text);
  }
});

after(async () => {
  if (skip === false) await daemon[Symbol.asyncDispose]();
});

type Input = { readonly input?: string | Uint8Array };

function build(args: readonly string[], options: Input = {}): Promise<CommandResult> {
  return daemon.docker(["buildx", "build", "--progress=plain", ...args], options);
}

/** What it prints. */
async function built(args: readonly string[], options: Input = {}): Promise<string> {
  const { code, stdout, stderr } = await build(args, options);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout + stderr;
}

async function refused(args: readonly string[], message: RegExp): Promise<void> {
  const { code, stderr } = await build(args);
  assert.equal(code, 1, stderr);
  assert.match(stderr, message);
}

function of(name: string): readonly string[] {
  return ["-f", join(context, name), context];
}

/** A path of this test's own, for an output. */
function place(name: string): string {
  return join(daemon.dir, name);
}

test("steps are told once, the same build again is cached, --no-cache-filter runs one stage anew", {
  skip,
}, async () => {
  const first = await built(["-t", "app:1", "--build-arg", "WHO=me", context]);
  assert.match(first, /\[base 2\/2\] RUN echo hello .*\n#\d+ [\d.]+ hello me/);
  assert.equal(first.match(/load metadata for docker\.io\/library\/busybox:latest/g)?.length, 1);
  assert.match(first, /naming to docker\.io\/library\/app:1/);
  const again = await built(["-t", "app:1", "--build-arg", "WHO=me", context]);
  assert.match(again, /\[app 2\/2\] RUN cat \/a\n#\d+ CACHED/);
  const one = await built(["--no-cache-filter", "app", "--build-arg", "WHO=me", context]);
  assert.match(one, /\[base 2\/2\] RUN echo hello .*\n#\d+ CACHED/);
  assert.match(one, /\[app 2\/2\] RUN cat \/a\n#\d+ [\d.]+ content of a/);
});

test("secrets and agents of the client come into steps, or their absence is the failure", { skip }, async () => {
  const secret = ["--secret", `id=file,src=${join(context, "token")}`, "--secret", "id=env,env=PATH"];
  const output = await built(["--no-cache", ...secret, ...of("Secrets")]);
  assert.match(output, /from a file/);
  assert.match(output, new RegExp(`length ${process.env["PATH"]?.length}`));
  await refused(of("Required"), /secret none: not found/);
  await refused(of("NoAgent"), /unset ssh forward key foo/);
});

test("an agent of OpenSSH is forwarded", {
  skip: skip || spawnSync("ssh-agent", ["true"]).error?.message,
}, async () => {
  const socket = place("agent.sock");
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  try {
    while (!existsSync(socket)) await sleep(20);
    const output = await built(["--no-cache", "--ssh", `default=${socket}`, ...of("Agent")]);
    assert.match(output, /agent at \/run\/buildkit\/ssh_agent\.0/);
  } finally {
    agent.kill();
  }
});

test("a Dockerfile and a whole context come from standard input", { skip }, async () => {
  assert.match(await built(["-"], { input: "FROM busybox\nRUN echo from stdin\n" }), /from stdin/);
  assert.match(await built(["-f", "-", context], { input: "FROM busybox\nCOPY a /a\nRUN cat /a\n" }), /content of a/);
  const { stdout } = spawnSync("tar", ["-C", context, "-cz", "."], { maxBuffer: 1 << 26 });
  await built(["-t", "stdin:1", "-f", "Scratch", "-"], { input: stdout });
  assert.match(await built(["-f", "Scratch", "-"], { input: stdout }), /COPY a \/a\n#\d+ CACHED/);
});

test("named contexts: a directory, an image, an OCI layout", { skip }, async () => {
  await built(["-o", `type=oci,dest=${place("layout")},tar=false`, ...of("Scratch")]);
  assert.ok(existsSync(place("layout/oci-layout")));
  const named = [
    "start=docker-image://busybox",
    `dir=${join(context, "other")}`,
    `layout=oci-layout://${place("layout")}`,
  ];
  const output = await built([...named.flatMap((one) => ["--build-context", one]), ...of("Contexts")]);
  assert.match(output, /content of o\n#\d+ [\d.]+ content of a/);
});

test("outputs: directory, tar, archives, several at once; one that there is not is refused", { skip }, async () => {
  const local = ["-o", `type=local,dest=${place("local")}`];
  await built([
    ...local,
    "-o",
    `type=tar,dest=${place("out.tar")}`,
    "-t",
    "several:1",
    "-o",
    "type=image",
    ...of("Scratch"),
  ]);
  assert.deepEqual(readdirSync(place("local")), ["a"]);
  assert.equal(readFileSync(place("local/a"), "utf8"), "content of a\n");
  assert.match(spawnSync("tar", ["-tf", place("out.tar")], { encoding: "utf8" }).stdout, /^a$/m);
  assert.notEqual(await daemon.dockerOk(["image", "ls", "-q", "several:1"]), "");
  await built(["-t", "archived:1", "-o", `type=docker,dest=${place("docker.tar")}`, ...of("Scratch")]);
  assert.match(await daemon.dockerOk(["load", "-i", place("docker.tar")]), /archived:1/);
  await built(["-o", "type=cacheonly", ...of("Scratch")]);
  await refused(["-o", "type=foo", ...of("Scratch")], /failed to solve: exporter "foo" could not be found/);
});

test("what a build was is written into files, and the same time gives the same bytes", { skip }, async () => {
  await built(["-t", "meta:1", "--iidfile", place("iid"), "--metadata-file", place("metadata"), ...of("Scratch")]);
  const id = await daemon.dockerOk(["image", "inspect", "-f", "{{.Id}}", "meta:1"]);
  const metadata = JSON.parse(readFileSync(place("metadata"), "utf8")) as Readonly<Record<string, unknown>>;
  assert.equal(metadata["containerimage.config.digest"], id);
  assert.ok(metadata["buildx.build.provenance"] !== undefined, Object.keys(metadata).join(" "));
  assert.match(readFileSync(place("iid"), "utf8"), /^sha256:[0-9a-f]{64}$/);
  for (const name of ["one.tar", "two.tar"])
    await built([
      "--no-cache",
      "--build-arg",
      "SOURCE_DATE_EPOCH=1700000000",
      "-o",
      `type=oci,dest=${place(name)},rewrite-timestamp=true`,
      context,
    ]);
  assert.ok(readFileSync(place("one.tar")).equals(readFileSync(place("two.tar"))));
});

test("limits, hosts, labels and networks are what was asked for", { skip }, async () => {
  const parent = `${daemon.cgroupParent}/steps`;
  const hosts = ["--add-host", "some.host:192.0.2.7", "--add-host", "gate:host-gateway"];
  const limits = ["--ulimit", "nofile=1000:2000", "--shm-size", "32m", "--cgroup-parent", parent];
  const output = await built(["--no-cache", "--label", "k=v", "-t", "limits:1", ...hosts, ...limits, ...of("Limits")]);
  assert.match(output, /192\.0\.2\.7\s+some\.host/);
  assert.match(output, /\d+\.\d+\.\d+\.\d+\s+gate/);
  assert.match(output, /#\d+ [\d.]+ 1000\n/);
  assert.match(output, /\s32768\s/);
  assert.ok(output.includes(`${parent}/`), output);
  // The engine leaves a parent that it was told alone, once it is there.
  for (const left of globSync(`/sys/fs/cgroup/{.,*}${parent}`)) rmdirSync(left);
  assert.equal(await daemon.dockerOk(["image", "inspect", "-f", "{{.Config.Labels.k}}", "limits:1"]), "v");
  await refused(of("HostNetwork"), /network\.host is not allowed/);
  await built(["--allow", "network.host", ...of("HostNetwork")]);
});

test("failures show the lines of the Dockerfile and the last output", { skip }, async () => {
  await refused(
    of("Fails"),
    />>> RUN echo before \\\n +3 \| >>> {3}&& exit 7[^]*did not complete successfully: exit code: 7/,
  );
  await refused(of("Misspelt"), /dockerfile parse error on line 2: unknown instruction: RNU/);
  await refused(["--target", "zzz", context], /target stage "zzz" could not be found/);
  await refused(["--cache-to", "type=foo", context], /failed to solve: cache export of type "foo" is not supported/);
});

test("questions about a Dockerfile are answered as text and as JSON", { skip }, async () => {
  const outline = await built(["--call=outline", ...of("Outline")]);
  assert.match(outline, /TARGET: rel\n\nBUILD ARG +VALUE +DESCRIPTION\nX +1 *\n\nSECRET +REQUIRED\ns +true\n\nSSH/);
  const { stdout } = await build(["--call=targets,format=json", context]);
  const { targets } = JSON.parse(stdout) as { readonly targets: readonly { readonly name: string }[] };
  assert.deepEqual(
    targets.map(({ name }) => name),
    ["base", "app"],
  );
  assert.match(await built(["--check", context]), /Check complete, no warnings found/);
  const broken = await build(["--check", ...of("Misspelt")]);
  assert.equal(broken.code, 1);
  assert.match(broken.stdout + broken.stderr, /unknown instruction: RNU[^]*Misspelt:2/);
});

test("a local cache brings back what was pruned", { skip }, async () => {
  await built(["--cache-to", `type=local,dest=${place("cache")},mode=max`, context]);
  await daemon.dockerOk(["builder", "prune", "-af"]);
  const output = await built(["--cache-from", `type=local,src=${place("cache")}`, context]);
  assert.match(output, /\[app 2\/2\] RUN cat \/a\n#\d+ CACHED/);
});

test("bake builds a matrix, and targets upon targets", { skip }, async () => {
  const file = join(context, "bake/docker-bake.hcl");
  const { code, stdout, stderr } = await daemon.docker(["buildx", "bake", "--progress=plain", "-f", file]);
  assert.equal(code, 0, stderr);
  assert.match(stdout + stderr, /RUN cat \/base\n#\d+ [\d.]+ isbase/);
  for (const v of ["a", "b"])
    assert.match(
      await daemon.dockerOk(["image", "inspect", "-f", "{{.Config.Env}}", `baked:${v}`]),
      new RegExp(`V=${v}`),
    );
});

test("a client that hangs up stops the build, and the history says so", { skip }, async () => {
  const child = spawn("docker", ["buildx", "build", "--progress=plain", "--no-cache", ...of("Hangs")], {
    env: { ...process.env, DOCKER_HOST: `unix://${daemon.socket}`, DOCKER_CONFIG: join(daemon.dir, "docker") },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const started = Promise.withResolvers<void>();
  let told = "";
  child.stderr.on("data", (chunk: Buffer) => {
    told += chunk.toString();
    if (/#\d+ [\d.]+ started/.test(told)) started.resolve();
  });
  const exited = new Promise<number | null>((resolve) => void child.once("exit", resolve));
  await Promise.race([started.promise, exited]);
  child.kill("SIGINT");
  assert.notEqual(await exited, 0, told);
  for (const deadline = performance.now() + 10_000; ; await sleep(50)) {
    const builds = await daemon.dockerOk(["buildx", "history", "ls", "--format", "{{.Name}} {{.Status}}"]);
    if (/Hangs (?:Error|Canceled)$/m.test(builds)) break;
    assert.ok(performance.now() < deadline, "the build is not told as ended");
  }
  assert.doesNotMatch(spawnSync("ps", ["ax", "-o", "args"], { encoding: "utf8" }).stdout, /^sleep 61$/m);
});

test("builders, usage and history are told, records go when they are removed", { skip }, async () => {
  assert.match(await daemon.dockerOk(["buildx", "inspect"]), /Driver: +docker\n[^]*Status: +running/);
  assert.match(await daemon.dockerOk(["buildx", "ls"]), /default\* +docker/);
  assert.match(await daemon.dockerOk(["buildx", "du"]), /^ID +RECLAIMABLE +SIZE/);
  await built(["--no-cache", context]);
  const logs = await daemon.docker(["buildx", "history", "logs"]);
  assert.match(logs.stdout + logs.stderr, /hello nobody/);
  assert.match(
    await daemon.dockerOk(["buildx", "history", "inspect"]),
    /Dockerfile:\tDockerfile\n[^]*slsa\.dev\/provenance/,
  );
  assert.match(
    await daemon.dockerOk(["buildx", "history", "inspect", "attachment", "--type", "provenance"]),
    /"buildType"|"buildDefinition"/,
  );
  await daemon.dockerOk(["buildx", "history", "rm", "--all"]);
  assert.equal((await daemon.dockerOk(["buildx", "history", "ls"])).split("\n").length, 1);
});
