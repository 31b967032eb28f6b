// Every form of a mount in real containers: what the process sees, what inspect says, and that nothing stays mounted or
// half made after an end, a failure or a kill -9 in between.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";
import { busyboxRoot } from "../support/image.ts";

const daemon = new TestDaemon();
const host = mkdtempSync(join(tmpdir(), "gantry-mounts-"));
before(async () => {
  await daemon.start();
  await importWithVolumes();
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(host, { recursive: true, force: true });
});

interface Shown {
  readonly Type: string;
  readonly Name?: string;
  readonly Source: string;
  readonly Destination: string;
  readonly Driver?: string;
  readonly Mode: string;
  readonly RW: boolean;
  readonly Propagation: string;
}

/** Image `vol`: VOLUME /data, which holds files of user 5, and /empty. */
async function importWithVolumes(): Promise<void> {
  const root = busyboxRoot();
  try {
    mkdirSync(join(root, "data/sub"), { recursive: true });
    writeFileSync(join(root, "data/file"), "from the image\n", { mode: 0o640 });
    chownSync(join(root, "data/file"), 5, 6);
    chownSync(join(root, "data"), 5, 6);
    const tar = execFileSync("tar", ["-C", root, "--numeric-owner", "-cf", "-", "."], { maxBuffer: 1 << 28 });
    const changes = encodeURIComponent('VOLUME ["/data","/empty"]');
    const answer = await daemon.api("POST", `/images/create?fromSrc=-&repo=vol&changes=${changes}`, tar);
    assert.equal(answer.status, 200, answer.text);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function run(options: readonly string[], command: string, image = "busybox"): Promise<string> {
  return daemon.dockerOk(["run", "--rm", ...options, image, "sh", "-c", command]);
}

/** What a run that fails says, without the advice of the client. */
async function refused(args: readonly string[]): Promise<string> {
  const { code, stderr } = await daemon.docker(args);
  assert.notEqual(code, 0);
  return (stderr.split("\n")[0] ?? "").replace(/^docker: /, "").replace("Error response from daemon: ", "");
}

async function mountsOf(container: string): Promise<readonly Shown[]> {
  const answer = await daemon.api("GET", `/containers/${container}/json`);
  assert.equal(answer.status, 200, answer.text);
  return (answer.json as { readonly Mounts: readonly Shown[] }).Mounts;
}

async function volumes(): Promise<readonly string[]> {
  return (await daemon.dockerOk(["volume", "ls", "-q"])).split("\n").filter((name) => name !== "");
}

/** Volumes that are mounted in the host's namespace. */
function mounted(): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .filter((path) => path.startsWith(`${daemon.dataRoot}/volumes/`));
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, what);
    await sleep(20);
  }
}

test("a named volume keeps what it is given, and is filled from the image once, with owner and mode", async () => {
  const listing = await run(["-v", "named:/data"], "stat -c '%u:%g %a %n' /data /data/file /data/sub", "vol");
  assert.deepEqual(listing.split("\n"), ["5:6 755 /data", "5:6 640 /data/file", "0:0 755 /data/sub"]);
  await run(["-v", "named:/x"], "rm /x/file; echo mine > /x/own");
  assert.equal(await run(["-v", "named:/data"], "ls /data; cat /data/own", "vol"), "own\nsub\nmine");
  assert.equal(await run(["-v", "bare:/data:nocopy"], "ls /data", "vol"), "");
  assert.equal(await run(["--mount", "type=volume,src=bare2,dst=/data,volume-nocopy"], "ls /data", "vol"), "");
  await daemon.dockerOk(["volume", "rm", "named", "bare", "bare2"]);
});

