// The reporter of script/test: a line per file that took long, every failure and every skip with its reason, and counts.

import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

/** Yields the report's text while the events arrive. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const event of source) {
    if (event.type === "test:stderr") yield event.data.message;
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { name, file, details, skip } = event.data;
    if (details.type === "suite") continue;
    // A file that runs in a process of its own is reported as a test around its tests; only its own failure counts.
    const isFile = file !== undefined && (name === file || file.endsWith(name));
    if (event.type === "test:fail") {
      const { error } = event.data.details;
      if (isFile && error.message.includes("subtest")) continue;
      failed += 1;
      yield `FAIL ${file ?? ""} › ${name}\n${inspect(error.cause ?? error, { depth: 4 })}\n`;
    } else if (isFile) {
      continue;
    } else if (skip === undefined || skip === false) {
      passed += 1;
      if (details.duration_ms > 10_000) yield `     ${(details.duration_ms / 1000).toFixed(0)} s: ${name}\n`;
    } else {
      skipped += 1;
      yield `skip ${name}: ${String(skip)}\n`;
    }
  }
  yield `${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
