// What the shim's tests do with shims: run to the end, collect output, take stdcopy frames apart, read logs.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { newExecId, type ExecId } from "../../src/base/ids.ts";
import type { ExitRecord, Shim, StartFailure } from "../../src/engine/runtime/shim.ts";
import { consoleSizeOf, type Container, type ContainerSetup, type ShimWorld } from "./shim-fixture.ts";

export const all = { stdin: true, stdout: true, stderr: true } as const;

export function exitOf(shim: Shim): Promise<ExitRecord> {
  return new Promise((resolve, reject) => {
    shim.on("exit", resolve);
    shim.on("closed", () => reject(new Error("the shim has left without an exit")));
  });
}

export async function started(shim: Shim): Promise<number> {
  const result = await shim.run();
  assert.ok("init" in result, "failure" in result ? result.failure.message : "");
  return result.init.pid;
}

/** Everything that comes until the end. */
export function collect(duplex: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    duplex.on("data", (chunk: Buffer) => chunks.push(chunk));
    duplex.on("end", () => resolve(Buffer.concat(chunks)));
    duplex.on("error", reject);
    duplex.resume();
  });
}

/** Resolves when the output so far matches; the stream goes on. */
export function until(duplex: Duplex, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      if (!pattern.test(text)) return;
      duplex.removeListener("data", onData);
      duplex.pause();
      resolve(text);
    };
    duplex.on("data", onData);
    duplex.once("end", () => reject(new Error(`ended before ${String(pattern)}: ${text}`)));
    duplex.resume();
  });
}

/** The bytes of each stream in a sequence of whole stdcopy frames. */
export function demux(bytes: Buffer): { readonly stdout: Buffer; readonly stderr: Buffer; readonly frames: number } {
  const parts: { readonly 1: Buffer[]; readonly 2: Buffer[] } = { 1: [], 2: [] };
  let frames = 0;
  for (let at = 0; at < bytes.length; frames++) {
    const stream = bytes[at];
    assert.ok(stream === 1 || stream === 2, `stream ${stream} at ${at}`);
    assert.equal(bytes.readUIntBE(at + 1, 3), 0);
    const size = bytes.readUInt32BE(at + 4);
    assert.ok(size > 0 && at + 8 + size <= bytes.length, "a frame is whole and not empty");
    parts[stream].push(bytes.subarray(at + 8, at + 8 + size));
    at += 8 + size;
  }
  return { stdout: Buffer.concat(parts[1]), stderr: Buffer.concat(parts[2]), frames };
}

export interface LogLine {
  readonly log: string;
  readonly stream: "stdout" | "stderr";
  readonly time: string;
}

export function logLines(text: string): LogLine[] {
  assert.ok(text === "" || text.endsWith("\n"), "a log ends with a whole line");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
}

export function readLog(path: string): LogLine[] {
  return logLines(readFileSync(path, "utf8"));
}

export interface Ran {
  readonly container: Container;
  readonly exit: ExitRecord;
  readonly output: Buffer;
  readonly log: LogLine[];
}

/** A container attached from before its start, to its end. */
export async function runToEnd(world: ShimWorld, setup: ContainerSetup): Promise<Ran> {
  const container = await world.spawn(setup);
  const { duplex } = await container.shim.attach("init", { ...all, stdin: false });
  const output = collect(duplex);
  const exit = exitOf(container.shim);
  await started(container.shim);
  const record = await exit;
  await container.shim.gone;
  return {
    container,
    exit: record,
    output: await output,
    log: setup.log === "none" ? [] : readLog(container.logPath),
  };
}

export interface ExecSetup {
  readonly args: readonly string[];
  readonly tty?: boolean;
  readonly stdin?: boolean;
  readonly consoleSize?: readonly [number, number];
}

export async function prepareExec(world: ShimWorld, container: Container, setup: ExecSetup): Promise<ExecId> {
  const execId = newExecId();
  const processFile = join(container.dir, `${execId.slice(0, 12)}.json`);
  const process = { ...world.process(setup.args, setup.tty ?? false), ...consoleSizeOf(setup.consoleSize) };
  writeFileSync(processFile, JSON.stringify(process));
  await container.shim.prepareExec({
    execId,
    processFile,
    tty: setup.tty ?? false,
    stdin: setup.stdin ?? false,
    consoleSize: setup.consoleSize,
  });
  return execId;
}

export function execExitOf(shim: Shim, id: ExecId): Promise<number> {
  return new Promise((resolve) => {
    shim.on("execExit", (ended, code) => {
      if (ended === id) resolve(code);
    });
  });
}

export interface ExecRan {
  readonly code: number;
  readonly output: Buffer;
}

export async function execToEnd(
  world: ShimWorld,
  container: Container,
  setup: ExecSetup,
): Promise<ExecRan | StartFailure> {
  const id = await prepareExec(world, container, setup);
  const { duplex } = await container.shim.attach(id, { ...all, stdin: false });
  const output = collect(duplex);
  const exit = execExitOf(container.shim, id);
  const result = await container.shim.runExec(id);
  if ("failure" in result) {
    assert.equal((await output).length, 0, "a failed exec has no output");
    return result.failure;
  }
  return { code: await exit, output: await output };
}

/** Ends a container and waits until its shim has left. */
export async function endContainer(container: Pick<Container, "shim">): Promise<ExitRecord> {
  const exit = exitOf(container.shim);
  await container.shim.kill("init", 9);
  const record = await exit;
  await container.shim.gone;
  return record;
}