test("volumes are shown as dockerd shows them, and found by name and by destination", async () => {
  const created = await daemon.api("POST", "/containers/create?name=shown", {
    Image: "vol",
    Cmd: ["true"],
    Volumes: { "/more/": {} },
    HostConfig: {
      Binds: ["one:/one", "two:/two:ro,nocopy", "/anonymous"],
      Mounts: [
        { Type: "volume", Source: "one", Target: "/again", ReadOnly: true },
        { Type: "tmpfs", Target: "/scratch" },
      ],
      Tmpfs: { "/empty": "" },
    },
  });
  assert.equal(created.status, 201, created.text);
  const shown = await mountsOf("shown");
  const data = (name: string): string => join(daemon.dataRoot, "volumes", name, "_data");
  const common = { Type: "volume", Driver: "local", Propagation: "" };
  const one = { ...common, Name: "one", Source: data("one") };
  assert.deepEqual(
    shown.map(({ Name = "", Source, ...rest }) =>
      /^[0-9a-f]{64}$/.test(Name) ? { ...rest, isSourceOfName: Source === data(Name) } : { Name, Source, ...rest },
    ),
    [
      { ...one, Destination: "/again", Mode: "z", RW: false },
      { ...common, Destination: "/anonymous", Mode: "z", RW: true, isSourceOfName: true },
      { ...common, Destination: "/data", Mode: "", RW: true, isSourceOfName: true },
      { ...common, Destination: "/more", Mode: "", RW: true, isSourceOfName: true },
      { ...one, Destination: "/one", Mode: "z", RW: true },
      { Name: "", Type: "tmpfs", Source: "", Destination: "/scratch", Mode: "", RW: true, Propagation: "" },
      { ...common, Name: "two", Source: data("two"), Destination: "/two", Mode: "ro,nocopy", RW: false },
    ],
  );
  for (const filter of ["one", "/more"])
    assert.equal(await daemon.dockerOk(["ps", "-a", "-f", `volume=${filter}`, "--format", "{{.Names}}"]), "shown");
  assert.match(await refused(["volume", "rm", "one"]), /^remove one: volume is in use - \[[0-9a-f]{64}\]$/);
  await daemon.dockerOk(["rm", "shown"]);
  // Without -v all of them stay.
  assert.equal((await volumes()).length, 5);
  await daemon.dockerOk(["volume", "prune", "-af"]);
});

test("anonymous volumes go with rm -v and --rm, named ones and those that others use stay", async () => {
  await daemon.dockerOk(["create", "--name", "source", "-v", "/own", "-v", "kept:/kept", "vol", "true"]);
  assert.equal((await volumes()).length, 4);
  await daemon.dockerOk(["create", "--name", "user", "--volumes-from", "source", "busybox", "true"]);
  await daemon.dockerOk(["rm", "-v", "source"]);
  assert.equal((await volumes()).length, 4);
  await daemon.dockerOk(["rm", "-v", "user"]);
  assert.deepEqual(await volumes(), ["kept"]);
  await run(["-v", "/own"], "true", "vol");
  await until("volumes of --rm go", async () => (await volumes()).length === 1);
  await daemon.dockerOk(["volume", "rm", "kept"]);
});

test("--volumes-from: the same data, read-only on demand, and own mounts come first", async () => {
  const name = await daemon.dockerOk(["run", "-d", "-v", "shared:/s", "-v", `${host}:/h`, "vol", "sleep", "1000"]);
  await daemon.dockerOk(["exec", name, "sh", "-c", "echo 1 > /s/f; echo 2 > /data/own; echo 3 > /h/from-container"]);
  assert.equal(await run(["--volumes-from", name], "cat /s/f /data/own /h/from-container"), "1\n2\n3");
  const readOnly = await daemon.docker(["run", "--rm", "--volumes-from", `${name}:ro`, "busybox", "touch", "/s/g"]);
  assert.match(readOnly.stderr, /Read-only file system/);
  assert.equal(await run(["--volumes-from", name, "-v", "other:/s"], "ls /s"), "");
  assert.equal(await refused(["create", "--volumes-from", "nobody", "busybox"]), "No such container: nobody");
  await daemon.dockerOk(["rm", "-fv", name]);
  await daemon.dockerOk(["volume", "rm", "shared", "other"]);
});

