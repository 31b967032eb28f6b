// The unmodified buildx against a real daemon: build, failure, questions, bake, history, usage, prune. It is looked for where
// DOCKER_BUILDX names it and in the places of Debian's and Docker's packages; without it (and a docker CLI) the door is
// tested by src/engine/buildkit/door.test.ts alone.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findBuildx } from "../support/buildx.ts";
import { hasDockerCli } from "../support/cli.ts";
import { type CommandResult, runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";

const buildx = findBuildx();
const skip =
  hasDockerCli() && buildx !== undefined ? false : "no docker CLI with buildx: set DOCKER_BUILDX to its path";

let daemon: TestDaemon;
let directory: string;
before(async () => {
  if (skip !== false || buildx === undefined) return;
  daemon = await startDaemon();
  directory = mkdtempSync(join(tmpdir(), "buildx-"));
  mkdirSync(join(directory, "config/cli-plugins"), { recursive: true });
  symlinkSync(buildx, join(directory, "config/cli-plugins/docker-buildx"));
  mkdirSync(join(directory, "context"));
  const files: Readonly<Record<string, string>> = {
    "a.txt": "hello\n",
    "secret.txt": "xyzzy",
    Dockerfile: "FROM busybox AS base\nARG A=1\nCOPY a.txt /a.txt\nRUN cat /a.txt > /b.txt\n",
    Fails: "FROM busybox\nRUN echo before; exit 3\n",
    Misspelt: "FROM busybox\nRNU x\n",
    Secret: "FROM busybox\nRUN --mount=type=secret,id=s test $(cat /run/secrets/s) = xyzzy && echo secret came\n",
    "docker-bake.hcl":
      'group "default" { targets = ["app"] }\n' +
      'target "base" { dockerfile-inline = "FROM busybox\\nCOPY a.txt /base.txt\\n" }\n' +
      'target "app" {\n contexts = { b = "target:base" }\n tags = ["bake:app"]\n' +
      ' dockerfile-inline = "FROM b\\nRUN grep hello /base.txt\\n"\n}\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, "context", name), text);
});
after(async () => {
  if (skip !== false) return;
  rmSync(directory, { recursive: true });
  await daemon[Symbol.asyncDispose]();
});

async function docker(...args: readonly string[]): Promise<CommandResult> {
  const env = { DOCKER_HOST: `unix://${daemon.socket}`, DOCKER_CONFIG: join(directory, "config") };
  return runCommand(["docker", ...args], { env, timeoutMs: 60_000 });
}

async function succeed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(...args);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout + stderr;
}

const context = (): string => join(directory, "context");

test("docker build makes an image that runs, and the same again is cached", { skip }, async () => {
  const build = ["build", "--progress", "plain", "-t", "door:one", context()];
  assert.match(await succeed(...build), /naming to docker\.io\/library\/door:one/);
  assert.equal(await succeed("run", "--rm", "door:one", "cat", "/b.txt"), "hello\n");
  const first = await succeed("image", "inspect", "-f", "{{.Id}}", "door:one");
  assert.match(await succeed(...build), /CACHED/);
  assert.equal(await succeed("image", "inspect", "-f", "{{.Id}}", "door:one"), first);
});

test("failures show the lines of the Dockerfile, with buildx's words and no code in front", { skip }, async () => {
  const step = await docker("build", "--progress", "plain", "-f", join(context(), "Fails"), context());
  assert.equal(step.code, 1);
  assert.match(step.stderr, /before\n/);
  assert.match(step.stderr, /Fails:2\n-+\n {3}1 \|.*FROM busybox\n {3}2 \| >>> RUN echo before; exit 3\n/);
  assert.match(
    step.stderr,
    /ERROR: failed to build: failed to solve: process "\/bin\/sh -c echo before; exit 3" did not complete successfully: exit code: 3\n/,
  );
  const word = await docker("build", "--progress", "plain", "-f", join(context(), "Misspelt"), context());
  assert.match(word.stderr, /failed to solve: dockerfile parse error on line 2: unknown instruction: RNU/);
});

test("a secret comes through the session, and outputs go back through it", { skip }, async () => {
  const secret = ["--secret", `id=s,src=${join(context(), "secret.txt")}`];
  const build = ["build", "--progress", "plain", "-f", join(context(), "Secret")];
  assert.match(await succeed(...build, ...secret, context()), /secret came/);
  const out = join(directory, "out");
  await succeed("build", "-o", `type=local,dest=${out}`, context());
  assert.ok(existsSync(join(out, "b.txt")));
  await succeed("build", "-o", `type=oci,dest=${out}.tar`, context());
  assert.ok(existsSync(`${out}.tar`));
});

test("targets and outline are told, and the check finds nothing", { skip }, async () => {
  assert.match(await succeed("buildx", "build", "--call=targets", context()), /base \(default\)/);
  assert.match(await succeed("buildx", "build", "--call=outline", context()), /A +1/);
  assert.match(await succeed("buildx", "build", "--check", context()), /no warnings found/);
});

test("bake builds a target upon another's result", { skip }, async () => {
  const allowed = `--allow=fs.read=${context()}`;
  await succeed("buildx", "bake", allowed, "-f", join(context(), "docker-bake.hcl"), "--set", `*.context=${context()}`);
  assert.equal(await succeed("run", "--rm", "bake:app", "cat", "/base.txt"), "hello\n");
});

test("history lists, shows, and forgets builds", { skip }, async () => {
  await succeed("build", "-t", "door:history", context());
  const refs = (await succeed("buildx", "history", "ls", "--format", "{{.Ref}}")).trim().split("\n");
  assert.match(await succeed("buildx", "history", "inspect"), /Dockerfile:\s+Dockerfile/);
  assert.match(await succeed("buildx", "history", "logs"), /exporting to image/);
  await succeed("buildx", "history", "rm", refs[0] ?? "");
  assert.ok(!(await succeed("buildx", "history", "ls", "--format", "{{.Ref}}")).includes(refs[0] ?? "none"));
});

test("the cache is told and pruned", { skip }, async () => {
  assert.match(await succeed("buildx", "du"), /Reclaimable:\s+\d/);
  assert.match(await succeed("buildx", "prune", "--force", "--all"), /Total:\s+\d/);
  assert.doesNotMatch(await succeed("buildx", "du"), /true/);
});
