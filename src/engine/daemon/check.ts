// `system check`: every room's invariants in one list. A violation counts when it is seen twice, two seconds apart: in
// between, an operation that was under way has ended. Source: docs/durability.md.

import { setTimeout as sleep } from "node:timers/promises";
import type { CheckFinding } from "../api/ports.ts";

/** One room's look at its invariants. */
export type Check = (repair: boolean) => Promise<readonly CheckFinding[]>;

const secondLookMs = 2000;

function keyOf(finding: CheckFinding): string {
  return `${finding.invariant}\0${finding.subject}\0${finding.detail}`;
}

async function runAll(checks: readonly Check[], repair: boolean): Promise<readonly CheckFinding[]> {
  const findings: CheckFinding[] = [];
  // One after the other: a repair of one room changes what the next one sees.
  for (const check of checks) findings.push(...(await check(repair)));
  return findings;
}

/** @returns what is still wrong at the second look, and whether it was mended; empty is health */
export async function checkSystem(checks: readonly Check[], repair: boolean): Promise<readonly CheckFinding[]> {
  const first = await runAll(checks, false);
  if (first.length === 0) return [];
  await sleep(secondLookMs);
  const before = new Set(first.map(keyOf));
  const second = (await runAll(checks, false)).filter((finding) => before.has(keyOf(finding)));
  if (second.length === 0 || !repair) return second;
  const seen = new Set(second.map(keyOf));
  const mended = await runAll(checks, true);
  return mended.filter((finding) => seen.has(keyOf(finding)));
}