test("read-only binds cover what is mounted below them, unless told otherwise; files can be read-only too", async () => {
  const source = join(host, "ro");
  mkdirSync(join(source, "below"), { recursive: true });
  writeFileSync(join(host, "one-file"), "content\n");
  execFileSync("mount", ["-t", "tmpfs", "below", join(source, "below")]);
  try {
    const writes = "touch /m/f 2>/dev/null && echo top; touch /m/below/f 2>/dev/null && echo below; true";
    const mount = `type=bind,src=${source},dst=/m`;
    assert.equal(await run(["-v", `${source}:/m`], writes), "top\nbelow");
    assert.equal(await run(["-v", `${source}:/m:ro`], writes), "");
    assert.equal(await run(["--mount", `${mount},readonly,bind-recursive=writable`], writes), "below");
    assert.equal(
      await run(["--mount", `${mount},readonly,bind-recursive=readonly,bind-propagation=rprivate`], writes),
      "",
    );
    // Without recursion the directory under the mount is seen.
    assert.equal(await run(["--mount", `${mount},bind-recursive=disabled`], "mount | grep -c ' /m'"), "1");
  } finally {
    execFileSync("umount", [join(source, "below")]);
  }
  const file = await daemon.docker([
    "run",
    "--rm",
    "-v",
    `${join(host, "one-file")}:/f:ro`,
    "busybox",
    "sh",
    "-c",
    "cat /f; echo x > /f",
  ]);
  assert.equal(file.stdout, "content\n");
  assert.match(file.stderr, /Read-only file system/);
});

test("mounts nested in each other are made from the outside in, in whatever order they are asked for", async () => {
  const said = await run(
    ["-v", "inner:/a/b/c", "--mount", "type=tmpfs,dst=/a/b,tmpfs-size=1m,tmpfs-mode=1770", "-v", `${host}:/a:ro`],
    "mount | grep ' /a' | cut -d' ' -f3,5; stat -c %a /a/b; touch /a/b/c/f && ls /a/b/c; touch /a/x 2>&1",
  ).catch((error: unknown) => String(error));
  // The places are made on the host's directory before it is read-only for the container.
  assert.match(said, /Read-only file system/);
  mkdirSync(join(host, "b"), { recursive: true });
  const options = ["-v", "inner:/a/b/c", "--mount", "type=tmpfs,dst=/a/b,tmpfs-mode=1770", "-v", `${host}:/a`];
  assert.equal(
    await run(options, "mount | grep ' /a' | cut -d' ' -f3; stat -c %a /a/b; touch /a/b/c/f; ls /a/b/c"),
    "/a\n/a/b\n/a/b/c\n1770\nf",
  );
  await daemon.dockerOk(["volume", "rm", "inner"]);
});

test("parts of volumes: links lead nowhere else, what is not there is an error", async () => {
  await daemon.dockerOk(["volume", "create", "parts"]);
  const data = join(daemon.dataRoot, "volumes/parts/_data");
  mkdirSync(join(data, "in/side"), { recursive: true });
  writeFileSync(join(data, "in/side/f"), "inside\n");
  symlinkSync("in/side", join(data, "link"));
  symlinkSync("/etc", join(data, "out"));
  symlinkSync("../../../../../..", join(data, "up"));
  const part = (subpath: string): readonly string[] => [
    "--mount",
    `type=volume,src=parts,dst=/p,volume-subpath=${subpath}`,
  ];
  assert.equal(await run(part("in/side"), "cat /p/f; echo w > /p/g"), "inside");
  assert.equal(readFileSync(join(data, "in/side/g"), "utf8"), "w\n");
  assert.equal(await run(part("link"), "cat /p/f"), "inside");
  assert.equal(await run(part("up"), "ls -d /p/link"), "/p/link");
  const readOnly = await daemon.docker(["run", "--rm", ...part("in/side,readonly"), "busybox", "touch", "/p/h"]);
  assert.match(readOnly.stderr, /Read-only file system/);
  for (const subpath of ["out", "out/passwd", "nothing"])
    assert.match(
      await refused(["run", "--rm", ...part(subpath), "busybox", "true"]),
      /cannot access path .*no such file/,
    );
  assert.equal(
    await refused(["create", ...part("in/../../x"), "busybox"]),
    'invalid mount config for type "volume": subpath must be a relative path within the volume',
  );
  await daemon.dockerOk(["volume", "rm", "parts"]);
});

