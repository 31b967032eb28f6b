// The file of --output: the bytes go to a temporary file beside it that takes its name when it is whole. Devices and pipes are
// written to directly. Source: the docker CLI 28, command.ValidateOutputPath, CopyToFile.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname, join, basename } from "node:path";
import { CliError } from "./command.ts";

/** @throws Error the path cannot be written to, said without an effort */
export function checkOutputPath(path: string): void {
  const directory = dirname(path);
  if (statSync(directory, { throwIfNoEntry: false }) === undefined)
    throw new Error(`invalid output path: stat ${directory}: no such file or directory`);
  const present = statSync(path, { throwIfNoEntry: false });
  if (present?.isDirectory() === true) throw new Error("cannot write to a directory");
  if (present !== undefined && (present.isBlockDevice() || present.isSocket())) throw new Error("got a device");
}

/** @throws what `chunks` throws, or Error of the file; then there is no new file */
export async function writeOutputFile(path: string, chunks: AsyncIterable<Buffer>): Promise<void> {
  const present = statSync(path, { throwIfNoEntry: false });
  const direct = present !== undefined && !present.isFile();
  const target = direct ? path : join(dirname(path), `.tmp-${basename(path)}${process.pid}`);
  const fd = openSync(target, direct ? "w" : "wx", 0o600);
  const cleanUp = (): void => {
    if (!direct) rmSync(target, { force: true });
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    cleanUp();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    try {
      for await (const chunk of chunks) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      if (!direct) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (!direct) renameSync(target, path);
  } catch (error) {
    cleanUp();
    throw error;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** An archive to a file, or to stdout unless that is a terminal. @param failure what docker says before the reason */
export async function writeArchive(
  path: string,
  failure: string,
  out: (bytes: Buffer) => Promise<void>,
  open: () => Promise<AsyncIterable<Buffer>>,
): Promise<void> {
  if (path === "" && process.stdout.isTTY)
    throw new CliError("cowardly refusing to save to a terminal. Use the -o flag or redirect");
  if (path === "") {
    for await (const chunk of await open()) await out(chunk);
    return;
  }
  try {
    checkOutputPath(path);
  } catch (error) {
    throw new CliError(`${failure}: ${(error as Error).message}`);
  }
  await writeOutputFile(path, await open());
}
