// `gantry build` end to end: a failed step's state as an image, plans, OCI layouts, files that it writes, contexts, and its display
// on a terminal. The engine is gantryd. Needs root.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type CliBench, startBench } from "../support/cli.ts";

let bench: CliBench;
before(async () => {
  bench = await startBench();
});
after(async () => {
  await bench[Symbol.asyncDispose]();
});

let made = 0;

/** A directory with a Dockerfile and files. */
function contextOf(dockerfile: string, files: Readonly<Record<string, string>> = {}): string {
  const directory = join(bench.dir, `context-${made++}`);
  mkdirSync(directory);
  for (const [name, text] of Object.entries({ Dockerfile: dockerfile, ...files }))
    writeFileSync(join(directory, name), text);
  return directory;
}

const failing = [
  "FROM busybox",
  "ENV GREETING=hello",
  "WORKDIR /work",
  "RUN echo before > state",
  "RUN echo half > state; echo oops; exit 7",
  "",
].join("\n");

/** As the message after a failure has it. */
function stepIdIn(stderr: string): string {
  const id = /gantry run -it --rm ([0-9a-f]{12}) sh\n/.exec(stderr)?.[1];
  assert.ok(id !== undefined, stderr);
  return id;
}

test("a failed step shows its lines and output, and its state before it can be run, by both CLIs, without being listed", async () => {
  const failed = await bench.gantry(["build", contextOf(failing)]);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, / > \[4\/4\] RUN echo half > state; echo oops; exit 7:\noops\n------\n/);
  assert.match(failed.stderr, / {3}5 \| >>> RUN echo half > state; echo oops; exit 7\n/);
  assert.match(
    failed.stderr,
    /ERROR: failed to solve: process "\/bin\/sh -c .*" did not complete successfully: exit code: 7\n/,
  );
  const id = stepIdIn(failed.stderr);
  for (const cli of [bench.gantry.bind(bench), bench.docker.bind(bench)]) {
    const { stdout, stderr, code } = await cli(["run", "--rm", id, "sh", "-c", "pwd; cat state; echo $GREETING"]);
    assert.deepEqual([code, stdout], [0, "/work\nbefore\nhello\n"], stderr);
  }
  const again = await bench.gantry(["run", "--rm", id]);
  assert.deepEqual([again.code, again.stdout], [7, "oops\n"], "its command is the step's");
  const listed = await bench.gantry(["images", "-q"]);
  assert.ok(!listed.stdout.includes(id), listed.stdout);
  assert.ok((await bench.gantry(["images", "-aq"])).stdout.includes(id));
});

