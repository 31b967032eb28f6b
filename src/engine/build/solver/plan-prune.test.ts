import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChainId } from "../../../base/digest.ts";
import type { CacheEntry } from "./index.ts";
import { type PruneCandidate, type PruneRules, keepBytesOf, planPrune } from "./plan-prune.ts";
import { parseCacheFilters } from "./prune-filters.ts";

const nowNs = BigInt(Date.parse("2026-01-10T00:00:00Z")) * 1_000_000n;

function candidate(id: string, chain: string, day: number, given: Partial<CacheEntry> = {}): PruneCandidate {
  const at = `2026-01-0${day}T00:00:00Z`;
  return {
    chain: Array.from(chain) as unknown as ChainId[],
    entry: {
      id,
      parents: [],
      type: "regular",
      description: `RUN ${id}`,
      inUse: false,
      shared: false,
      sizeBytes: 10,
      createdAt: at,
      lastUsedAt: at,
      usageCount: 1,
      ...given,
    },
  };
}

const everything: PruneRules = {
  all: true,
  matches: () => true,
  unusedSinceNs: undefined,
  keepBytes: undefined,
  reason: "",
};

function ids(candidates: readonly PruneCandidate[], rules: Partial<PruneRules>): readonly string[] {
  const layers = new Map(Array.from("abcdefg").map((layer) => [layer as unknown as ChainId, 10]));
  return planPrune(candidates, layers, { ...everything, ...rules }).removed.map(({ entry }) => entry.id);
}

const family = [
  candidate("base", "a", 1),
  candidate("child", "ab", 3, { parents: ["base"] }),
  candidate("other", "ac", 2, { parents: ["base"] }),
];

test("everything that is not in use goes, users before what they use, the longest unused first", () => {
  assert.deepEqual(ids(family, {}), ["other", "child", "base"]);
});

test("under what is in use, or stays for another reason, nothing goes", () => {
  const [base, child, other] = family as [PruneCandidate, PruneCandidate, PruneCandidate];
  const used = { ...child, entry: { ...child.entry, inUse: true } };
  assert.deepEqual(ids([base, used, other], {}), ["other"]);
  assert.deepEqual(ids(family, { matches: ({ id }) => id === "base" }), []);
});

test("with a bound no more goes than must: a shared layer counts once and is free with its last user", () => {
  assert.deepEqual(ids(family, { keepBytes: 30 }), []);
  assert.deepEqual(ids(family, { keepBytes: 29 }), ["other"]);
  assert.deepEqual(ids(family, { keepBytes: 19 }), ["other", "child"]);
  assert.deepEqual(ids(family, { keepBytes: 0 }), ["other", "child", "base"]);
});

test("entries of stores count by their size", () => {
  const store = candidate("context", "", 1, { type: "source.local", sizeBytes: 100 });
  assert.deepEqual(ids([...family, store], { keepBytes: 100 }), ["context"]);
});

test("without `all`, shared, internal and frontend entries stay", () => {
  const kinds = [
    candidate("shared", "a", 1, { shared: true }),
    candidate("internal", "b", 1, { type: "internal" }),
    candidate("frontend", "c", 1, { type: "frontend" }),
    candidate("regular", "d", 1),
  ];
  assert.deepEqual(ids(kinds, { all: false }), ["regular"]);
});

test("until leaves what was used since", () => {
  const { unusedSinceNs } = parseCacheFilters(new Map([["until", ["180h"]]]), nowNs);
  assert.deepEqual(ids(family, { unusedSinceNs }), ["other"]);
});

test("filters: values are joined by or, names by and", () => {
  const kept = (filters: Record<string, readonly string[]>): readonly string[] => {
    const parsed = parseCacheFilters(new Map(Object.entries(filters)), nowNs);
    return family.filter(({ entry }) => parsed.matches(entry)).map(({ entry }) => entry.id);
  };
  assert.deepEqual(kept({ id: ["chi", "oth"] }), ["child", "other"]);
  assert.deepEqual(kept({ id: ["chi", "oth"], parent: ["base"], type: ["regular"] }), ["child", "other"]);
  assert.deepEqual(kept({ description: ["RUN base"] }), ["base"]);
  assert.deepEqual(kept({ inuse: [] }), []);
  assert.deepEqual(kept({ private: ["true"], shared: ["false"] }), ["base", "child", "other"]);
  for (const [filters, message] of [
    [{ name: ["a"] }, "invalid filter 'name'"],
    [{ inuse: ["perhaps"] }, "invalid filter 'inuse=[perhaps]'"],
    [{ until: ["soon"] }, `"until" filter expects a duration (e.g., '24h') or a timestamp`],
    [{ until: ["1h", "2h"] }, 'filters expect only one value: {"until": ["1h","2h"]}'],
  ] as const)
    assert.throws(() => parseCacheFilters(new Map(Object.entries(filters)), nowNs), {
      kind: "InvalidParameter",
      message,
    });
});

test("bounds: free space lowers what may stay, reserved space raises it", () => {
  const none = { reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0 };
  assert.equal(keepBytesOf(none, 100, 50), undefined);
  assert.equal(keepBytesOf({ ...none, maxUsedBytes: 80 }, 100, 50), 80);
  assert.equal(keepBytesOf({ ...none, minFreeBytes: 40 }, 100, 50), 100);
  assert.equal(keepBytesOf({ ...none, minFreeBytes: 70 }, 100, 50), 80);
  assert.equal(keepBytesOf({ ...none, minFreeBytes: 500, reservedBytes: 30 }, 100, 50), 30);
  assert.equal(keepBytesOf({ ...none, reservedBytes: 30 }, 100, 50), 30);
});
