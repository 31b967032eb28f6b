// docker's rules of cp as one table, with the unmodified docker CLI, in both directions; and what can be copied out of and into what.
// Source: docker container cp, "Extended description".

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";

let daemon: TestDaemon;
let dir: string;

before(async () => {
  daemon = await startDaemon();
  dir = mkdtempSync(join(tmpdir(), "flow-copy-"));
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const docker = (...args: readonly string[]): Promise<string> => daemon.dockerOk(args);

async function refused(args: readonly string[], what: RegExp): Promise<void> {
  const { code, stderr } = await daemon.docker(args);
  assert.notEqual(code, 0, args.join(" "));
  assert.match(stderr, what, args.join(" "));
}

/** Sources: f, d/inner, fl → f, dl → d. Destinations: new (not there), file, dir (with dir/keep in it). */
const table: readonly (readonly [from: string, to: string, result: string | RegExp, follow?: "-L"])[] = [
  ["f", "new", "new=f"],
  ["f", "new/", /directory/],
  ["f", "file", "file=f"],
  ["f", "file/", /directory/],
  ["f", "dir", "dir/f=f"],
  ["f", "dir/", "dir/f=f"],
  ["f", "dir/.", "dir/f=f"],
  ["f", "no/such", /no such|not find|does not exist/i],
  ["f/", "new", /not a directory/],
  ["f/.", "new", /not a directory/],
  ["nope", "new", /no such file|not find/i],
  ["d", "new", "new/inner=i"],
  ["d", "new/", "new/inner=i"],
  ["d", "file", /cannot copy directory|cannot overwrite/],
  ["d", "dir", "dir/d/inner=i"],
  ["d", "dir/", "dir/d/inner=i"],
  ["d/", "new", "new/inner=i"],
  ["d/", "dir", "dir/d/inner=i"],
  ["d/.", "new", "new/inner=i"],
  ["d/.", "dir", "dir/inner=i"],
  ["d/.", "dir/", "dir/inner=i"],
  ["d/.", "file", /cannot copy directory|cannot overwrite/],
  ["d/.", "no/such", /no such|not find|does not exist/i],
  ["fl", "new", "new->f"],
  ["fl", "new", "new=f", "-L"],
  ["dl", "dir", "dir/dl->d"],
  ["dl/", "dir", "dir/dl/inner=i"],
  ["dl/.", "dir", "dir/inner=i"],
  ["dl", "new", "new/inner=i", "-L"],
];

/** What `list` prints for a destination that nothing was copied to. */
const untouched = ["dir/keep=keep", "file=old"];

/** A line for every file and link under the directories c0, c1, … */
const list =
  'for f in $(find c* -type f | sort); do echo "$f=$(cat $f)"; done; for l in $(find c* -type l | sort); do echo "$l->$(readlink $l)"; done';

/** Copies a row of the table to its own destination; @returns what is wrong with the outcome */
async function copy(index: number, from: string, to: string): Promise<string | undefined> {
  const [, , result, follow] = table[index] ?? [];
  const words = follow === undefined ? ["cp"] : ["cp", follow];
  const { code, stderr } = await daemon.docker([...words, from, to]);
  if (typeof result === "string") return code === 0 ? undefined : `${from} to ${to}: ${stderr}`;
  return code !== 0 && result?.test(stderr) === true ? undefined : `${from} to ${to}: exit ${code}, ${stderr}`;
}

/** The whole table at once, two at a time. */
async function copyAll(paths: (from: string, to: string) => readonly [string, string]): Promise<readonly string[]> {
  const wrong: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < table.length; index = next++) {
      const [from = "", to = ""] = table[index] ?? [];
      const problem = await copy(index, ...paths(from, `c${index}/${to}`));
      if (problem !== undefined) wrong.push(problem);
    }
  };
  await Promise.all([worker(), worker()]);
  return wrong;
}

/** Row by row: what is in the destinations beside what was there, against the table. */
function compare(listed: string): void {
  const found = table.map((_, index) =>
    listed
      .split("\n")
      .filter((line) => line.startsWith(`c${index}/`))
      .map((line) => line.slice(`c${index}/`.length))
      .filter((line) => !untouched.includes(line)),
  );
  const row = (index: number): string => (table[index] ?? []).slice(0, 2).join(" to ");
  assert.deepEqual(
    found.map((lines, index) => `${row(index)}: ${lines.join(" ")}`),
    table.map(([, , result], index) => `${row(index)}: ${typeof result === "string" ? result : ""}`),
  );
}

const prepare = `for n in $(seq 0 ${table.length - 1}); do mkdir -p c$n/dir; echo keep >c$n/dir/keep; echo old >c$n/file; done`;
const sources = "mkdir s s/d; echo f >s/f; echo i >s/d/inner; ln -s f s/fl; ln -s d s/dl";

