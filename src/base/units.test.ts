// Sizes and durations: examples as the docker CLI prints and accepts them, and properties.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  formatG,
  parseGoDuration,
  parseHumanSize,
  parseRamBytes,
  renderBinarySize,
  renderGoDuration,
  renderHumanDuration,
  renderHumanSize,
} from "./units.ts";

test("sizes with binary units are read as Docker reads them", () => {
  const good: readonly (readonly [string, number])[] = [
    ["32", 32],
    ["32b", 32],
    ["32B", 32],
    ["32k", 32768],
    ["32KB", 32768],
    ["32Kib", 32768],
    ["64m", 67108864],
    ["1.5GiB", 1610612736],
    ["32.5 kB", 33280],
    ["2t", 2199023255552],
    ["1p", 1125899906842624],
    ["0.3 K", 307],
    [".3kB", 307],
    ["0", 0],
  ];
  for (const [text, bytes] of good) assert.equal(parseRamBytes(text), bytes, text);
  for (const [text, message] of [
    ["", "invalid size: ''"],
    ["abc", "invalid size: 'abc'"],
    ["-5m", "invalid size: '-5m'"],
    ["32bb", "invalid suffix: 'bb'"],
    ["32x", "invalid suffix: 'x'"],
    ["32kx", "invalid suffix: 'kx'"],
    ["1..2k", 'strconv.ParseFloat: parsing "1..2": invalid syntax'],
  ] as const)
    assert.throws(() => parseRamBytes(text), { message }, text);
});

test("sizes with decimal units are read as Docker reads them", () => {
  assert.equal(parseHumanSize("32k"), 32000);
  assert.equal(parseHumanSize("1.5GB"), 1500000000);
});

test("sizes are written as Docker writes them", () => {
  assert.equal(renderHumanSize(0), "0B");
  assert.equal(renderHumanSize(1000), "1kB");
  assert.equal(renderHumanSize(1024), "1.024kB");
  assert.equal(renderHumanSize(4269694, 3), "4.27MB");
  assert.equal(renderHumanSize(999_999, 3), "1e+03kB");
  assert.equal(renderHumanSize(4.1e12), "4.1TB");
  assert.equal(renderBinarySize(25280397312), "23.54GiB");
  assert.equal(formatG(0.00001234, 3), "1.23e-05");
  assert.equal(formatG(100, 3), "100");
});

test("a rendered binary size reads back within its precision", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 - 2 ** 40 }), (bytes) => {
      const text = renderBinarySize(bytes);
      if (text.includes("e")) return;
      assert.ok(Math.abs(parseRamBytes(text) - bytes) <= bytes * 0.0006 + 1, `${bytes} ${text}`);
    }),
  );
});

test("lengths of time are said in Docker's words", () => {
  const hour = 3600;
  const day = 24 * hour;
  for (const [seconds, words] of [
    [0.45, "Less than a second"],
    [1, "1 second"],
    [45, "45 seconds"],
    [60, "About a minute"],
    [119, "About a minute"],
    [180, "3 minutes"],
    [hour, "About an hour"],
    [89 * 60, "About an hour"],
    [3 * hour, "3 hours"],
    [47 * hour, "47 hours"],
    [48 * hour, "2 days"],
    [13 * day, "13 days"],
    [14 * day, "2 weeks"],
    [59 * day, "8 weeks"],
    [60 * day, "2 months"],
    [729 * day, "24 months"],
    [3 * 365 * day, "3 years"],
  ] as const)
    assert.equal(renderHumanDuration(seconds), words);
});

test("Go durations are read with Go's complaints", () => {
  for (const [text, ns] of [
    ["0", 0],
    ["5s", 5e9],
    ["1m30s", 90e9],
    ["-1.5h", -5400e9],
    ["300ms", 3e8],
    ["1h15m30.918s", 4530.918e9],
    [".5s", 5e8],
    ["7µs", 7000],
  ] as const)
    assert.equal(parseGoDuration(text), ns, text);
  for (const [text, message] of [
    ["", 'time: invalid duration ""'],
    ["5", 'time: missing unit in duration "5"'],
    ["5x", 'time: unknown unit "x" in duration "5x"'],
    [".s", 'time: invalid duration ".s"'],
    ["-", 'time: invalid duration "-"'],
    ["s", 'time: invalid duration "s"'],
  ] as const)
    assert.throws(() => parseGoDuration(text), { message }, text);
});

test("a rendered Go duration reads back unchanged", () => {
  assert.equal(renderGoDuration(3600e9), "1h0m0s");
  assert.equal(renderGoDuration(1.5e9), "1.5s");
  assert.equal(renderGoDuration(1100), "1.1µs");
  fc.assert(
    fc.property(fc.integer({ min: -1e15, max: 1e15 }), (ns) => {
      assert.equal(parseGoDuration(renderGoDuration(ns)), ns, renderGoDuration(ns));
    }),
  );
});
