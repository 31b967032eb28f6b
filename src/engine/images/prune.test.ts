import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseDigest } from "../../base/digest.ts";
import { parseNamed, renderReference } from "../../base/reference.ts";
import { parseImageConfig } from "./parse-config.ts";
import { type PruneCandidate, parsePruneFilters, planPrune } from "./prune.ts";
import { recordOf } from "./records.ts";

const dayNs = 86_400_000_000_000n;
const nowNs = BigInt(Date.parse("2020-01-10T00:00:00Z")) * 1_000_000n;

function candidate(
  character: string,
  names: readonly string[],
  more: Partial<PruneCandidate> & {
    readonly labels?: Readonly<Record<string, string>>;
    readonly created?: string;
  } = {},
): PruneCandidate {
  const { labels = {}, created = "2020-01-05T00:00:00Z", ...rest } = more;
  const config = {
    architecture: "amd64",
    os: "linux",
    created,
    config: { Labels: labels },
    rootfs: { type: "layers", diff_ids: [] },
  };
  const id = parseDigest(`sha256:${character.repeat(64)}`);
  return {
    image: recordOf(id, parseImageConfig(Buffer.from(JSON.stringify(config))), undefined),
    references: names.map((name) => renderReference(parseNamed(name))),
    hasChildren: false,
    isUsed: false,
    ...rest,
  };
}

const digested = `repo@sha256:${"e".repeat(64)}`;
const world = [
  candidate("a", ["app:1", "app:2"]),
  candidate("b", []),
  candidate("c", [digested]),
  candidate("d", [digested, "repo:1"], { isUsed: true }),
  candidate("e", [], { isUsed: true }),
  candidate("f", [], { hasChildren: true }),
  candidate("0", ["parent"], { hasChildren: true }),
  candidate("1", [], { labels: { keep: "yes", x: "1" }, created: "2020-01-09T00:00:00Z" }),
];
const [b, one] = [world[1]?.image.id, world[7]?.image.id];

function pruned(filters: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return planPrune(world, parsePruneFilters(new Map(Object.entries(filters)), nowNs));
}

describe("image prune", () => {
  test("takes what has no tag, no child and no container", () => {
    for (const values of [["true"], ["1"]]) assert.deepEqual(pruned({ dangling: values }), [b, digested, one]);
    assert.deepEqual(pruned({}), [b, digested, one]);
  });
  test("with dangling=false takes what no container uses; a used image keeps all its names", () => {
    assert.deepEqual(pruned({ dangling: ["false"] }), ["app:1", "app:2", b, digested, "parent:latest", one]);
  });
  test("takes what was made before until, a time or a duration", () => {
    assert.deepEqual(pruned({ until: ["48h"] }), [b, digested]);
    assert.deepEqual(pruned({ until: [String((nowNs - 2n * dayNs) / 1_000_000_000n)] }), [b, digested]);
    assert.deepEqual(pruned({ until: ["2020-01-05T00:00:00Z"] }), [b, digested]);
    assert.deepEqual(pruned({ until: ["2020-01-04"] }), []);
  });
  test("takes what has all labels, and not all of those that are unwanted", () => {
    assert.deepEqual(pruned({ label: ["keep"] }), [one]);
    assert.deepEqual(pruned({ label: ["keep=yes", "x"] }), [one]);
    assert.deepEqual(pruned({ label: ["keep=no"] }), []);
    assert.deepEqual(pruned({ "label!": ["keep"] }), [b, digested]);
    assert.deepEqual(pruned({ "label!": ["keep", "y"] }), [b, digested, one]);
  });
  for (const [filters, message] of [
    [{ foo: ["a"] }, "invalid filter 'foo'"],
    [{ reference: ["a"] }, "invalid filter 'reference'"],
    [{ dangling: ["x"] }, "invalid filter 'dangling=[x]'"],
    [{ dangling: ["true", "false"] }, "invalid filter 'dangling=[true false]'"],
    [{ dangling: [] }, "invalid filter 'dangling'"],
    [{ until: ["a"] }, 'failed to parse value as time or duration: "a"'],
    [{ until: ["1h", "2h"] }, "more than one until filter specified"],
  ] as const)
    test(`refuses ${JSON.stringify(filters)}`, () => {
      assert.throws(() => pruned(filters), { kind: "InvalidParameter", message });
    });
});
