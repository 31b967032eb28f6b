import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { Uploads } from "./uploads.ts";

const never = new AbortController().signal;

async function textOf(stream: Readable): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

test("the two requests meet, whichever comes first", async () => {
  for (const isOfferFirst of [true, false]) {
    const uploads = new Uploads();
    const offer = (): Promise<void> => uploads.offer("x", Readable.from([Buffer.from("tar")]), never);
    const offered = isOfferFirst ? offer() : undefined;
    const taken = uploads.take("x", never);
    const whole = offered ?? offer();
    assert.equal(await textOf(await taken), "tar");
    await whole;
  }
});

test("one that waits in vain is told so", async () => {
  const uploads = new Uploads(20);
  await assert.rejects(uploads.take("x", never), { kind: "Deadline" });
  await assert.rejects(uploads.offer("x", Readable.from([]), never), { kind: "NotFound" });
  await assert.rejects(uploads.take("", never), { kind: "InvalidParameter" });
});

test("a second of either kind is refused, and who hangs up waits no longer", async () => {
  const uploads = new Uploads();
  const left = new AbortController();
  const first = uploads.take("x", left.signal);
  await assert.rejects(uploads.take("x", never), { kind: "Conflict" });
  left.abort();
  await assert.rejects(first, { kind: "Cancelled" });
});
