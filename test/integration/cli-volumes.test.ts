// What the CLI does and prints about volumes and files, byte for byte beside the docker CLI on the same socket where there is one;
// then what only gantry has: snapshots, exports, completion in a real bash.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { asGantry, type CliBench, cliArgv, hasDockerCli, startBench } from "../support/cli.ts";
import { type CommandResult, runCommand } from "../support/daemon.ts";

const skip = hasDockerCli() ? false : "no docker CLI 28 or newer on PATH to compare with";

let bench: CliBench;
let dir = "";

async function gantryOk(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await bench.gantry(argv);
  assert.equal(code, 0, `${argv.join(" ")}: ${stderr}`);
  return stdout;
}

/** The bench has gantryd, which alone has snapshots. */
const own = process.env["GANTRY_TEST_HOST"] === undefined ? false : "another engine is tested";

before(async () => {
  bench = await startBench();
  dir = join(bench.dir, "files");
  mkdirSync(join(dir, "tree/sub"), { recursive: true });
  writeFileSync(join(dir, "tree/sub/file"), "local");
  symlinkSync("tree", join(dir, "link"));
  await gantryOk("volume", "create", "--label", "a=b", "vol-one");
  const script =
    "echo hello > /data/f; mkdir -p /d/sub; echo 1 > /d/sub/a; ln -s /data/f /lnk; rm /etc/hostname-not; sleep 1000";
  await gantryOk("run", "-d", "--name", "vol-box", "-v", "vol-one:/data", "-v", "/anon", "busybox", "sh", "-c", script);
  const isReady = ["exec", "vol-box", "sh", "-c", "until test -L /lnk; do sleep 0.05; done"];
  await gantryOk(...isReady);
});

after(async () => {
  await bench.gantry(["rm", "-fv", "vol-box"]);
  await bench.gantry(["volume", "rm", "-f", "vol-one", "vol-copy"]);
  await bench[Symbol.asyncDispose]();
});

function comparable({ code, stdout, stderr }: CommandResult): CommandResult {
  const ids = /\b[0-9a-f]{64}\b/g;
  return { code, stdout: stdout.replaceAll(ids, "<id>"), stderr: asGantry(stderr).replaceAll(ids, "<id>") };
}

const shown: readonly string[] = [
  "volume ls",
  "volume ls -q -f name=vol",
  "volume ls -f dangling=false --format json",
  'volume ls --format {{.Name}}:{{.Label "a"}}:{{.Size}}',
  "volume inspect vol-one nope",
  "volume create a/b",
  "volume rm vol-one nope",
  "volume prune -f -a --filter label=nope",
  "cp vol-box:/nope DIR/x",
  "cp vol-box:/data/f DIR/new/",
  "cp vol-box:/d DIR/tree/sub/file",
  "cp DIR/tree vol-box:/data/f",
  "cp DIR/tree vol-box:/nope/x",
  "cp DIR/tree/sub/file vol-box:/nope/",
  "cp - vol-box:/data/f",
  "cp DIR/tree nope:/x",
  "run --rm --volumes-from nope busybox true",
  "run --rm --mount type=bind,src=/nonexistent,dst=/x busybox true",
];

for (const line of shown)
  test(`prints what docker prints: ${line}`, { skip }, async () => {
    const argv = line.split(" ").map((word) => word.replace("DIR", dir));
    const [docker, gantry] = await Promise.all([bench.docker(argv), bench.gantry(argv)]);
    const logged = comparable(docker);
    // docker's library logs that nobody reads the archive any more.
    assert.deepEqual(comparable(gantry), { ...logged, stderr: logged.stderr.replaceAll(/^time=.*\n/gm, "") });
  });

/** From, to, and whether a name follows links: copied by both into directories of their own. */
const copies: readonly (readonly [string, string])[] = [
  ["vol-box:/data/f", "OUT/x"],
  ["vol-box:/d", "OUT"],
  ["vol-box:/d/.", "OUT"],
  ["vol-box:/d", "OUT/new"],
  ["vol-box:/lnk", "OUT/l"],
];

for (const [from, to] of copies)
  test(`copies what docker copies: ${from} ${to}`, { skip }, async () => {
    const seen = async (cli: "docker" | "gantry"): Promise<readonly string[]> => {
      const out = join(dir, "out");
      mkdirSync(out);
      const result = await bench[cli](["cp", "-q=false", from, to.replace("OUT", out)]);
      const { stdout } = await runCommand(["find", out, "-mindepth", "1", "-printf", "%P %y %m %l %T@\\n"]);
      rmSync(out, { recursive: true });
      return [String(result.code), result.stderr, ...stdout.split("\n").sort()];
    };
    assert.deepEqual(await seen("gantry"), await seen("docker"));
  });

