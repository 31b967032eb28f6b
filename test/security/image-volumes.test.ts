// S16, CVE-2022-23648, CVE-2019-16884: what an image names as its volumes. Their places and what fills them stay inside of the
// container's own files, whatever the paths and the links in the image say; what is not possible is refused by name.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestDaemon } from "../support/daemon.ts";
import { busyboxRoot } from "../support/image.ts";

const daemon = new TestDaemon();
/** A directory of the host that no container may see. */
const canary = mkdtempSync(join(tmpdir(), "gantry-canary-"));
before(async () => {
  writeFileSync(join(canary, "secret"), "of the host\n");
  await daemon.start();
  const root = busyboxRoot();
  try {
    writeFileSync(join(root, "etc/inside"), "of the image\n");
    mkdirSync(join(root, "proc/sys"), { recursive: true });
    writeFileSync(join(root, "proc/version"), "forged\n");
    const links = {
      out: canary,
      up: `../../../../../../../../..${canary}`,
      etclink: "/../../etc",
      proclink: "/proc",
      syslink: "etc/../../proc/sys",
      chain: "chain2",
      chain2: "proclink",
      loop: "loop",
      procroot: "/proc/1/root",
    };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(root, name));
    const tar = execFileSync("tar", ["-C", root, "--numeric-owner", "-cf", "-", "."], { maxBuffer: 1 << 28 });
    const answer = await daemon.api("POST", "/images/create?fromSrc=-&repo=hostile", tar);
    assert.equal(answer.status, 200, answer.text);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(canary, { recursive: true, force: true });
});

/** What a container with such a volume says, or the refusal. The merged configuration is the same whoever names it. */
async function runWith(volume: string, command: string, image = "hostile"): Promise<string> {
  const Volumes = image === "hostile" ? { [volume]: {} } : {};
  const request = { Image: image, Cmd: ["sh", "-c", command], Volumes };
  const created = await daemon.api("POST", "/containers/create?name=tried", request);
  if (created.status !== 201) return `${created.status} ${(created.json as { readonly message: string }).message}`;
  const started = await daemon.docker(["start", "-a", "tried"]);
  await daemon.api("DELETE", "/containers/tried?force=1&v=1");
  return started.stdout + started.stderr;
}

test("paths and links of an image's volumes never lead to the host, nor over /proc", async () => {
  await daemon.dockerOk(["create", "--name", "maker", "hostile", "true"]);
  const changes = ["/../../../etc", "/etclink"].map((path) => `--change=VOLUME ["${path}"]`);
  await daemon.dockerOk(["commit", ...changes, "maker", "named-by-image"]);
  await daemon.dockerOk(["rm", "maker"]);
  const look = (path: string): string => `cat ${path}/secret ${path}/inside 2>/dev/null; head -n 1 /proc/version`;
  const refused = "inside /proc";
  for (const [volume, path] of [
    ["/../../../etc", "/etc"],
    ["../etc", "/etc"],
    ["/etclink", "/etc"],
    ["etc/./", "/etc"],
  ] as const)
    assert.match(await runWith(volume, look(path)), /^of the image\nLinux version/, volume);
  assert.match(await runWith("/etc", look("/etclink"), "named-by-image"), /^of the image\nLinux version/);
  for (const volume of [canary, `/x/../..${canary}`])
    assert.match(await runWith(volume, look(canary)), /^Linux version/, volume);
  for (const volume of ["/out", "/up"]) {
    const said = await runWith(volume, look(volume));
    assert.doesNotMatch(said, /of the host/, volume);
    assert.match(said, /^Linux version|No such file or directory/, volume);
  }
  for (const volume of [
    "/proc",
    "/proc/1/root",
    "/x/../proc/sys",
    "/proclink",
    "/syslink",
    "/chain",
    "/procroot",
    "/chain2/x",
  ])
    assert.match(await runWith(volume, "cat /proc/version"), new RegExp(refused), volume);
  assert.match(await runWith("/loop", "true"), /too many levels of symbolic links/);
  assert.match(await runWith("/", "true"), /^400 .*destination can't be '\/'/);
  assert.match(await runWith("..", "true"), /^400 .*destination can't be '\/'/);
  assert.match(await runWith("/a\0b", "true"), /^400 .*NUL byte/);
  assert.match(await runWith(`/${"a".repeat(4096)}`, "true"), /^400 .*file name too long/);
  // Nothing of the host was touched, and no volume is left of what was refused.
  assert.deepEqual(readdirSync(canary), ["secret"]);
  assert.equal(lstatSync(canary).isDirectory(), true);
  assert.equal(await daemon.dockerOk(["volume", "ls", "-q"]), "");
});

test("a link that a container makes in its own files does not lead its next start over /proc", async () => {
  const command = "mv /a /moved && ln -s /proc /a";
  await daemon.dockerOk(["run", "--name", "linker", "-v", "made:/a/sys", "hostile", "sh", "-c", command]);
  const { stderr } = await daemon.docker(["start", "-a", "linker"]);
  assert.match(stderr, /"\/a\/sys" leads to "\/proc\/sys", which cannot be mounted because it is inside \/proc/);
  await daemon.dockerOk(["rm", "linker"]);
  await daemon.dockerOk(["volume", "rm", "made"]);
});
