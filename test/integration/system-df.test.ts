// docker system df against what is really on disk. Needs root, gantry-unpack and the docker CLI.

import assert from "node:assert/strict";
import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { cliArgv } from "../support/cli.ts";
import { runCommand, startDaemon } from "../support/daemon.ts";
import { configOf, dockerArchive, sha256 } from "../support/image-archives.ts";
import { file, tarOf } from "../support/tar.ts";

const busybox = tarOf(file("bin/busybox", readFileSync("/bin/busybox"), { mode: 0o755 }));
const top = tarOf(file("top", Buffer.alloc(50_000, "x")));
const other = tarOf(file("other", Buffer.alloc(70_000, "y")));
const sleeper = {
  Cmd: ["/bin/busybox", "sh", "-c", "/bin/busybox head -c 30000 /dev/zero >/big; exec /bin/busybox sleep 1000"],
};
const configs = {
  base: configOf([busybox], { config: sleeper }),
  app: configOf([busybox, top], { created: "2020-02-01T00:00:00Z", config: sleeper }),
  none: configOf([other], { created: "2020-03-01T00:00:00Z" }),
};
const archive = dockerArchive([
  { config: configs.base, layers: [busybox], tags: ["base:1"] },
  { config: configs.app, layers: [busybox, top], tags: ["app:1", "app:2"] },
  { config: configs.none, layers: [other], tags: [] },
]);
const binaryBytes = lstatSync("/bin/busybox").size;

/** Bytes of regular files and links, as `du --apparent-size` has them without directories. */
function bytesUnder(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => !entry.isDirectory())
    .reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}

interface Usage {
  readonly LayersSize: number;
  readonly LayersReclaimable?: number;
  readonly Images: readonly Readonly<Record<string, unknown>>[] | null;
  readonly Containers: readonly { readonly SizeRw?: number; readonly SizeRootFs?: number }[] | null;
  readonly Volumes: readonly unknown[] | null;
  readonly BuildCache: readonly unknown[] | null;
  readonly Content?: Readonly<Record<string, number>>;
}

test("system df has true shared and unique sizes, of images in use and not, and what the blobs take", async () => {
  await using daemon = await startDaemon({ fromSource: true });
  const df = async (query = "", version = "1.51"): Promise<Usage> =>
    (await daemon.api("GET", `/v${version}/system/df${query}`)).json as Usage;
  for (const { Id } of (await df()).Images ?? []) await daemon.api("DELETE", `/images/${String(Id)}?force=1`);
  assert.deepEqual(await df(), {
    LayersSize: 0,
    Images: [],
    Containers: [],
    Volumes: [],
    BuildCache: [],
    LayersReclaimable: 0,
    Content: { Count: 0, Active: 0, Size: 0, Reclaimable: 0 },
  });
  assert.equal((await daemon.api("POST", "/images/load?quiet=1", archive)).status, 200);
  const run = await daemon.dockerOk(["run", "-d", "--stop-signal", "KILL", "app:2"]);
  await daemon.dockerOk([
    "exec",
    run,
    "/bin/busybox",
    "sh",
    "-c",
    "until [ -s /big ]; do /bin/busybox sleep 0.05; done",
  ]);

  const usage = await df();
  const image = (
    name: keyof typeof configs,
    tags: readonly string[] | null,
    sizes: readonly [number, number, number],
  ): unknown => ({
    Containers: sizes[2],
    Created: { base: 1577934245, app: 1580515200, none: 1583020800 }[name],
    Id: `sha256:${sha256(configs[name])}`,
    Labels: null,
    ParentId: "",
    RepoDigests: null,
    RepoTags: tags,
    SharedSize: sizes[1],
    Size: sizes[0],
  });
  assert.deepEqual(usage.Images, [
    image("none", null, [70_000, 0, 0]),
    image("app", ["app:1", "app:2"], [binaryBytes + 50_000, binaryBytes, 1]),
    image("base", ["base:1"], [binaryBytes, binaryBytes, 0]),
  ]);
  assert.equal(usage.LayersSize, binaryBytes + 50_000 + 70_000);
  assert.equal(usage.LayersReclaimable, 70_000, "layers that no used image needs");
  const [container] = usage.Containers ?? [];
  // What the container wrote, and what the runtime made in its root (/etc/mtab).
  const writable = container?.SizeRw ?? 0;
  assert.ok(writable >= 30_000 && writable < 30_100, String(writable));
  assert.equal(container?.SizeRootFs, binaryBytes + 50_000 + writable);
  const snapshots = join(daemon.dataRoot, "snapshots");
  const onDisk = readdirSync(snapshots).reduce((sum, name) => sum + bytesUnder(join(snapshots, name, "fs")), 0);
  assert.equal(onDisk, usage.LayersSize + writable, "du of the layers");
  const blobBytes = bytesUnder(join(daemon.dataRoot, "content"));
  assert.deepEqual(usage.Content, {
    Count: 3,
    Active: 1,
    Size: blobBytes,
    Reclaimable: blobBytes - configs.app.length,
  });

  assert.deepEqual(await df("?type=volume&type=build-cache"), {
    LayersSize: 0,
    Images: null,
    Containers: null,
    Volumes: [],
    BuildCache: [],
  });
  assert.equal((await df("?type=image")).Containers, null);
  assert.equal((await df("?type=container")).Containers?.length, 1);
  assert.equal((await df("?type=nonsense", "1.41")).Images?.length, 3);
  assert.equal((await df("", "1.43")).Images?.[0]?.["VirtualSize"], 70_000);
  const refused = await daemon.api("GET", "/v1.51/system/df?type=foo");
  assert.deepEqual([refused.status, refused.json], [400, { message: "unknown object type: foo" }]);
  const many = await Promise.all(Array.from({ length: 20 }, () => df()));
  for (const one of many) assert.deepEqual({ ...one, Containers: null }, { ...usage, Containers: null });

  const lines = (
    await daemon.dockerOk(["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}"])
  ).split("\n");
  const megabytes = `${Number((usage.LayersSize / 1e6).toPrecision(4))}MB`;
  assert.deepEqual(lines, [
    `Images|3|1|${megabytes}`,
    "Containers|1|1|30.01kB",
    "Local Volumes|0|0|0B",
    "Build Cache|0|0|0B",
  ]);
  const gantry = await runCommand([...cliArgv(), "system", "df"], { env: { GANTRY_HOST: `unix://${daemon.socket}` } });
  assert.match(
    gantry.stdout,
    /^Images +3 +1 +\S+ +70kB \(\d+%\)\nContainers .*\nLocal .*\nBuild .*\nImage Blobs +3 +1 +\S+ +\S+ \(\d+%\)$/m,
  );
  assert.match(await daemon.dockerOk(["system", "df", "-v"]), /^app +[12] .* 50kB +1$/m);
});
