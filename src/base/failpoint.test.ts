import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildSync } from "esbuild";
import { failpoint, failpointNamesIn, hitFailpoint, parseFailpoints } from "./failpoint.ts";

const module = join(import.meta.dirname, "failpoint.ts");

function runArmed(failpoints: string): {
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  const source = `import { failpoint } from ${JSON.stringify(module)}; await failpoint("a.b"); console.log("after");`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", source], {
    encoding: "utf8",
    env: { ...process.env, GANTRY_FAILPOINTS: failpoints },
  });
}

test("every kind is parsed; empty entries are skipped", () => {
  assert.deepEqual(
    [...parseFailpoints("a.b=kill9; a.c=error;;a.d=delay(20);a.e-f.g=enospc;")],
    [
      ["a.b", { kind: "kill9" }],
      ["a.c", { kind: "error" }],
      ["a.d", { kind: "delay", delayMs: 20 }],
      ["a.e-f.g", { kind: "enospc" }],
    ],
  );
});

test("a misspelt entry is refused instead of never failing", () => {
  for (const text of ["a.b", "a.b=", "a.b=panic", "A.b=error", "a=error", "a.b=delay", "a.b=delay(-1)", "=error"]) {
    assert.throws(() => parseFailpoints(text), { kind: "InvalidParameter" }, text);
  }
});

test("error, enospc and delay do what they say; a point that is not armed does nothing", async () => {
  const table = parseFailpoints("a.e=error;a.n=enospc;a.d=delay(1)");
  assert.throws(() => hitFailpoint(table, "a.e"), { kind: "System", message: "failpoint a.e" });
  assert.throws(() => hitFailpoint(table, "a.n"), { code: "ENOSPC", errno: -28 });
  assert.ok(hitFailpoint(table, "a.d") instanceof Promise);
  assert.equal(hitFailpoint(table, "a.x"), undefined);
  assert.equal(failpoint("a.x"), undefined);
  await hitFailpoint(table, "a.d");
});

test("kill9 ends the process by SIGKILL before the next statement", () => {
  const { signal, stdout } = runArmed("a.b=kill9");
  assert.deepEqual({ signal, stdout }, { signal: "SIGKILL", stdout: "" });
});

test("the environment arms; a wrong environment stops the process at once", () => {
  assert.match(runArmed("a.b=error").stderr, /failpoint a\.b/);
  assert.equal(runArmed("a.c=error").stdout, "after\n");
  assert.match(runArmed("a.b=oops").stderr, /GANTRY_FAILPOINTS: invalid entry "a\.b=oops"/);
});

test("a release bundle has nothing left of it", () => {
  const bundled = buildSync({
    stdin: {
      contents: `import { failpoint } from ${JSON.stringify(module)}; await failpoint("a.b"); console.log("after");`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    format: "esm",
    platform: "node",
    minify: true,
    write: false,
    define: { GANTRY_RELEASE: "true" },
  }).outputFiles[0]?.text;
  assert.ok(bundled !== undefined);
  assert.doesNotMatch(bundled, /a\.b|kill9|SIGKILL|ENOSPC|GANTRY_/);
});

test("names are found in source text, however it is broken into lines", () => {
  assert.deepEqual(failpointNamesIn('await failpoint("x.y");\nawait failpoint(\n  "x.z",\n);'), ["x.y", "x.z"]);
});

test("every call in the source is awaited with a literal name of the right form, and no name stands twice", () => {
  const root = join(import.meta.dirname, "..");
  const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && path !== join("base", "failpoint.ts"))
    .map((path) => readFileSync(join(root, path), "utf8").replace(/^\s*(\/\/|\*|\/\*).*$/gm, ""));
  const names = sources.flatMap(failpointNamesIn);
  const calls = sources.reduce((sum, source) => sum + [...source.matchAll(/\bfailpoint\(/g)].length, 0);
  assert.equal(names.length, calls);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) parseFailpoints(`${name}=error`);
});
