// `npm run check`: format, lint with types, types, layers, dead code and unit tests, side by side. Fails if any fails and
// prints only what failed.

import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

interface Step {
  readonly name: string;
  readonly argv: readonly string[];
}

const root = join(import.meta.dirname, "..");
const bin = (name: string): string => join(root, "node_modules/.bin", name);
const unitTests = globSync(["src/**/*.test.ts", "tools/**/*.test.ts"], { cwd: root });
if (unitTests.length === 0) throw new Error("check: no unit test found");

// Two processes for all unit tests: most of the time of a small test file is Node's own start.
const unit = [0, 1].map((half) => ({
  name: `unit ${half + 1}/2`,
  argv: [
    process.execPath,
    "--test",
    "--test-isolation=none",
    "--test-reporter=dot",
    "--test-timeout=120000",
    ...unitTests.filter((_, i) => i % 2 === half),
  ],
}));

const steps: readonly Step[] = [
  ...unit,
  { name: "types", argv: [bin("tsc"), "-p", "."] },
  { name: "lint", argv: [bin("oxlint"), "--type-aware", "--deny-warnings", "src", "test", "tools", "bench"] },
  { name: "dead code", argv: [bin("knip"), "--no-progress"] },
  { name: "format", argv: [bin("biome"), "format", "."] },
  { name: "layers", argv: [process.execPath, "tools/layers.ts"] },
];

function run(step: Step): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const started = performance.now();
  const [command = "", ...args] = step.argv;
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  child.on("error", (error) => output.push(Buffer.from(String(error))));
  child.on("close", (code) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${code === 0 ? "ok  " : "FAIL"} ${step.name} (${seconds} s)\n`);
    if (code !== 0) process.stdout.write(Buffer.concat(output));
    resolve(code === 0);
  });
  return promise;
}

const queue = [...steps];
const results: boolean[] = [];
await Promise.all(
  Array.from({ length: Math.max(2, availableParallelism()) }, async () => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) results.push(await run(step));
  }),
);
process.exitCode = results.every(Boolean) ? 0 : 1;
