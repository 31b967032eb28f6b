import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  capabilityNames,
  checkCapabilities,
  defaultCapabilities,
  parseCapabilityMask,
  resolveCapabilities,
} from "./capabilities.ts";

const nothing = { add: [], drop: [], privileged: false };

test("a container has Docker's 14 capabilities", () => {
  assert.deepEqual(resolveCapabilities(nothing, capabilityNames), defaultCapabilities);
  assert.deepEqual(parseCapabilityMask("00000000a80425fb"), defaultCapabilities);
});

test("CapAdd and CapDrop combine as in dockerd", () => {
  const resolve = (add: string[], drop: string[]): readonly string[] =>
    resolveCapabilities({ add, drop, privileged: false }, capabilityNames);
  assert.deepEqual(resolve(["ALL"], ["chown"]), capabilityNames.slice(1));
  assert.deepEqual(resolve(["ALL"], ["ALL"]), capabilityNames);
  assert.deepEqual(resolve(["all"], []), capabilityNames);
  assert.deepEqual(resolve(["CHOWN"], ["ALL"]), ["CAP_CHOWN"]);
  assert.deepEqual(resolve(["CAP_CHOWN"], ["CHOWN"]), defaultCapabilities);
  assert.deepEqual(resolve([], ["all"]), []);
  assert.ok(resolve(["net_admin"], []).includes("CAP_NET_ADMIN"));
});

test("a privileged container has everything that the engine has, and nothing more", () => {
  assert.deepEqual(
    resolveCapabilities({ add: [], drop: ["CHOWN"], privileged: true }, capabilityNames),
    capabilityNames,
  );
  assert.deepEqual(resolveCapabilities({ add: [], drop: [], privileged: true }, ["CAP_KILL"]), ["CAP_KILL"]);
});

test("unknown and unobtainable names are refused with dockerd's texts", () => {
  const check = (add: string[], drop: string[] = []): readonly string[] =>
    checkCapabilities({ add, drop, privileged: false }, ["CAP_CHOWN"]);
  assert.deepEqual(check(["FOO", "BAR"]), ['invalid CapAdd: unknown capability: "CAP_FOO"']);
  assert.deepEqual(check(["cap_all"]), ['invalid CapAdd: unknown capability: "CAP_ALL"']);
  assert.deepEqual(check([], ["foo"]), ['invalid CapDrop: unknown capability: "CAP_FOO"']);
  assert.deepEqual(check(["SYS_RESOURCE"]), [
    'invalid CapAdd: capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"',
  ]);
  assert.deepEqual(check(["chown", "ALL"], ["SYS_RESOURCE"]), []);
});

test("what is granted is always a part of what is available (A03)", () => {
  const names = fc.subarray([...capabilityNames, "ALL"]);
  fc.assert(
    fc.property(names, names, fc.boolean(), fc.subarray([...capabilityNames]), (add, drop, privileged, available) => {
      const granted = resolveCapabilities({ add, drop, privileged }, available);
      assert.ok(granted.every((name) => available.includes(name as (typeof available)[number])));
    }),
  );
});
