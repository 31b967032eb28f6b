import assert from "node:assert/strict";
import { test } from "node:test";
import type { Volume } from "../../spec/docker/volume.ts";
import { selectPrunable, selectVolumes } from "./filters.ts";
import type { VolumeRecord } from "./index.ts";

const record: VolumeRecord = {
  name: "data",
  driver: "local",
  created: "2026-01-01T00:00:00Z",
  labels: { a: "b", c: "" },
  options: null,
  scope: "local",
  anonymous: false,
};
const volume: Volume = {
  Name: "data",
  Driver: "local",
  Mountpoint: "",
  Labels: record.labels,
  Scope: "local",
  Options: null,
};

function filters(map: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(map));
}

test("a list's filters: names are patterns or parts, labels are all needed, dangling is a boolean", () => {
  for (const [wanted, matches] of [
    [{}, true],
    [{ name: ["at"] }, true],
    [{ name: ["^data$"] }, true],
    [{ name: ["^ata$"] }, false],
    [{ name: ["dat[ab]"] }, true],
    [{ name: ["("] }, false],
    [{ name: ["(a+)+$"] }, false],
    [{ name: ["x", "data"] }, true],
    [{ label: ["a"] }, true],
    [{ label: ["a=b", "c"] }, true],
    [{ label: ["a=b", "z"] }, false],
    [{ label: ["constructor"] }, false],
    [{ driver: ["local"] }, true],
    [{ driver: ["loc"] }, false],
    [{ dangling: ["true"] }, false],
    [{ dangling: ["false"] }, true],
    [{ dangling: ["0"] }, true],
  ] as const)
    assert.equal(selectVolumes(filters(wanted), () => true).matches(volume), matches, JSON.stringify(wanted));
  assert.equal(selectVolumes(filters({ dangling: ["1"] }), () => false).matches(volume), true);
});

test("filters that are none are refused in dockerd's words", () => {
  for (const [wanted, message] of [
    [{ foo: ["x"] }, "invalid filter 'foo'"],
    [{ dangling: ["x"] }, "invalid filter 'dangling=[x]'"],
    [{ dangling: ["true", "false"] }, "invalid filter 'dangling=[true false]'"],
  ] as const)
    assert.throws(() => selectVolumes(filters(wanted), () => true), { kind: "InvalidParameter", message });
  for (const [wanted, message] of [
    [{ dangling: ["true"] }, "invalid filter 'dangling'"],
    [{ all: ["banana"] }, `invalid filter 'all': strconv.ParseBool: parsing "banana": invalid syntax`],
    [{ all: ["true", "false"] }, "invalid filter 'all=[true false]': only one value is expected"],
  ] as const)
    assert.throws(() => selectPrunable(filters(wanted)), { kind: "InvalidParameter", message });
});

test("a prune takes anonymous volumes, all of them when asked, and minds labels", () => {
  const anonymous = { ...record, labels: { "com.docker.volume.anonymous": "" } };
  for (const [wanted, expected] of [
    [{}, [false, true]],
    [{ all: ["false"] }, [false, true]],
    [{ all: ["1"] }, [true, true]],
    [{ all: ["1"], label: ["a=b"] }, [true, false]],
    [{ all: ["1"], "label!": ["a"] }, [false, true]],
    [{ label: ["a"] }, [false, false]],
  ] as const) {
    const selects = selectPrunable(filters(wanted));
    assert.deepEqual([selects(record), selects(anonymous)], expected, JSON.stringify(wanted));
  }
});
