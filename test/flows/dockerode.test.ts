// A second client: dockerode, as JavaScript programs use it.

import assert from "node:assert/strict";
import { PassThrough, type Readable } from "node:stream";
import { after, before, test } from "node:test";
import Docker from "dockerode";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

let daemon: TestDaemon;
let docker: Docker;

before(async () => {
  daemon = await startDaemon();
  docker = new Docker({ socketPath: daemon.socket });
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function textOf(stream: Readable): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

test("run collects the output and the exit code", async () => {
  const out = new PassThrough();
  const reading = textOf(out);
  const [result, container] = (await docker.run("busybox", ["sh", "-c", "echo hi; exit 5"], out)) as [
    { StatusCode: number },
    Docker.Container,
  ];
  out.end();
  assert.equal(result.StatusCode, 5);
  assert.match(await reading, /hi\r?\n$/);
  await container.remove();
});

test("a container is created, attached to before its start, waited for and inspected", async () => {
  const container = await docker.createContainer({
    Image: "busybox",
    Cmd: ["cat"],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    name: "cat",
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.on("end", () => out.end());
  await container.start();
  stream.write("through stdin\n");
  stream.end();
  assert.equal(await textOf(out), "through stdin\n");
  assert.equal(((await container.wait()) as { StatusCode: number }).StatusCode, 0);
  const inspected = await container.inspect();
  assert.equal(inspected.State.Running, false);
  assert.equal(inspected.Name, "/cat");
  await container.remove();
});

test("exec, logs, top and events work on a running container", async () => {
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["sh", "-c", "echo started; sleep 1000"] });
  await container.start();
  const exec = await container.exec({
    Cmd: ["sh", "-c", "echo from exec; exit 2"],
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({});
  const out = new PassThrough();
  docker.modem.demuxStream(stream, out, out);
  stream.on("end", () => out.end());
  assert.equal(await textOf(out), "from exec\n");
  assert.equal((await exec.inspect()).ExitCode, 2);
  const logs = await container.logs({ stdout: true, stderr: true, tail: 1 });
  assert.match(logs.toString(), /started\n$/);
  const top = (await container.top()) as { Processes: string[][] };
  assert.ok(top.Processes.some((row) => row.at(-1)?.includes("sleep 1000")));
  const listed = await docker.listContainers({ filters: { status: ["running"] } });
  assert.deepEqual(
    listed.map((one) => one.Id),
    [container.id],
  );
  await container.remove({ force: true });
});

test("the exit code is there when the output ends, also of an exec that closed its output long before", async () => {
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "1000"] });
  await container.start();
  const exec = await container.exec({
    Cmd: ["sh", "-c", "echo last words; exec >&- 2>&-; sleep 0.3; exit 3"],
    AttachStdout: true,
    AttachStderr: true,
  });
  await textOf(await exec.start({}));
  const { Running, ExitCode } = await exec.inspect();
  assert.deepEqual({ Running, ExitCode }, { Running: false, ExitCode: 3 });
  await container.remove({ force: true });
});

test("errors arrive with Docker's status and text", async () => {
  await assert.rejects(docker.getContainer("nope").inspect(), { statusCode: 404, message: /No such container: nope/ });
  await assert.rejects(docker.createContainer({ Image: "nope" }), {
    statusCode: 404,
    message: /No such image: nope:latest/,
  });
  await assert.rejects(docker.createContainer({ Image: "busybox", HostConfig: { Memory: 1 } }), { statusCode: 400 });
});
