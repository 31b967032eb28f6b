import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiskUsage } from "../../client/disk.ts";
import { renderVerbose, summaryRows } from "./commands/system-df.ts";
import { pruneWarning } from "./commands/system-prune.ts";

const nowMs = Date.parse("2020-01-02T00:00:00Z");
const usage: DiskUsage = {
  LayersSize: 1000,
  Images: [
    {
      Id: `sha256:${"a".repeat(64)}`,
      RepoTags: ["app:1"],
      Created: nowMs / 1000 - 3600,
      Size: 900,
      SharedSize: 500,
      Containers: 1,
    },
    {
      Id: `sha256:${"b".repeat(64)}`,
      RepoTags: null,
      Created: nowMs / 1000 - 7200,
      Size: 600,
      SharedSize: 500,
      Containers: 0,
    },
  ],
  Containers: [
    {
      Id: "c".repeat(64),
      State: "running",
      SizeRw: 30,
      SizeRootFs: 930,
      Names: ["/c"],
      Image: "app:1",
      Command: "sh",
      Created: nowMs / 1000 - 60,
      Status: "Up",
    },
    {
      Id: "d".repeat(64),
      State: "exited",
      SizeRw: 70,
      SizeRootFs: 970,
      Names: ["/d"],
      Image: "app:1",
      Command: "sh",
      Created: nowMs / 1000 - 60,
      Status: "Exited",
    },
  ],
  Volumes: [
    { Name: "v", UsageData: { Size: 10, RefCount: 1 } },
    { Name: "w", UsageData: { Size: 30, RefCount: 0 } },
    { Name: "x", UsageData: { Size: -1, RefCount: 0 } },
  ],
  BuildCache: [
    { ID: "e", Type: "regular", Size: 5, InUse: true },
    { ID: "f", Type: "regular", Size: 7, UsageCount: 2, CreatedAt: "2020-01-01T00:00:00Z" },
    { ID: "g", Type: "regular", Size: 100, Shared: true },
  ],
};
const cells = (rows: ReturnType<typeof summaryRows>): unknown =>
  rows.map(({ Type, TotalCount, Active, Size, Reclaimable }) => [Type, TotalCount, Active, Size, Reclaimable]);

test("the summary reckons as docker does", () => {
  assert.deepEqual(cells(summaryRows(usage)), [
    ["Images", "2", "1", "1kB", "600B (60%)"],
    ["Containers", "2", "1", "100B", "70B (70%)"],
    ["Local Volumes", "3", "1", "40B", "30B (75%)"],
    ["Build Cache", "3", "1", "12B", "7B"],
  ]);
  assert.deepEqual(cells(summaryRows({})), [
    ["Images", "0", "0", "0B", "0B"],
    ["Containers", "0", "0", "0B", "0B"],
    ["Local Volumes", "0", "0", "0B", "0B"],
    ["Build Cache", "0", "0", "0B", "0B"],
  ]);
});

test("what gantryd says of shared layers and of blobs is shown", () => {
  const Content = { Count: 4, Active: 1, Size: 200, Reclaimable: 150 };
  const rows = cells(summaryRows({ ...usage, LayersReclaimable: 100, Content })) as unknown[];
  assert.deepEqual(rows[0], ["Images", "2", "1", "1kB", "100B (10%)"]);
  assert.deepEqual(rows[4], ["Image Blobs", "4", "1", "200B", "150B (75%)"]);
  const verbose = renderVerbose({ ...usage, Content }, "", nowMs, false);
  assert.match(verbose, /\n\nImage blobs usage: 200B in 4 blobs, 150B reclaimable\n$/);
});

test("verbose shows every object, in the columns of docker", () => {
  const text = renderVerbose(usage, "", nowMs, false);
  for (const line of [
    /^Images space usage:\n\nREPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS$/m,
    /^app +1 +a{12} +About an hour ago +900B +500B +400B +1$/m,
    /^<none> +<none> +b{12} +2 hours ago +600B +500B +100B +0$/m,
    /^Containers space usage:\n\nCONTAINER ID +IMAGE +COMMAND +LOCAL VOLUMES +SIZE +CREATED +STATUS +NAMES$/m,
    /^d{12} +app:1 +"sh" +0 +70B +About a minute ago +Exited +d$/m,
    /^v +1 +10B$/m,
    /^x +0 +N\/A$/m,
    /^Build cache usage: 12B$/m,
    /^f +regular +7B +24 hours ago +2 +false$/m,
  ])
    assert.match(text, line);
  const json = JSON.parse(renderVerbose(usage, "json", nowMs, false)) as Record<string, readonly unknown[]>;
  assert.deepEqual(
    Object.entries(json).map(([key, rows]) => [key, rows.length]),
    [
      ["Images", 2],
      ["Containers", 2],
      ["Volumes", 3],
      ["BuildCache", 3],
    ],
  );
  assert.equal(renderVerbose(usage, "{{range .Volumes}}{{.Name}} {{end}}", nowMs, false), "v w x ");
});

test("the question of prune names what goes, and the filters", () => {
  assert.equal(
    pruneWarning(false, false, []),
    "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n" +
      "  - all dangling images\n  - unused build cache\n",
  );
  assert.equal(
    pruneWarning(true, true, ["label=a", "until=1h"]),
    "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n" +
      "  - all anonymous volumes not used by at least one container\n" +
      "  - all images without at least one container associated to them\n  - all build cache\n\n" +
      "  Items to be pruned will be filtered with:\n  - label=a\n  - until=1h\n",
  );
});
