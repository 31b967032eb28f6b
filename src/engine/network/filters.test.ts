import assert from "node:assert/strict";
import { test } from "node:test";
import { newNetworkId } from "../../base/ids.ts";
import type { Filters } from "../api/ports.ts";
import { filterNetworks, parseUntil } from "./filters.ts";
import { selectPrunable } from "./prune.ts";
import { type NetworkRecord, plainNetwork } from "./record.ts";

function record(name: string, change: Partial<NetworkRecord> = {}): NetworkRecord {
  return { ...plainNetwork, id: newNetworkId(), name, driver: "bridge", created: "2026-01-02T03:04:05.5Z", ...change };
}

const records = [
  record("bridge"),
  record("host", { driver: "host" }),
  record("none", { driver: "null" }),
  record("e1", { labels: { a: "1", b: "2" } }),
  record("e2", { labels: { a: "2" } }),
  record("ec", { driver: "null", configOnly: true }),
];

function filtersOf(filters: Readonly<Record<string, readonly string[]>>): Filters {
  return new Map(Object.entries(filters));
}

test("networks are filtered as dockerd does", () => {
  const first = records[0]?.id ?? "";
  for (const [filters, expected] of [
    [{}, "bridge host none e1 e2 ec"],
    [{ name: ["e"] }, "bridge none e1 e2 ec"],
    [{ name: ["^e1$"] }, "e1"],
    [{ name: ["^e"] }, "e1 e2 ec"],
    [{ name: ["2$"] }, "e2"],
    [{ name: ["(a+)+$"] }, ""],
    [{ name: ["e1", "e2"] }, "e1 e2"],
    [{ id: [first.slice(0, 20)] }, "bridge"],
    [{ driver: ["bridge"] }, "bridge e1 e2"],
    [{ driver: ["bri"] }, ""],
    [{ driver: ["bridge", "host"] }, "bridge host e1 e2"],
    [{ type: ["custom"] }, "e1 e2 ec"],
    [{ type: ["builtin"] }, "bridge host none"],
    [{ type: ["builtin", "custom"] }, "bridge host none e1 e2 ec"],
    [{ scope: ["local"] }, "bridge host none e1 e2 ec"],
    [{ scope: ["swarm"] }, ""],
    // e2 is in use.
    [{ dangling: ["true"] }, "e1 ec"],
    [{ dangling: ["0"] }, "bridge host none e2"],
    [{ label: ["a"] }, "e1 e2"],
    [{ label: ["a=2"] }, "e2"],
    [{ label: ["a", "b=2"] }, "e1"],
    [{ label: ["a=1", "a=2"] }, ""],
    [{ label: ["toString"] }, ""],
  ] as const)
    assert.equal(
      filterNetworks(records, filtersOf(filters), ({ name }) => name === "e2")
        .map(({ name }) => name)
        .join(" "),
      expected,
      JSON.stringify(filters),
    );
});

test("filters that are none are refused in dockerd's words", () => {
  for (const [filters, message] of [
    [{ nosuch: ["1"] }, "invalid filter 'nosuch'"],
    [{ type: ["zz"] }, "invalid filter: 'type'='zz'"],
    [{ dangling: ["x"] }, 'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")'],
    [{ dangling: ["true", "false"] }, 'got more than one value for filter key "dangling"'],
  ] as const)
    assert.throws(() => filterNetworks(records, filtersOf(filters), () => false), {
      kind: "InvalidParameter",
      message,
    });
});

test("prune selects by label and age, and never a built-in network or a configuration", () => {
  for (const [filters, expected] of [
    [{}, "e1 e2"],
    [{ label: ["a=2"] }, "e2"],
    [{ "label!": ["b"] }, "e2"],
    [{ "label!": ["a=1", "b=2"] }, "e2"],
    [{ "label!": ["nosuch"] }, "e1 e2"],
    [{ until: ["2026-01-02T03:04:05.4Z"] }, ""],
    [{ until: ["2026-01-02T03:04:06Z"] }, "e1 e2"],
    [{ until: ["10m"], label: ["a"] }, "e1 e2"],
    [{ until: [] }, "e1 e2"],
  ] as const)
    assert.equal(
      records
        .filter(selectPrunable(filtersOf(filters)))
        .map(({ name }) => name)
        .join(" "),
      expected,
      JSON.stringify(filters),
    );
  assert.throws(() => selectPrunable(filtersOf({ dangling: ["true"] })), { message: "invalid filter 'dangling'" });
});

test("until is a time, a date, seconds since 1970 or a duration", () => {
  assert.equal(parseUntil([]), undefined);
  assert.equal(parseUntil(["1700000000.5"]), 1_700_000_000_500_000_000n);
  assert.equal(parseUntil(["1970-01-02"]), 86_400_000_000_000n);
  assert.equal(parseUntil(["1970-01-01T00:00:01+00:00"]), 1_000_000_000n);
  const hourAgo = (BigInt(Date.now()) - 5_400_000n) * 1_000_000n;
  const difference = (parseUntil(["1h30m"]) ?? 0n) - hourAgo;
  assert.ok(difference >= 0n && difference < 60_000_000_000n);
  assert.throws(() => parseUntil(["zz"]), { message: 'failed to parse value as time or duration: "zz"' });
  assert.throws(() => parseUntil(["1", "2"]), { message: "more than one until filter specified" });
});
