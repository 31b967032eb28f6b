import assert from "node:assert/strict";
import { test } from "node:test";
import type { Images } from "../images/index.ts";
import { createDiskMeter } from "./disk-usage.ts";

const content = { Count: 1, Active: 0, Size: 5, Reclaimable: 5 };

/** Rooms whose measurements end when told to, and are counted. */
function slowRooms() {
  const calls = { images: 0, containers: 0, volumes: 0 };
  const gate = { current: Promise.withResolvers<void>() };
  const rooms = {
    images: {
      diskUsage: async (): ReturnType<Images["diskUsage"]> => {
        calls.images++;
        await gate.current.promise;
        return { layersBytes: 10, reclaimableLayersBytes: 4, images: [], content };
      },
    },
    containers: {
      list: async () => {
        calls.containers++;
        await gate.current.promise;
        return [];
      },
    },
    volumes: {
      usage: async () => {
        calls.volumes++;
        await gate.current.promise;
        return [volume];
      },
    },
  };
  return { calls, gate, measure: createDiskMeter({ ...rooms, buildCache: { entries: async () => [entry] } }) };
}

const volume = {
  Name: "data",
  Driver: "local",
  Mountpoint: "/data",
  Labels: null,
  Scope: "local",
  Options: null,
  UsageData: { RefCount: 1, Size: 7 },
} as const;

const entry = {
  id: "r1",
  parents: ["r0"],
  type: "regular",
  description: "[1/2] RUN make",
  inUse: false,
  shared: true,
  sizeBytes: 5,
  createdAt: "2026-01-01T00:00:00Z",
  lastUsedAt: undefined,
  usageCount: 2,
} as const;
const shown = {
  ID: "r1",
  Parents: ["r0"],
  Type: "regular",
  Description: "[1/2] RUN make",
  InUse: false,
  Shared: true,
  Size: 5,
  CreatedAt: "2026-01-01T00:00:00Z",
  LastUsedAt: null,
  UsageCount: 2,
};

test("those who ask while it is being measured share one measurement; the next one measures anew", async () => {
  const { calls, gate, measure } = slowRooms();
  const all = new Set(["image", "container", "volume", "build-cache"] as const);
  const asked = Promise.all([measure(all), measure(all), measure(new Set(["image"]))]);
  gate.current.resolve();
  const whole = {
    LayersSize: 10,
    Images: [],
    Containers: [],
    Volumes: [volume],
    BuildCache: [shown],
    LayersReclaimable: 4,
    Content: content,
  };
  assert.deepEqual(await asked, [whole, whole, { ...whole, Containers: null, Volumes: null, BuildCache: null }]);
  assert.deepEqual(calls, { images: 1, containers: 1, volumes: 1 });
  await measure(all);
  assert.deepEqual(calls, { images: 2, containers: 2, volumes: 2 });
});

test("what is not asked for is not measured", async () => {
  const { calls, measure } = slowRooms();
  assert.deepEqual(await measure(new Set(["build-cache"])), {
    LayersSize: 0,
    Images: null,
    Containers: null,
    Volumes: null,
    BuildCache: [shown],
  });
  assert.deepEqual(calls, { images: 0, containers: 0, volumes: 0 });
});

test("a measurement that fails is not remembered", async () => {
  const { calls, gate, measure } = slowRooms();
  gate.current.reject(new Error("disk"));
  await assert.rejects(measure(new Set(["image"])), { message: "disk" });
  gate.current = Promise.withResolvers<void>();
  gate.current.resolve();
  assert.equal((await measure(new Set(["image"]))).LayersSize, 10);
  assert.equal(calls.images, 2);
});
