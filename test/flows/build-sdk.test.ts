// Builds through the classic endpoint, as the libraries of JavaScript and Python make them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import Docker from "dockerode";
import { runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";

interface Message {
  readonly stream?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number };
  readonly aux?: { readonly ID: string };
}

let daemon: TestDaemon;
let docker: Docker;

before(async () => {
  daemon = await startDaemon();
  docker = new Docker({ socketPath: daemon.socket });
});
after(() => daemon[Symbol.asyncDispose]());

/** A directory with these files, for as long as the test runs. */
function contextOf(files: Readonly<Record<string, string>>): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "build-sdk-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function tarOf(path: string): Readable {
  return Readable.from([spawnSync("tar", ["-C", path, "-cz", "."], { maxBuffer: 1 << 26 }).stdout]);
}

function follow(
  stream: NodeJS.ReadableStream,
): Promise<{ readonly error: Error | string | null; readonly told: Message[] }> {
  const { promise, resolve } = Promise.withResolvers<{
    readonly error: Error | string | null;
    readonly told: Message[];
  }>();
  docker.modem.followProgress(stream, (error: Error | string | null, told: Message[]) => resolve({ error, told }));
  return promise;
}

test("dockerode builds from a tar, follows the progress and finds the image", async () => {
  using context = contextOf({
    Dockerfile: "FROM busybox\nARG WHO\nCOPY f /f\nRUN echo hello $WHO\nLABEL own=1\n",
    f: "F",
  });
  const options = { t: "sdk:one", buildargs: { WHO: "you", UNUSED: "x" }, labels: { asked: "2" } };
  const first = await follow(await docker.buildImage(tarOf(context.path), options));
  assert.equal(first.error, null);
  const text = first.told.map(({ stream = "" }) => stream).join("");
  assert.match(text, /^Step 1\/5 : FROM busybox\n ---> [0-9a-f]{12}\nStep 2\/5 : ARG WHO\n/);
  assert.match(text, /\n ---> Running in [0-9a-f]{12}\nhello you\n ---> Removed intermediate container /);
  assert.match(text, /\[Warning\] One or more build-args \[UNUSED\] were not consumed\n/);
  assert.match(text, /\nSuccessfully built [0-9a-f]{12}\nSuccessfully tagged sdk:one\n$/);
  const id = first.told.find(({ aux }) => aux !== undefined)?.aux?.ID;
  const image = await docker.getImage("sdk:one").inspect();
  assert.equal(image.Id, id);
  assert.deepEqual(image.Config.Labels, { asked: "2", own: "1" });

  const second = await follow(await docker.buildImage(tarOf(context.path), options));
  const again = second.told.map(({ stream = "" }) => stream).join("");
  assert.equal(again.match(/ ---> Using cache\n/g)?.length, 2);
  assert.equal(second.told.find(({ aux }) => aux !== undefined)?.aux?.ID, id);
});

test("dockerode builds from a directory whose .dockerignore it follows", async () => {
  using context = contextOf({
    "My.df": "FROM busybox\nCOPY . /x/\nRUN ls /x\n",
    ".dockerignore": "secret\n",
    secret: "s",
    open: "o",
  });
  const stream = await docker.buildImage(
    { context: context.path, src: ["My.df", ".dockerignore", "open"] },
    { dockerfile: "My.df" },
  );
  const { error, told } = await follow(stream);
  assert.equal(error, null);
  const text = told.map(({ stream: piece = "" }) => piece).join("");
  assert.match(text, /My\.df\nopen\n/);
  assert.doesNotMatch(text, /secret\n/);
});

test("what fails before the first step is an error's status, what fails later is the stream's last message", async () => {
  using broken = contextOf({ Dockerfile: "FROM busybox\nNOPE\n" });
  await assert.rejects(docker.buildImage(tarOf(broken.path), {}), { statusCode: 400, message: /unknown instruction/ });
  await assert.rejects(docker.buildImage(tarOf(broken.path), { dockerfile: "other" }), {
    statusCode: 400,
    message: /Cannot locate specified Dockerfile: other/,
  });
  using failing = contextOf({ Dockerfile: "FROM busybox\nRUN echo before; exit 7\n" });
  const { told } = await follow(await docker.buildImage(tarOf(failing.path), {}));
  const message = "The command '/bin/sh -c echo before; exit 7' returned a non-zero code: 7";
  assert.deepEqual(told.at(-1), { errorDetail: { code: 7, message }, error: message });
});

const hasPython = spawnSync("python3", ["-c", "import docker"]).status === 0;

test("Python's SDK builds, and its errors are build errors", { skip: !hasPython }, async () => {
  using context = contextOf({ Dockerfile: "FROM busybox\nCOPY f /f\nRUN cat /f\n", f: "from python\n" });
  const script = `
import docker, io, sys
client = docker.DockerClient(base_url="unix://${daemon.socket}")
image, logs = client.images.build(path=sys.argv[1], tag="py:1", rm=True)
text = "".join(line.get("stream", "") for line in logs)
assert "from python" in text, text
assert image.tags == ["py:1"], image.tags
assert image.id == client.images.get("py:1").id
try:
    client.images.build(fileobj=io.BytesIO(b"FROM busybox\\nRUN exit 3\\n"))
    raise SystemExit("no error")
except docker.errors.BuildError as error:
    assert "returned a non-zero code: 3" in str(error), error
try:
    client.images.build(fileobj=io.BytesIO(b"NOPE\\n"))
    raise SystemExit("no error")
except docker.errors.APIError as error:
    assert error.response.status_code == 400, error
`;
  const { code, stderr } = await runCommand(["python3", "-c", script, context.path]);
  assert.equal(code, 0, stderr);
});