test("build --debug opens a shell in the state before the failed step, and its status is the build's", async () => {
  const session = bench.terminal(
    `gantry build --debug ${contextOf(failing)}; echo "code=$?"; stty -a | grep -o ' icanon'; echo over`,
  );
  await session.waitFor(/\/work # /);
  session.type("cat state; echo $GREETING\r");
  await session.waitFor(/before\r\nhello\r\n/);
  session.type("exit 5\r");
  await session.waitFor(/code=5\r\n icanon\r\nover\r\n/);
  await session.end();
});

test("--plan tells what is cached and what would run, the same each time, and does nothing", async () => {
  const context = contextOf("FROM busybox\nRUN echo plan-a > /a\nCOPY f /f\nRUN echo b > /b\n", { f: "1" });
  const plan = async (): Promise<readonly string[]> => {
    const { stdout, stderr, code } = await bench.gantry(["build", "--plan", context]);
    assert.equal(code, 0, stderr);
    return stdout.split("\n").filter((line) => /^\d/.test(line));
  };
  const first = await plan();
  assert.deepEqual(await plan(), first);
  const steps = (lines: readonly string[]): readonly string[] =>
    lines.map((line) => line.slice(2).replace(/ ← .*/, ""));
  assert.deepEqual(
    steps(first).filter((line) => line.includes("[2/4]")),
    ["run      [2/4] RUN echo plan-a > /a"],
  );
  assert.equal((await bench.gantry(["build", "-q", context])).code, 0);
  const second = steps(await plan());
  assert.ok(second.includes("cached   [2/4] RUN echo plan-a > /a"), second.join("\n"));
  assert.ok(second.includes("content  [3/4] COPY f /f"), second.join("\n"));
});

test("a cache in a directory is written and read; an OCI layout is written, and built upon", async () => {
  const context = contextOf("FROM busybox\nCOPY f /f\nRUN date +%N > /x\n", { f: String(Math.random()) });
  const cache = join(bench.dir, "cache");
  const layout = join(bench.dir, "layout");
  const first = await bench.gantry(["build", "-q", "--cache-to", `type=local,dest=${cache},mode=max`, context]);
  assert.equal(first.code, 0, first.stderr);
  assert.equal((await bench.gantry(["image", "rm", first.stdout.trim()])).code, 0);
  assert.equal((await bench.gantry(["builder", "prune", "-af"])).code, 0);
  const second = await bench.gantry(["build", "--progress=plain", "--cache-from", `type=local,src=${cache}`, context]);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /RUN date \+%N > \/x\n#\d+ CACHED\n/);
  const absent = await bench.gantry(["build", "--cache-from", `type=local,src=${cache}-none`, context]);
  assert.equal(absent.code, 0);
  assert.match(absent.stderr, /^WARNING: local cache import at .*-none not found\n/);

  const output = `type=oci,tar=false,dest=${layout}`;
  const written = await bench.gantry(["build", "-t", "app:7", "-o", output, context]);
  assert.equal(written.code, 0, written.stderr);
  assert.ok(existsSync(join(layout, "oci-layout")) && !existsSync(join(layout, "ingest")));
  const [entry] = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests;
  assert.equal(entry.annotations["io.containerd.image.name"], "docker.io/library/app:7");
  const upon = contextOf("FROM base\nRUN test -s /x && echo found-it\n");
  const built = await bench.gantry([
    "build",
    "--progress=plain",
    "--build-context",
    `base=oci-layout://${layout}:7`,
    upon,
  ]);
  assert.match(built.stderr, / found-it\n/);
  const wrong = await bench.gantry(["build", "--build-context", `base=oci-layout://${layout}:8`, upon]);
  assert.deepEqual([wrong.code, wrong.stderr.trim()], [1, `OCI layout ${layout} has no image "8"`]);
});

test("-q prints the id alone; --iidfile and --metadata-file have it", async () => {
  const [iid, metadata] = [join(bench.dir, "iid"), join(bench.dir, "metadata")];
  const context = contextOf("FROM busybox\nRUN echo quiet > /q\n");
  const { stdout, stderr, code } = await bench.gantry([
    "image",
    "build",
    "-q",
    "-t",
    "quiet:1",
    "--iidfile",
    iid,
    "--metadata-file",
    metadata,
    context,
  ]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^sha256:[0-9a-f]{64}\n$/);
  assert.equal(readFileSync(iid, "utf8"), stdout.trim());
  const written = JSON.parse(readFileSync(metadata, "utf8"));
  assert.equal(written["containerimage.config.digest"], stdout.trim());
  assert.equal(written["image.name"], "docker.io/library/quiet:1");
});

test("a Dockerfile comes from stdin, alone or with a directory; a context that lacks something is told", async () => {
  const alone = await bench.gantry(["build", "--progress=plain", "-"], {
    input: "FROM busybox\nRUN echo from-stdin\n",
  });
  assert.match(alone.stderr, / from-stdin\n/);
  const context = contextOf("FROM scratch\n", { f: "content-of-f\n" });
  const beside = await bench.gantry(["build", "--progress=plain", "-f", "-", context], {
    input: "FROM busybox\nCOPY f /f\nRUN cat /f\n",
  });
  assert.match(beside.stderr, / content-of-f\n/);
  const empty = join(bench.dir, "empty");
  mkdirSync(empty);
  const none = await bench.gantry(["build", empty]);
  assert.equal(none.code, 1);
  assert.match(
    none.stderr,
    /ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory\n$/,
  );
  const missing = await bench.gantry(["build", `${empty}/missing`]);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /unable to prepare context: path ".*\/missing" not found/);
});

test("sockets of a context stay behind", async () => {
  const context = contextOf("FROM busybox\nCOPY . /c\nRUN ls /c\n");
  const server = createServer().listen(join(context, "socket"));
  try {
    const { stderr, code } = await bench.gantry(["build", "--progress=plain", "--no-cache", context]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, / socket\n/);
  } finally {
    server.close();
  }
});

test("ctrl-c on a terminal stops the build and its step, with 130, and leaves the terminal as it was", async () => {
  const context = contextOf("FROM busybox\nRUN echo begun; sleep 86399\n");
  const session = bench.terminal(
    `trap : INT; gantry build ${context}; echo "code=$?"; stty -a | grep -o ' icanon'; echo over`,
  );
  await session.waitFor(/# begun/);
  await session.stty("rows", "10", "cols", "40");
  session.type("\x03");
  await session.waitFor(/ERROR: failed to solve: Canceled: context canceled\r\ncode=130\r\n icanon\r\nover\r\n/);
  await session.end();
  const history = await bench.gantry(["system", "check"]);
  assert.equal(history.code, 0, history.stdout + history.stderr);
});
