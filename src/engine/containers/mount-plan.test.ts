import assert from "node:assert/strict";
import { test } from "node:test";
import { newContainerId } from "../../base/ids.ts";
import type { HostConfig } from "../../spec/docker/container.ts";
import { planMounts } from "../runtime/index.ts";
import { anonymousVolumesOf, layerKeysOf, layerOwner, mountedImagesOf, mountsOf, volumeNamesOf } from "./mount-plan.ts";

const id = newContainerId();
const plannedOf = (hostConfig: HostConfig, volumes = {}): ReturnType<typeof planMounts>["mounts"] =>
  planMounts({ hostConfig, volumes, recursiveReadOnly: true }).mounts;

test("a record of a daemon that had no volumes has the mounts of its HostConfig", () => {
  const hostConfig: HostConfig = { Binds: ["/srv:/srv:ro"], Tmpfs: { "/t": "" } };
  assert.deepEqual(mountsOf({ id, hostConfig }), plannedOf(hostConfig));
  assert.deepEqual(
    [volumeNamesOf({}), anonymousVolumesOf({}), mountedImagesOf({}), layerKeysOf({ id })],
    [[], [], [], [id]],
  );
});

test("a mount of an older record that is not possible any more is an error, never left out", () => {
  const hostConfig: HostConfig = { Binds: ["/srv:/srv", `/srv:/${"x".repeat(300)}`] };
  assert.throws(() => mountsOf({ id, hostConfig }), /a mount of container .* is not possible: .*file name too long/);
});

test("what was decided at create counts, whatever HostConfig says", () => {
  const plannedMounts = plannedOf({ Binds: ["data:/data"] }, { "/a": {}, "/b": {} }).map((mount, n) =>
    mount.kind === "volume" && mount.anonymous ? { ...mount, name: `anonymous${n}` } : mount,
  );
  assert.equal(mountsOf({ id, hostConfig: {}, plannedMounts }), plannedMounts);
  assert.deepEqual(volumeNamesOf({ plannedMounts }), ["data", "anonymous1", "anonymous2"]);
  assert.deepEqual(anonymousVolumesOf({ plannedMounts }), ["anonymous1", "anonymous2"]);
});

test("a container keeps a layer for each image that it mounts, named after it", () => {
  const plannedMounts = plannedOf({
    Mounts: [
      { Type: "image", Source: "one", Target: "/one" },
      { Type: "volume", Source: "data", Target: "/data" },
      { Type: "image", Source: "two", Target: "/two" },
    ],
  });
  const keys = layerKeysOf({ id, plannedMounts });
  assert.deepEqual(keys, [id, `${id}-image-0`, `${id}-image-1`]);
  assert.deepEqual(new Set(keys.map(layerOwner)), new Set([id]));
});
