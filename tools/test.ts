// `script/test`: runs the suites one after the other, each test file but the unit tests in a process of its own, and prints a summary.
// Suites that measure or kill run alone; nothing is skipped silently.

import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** In order; `parallel` is the number of files side by side, undefined for one process for all. */
const suites = [
  { name: "unit", files: ["src/**/*.test.ts", "tools/**/*.test.ts"], parallel: undefined },
  { name: "integration", files: ["test/integration/**/*.test.ts"], parallel: 2 },
  { name: "conformance", files: ["test/conformance/**/*.test.ts"], parallel: 1 },
  { name: "flows", files: ["test/flows/**/*.test.ts"], parallel: 1 },
  { name: "security", files: ["test/security/**/*.test.ts"], parallel: 2 },
  { name: "faults", files: ["test/faults/**/*.test.ts"], parallel: 1 },
] as const;

function run(argv: readonly string[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const [command = "", ...args] = argv;
  const child = spawn(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, GANTRY_TEST_BUNDLE: "1" },
  });
  child.on("error", () => resolve(1));
  child.on("close", (code) => resolve(code ?? 1));
  return promise;
}

const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!suites.some((suite) => suite.name === name)) {
    process.stderr.write(`test: no suite ${name}; there are ${suites.map((suite) => suite.name).join(", ")}\n`);
    process.exit(2);
  }
}
const failed: string[] = [];
for (const suite of suites) {
  if (wanted.length > 0 && !wanted.includes(suite.name)) continue;
  const files = suite.files.flatMap((pattern) => globSync(pattern, { cwd: root })).sort();
  if (files.length === 0) {
    process.stderr.write(`test: suite ${suite.name} has no files\n`);
    failed.push(suite.name);
    continue;
  }
  const started = performance.now();
  process.stdout.write(`\n== ${suite.name}: ${files.length} files\n`);
  const code = await run([
    process.execPath,
    "--test",
    "--test-reporter=./tools/test-reporter.ts",
    ...(suite.parallel === undefined ? ["--test-isolation=none"] : [`--test-concurrency=${suite.parallel}`]),
    "--test-timeout=600000",
    ...files,
  ]);
  process.stdout.write(
    `== ${suite.name}: ${code === 0 ? "passed" : "FAILED"} in ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
  );
  if (code !== 0) failed.push(suite.name);
}
process.stdout.write(failed.length === 0 ? "\nall suites passed\n" : `\nfailed: ${failed.join(", ")}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
