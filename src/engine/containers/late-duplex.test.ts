import assert from "node:assert/strict";
import { Duplex, PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import { LateDuplex } from "./late-duplex.ts";

/** A target: what is put into `output` is read from it; what is written to it collects in `input`. */
function target(): { duplex: Duplex; output: PassThrough; input: () => string; ended: () => boolean } {
  const output = new PassThrough();
  const chunks: Buffer[] = [];
  let ended = false;
  const duplex = new Duplex({
    read() {
      output.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
    final(done) {
      ended = true;
      done();
    },
  });
  output.on("data", (chunk) => {
    if (!duplex.push(chunk)) output.pause();
  });
  output.on("end", () => duplex.push(null));
  return { duplex, output, input: () => Buffer.concat(chunks).toString(), ended: () => ended };
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test("what is written before the connection arrives after it, in order, and so does the end", async () => {
  const late = new LateDuplex({ forwardsInput: true });
  late.write("one ");
  late.write("two ");
  late.end("three");
  const { duplex, output, input, ended } = target();
  late.connect(duplex);
  output.end("out");
  assert.equal(await textOf(late), "out");
  await new Promise(setImmediate);
  assert.equal(input(), "one two three");
  assert.equal(ended(), true);
});

test("input is dropped where the container has no stdin", async () => {
  const late = new LateDuplex({ forwardsInput: false });
  late.end("lost");
  const { duplex, output, input, ended } = target();
  late.connect(duplex);
  output.end("out");
  assert.equal(await textOf(late), "out");
  assert.deepEqual([input(), ended()], ["", false]);
});

test("the log comes whole before the live output", async () => {
  const late = new LateDuplex({ forwardsInput: false });
  const { duplex, output } = target();
  output.end("live");
  late.connect(duplex, Readable.from(["logged 1, ", "logged 2, "], { objectMode: false }));
  assert.equal(await textOf(late), "logged 1, logged 2, live");
});

test("a reader that does not read stops the target, and nothing is lost", async () => {
  const late = new LateDuplex({ forwardsInput: false });
  const { duplex, output } = target();
  late.connect(duplex);
  const size = 8 << 20;
  output.end(Buffer.alloc(size, "x"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(late.readableLength <= size);
  let bytes = 0;
  for await (const chunk of late) bytes += (chunk as Buffer).length;
  assert.equal(bytes, size);
});

test("a target that breaks is the end of the output, not an error", async () => {
  const late = new LateDuplex({ forwardsInput: true });
  const { duplex, output } = target();
  late.connect(duplex);
  output.write("part");
  setTimeout(() => duplex.destroy(new Error("gone")), 10);
  assert.equal(await textOf(late), "part");
});

test("a client that leaves before the connection takes the target with it", async () => {
  const late = new LateDuplex({ forwardsInput: true });
  late.destroy();
  const { duplex } = target();
  late.connect(duplex);
  assert.equal(duplex.destroyed, true);
});

test("a container that will not run ends its waiting clients", async () => {
  const late = new LateDuplex({ forwardsInput: true });
  late.abandon();
  assert.equal(await textOf(late), "");
});
