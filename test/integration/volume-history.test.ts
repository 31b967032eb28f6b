// Snapshots of volumes over HTTP, with a daemon that is killed in the middle of each of their steps. Needs root.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import type { VolumeSnapshot } from "../../src/spec/docker/volume.ts";
import { buildBundle } from "../support/bundle.ts";
import { type ApiResult, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { readArchive } from "../support/read-archive.ts";
import { directory, file, symlink, tarOf } from "../support/tar.ts";
import { describeTree } from "../support/tree.ts";

/** One after the other, as they are met. */
const points = [
  "volume.snapshot.intended",
  "volume.snapshot.copied",
  "volume.snapshot.committed",
  "volume.snapshot.removed",
  "volume.restore.intended",
  "volume.restore.copied",
  "volume.restore.moving",
  "volume.restore.moved",
  "volume.restore.recorded",
  "volume.import.unpacked",
  "volume.import.adopted",
] as const;

const bundle = buildBundle();
after(() => bundle[Symbol.dispose]());

describe("snapshots of volumes", () => {
  let daemon: TestDaemon;
  let armed: string;
  let number = 0;

  before(async () => {
    armed = join(mkdtempSync(join(tmpdir(), "gantry-history-")), "failpoints");
    writeFileSync(armed, "");
    daemon = await startDaemon({ bundle: bundle.dir, env: { GANTRY_FAILPOINTS_FILE: armed } });
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(join(armed, ".."), { recursive: true });
  });

  const call = (method: string, path: string, body?: unknown): Promise<ApiResult> =>
    daemon.api(method, `/volumes${path}`, body);
  const must = async (status: number, method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await call(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    return answer.json;
  };
  const names = async (volume: string): Promise<readonly string[]> =>
    ((await must(200, "GET", `/${volume}/snapshots`)) as readonly VolumeSnapshot[]).map(({ Name }) => Name);
  const directoryOf = (volume: string): string => join(daemon.dataRoot, "volumes", volume);

  /** A volume with a file, and where its data is. */
  async function makeVolume(options: Readonly<Record<string, string>> = {}): Promise<{ name: string; data: string }> {
    const name = `history${number++}`;
    await must(201, "POST", "/create", { Name: name, DriverOpts: options });
    const data = options["device"] ?? join(directoryOf(name), "_data");
    writeFileSync(join(data, "work"), "one");
    symlinkSync("/etc/passwd", join(data, "link"));
    mkdirSync(join(data, "sub"));
    return { name, data };
  }

  it("a snapshot is taken, listed, restored in place and removed; what it replaces becomes one", async () => {
    const { name, data } = await makeVolume();
    const first = (await must(201, "POST", `/${name}/snapshots`, { Name: "first", Comment: "why" })) as VolumeSnapshot;
    assert.deepEqual(
      { ...first, CreatedAt: "", Shared: false },
      { Name: "first", Volume: name, CreatedAt: "", Size: 3, Shared: false, Comment: "why" },
    );
    assert.match(first.CreatedAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const was = describeTree(data);
    writeFileSync(join(data, "work"), "two, longer");
    writeFileSync(join(data, "more"), "");
    execFileSync("chmod", ["711", data]);
    const changed = describeTree(data);
    const { Replaced } = (await must(200, "POST", `/${name}/restore?snapshot=first`)) as { Replaced: VolumeSnapshot };
    assert.deepEqual(describeTree(data), was);
    assert.match(Replaced.Name, /^before-first-\d{8}T\d{6}Z$/);
    assert.deepEqual(await names(name), ["first", Replaced.Name]);
    await must(200, "POST", `/${name}/restore?snapshot=${Replaced.Name}&discard=1`);
    assert.deepEqual(describeTree(data), changed);
    assert.deepEqual(await names(name), ["first", Replaced.Name]);
    for (const snapshot of ["first", Replaced.Name]) await must(204, "DELETE", `/${name}/snapshots/${snapshot}`);
    assert.deepEqual([await names(name), readdirSync(join(directoryOf(name), "snapshots"))], [[], []]);
    const unnamed = (await must(201, "POST", `/${name}/snapshots`)) as VolumeSnapshot;
    assert.match(unnamed.Name, /^\d{8}T\d{6}Z$/);
  });

  it("a volume with snapshots is not removed with them unless that is said, and never by a prune", async () => {
    const { name } = await makeVolume();
    await must(201, "POST", `/${name}/snapshots`, { Name: "kept" });
    const refused = await call("DELETE", `/${name}`);
    assert.deepEqual(
      [refused.status, (refused.json as { readonly message: string }).message],
      [
        409,
        `remove ${name}: volume has snapshots that would be deleted with it (kept): remove them first, or use --force`,
      ],
    );
    const pruned = (await must(200, "POST", `/prune?filters={"all":["1"]}`)) as { readonly VolumesDeleted: string[] };
    assert.ok(!pruned.VolumesDeleted.includes(name));
    const usage = (await daemon.api("GET", "/system/df?type=volume")).json as {
      readonly Volumes: readonly { readonly Name: string; readonly UsageData: { readonly Size: number } }[];
    };
    const { Size, Shared } = ((await must(200, "GET", `/${name}/snapshots`)) as VolumeSnapshot[])[0] ?? {};
    const own = usage.Volumes.find((volume) => volume.Name === name)?.UsageData.Size ?? 0;
    assert.ok(own >= 3 + (Shared === true ? 0 : (Size ?? Infinity)), String(own));
    await must(204, "DELETE", `/${name}?force=1`);
    assert.ok(!readdirSync(join(daemon.dataRoot, "volumes")).includes(name));
    // Another one of that name has none.
    await must(201, "POST", "/create", { Name: name });
    await must(204, "DELETE", `/${name}`);
  });

  it("bad wishes are refused in clear words, and nothing is left of them", async () => {
    const { name } = await makeVolume();
    await must(201, "POST", `/${name}/snapshots`, { Name: "there" });
    for (const [status, method, path, body, text] of [
      [404, "POST", "/none/snapshots", {}, /no such volume/],
      [404, "POST", `/${name}/restore?snapshot=none`, undefined, /has no snapshot none/],
      [404, "DELETE", `/${name}/snapshots/none`, undefined, /has no snapshot none/],
      [404, "GET", `/${name}/export?snapshot=none`, undefined, /has no snapshot none/],
      [409, "POST", `/${name}/snapshots`, { Name: "there" }, /has a snapshot there already/],
      [409, "POST", `/import?name=${name}`, Buffer.from(""), /already/],
      ...["../x", "x", "a/b", ".", "-a", "a\nb", "x".repeat(256)].map(
        (wish) => [400, "POST", `/${name}/snapshots`, { Name: wish }, /snapshot/] as const,
      ),
      ...["../x", "x", ".new-a", "a b"].map(
        (wish) => [400, "POST", `/import?name=${encodeURIComponent(wish)}`, Buffer.from(""), /name/] as const,
      ),
    ] as const) {
      const answer = await call(method, path, body);
      assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`);
      assert.match(answer.text, text);
    }
    assert.deepEqual(await names(name), ["there"]);
    assert.equal(readdirSync(join(directoryOf(name), "snapshots")).length, 1);
  });

  it("a bound directory is restored in place as well, through its own file system", async () => {
    const device = mkdtempSync("/dev/shm/gantry-history-");
    try {
      const { name } = await makeVolume({ type: "none", o: "bind", device });
      await must(201, "POST", `/${name}/snapshots`, { Name: "first" });
      const was = describeTree(device);
      writeFileSync(join(device, "work"), "two");
      const changed = describeTree(device);
      const { Replaced } = (await must(200, "POST", `/${name}/restore?snapshot=first`)) as { Replaced: VolumeSnapshot };
      assert.deepEqual({ ...describeTree(device), ".": "" }, { ...was, ".": "" });
      await must(200, "POST", `/${name}/restore?snapshot=${Replaced.Name}&discard=1`);
      assert.deepEqual({ ...describeTree(device), ".": "" }, { ...changed, ".": "" });
    } finally {
      rmSync(device, { recursive: true });
    }
  });

  it("a volume goes out as a tar and comes in again, compressed or not", async () => {
    const { name, data } = await makeVolume();
    execFileSync("chown", ["999:34", data]);
    execFileSync("chmod", ["2770", data]);
    await must(201, "POST", `/${name}/snapshots`, { Name: "first" });
    writeFileSync(join(data, "work"), "two");
    for (const [query, word] of [
      ["", "two"],
      ["?snapshot=first", "one"],
    ] as const) {
      const tar = await call("GET", `/${name}/export${query}`);
      assert.equal(tar.status, 200, tar.text);
      const copy = `${name}-${word}`;
      const body = word === "one" ? gzipSync(tar.bytes) : tar.bytes;
      await must(201, "POST", `/import?name=${copy}&labels=${encodeURIComponent('{"a":"b"}')}`, body);
      const imported = join(directoryOf(copy), "_data");
      assert.equal(readFileSync(join(imported, "work"), "utf8"), word);
      assert.deepEqual(readdirSync(imported).toSorted(), ["link", "sub", "work"]);
      const { uid, gid, mode } = lstatSync(imported);
      assert.deepEqual([uid, gid, (mode & 0o7777).toString(8)], [999, 34, "2770"]);
      assert.deepEqual(((await must(200, "GET", `/${copy}`)) as { Labels: unknown }).Labels, { a: "b" });
      assert.ok(Object.keys(readArchive(tar.bytes)).length > 0);
      await must(204, "DELETE", `/${copy}`);
    }
  });

  it("hostile and damaged tars are confined, and leave no volume", async () => {
    const outside = join(armed, "../outside");
    mkdirSync(outside, { recursive: true });
    const hostile = {
      link: tarOf(symlink("l", outside), file("l/x", "x")),
      dots: tarOf(file("../../../../../../escape", "x")),
      cut: tarOf(directory("d"), file("f", "x".repeat(5000))).subarray(0, 2500),
      noise: Buffer.from("this is no tar at all".repeat(100)),
    };
    for (const [what, tar] of Object.entries(hostile)) {
      const answer = await call("POST", `/import?name=bad-${what}`, tar);
      assert.ok([400, 201].includes(answer.status), `${what}: ${answer.status} ${answer.text}`);
      if (answer.status === 201) await must(204, "DELETE", `/bad-${what}`);
      assert.deepEqual(readdirSync(outside), [], what);
    }
    const left = readdirSync(join(daemon.dataRoot, "volumes")).filter((entry) => /^\.|bad/.test(entry));
    assert.deepEqual(left, []);
  });

  for (const kind of ["kill9", "error"] as const)
    it(`whatever is cut by ${kind} is whole or as before, and nothing is left over`, async () => {
      for (const point of points) {
        const { name, data } = await makeVolume();
        await must(201, "POST", `/${name}/snapshots`, { Name: "first" });
        await must(201, "POST", `/${name}/snapshots`, { Name: "other" });
        const restored = { ...describeTree(data), ".": "" };
        writeFileSync(join(data, "work"), "two");
        const changed = { ...describeTree(data), ".": "" };
        writeFileSync(armed, `${point}=${kind}`);
        const tar = tarOf(file("f", "f"));
        const [method, path, body] = /import/.test(point)
          ? ["POST", `/import?name=${name}-in`, tar]
          : /restore/.test(point)
            ? ["POST", `/${name}/restore?snapshot=first`]
            : point.endsWith("removed")
              ? ["DELETE", `/${name}/snapshots/other`]
              : ["POST", `/${name}/snapshots`, { Name: "second" }];
        const answer = await call(method ?? "", path ?? "", body).catch(() => undefined);
        writeFileSync(armed, "");
        if (kind === "kill9") {
          assert.equal(answer, undefined, `${point} was not met`);
          await daemon.kill9();
          await daemon.start({ GANTRY_FAILPOINTS_FILE: armed });
        } else assert.match(answer?.text ?? "", new RegExp(`failpoint ${point}`));
        // Finishes what an error has left.
        const left = await names(name);
        const now = { ...describeTree(data), ".": "" };
        const isRestored = left.some((snapshot) => snapshot.startsWith("before-"));
        assert.deepEqual(now, isRestored ? restored : changed, point);
        if (/restore\.(?:moved|recorded)/.test(point)) assert.ok(isRestored, point);
        if (/restore\.(?:intended|copied)/.test(point)) assert.equal(isRestored, false, point);
        assert.equal(left.includes("second"), point === "volume.snapshot.committed", point);
        assert.equal(left.includes("other"), point !== "volume.snapshot.removed", point);
        const directories = readdirSync(join(directoryOf(name), "snapshots"));
        // What a failure has left of a removal is the next start's.
        const rest = kind === "error" && point === "volume.snapshot.removed" ? 1 : 0;
        assert.equal(directories.length, left.length + rest, `${point}: ${directories.join(" ")}`);
        const imported = await call("GET", `/${name}-in`);
        assert.equal(imported.status, point === "volume.import.adopted" ? 200 : 404, point);
        assert.deepEqual(
          readdirSync(join(daemon.dataRoot, "volumes")).filter((entry) => entry.startsWith(".")),
          [],
          point,
        );
        await call("DELETE", `/${name}?force=1`);
        await call("DELETE", `/${name}-in`);
      }
    });
});