test("every form of a source is copied out to every form of a destination, or refused, as docker documents it", async () => {
  await docker("run", "--name", "source", "busybox", "sh", "-c", `cd /root; ${sources}`);
  execFileSync("sh", ["-c", `mkdir out; cd out; ${prepare}`], { cwd: dir });
  assert.deepEqual(await copyAll((from, to) => [`source:/root/s/${from}`, join(dir, "out") + `/${to}`]), []);
  compare(execFileSync("sh", ["-c", list], { cwd: join(dir, "out"), encoding: "utf8" }));
  await docker("rm", "source");
});

test("every form of a source is copied in to every form of a destination, or refused, as docker documents it", async () => {
  execFileSync("sh", ["-c", sources], { cwd: dir });
  await docker(
    "run",
    "-d",
    "--name",
    "sink",
    "-w",
    "/root",
    "busybox",
    "sh",
    "-c",
    `${prepare}; touch ready; sleep 1000`,
  );
  await docker("exec", "sink", "sh", "-c", "until [ -e ready ]; do usleep 10000; done");
  assert.deepEqual(await copyAll((from, to) => [join(dir, "s") + `/${from}`, `sink:/root/${to}`]), []);
  compare(await docker("exec", "sink", "sh", "-c", list));
  await docker("rm", "-f", "sink");
});

test("cp reaches volumes and tmpfs of running and paused containers, as tar too, and -a gives files to the container's user", async () => {
  await docker(
    "run",
    "-d",
    "--name",
    "box",
    "-v",
    "kept:/v",
    "--tmpfs",
    "/m",
    "-v",
    `${dir}:/host:ro`,
    "busybox",
    "sleep",
    "1000",
  );
  writeFileSync(join(dir, "file"), "in\n", { mode: 0o640 });
  execFileSync("chown", ["1234:4321", join(dir, "file")]);
  for (const place of ["/v/file", "/m/file", "/file"]) await docker("cp", join(dir, "file"), `box:${place}`);
  assert.equal(await docker("exec", "box", "cat", "/v/file", "/m/file", "/file"), "in\nin\nin");
  assert.equal(await docker("exec", "box", "stat", "-c", "%a %u:%g", "/m/file"), "640 1234:4321");
  await docker("pause", "box");
  await docker("cp", "-a", "box:/m/file", join(dir, "back"));
  assert.deepEqual(
    [readFileSync(join(dir, "back"), "utf8"), statSync(join(dir, "back")).mode & 0o777],
    ["in\n", 0o640],
  );
  await refused(["cp", join(dir, "file"), "box:/host/x"], /read-only/);
  await docker("unpause", "box");
  const socket = `unix://${daemon.socket}`;
  const pipe = `docker -H ${socket} cp box:/v - | tar -x -C ${dir} && tar -c -C ${dir} v | docker -H ${socket} cp - box:/m`;
  assert.deepEqual(await runCommand(["sh", "-c", pipe]), { code: 0, stdout: "", stderr: "" });
  assert.equal(readFileSync(join(dir, "v/file"), "utf8"), "in\n");
  assert.equal(await docker("exec", "box", "cat", "/m/v/file"), "in");
  await docker("rm", "-f", "box");
  await docker("create", "--name", "owner", "-u", "77:78", "busybox", "stat", "-c", "%u:%g", "/file");
  await docker("cp", "-a", join(dir, "file"), "owner:/file");
  assert.equal(await docker("start", "-a", "owner"), "77:78");
  await docker("rm", "owner");
  await docker("create", "--name", "still", "-v", "kept:/v", "--read-only", "busybox", "true");
  await docker("cp", join(dir, "file"), "still:/v/second");
  await docker("cp", "still:/v/second", join(dir, "second"));
  await refused(["cp", join(dir, "file"), "still:/file"], /read-only/);
  await docker("rm", "still");
  await docker("volume", "rm", "kept");
});

test("a link of a container leads nowhere out of it", async () => {
  mkdirSync(join(dir, "secret"));
  writeFileSync(join(dir, "secret/key"), "of the host\n");
  symlinkSync(join(dir, "secret"), join(dir, "trap"));
  await docker(
    "run",
    "--name",
    "liar",
    "busybox",
    "sh",
    "-c",
    `mkdir -p /a ${dir}; ln -s ${dir}/secret /a/link; ln -s ../../../../..${dir}/secret /a/up`,
  );
  await refused(["cp", "liar:/a/link/key", join(dir, "stolen")], /not find|no such/i);
  await refused(["cp", "liar:/a/up/key", join(dir, "stolen")], /not find|no such/i);
  await refused(["cp", join(dir, "secret/key"), "liar:/a/link/planted"], /not find|no such/i);
  await docker("cp", join(dir, "secret"), `liar:${dir}`);
  await docker("cp", join(dir, "file"), "liar:/a/link/planted");
  await docker("cp", "liar:/a/link/planted", join(dir, "planted"));
  assert.equal(readFileSync(join(dir, "planted"), "utf8"), "in\n");
  assert.deepEqual(execFileSync("ls", [join(dir, "secret")], { encoding: "utf8" }), "key\n");
  await docker("rm", "liar");
});
