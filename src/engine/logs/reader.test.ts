import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Readable } from "node:stream";
import type { LogsRequest } from "../api/ports.ts";
import { createLogReader, type LogSource } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "gantry-logs-"));
after(() => rmSync(root, { recursive: true }));
const reader = createLogReader();
let serial = 0;

function freshLog(maxFiles = 3): { path: string; source: LogSource; end: () => void } {
  const path = join(root, `${serial++}.log`);
  const ended = new AbortController();
  return {
    path,
    source: { path, maxFiles, tty: true, attributes: "", ended: ended.signal },
    end: () => ended.abort(),
  };
}

function line(text: string): string {
  return `{"log":${JSON.stringify(`${text}\n`)},"stream":"stdout","time":"2026-11-27T21:33:19.424371604Z"}\n`;
}

function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, n) => line(`${from + n}`)).join("");
}

function numbers(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, n) => `${from + n}\n`).join("");
}

function rotate(path: string, maxFiles: number): void {
  for (let n = maxFiles - 1; n > 0; n--) {
    try {
      renameSync(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
    } catch {
      // Not there yet.
    }
  }
}

function read(source: LogSource, request: Partial<LogsRequest> = {}, signal = new AbortController().signal): Readable {
  return reader.read(
    source,
    {
      follow: false,
      stdout: true,
      stderr: true,
      sinceNs: undefined,
      untilNs: undefined,
      tail: undefined,
      timestamps: false,
      details: false,
      ...request,
    },
    signal,
  );
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test("a log that does not exist yet is empty", async () => {
  assert.equal(await textOf(read(freshLog().source)), "");
});

test("rotated files are read oldest first", async () => {
  const { path, source } = freshLog();
  writeFileSync(`${path}.2`, lines(0, 10));
  writeFileSync(`${path}.1`, lines(10, 20));
  writeFileSync(path, lines(20, 30));
  assert.equal(await textOf(read(source)), numbers(0, 30));
});

test("lines that cross the blocks of reading stay whole", async () => {
  const { path, source } = freshLog();
  writeFileSync(path, lines(0, 20_000));
  assert.equal(await textOf(read(source)), numbers(0, 20_000));
});

test("tail counts lines over rotated files and block borders", async () => {
  const { path, source } = freshLog();
  writeFileSync(`${path}.1`, lines(0, 5_000));
  writeFileSync(path, lines(5_000, 8_000));
  for (const tail of [0, 1, 2, 2_999, 3_000, 3_001, 7_999, 8_000, 9_000]) {
    const expected = numbers(Math.max(0, 8_000 - tail), 8_000);
    assert.equal(await textOf(read(source, { tail })), expected, `tail ${tail}`);
  }
});

test("a line cut by a crash at the end is left out", async () => {
  const { path, source } = freshLog();
  writeFileSync(path, lines(0, 3) + line("3").slice(0, 30));
  assert.equal(await textOf(read(source)), numbers(0, 3));
});

test("a line of several MiB of damage does not stop the reading", async () => {
  const { path, source } = freshLog();
  writeFileSync(path, `${lines(0, 3)}${"x".repeat(9 << 20)}\n${lines(3, 5)}`);
  assert.equal(await textOf(read(source)), numbers(0, 5));
});

test("a follower gets what is there, what comes, and ends when the container has ended", async () => {
  const { path, source, end } = freshLog();
  writeFileSync(path, lines(0, 5));
  const text = textOf(read(source, { follow: true, tail: 2 }));
  for (let n = 5; n < 50; n += 5) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    appendFileSync(path, lines(n, n + 5));
  }
  end();
  assert.equal(await text, numbers(3, 50));
});

test("a follower that begins before the first byte gets it", async () => {
  const { path, source, end } = freshLog();
  const text = textOf(read(source, { follow: true }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync(path, lines(0, 5));
  end();
  assert.equal(await text, numbers(0, 5));
});

test("half a line is not delivered before its other half", async () => {
  const { path, source, end } = freshLog();
  const text = textOf(read(source, { follow: true }));
  const whole = line("x".repeat(100));
  writeFileSync(path, whole.slice(0, 50));
  await new Promise((resolve) => setTimeout(resolve, 30));
  appendFileSync(path, whole.slice(50));
  end();
  assert.equal(await text, `${"x".repeat(100)}\n`);
});

test("a follower survives many rotations without loss or doubles", async () => {
  // Many files: a reader that a busy machine holds up must not lose what is rotated away.
  const { path, source, end } = freshLog(40);
  writeFileSync(path, lines(0, 100));
  const text = textOf(read(source, { follow: true }));
  for (let n = 100; n < 4_000; n += 100) {
    if (n % 300 === 0) rotate(path, 40);
    appendFileSync(path, lines(n, n + 100));
    await new Promise((resolve) => setTimeout(resolve, n % 700 === 0 ? 10 : 1));
  }
  end();
  assert.equal(await text, numbers(0, 4_000));
});

test("two rotations between two looks lose nothing that is still on disk", async () => {
  const { path, source, end } = freshLog(4);
  writeFileSync(path, lines(0, 10));
  const stream = read(source, { follow: true });
  const text = textOf(stream);
  await new Promise((resolve) => setTimeout(resolve, 20));
  appendFileSync(path, lines(10, 20));
  rotate(path, 4);
  writeFileSync(path, lines(20, 30));
  rotate(path, 4);
  writeFileSync(path, lines(30, 40));
  end();
  assert.equal(await text, numbers(0, 40));
});

test("destroying a follower, or aborting it, ends it though nothing comes", async () => {
  const { path, source } = freshLog();
  writeFileSync(path, lines(0, 1));
  const abort = new AbortController();
  const aborted = textOf(read(source, { follow: true }, abort.signal));
  const destroyed = read(source, { follow: true });
  await new Promise((resolve) => setTimeout(resolve, 20));
  abort.abort();
  destroyed.destroy();
  assert.equal(await aborted, numbers(0, 1));
  assert.equal(destroyed.destroyed, true);
});

test("reading up to a position gives exactly what was before it, though the log rotates afterwards", async () => {
  const { path, source } = freshLog();
  writeFileSync(`${path}.1`, lines(0, 10));
  writeFileSync(path, lines(10, 20));
  const offset = lines(10, 15).length;
  const stream = reader.readUntil(source, { generation: 1, offset }, { stdout: true, stderr: true });
  rotate(path, 3);
  writeFileSync(path, lines(20, 30));
  assert.equal(await textOf(stream), numbers(0, 15));
});

test("a position in a file that was rotated since is found by its inode", async () => {
  const { path, source } = freshLog();
  writeFileSync(path, lines(10, 20));
  const position = { generation: 0, offset: lines(10, 15).length, inode: statSync(path).ino };
  rotate(path, 3);
  writeFileSync(path, lines(20, 30));
  const streams = { stdout: true, stderr: true };
  assert.equal(await textOf(reader.readUntil(source, position, streams)), numbers(10, 15));
  assert.equal(await textOf(reader.readUntil(source, { ...position, inode: 1 }, streams)), "");
});
