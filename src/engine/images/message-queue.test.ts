import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import type { ProgressMessage } from "../api/ports.ts";
import { reportProgress } from "./message-queue.ts";
import { renderProgress } from "./progress.ts";

const never = new AbortController().signal;

async function collect(messages: AsyncIterable<ProgressMessage>): Promise<string[]> {
  const seen: string[] = [];
  for await (const { id, status, progressDetail } of messages)
    seen.push([id, status, progressDetail?.current].filter((part) => part !== undefined).join(" "));
  return seen;
}

test("a reader that comes late finds the last step of each layer, and every word", async () => {
  const words = (status: string, id: string): ProgressMessage => ({ status, progressDetail: {}, id });
  const messages = reportProgress(async (tell) => {
    tell({ status: "Pulling from a", id: "latest" });
    tell(words("Pulling fs layer", "one"));
    tell(words("Pulling fs layer", "two"));
    for (let step = 1; step <= 1000; step++)
      for (const id of ["one", "two"]) tell(renderProgress("Downloading", id, step, 1000));
    tell(words("Download complete", "one"));
    for (let step = 1; step <= 1000; step++) tell(renderProgress("Extracting", "one", step, 1000));
    tell({ status: "Digest: x" });
    tell({ status: "Digest: x" });
  }, never);
  assert.deepEqual(await collect(messages), [
    "latest Pulling from a",
    "one Pulling fs layer",
    "two Pulling fs layer",
    "one Downloading 1000",
    "two Downloading 1000",
    "one Download complete",
    "one Extracting 1000",
    "Digest: x",
    "Digest: x",
  ]);
});

test("a task's failure comes after what it told; a reader that leaves aborts the task and waits for it", async () => {
  const failing = reportProgress(async (tell) => {
    tell({ status: "a" });
    throw new EngineError("NotFound", "gone");
  }, never);
  assert.deepEqual(await failing.next(), { done: false, value: { status: "a" } });
  await assert.rejects(failing.next(), { message: "gone" });

  let ended = false;
  const endless = reportProgress(async (tell, signal) => {
    tell({ status: "a" });
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await new Promise((resolve) => setImmediate(resolve));
    ended = true;
  }, never);
  await endless.next();
  await endless.return(undefined);
  assert.equal(ended, true);
});