test("cp goes in and out of a running container: files, trees, links that are followed, archives", async () => {
  await gantryOk("cp", join(dir, "tree"), "vol-box:/in");
  assert.equal(await gantryOk("exec", "vol-box", "cat", "/in/sub/file"), "local");
  await gantryOk("cp", "-L", join(dir, "link"), "vol-box:/data");
  assert.equal(await gantryOk("exec", "vol-box", "cat", "/data/link/sub/file"), "local");
  await gantryOk("cp", "-L", "vol-box:/lnk", join(dir, "followed"));
  assert.equal(readFileSync(join(dir, "followed"), "utf8"), "hello\n");
  const [file = "", ...args] = [...cliArgv()];
  const pipe = `"$0" "$@" cp vol-box:/d - | "$0" "$@" cp - vol-box:/in`;
  const piped = await runCommand(["sh", "-c", pipe, file, ...args], { env: bench.env });
  assert.equal(piped.code, 0, piped.stderr);
  assert.equal(await gantryOk("exec", "vol-box", "cat", "/in/d/sub/a"), "1\n");
});

test("diff names what was added, and what lies above it", async () => {
  const lines = (await gantryOk("diff", "vol-box")).split("\n");
  for (const line of ["A /d", "A /d/sub", "A /d/sub/a", "A /lnk"])
    assert.ok(lines.includes(line), `${line} of ${lines.join()}`);
});

test("a volume goes back to a snapshot, and what was there is kept", { skip: own }, async () => {
  assert.equal(await gantryOk("volume", "snapshot", "create", "--comment", "before", "vol-one", "first"), "first\n");
  await gantryOk("exec", "vol-box", "sh", "-c", "echo changed > /data/f");
  await gantryOk("rm", "-f", "vol-box");
  assert.equal(await gantryOk("volume", "snapshot", "ls", "-q", "vol-one"), "first\n");
  assert.equal(await gantryOk("volume", "restore", "vol-one", "first"), "vol-one\n");
  const read = ["run", "--rm", "-v", "vol-one:/data", "busybox", "cat", "/data/f"];
  assert.equal(await gantryOk(...read), "hello\n");
  const names = (await gantryOk("volume", "snapshot", "ls", "-q", "vol-one")).trim().split("\n");
  assert.equal(names.length, 2);
  assert.equal(await gantryOk("volume", "restore", "--discard", "vol-one", names[1] ?? ""), "vol-one\n");
  assert.equal(await gantryOk(...read), "changed\n");
  await gantryOk("volume", "snapshot", "rm", "vol-one", ...names);
  assert.match(await gantryOk("volume", "snapshot", "ls", "vol-one"), /^SNAPSHOT +CREATED +SIZE +SHARED +COMMENT\n$/);
  const { code, stderr } = await bench.gantry(["volume", "restore", "vol-one", "nope"]);
  assert.equal(code, 1);
  assert.match(stderr, /^Error response from daemon: .*nope/);
});

test("a volume is exported, and imported under another name; its labels change", { skip: own }, async () => {
  const path = join(dir, "volume.tar");
  await gantryOk("volume", "export", "-o", path, "vol-one");
  assert.equal(await gantryOk("volume", "import", "--label", "x=y", path, "vol-copy"), "vol-copy\n");
  assert.match(await gantryOk("run", "--rm", "-v", "vol-copy:/v", "busybox", "cat", "/v/link/sub/file"), /^local/);
  assert.equal(await gantryOk("volume", "update", "--label", "z=1", "--label-rm", "x", "vol-copy"), "vol-copy\n");
  assert.equal(await gantryOk("volume", "inspect", "-f", "{{json .Labels}}", "vol-copy"), '{"z":"1"}\n');
});

test("names are completed in bash, words with colons too", async () => {
  const script = `
gantry() { ${cliArgv()
    .map((word) => `'${word}'`)
    .join(" ")} "$@"; }
source <(gantry completion bash)
try() { COMP_LINE=$1 COMP_POINT=\${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _gantry 2>/dev/null; echo "\${COMPREPLY[*]}"; }
try "gantry volume rm vol-o" gantry volume rm vol-o
try "gantry rmi busybox:la" gantry rmi busybox : la
try "gantry run --network=hos" gantry run --network = hos
try "gantry volume snap" gantry volume snap
try "gantry run -v vol-o" gantry run -v vol-o
`;
  const { stdout, stderr } = await runCommand(["bash", "--norc", "-c", script], { env: bench.env });
  assert.equal(stdout, "vol-one\nlatest\nhost\nsnapshot\nvol-one:\n", stderr);
  assert.deepEqual(readdirSync(dir).includes("out"), false);
});
