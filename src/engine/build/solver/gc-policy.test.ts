import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGcPolicy } from "./gc-policy.ts";

const diskBytes = 1000 << 20;

test("without settings a tenth of the disk is kept, with docker's four rules", () => {
  const { enabled, quotaBytes, rules } = parseGcPolicy(undefined, diskBytes);
  assert.deepEqual([enabled, quotaBytes], [true, 100 << 20]);
  assert.deepEqual(
    rules.map(({ all, keepDurationMs, maxUsedBytes }) => [all, keepDurationMs / 3600_000, maxUsedBytes >> 20]),
    [
      [false, 48, 512],
      [false, 1440, 100],
      [false, 0, 100],
      [true, 0, 100],
    ],
  );
});

test("defaultKeepStorage bounds the cache, in units of 1024 or as a part of the disk", () => {
  assert.equal(parseGcPolicy({ enabled: true, defaultKeepStorage: "20MB" }, diskBytes).quotaBytes, 20 << 20);
  assert.equal(parseGcPolicy({ defaultMaxUsedSpace: "20%" }, diskBytes).quotaBytes, 200 << 20);
});

test("rules are taken as they stand", () => {
  const policy = [
    { keepStorage: "10MB", filter: ["unused-for=48h", "type=source.local"] },
    { all: true, maxUsedSpace: "50MB", minFreeSpace: "1MB" },
  ];
  const { rules, quotaBytes } = parseGcPolicy({ policy }, diskBytes);
  assert.equal(quotaBytes, 50 << 20);
  const none = { reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0, keepDurationMs: 0 };
  assert.deepEqual(rules, [
    {
      ...none,
      all: false,
      filters: new Map([["type", ["source.local"]]]),
      reservedBytes: 10 << 20,
      keepDurationMs: 48 * 3600_000,
    },
    { ...none, all: true, filters: new Map(), maxUsedBytes: 50 << 20, minFreeBytes: 1 << 20 },
  ]);
});

test("enabled=false bounds nothing", () => {
  assert.deepEqual(parseGcPolicy({ enabled: false }, diskBytes), {
    enabled: false,
    quotaBytes: Number.MAX_SAFE_INTEGER,
    rules: [],
  });
});

test("what is no setting is refused by name", () => {
  for (const [value, message] of [
    [{ keepStorage: "1" }, "builder.gc: unknown setting keepStorage"],
    [{ policy: [{ keep: 1 }] }, "builder.gc: unknown setting keep"],
    [{ enabled: "yes" }, "builder.gc: enabled must be true or false"],
    [{ defaultKeepStorage: "much" }, /^builder.gc: defaultReservedSpace: /],
  ] as const)
    assert.throws(() => parseGcPolicy(value, diskBytes), { kind: "InvalidParameter", message });
});
