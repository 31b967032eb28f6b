// S15: what a user of the host without rights can reach of the engine's directories: nothing but the directories that are documented
// to be passed through. A setuid file that a container left in a volume, an image or its own layer is out of reach.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { errnoOf } from "../../src/base/errors.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";

const somebody = { uid: 1000, gid: 1000, encoding: "utf8", maxBuffer: 1 << 26 } as const;

let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon({ args: ["--bridge", "none"] });
  // As under /var/lib and /run: everybody gets as far as the two roots.
  chmodSync(daemon.dir, 0o755);
  await importImage(daemon, "s15", (root) => {
    chmodSync(join(root, "bin/busybox"), 0o4755);
    mkdirSync(join(root, "data"));
    writeFileSync(join(root, "data/secret"), "of the image");
  });
  const plant =
    "cp /bin/busybox /v/setuid; chmod 4777 /v/setuid /v; mkdir -m 777 /v/open; cp /bin/busybox /own; chmod 4777 /own; echo started; sleep 1000";
  const run = ["run", "-d", "--network", "none", "--name", "planter"];
  await daemon.dockerOk([...run, "-v", "named:/v", "-v", "/data", "--tmpfs", "/t", "s15", "sh", "-c", plant]);
  for (let n = 0; n < 200 && !(await daemon.dockerOk(["logs", "planter"])).includes("started"); n++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  await daemon.dockerOk(["exec", "planter", "true"]);
});
after(async () => {
  await daemon?.[Symbol.asyncDispose]();
});

/** All that is there, as root sees it. */
function everything(): readonly string[] {
  const text = execFileSync("find", [daemon.dataRoot, daemon.execRoot, "-print0"], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return text.split("\0").filter(Boolean);
}

/** What somebody can do with each, by its full name: list or read (r), write (w), pass through or run (x). */
function reached(paths: readonly string[]): readonly string[] {
  const script = `import { accessSync, readFileSync } from "node:fs";
    Error.stackTraceLimit = 0;
    for (const path of readFileSync(0, "utf8").split("\\0")) {
      let can = "";
      for (const [letter, mode] of [["r", 4], ["w", 2], ["x", 1]]) try { accessSync(path, mode); can += letter; } catch {}
      if (can !== "") process.stdout.write(can + " " + path + "\\n");
    }`;
  const argv = ["--input-type=module", "-e", script];
  const result = spawnSync(process.execPath, argv, { ...somebody, input: paths.join("\0") });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace(daemon.dataRoot, "DATA").replace(daemon.execRoot, "EXEC"));
}

test("somebody passes through the run directory, reads the daemon's pid, and reaches nothing else", () => {
  const paths = everything();
  assert.ok(paths.some((path) => path.endsWith("/volumes/named/_data/setuid")));
  assert.ok(paths.length > 100, `${paths.length} paths`);
  assert.deepEqual(reached(paths).toSorted(), ["r EXEC/gantryd.pid", "x EXEC"]);
});

test("setuid programs in a volume, in an image and in a container's layer cannot be run by somebody", () => {
  const planted = everything().filter((path) => /\/(?:setuid|own|busybox)$/.test(path));
  assert.ok(planted.length >= 3, planted.join(" "));
  for (const path of planted) {
    const { error } = spawnSync(path, ["id"], somebody);
    assert.equal(errnoOf(error), "EACCES", path);
  }
});

test("directories that somebody has opened are found by the check, and closed by its repair", async () => {
  const opened = ["volumes", "snapshots", "tmp", "build"].map((name) => join(daemon.dataRoot, name));
  for (const path of opened) chmodSync(path, 0o755);
  const check = async (method: string): Promise<readonly string[]> => {
    const findings = (await daemon.api(method, "/gantry/check")).json as readonly {
      readonly invariant: string;
      readonly subject: string;
    }[];
    return findings.filter(({ invariant }) => invariant === "F20").map(({ subject }) => subject);
  };
  assert.deepEqual((await check("GET")).toSorted(), opened.toSorted());
  await check("POST");
  for (const path of opened) assert.equal(statSync(path).mode & 0o777, 0o700, path);
});
