// Volumes and files with the unmodified docker CLI: what people type and what they find in their volumes afterwards. The rules of
// cp are in copy.test.ts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";

let daemon: TestDaemon;
let dir: string;

before(async () => {
  daemon = await startDaemon();
  dir = mkdtempSync(join(tmpdir(), "flow-volumes-"));
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const docker = (...args: readonly string[]): Promise<string> => daemon.dockerOk(args);
const sh = (options: readonly string[], script: string, image = "busybox"): Promise<string> =>
  docker("run", "--rm", ...options, image, "sh", "-c", script);

async function refused(args: readonly string[], what: RegExp): Promise<void> {
  const { code, stderr } = await daemon.docker(args);
  assert.notEqual(code, 0, args.join(" "));
  assert.match(stderr, what, args.join(" "));
}

/** Reads until it says what is waited for. */
async function until(read: () => Promise<string>, wanted: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const last = await read();
    if (last === wanted) return;
    assert.ok(performance.now() < deadline, `${wanted} is waited for, and it is ${last}`);
    await sleep(30);
  }
}

/** Names of the anonymous volumes that there are. */
const anonymous = async (): Promise<readonly string[]> =>
  (await docker("volume", "ls", "-q")).split("\n").filter((name) => /^[0-9a-f]{64}$/.test(name));

test("a volume is made, found, used by one container after another, kept while it is used, and removed", async () => {
  assert.equal(await docker("volume", "create", "--label", "team=a", "data"), "data");
  assert.equal(await docker("volume", "ls", "-q", "--filter", "label=team=a"), "data");
  assert.equal(await docker("volume", "ls", "--filter", "name=dat", "--format", "{{.Driver}} {{.Name}}"), "local data");
  const format = "{{.Name}} {{.Mountpoint}} {{json .Labels}} {{.Scope}}";
  assert.equal(
    await docker("volume", "inspect", "-f", format, "data"),
    `data ${daemon.dataRoot}/volumes/data/_data {"team":"a"} local`,
  );
  assert.equal(await sh(["-v", "data:/d"], "echo kept >/d/file; chown 5:6 /d/file; cat /d/file"), "kept");
  assert.equal(
    await sh(["-v", "data:/d:ro"], "cat /d/file; stat -c %u:%g /d/file; touch /d/x 2>&1 || true"),
    "kept\n5:6\ntouch: /d/x: Read-only file system",
  );
  const id = await docker("create", "-v", "data:/d", "busybox", "true");
  await refused(["volume", "rm", "data"], new RegExp(`remove data: volume is in use - \\[${id}`));
  assert.equal(await docker("volume", "ls", "-q", "--filter", "dangling=true"), "");
  await docker("rm", id);
  assert.match(await docker("system", "df", "-v"), /data +0 +5B/);
  assert.equal(await docker("volume", "rm", "data"), "data");
  await refused(["volume", "inspect", "data"], /no such volume/i);
});

test("mount options, subpaths, images and volumes of others are found in their places", async () => {
  await sh(
    ["--mount", "type=volume,src=parts,dst=/p"],
    "mkdir -p /p/a/b && echo deep >/p/a/b/file && ln -s /etc /p/out",
  );
  const part = (subpath: string): string => `type=volume,src=parts,dst=/t,volume-subpath=${subpath}`;
  assert.equal(await sh(["--mount", part("a/b")], "cat /t/file"), "deep");
  await refused(["run", "--rm", "--mount", part("../x"), "busybox", "true"], /subpath must be a relative path/);
  await refused(["run", "--rm", "--mount", part("out"), "busybox", "true"], /escapes|out/);
  await refused(["run", "--rm", "--mount", part("nope"), "busybox", "true"], /no such file or directory/);
  assert.equal(
    await sh(
      ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700"],
      "stat -c %a /t; df -k /t | awk 'END {print $2}'",
    ),
    "700\n1024",
  );
  assert.equal(
    await sh(
      ["--mount", "type=image,src=busybox,dst=/t,image-subpath=bin"],
      "/t/echo of an image; touch /t/x 2>&1 || true",
    ),
    "of an image\ntouch: /t/x: Read-only file system",
  );
  writeFileSync(join(dir, "given"), "by the host\n");
  const bind = `type=bind,src=${dir},dst=/t`;
  assert.equal(
    await sh(["--mount", `${bind},ro`], "cat /t/given; touch /t/x 2>/dev/null || echo ro"),
    "by the host\nro",
  );
  await refused(["run", "--rm", "--mount", `type=bind,src=${dir}/none,dst=/t`, "busybox", "true"], /does not exist/);
  await sh(["-v", `${dir}/made:/t`], "echo back >/t/file");
  assert.equal(readFileSync(join(dir, "made/file"), "utf8"), "back\n");
  await docker("create", "--name", "giver", "-v", "parts:/one", "-v", "/two", "--tmpfs", "/three", "busybox", "true");
  assert.equal(
    await sh(
      ["--volumes-from", "giver:ro"],
      "cat /one/a/b/file; touch /two/x 2>/dev/null || echo ro; ls -d /three 2>/dev/null || echo none",
    ),
    "deep\nro\nnone",
  );
  await docker("rm", "-v", "giver");
  await docker("volume", "rm", "parts");
});

test("an image's content is copied up into its volumes, which go with the container that --rm removes", async () => {
  const script =
    "mkdir /site && echo home >/site/index && chown -R 7:8 /site && ln -s index /site/link && chmod 2750 /site";
  await docker("run", "--name", "author", "busybox", "sh", "-c", script);
  await docker("commit", "-c", "VOLUME /site", "-c", 'CMD ["cat", "/site/index"]', "author", "site");
  await docker("rm", "author");
  assert.equal(await docker("run", "--rm", "site"), "home");
  assert.deepEqual(await anonymous(), []);
  const look = "stat -c '%a %u:%g' /site; readlink /site/link; cat /site/index";
  assert.equal(
    await sh(["-v", "content:/site"], `${look}; echo changed >/site/index`, "site"),
    "2750 7:8\nindex\nhome",
  );
  assert.equal(await sh(["-v", "content:/site"], "cat /site/index", "site"), "changed");
  assert.equal(await sh(["-v", "bare:/site:nocopy"], "ls -A /site", "site"), "");
  const kept = await docker("create", "site");
  assert.equal((await anonymous()).length, 1);
  await docker("rm", kept);
  const [left = ""] = await anonymous();
  const pruned = await docker("volume", "prune", "-f");
  assert.match(pruned, new RegExp(left));
  assert.doesNotMatch(pruned, /content|bare/);
  assert.match(await docker("volume", "prune", "-af"), /bare[^]*content|content[^]*bare/);
  assert.equal(await docker("volume", "ls", "-q"), "");
  await docker("rmi", "site");
});

test("diff and export tell what a container has made of its image", async () => {
  await docker(
    "run",
    "--name",
    "made",
    "-v",
    "/vol",
    "busybox",
    "sh",
    "-c",
    "mkdir /new; echo 1 >/new/f; rm /bin/zcat; touch /vol/x; rm -r /tmp",
  );
  assert.equal(
    (await docker("diff", "made")).split("\n").sort().join("\n"),
    ["A /new", "A /new/f", "A /vol", "C /bin", "D /bin/zcat", "D /tmp"].join("\n"),
  );
  await docker("export", "-o", join(dir, "made.tar"), "made");
  const names = execFileSync("tar", ["-tf", join(dir, "made.tar")], { encoding: "utf8" }).split("\n");
  assert.deepEqual(
    ["new/f", "vol/", "vol/x", "bin/zcat", "tmp/", "bin/busybox"].map((name) => names.includes(name)),
    [true, true, false, false, false, true],
  );
  await docker("rm", "-v", "made");
});

test("volumes in use live through the death of the daemon, with their options", async () => {
  const options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=2m,uid=9"];
  await docker("volume", "create", ...options, "memory");
  const mounts = ["-v", "memory:/m", "-v", "disk:/d", "-v", "/anon"];
  await docker(
    "run",
    "-d",
    "--rm",
    "--name",
    "up",
    ...mounts,
    "busybox",
    "sh",
    "-c",
    "echo 1 >/m/f; echo 2 >/d/f; sleep 1000",
  );
  await until(async () => (await daemon.docker(["exec", "up", "cat", "/d/f"])).stdout, "2\n");
  await daemon.kill9();
  await daemon.start();
  await refused(["volume", "rm", "memory"], /volume is in use/);
  assert.equal(await docker("exec", "up", "cat", "/m/f", "/d/f"), "1\n2");
  assert.equal(await sh(["-v", "memory:/m"], "cat /m/f; stat -c %u /m; df -k /m | awk 'END {print $2}'"), "1\n9\n2048");
  await daemon.restart();
  await docker("kill", "up");
  await until(() => docker("ps", "-aq"), "");
  await until(async () => (await anonymous()).join(), "");
  const data = join(daemon.dataRoot, "volumes/memory/_data");
  await until(async () => String(readFileSync("/proc/self/mountinfo", "utf8").includes(data)), "false");
  assert.equal(existsSync(join(data, "f")), false);
  assert.equal(await sh(["-v", "disk:/d"], "cat /d/f"), "2");
  await docker("volume", "rm", "memory", "disk");
});
