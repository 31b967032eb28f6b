import assert from "node:assert/strict";
import { test } from "node:test";
import { runtimeWarnings } from "./runtime-warnings.ts";

function ids(kind: string, version: string): readonly string[] {
  return runtimeWarnings(kind, version).flatMap((text) => text.match(/CVE-\d+-\d+/g) ?? []);
}

test("runtimes with known holes are named with their CVEs", () => {
  assert.deepEqual(ids("crun", "crun version 1.8.1"), [
    "CVE-2024-21626",
    "CVE-2025-24965",
    "CVE-2026-47766",
    "CVE-2026-88264",
    "CVE-2026-88265",
  ]);
  assert.deepEqual(ids("crun", "1.21"), ["CVE-2026-30892", "CVE-2026-47766", "CVE-2026-88264", "CVE-2026-88265"]);
  assert.deepEqual(ids("crun", "1.30.1"), []);
  assert.deepEqual(ids("runc", "runc version 1.1.5+ds1"), [
    "CVE-2024-21626",
    "CVE-2024-45310",
    "CVE-2025-31133",
    "CVE-2025-52565",
    "CVE-2025-52881",
    "CVE-2026-41579",
  ]);
  assert.deepEqual(ids("runc", "1.2.8"), ["CVE-2026-41579"]);
  assert.deepEqual(ids("runc", "1.3.6"), []);
  assert.deepEqual(ids("runc", "1.4.2"), ["CVE-2026-41579"]);
  assert.deepEqual(ids("runc", "2.0.0"), []);
});

test("an unknown version is said, an unknown runtime is not judged", () => {
  assert.deepEqual(runtimeWarnings("crun", "UNKNOWN"), ['the version of crun is unknown: "UNKNOWN"']);
  assert.deepEqual(runtimeWarnings("kata", "1.0.0"), []);
});
