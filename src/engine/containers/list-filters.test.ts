import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import { type FilterContext, impliesAll, parseListFilters, parsePruneFilters } from "./list-filters.ts";
import { record } from "./model.test.ts";

const networkId = "ab".repeat(32);
const older = { ...record, created: "2026-11-27T21:00:00.000000000Z" };
const context: FilterContext = {
  find(name) {
    if (name === "older") return older;
    throw new EngineError("NotFound", `No such container: ${name}`);
  },
  imageOf: async (reference) => (reference === "busybox" ? record.imageId : undefined),
  statusOf: ({ state }) => state.status,
  networksOf: () => ["bridge", networkId],
  publishedBy: () => [{ hostPort: 81, protocol: "tcp" }],
};

function filters(entries: Record<string, readonly string[]>): Map<string, readonly string[]> {
  return new Map(Object.entries(entries));
}

test("each filter selects as dockerd's does", async () => {
  const rows: readonly [Record<string, readonly string[]>, boolean][] = [
    [{}, true],
    [{ id: ["a1a1"] }, true],
    [{ id: ["b"] }, false],
    [{ name: ["we"] }, true],
    [{ name: ["^/web$"] }, true],
    [{ name: ["^eb"] }, false],
    [{ name: ["other", "web"] }, true],
    [{ label: ["tier"] }, true],
    [{ label: ["tier=back"] }, false],
    [{ label: ["tier=front", "none"] }, false],
    [{ exited: ["3"] }, true],
    [{ exited: ["0"] }, false],
    [{ status: ["running", "exited"] }, true],
    [{ status: ["running"] }, false],
    [{ health: ["none"] }, true],
    [{ health: ["healthy"] }, false],
    [{ ancestor: ["busybox"] }, true],
    [{ ancestor: ["nothing"] }, false],
    [{ before: ["older"] }, false],
    [{ since: ["older"] }, true],
    [{ volume: ["/data"] }, true],
    [{ volume: ["/other"] }, false],
    [{ network: ["bridge"] }, true],
    [{ network: [networkId.slice(0, 6)] }, true],
    [{ network: ["none"] }, false],
    [{ publish: ["80"] }, false],
    [{ publish: ["81/udp"] }, false],
    [{ publish: ["80-82"] }, true],
    [{ expose: ["80"] }, false],
    [{ "is-task": ["false"] }, true],
    [{ "is-task": ["true"] }, false],
    [{ isolation: ["anything"] }, true],
    [{ name: ["web"], label: ["none"] }, false],
  ];
  for (const [entries, expected] of rows) {
    const matches = await parseListFilters(filters(entries), context);
    assert.equal(matches(record), expected, JSON.stringify(entries));
  }
});

test("ports are exposed while their container runs", async () => {
  const running = { ...record, state: { ...record.state, status: "running" } } as const;
  for (const [value, expected] of [
    ["80", true],
    ["79-81/tcp", true],
    ["80/udp", false],
  ] as const) {
    const matches = await parseListFilters(filters({ expose: [value] }), context);
    assert.equal(matches(running), expected, value);
  }
});

test("unknown filters and values are refused in dockerd's words", async () => {
  const rows: readonly [Record<string, readonly string[]>, string][] = [
    [{ foo: ["x"] }, "invalid filter 'foo'"],
    [
      { status: ["x"] },
      "invalid filter 'status=x': invalid value for state (x): must be one of created, running, paused, restarting, removing, exited, dead",
    ],
    [{ exited: ["x"] }, `invalid filter 'exited=x': strconv.Atoi: parsing "x": invalid syntax`],
    [
      { health: ["x"] },
      "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy",
    ],
    [{ "is-task": ["x"] }, "invalid filter 'is-task=[x]'"],
    [{ publish: ["x"] }, 'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax'],
  ];
  for (const [entries, message] of rows) {
    await assert.rejects(parseListFilters(filters(entries), context), { kind: "InvalidParameter", message });
  }
  await assert.rejects(parseListFilters(filters({ before: ["x"] }), context), {
    kind: "NotFound",
    message: "No such container: x",
  });
});

test("a pattern that could run for ever is taken as a text", async () => {
  const evil = "(a+)+$";
  const matches = await parseListFilters(filters({ name: [evil] }), context);
  assert.equal(matches({ ...record, name: `${"a".repeat(60)}!` }), false);
  assert.equal(matches({ ...record, name: `x${evil}` }), true);
});

test("of all filters only the state's speaks of containers that do not run", () => {
  assert.deepEqual(
    ["status", "exited", "before", "since", "name", "label"].filter((key) => impliesAll(filters({ [key]: ["x"] }))),
    ["status"],
  );
});

test("prune: until is a point in time or an age, label! excludes", () => {
  const now = BigInt(Date.parse("2026-11-27T22:33:19Z")) * 1_000_000n;
  const rows: readonly [Record<string, readonly string[]>, boolean][] = [
    [{}, true],
    [{ until: ["2026-11-27T21:33:20Z"] }, true],
    [{ until: ["2026-11-27T21:33:19Z"] }, false],
    [{ until: ["2026-11-28"] }, true],
    [{ until: ["1h"] }, false],
    [{ until: ["59m59s"] }, true],
    [{ until: ["1795815200"] }, true],
    [{ label: ["tier"] }, true],
    [{ label: ["none"] }, false],
    [{ "label!": ["tier"] }, false],
    [{ "label!": ["none"] }, true],
  ];
  for (const [entries, expected] of rows) {
    assert.equal(parsePruneFilters(filters(entries), now)(record), expected, JSON.stringify(entries));
  }
  assert.throws(() => parsePruneFilters(filters({ until: ["nope"] }), now), {
    message: 'failed to parse value as time or duration: "nope"',
  });
  assert.throws(() => parsePruneFilters(filters({ status: ["exited"] }), now), { message: "invalid filter 'status'" });
});
