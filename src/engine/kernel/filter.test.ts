import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { isEngineError } from "../../base/errors.ts";
import { filterThrough, findProgram } from "./filter.ts";

async function* bytes(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += Buffer.from(chunk).toString();
  return text;
}

function program(name: string): string {
  const path = findProgram(name);
  assert.ok(path !== undefined, `${name} is not installed`);
  return path;
}

test("the output of a program comes through, chunk by chunk", async () => {
  assert.equal(await collect(filterThrough([program("cat")], bytes("a", "b", "c"))), "abc");
});

test("the program has no environment and runs in the root directory", async () => {
  assert.equal(await collect(filterThrough([program("env")], bytes())), "");
  assert.equal(await collect(filterThrough([program("sh"), "-c", "pwd"], bytes())), "/\n");
});

test("a failure is what the program said", async () => {
  const filtered = filterThrough([program("sh"), "-c", "echo no good >&2; exit 1"], bytes("x".repeat(1 << 20)));
  await assert.rejects(
    collect(filtered),
    (error) => isEngineError(error, "InvalidParameter") && error.message === "no good",
  );
});

test("a failure of the input is thrown on", async () => {
  const broken = (async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from("a");
    throw new RangeError("broken");
  })();
  await assert.rejects(collect(filterThrough([program("cat")], broken)), RangeError);
});

test("a program that is not there is a failure, not a crash", async () => {
  await assert.rejects(collect(filterThrough(["/nonexistent/program"], bytes("a"))), /run \/nonexistent\/program: /);
  assert.equal(findProgram("a-program-that-nobody-has"), undefined);
});

test("the program dies when its reader leaves", async () => {
  const marker = `gantry-filter-${process.hrtime.bigint()}`;
  const running = (): boolean =>
    readdirSync("/proc").some((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(marker);
      } catch {
        return false;
      }
    });
  const endless = (async function* (): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(1 << 16);
  })();
  const stubborn = "trap '' PIPE; while :; do printf x 2>/dev/null; done";
  for await (const _ of filterThrough([program("sh"), "-c", stubborn, marker], endless)) {
    assert.ok(running());
    break;
  }
  assert.ok(!running());
});

test("what the program has started and left behind is not waited for", { timeout: 30_000 }, async () => {
  let left = 0;
  const input = bytes("a");
  for await (const chunk of filterThrough([program("sh"), "-c", "sleep 60 & echo $!; exec cat"], input)) {
    left = Number.parseInt(Buffer.from(chunk).toString(), 10);
    break;
  }
  // Until the shell's child is sleep it is a shell, and for a moment in between it has no command line.
  const name = (): string => readFileSync(`/proc/${left}/cmdline`, "latin1");
  while (!name().startsWith("sleep\0")) await setTimeout(1);
  process.kill(left, "SIGKILL");
});