test("an image is mounted read-only, whole or in part, and kept while a container mounts it", async () => {
  const mount = (rest: string): readonly string[] => ["--mount", `type=image,src=vol,dst=/i${rest}`];
  assert.equal(await run(mount(""), "ls /i/data; touch /i/x 2>/dev/null || echo read-only"), "file\nsub\nread-only");
  assert.equal(await run(mount(",image-subpath=data/file"), "cat /i"), "from the image");
  assert.match(
    await refused(["run", "--rm", ...mount(",image-subpath=none"), "busybox", "true"]),
    /cannot access path .*no such file/,
  );
  assert.equal(
    await refused(["create", "--pull=never", "--mount", "type=image,src=nope,dst=/i", "busybox"]),
    "No such image: nope:latest",
  );
  await daemon.dockerOk(["create", "--name", "holder", ...mount(""), "busybox", "cat", "/i/data/file"]);
  assert.match(await refused(["rmi", "vol"]), /must force.* - container [0-9a-f]{12} is using its referenced image/);
  await daemon.dockerOk(["rmi", "-f", "vol"]);
  assert.equal(await daemon.dockerOk(["start", "-a", "holder"]), "from the image");
  await daemon.dockerOk(["rm", "holder"]);
  await importWithVolumes();
});

test("what cannot be done is refused before anything is made", async () => {
  const before = await volumes();
  const texts: readonly (readonly [readonly string[], RegExp])[] = [
    [["-v", "v1:/x", "-v", "v2:/x"], /^Duplicate mount point: \/x$/],
    [["-v", "v1:/x", "--mount", "type=npipe,src=a,dst=/y"], /mount type unknown/],
    [
      ["-v", "v1:/x", "--mount", "type=bind,src=/nothing/here,dst=/y"],
      /bind source path does not exist: \/nothing\/here$/,
    ],
    [["-v", "v1:/x", "-v", `${host}:/y:z`], /relabelling \(z, Z\) needs SELinux/],
    [["-v", "v1:/x", "--mount", "type=volume,src=v2,dst=/y,volume-driver=nope"], /plugin "nope" not found/],
    [["-v", "v1:/x", "--mount", "type=volume,src=v2,dst=/y,volume-opt=foo=bar"], /invalid option: "foo"/],
    [["-v", "v1:/bin/busybox"], /^cannot mount volume over existing file, file exists \/bin\/busybox$/],
    [["-v", "a/b:/x"], /includes invalid characters for a local volume name/],
  ];
  for (const [options, text] of texts)
    assert.match(await refused(["create", "--pull=never", ...options, "busybox"]), text);
  assert.deepEqual(await volumes(), before);
});

test("a source that vanishes between create and start is named, and the start leaves nothing mounted", async () => {
  const source = join(host, "vanishing");
  mkdirSync(source);
  await daemon.dockerOk(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]);
  const options = ["-v", "memory:/m", "--mount", `type=bind,src=${source},dst=/x`];
  await daemon.dockerOk(["create", "--name", "vanished", ...options, "busybox", "true"]);
  rmSync(source, { recursive: true });
  assert.match(await refused(["start", "vanished"]), new RegExp(`bind source path does not exist: ${source}$`));
  assert.deepEqual(mounted(), []);
  mkdirSync(source);
  await daemon.dockerOk(["start", "-a", "vanished"]);
  await until("the volume is unmounted", () => mounted().length === 0);
  await daemon.dockerOk(["rm", "vanished"]);
  assert.match(await refused(["run", "--rm", "-v", "memory:/m", "busybox", "/no/such/program"]), /no such file/);
  await until("the volume is unmounted after a failed start", () => mounted().length === 0);
  await daemon.dockerOk(["volume", "rm", "memory"]);
});

test("images that are built and committed keep their volumes", async () => {
  const dockerfile = 'FROM busybox\nRUN mkdir /v && echo built > /v/f\nVOLUME ["/v"]\n';
  const built = spawnSync("docker", ["-H", `unix://${daemon.socket}`, "build", "-q", "-t", "built", "-"], {
    input: dockerfile,
    env: { ...process.env, DOCKER_BUILDKIT: "0" },
  });
  assert.equal(built.status, 0, built.stderr.toString());
  await daemon.dockerOk(["create", "--name", "committed", "built", "true"]);
  await daemon.dockerOk(["commit", "committed", "again"]);
  assert.equal(await run([], "cat /v/f; grep -c ' /v ' /proc/self/mountinfo", "again"), "built\n1");
  await daemon.dockerOk(["rm", "-v", "committed"]);
  assert.deepEqual(await volumes(), []);
});
