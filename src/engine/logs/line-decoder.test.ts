import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { LineDecoder, type DecodeOptions } from "./line-decoder.ts";

const all: DecodeOptions = {
  stdout: true,
  stderr: true,
  sinceNs: undefined,
  untilNs: undefined,
  timestamps: false,
  attributes: undefined,
  raw: false,
  merge: false,
};

/** A line as the shim writes it. */
function line(text: string, stream = "stdout", time = "2026-11-27T21:33:19.424371604Z"): string {
  return `{"log":${JSON.stringify(text)},"stream":"${stream}","time":"${time}"}\n`;
}

function decode(input: string | Buffer, options: Partial<DecodeOptions> = {}): Buffer {
  return new LineDecoder({ ...all, ...options }).decode(Buffer.from(input));
}

/** Frames as [stream, text]. */
function frames(bytes: Buffer): [number, string][] {
  const result: [number, string][] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.deepEqual([...bytes.subarray(at + 1, at + 4)], [0, 0, 0]);
    const length = bytes.readUInt32BE(at + 4);
    result.push([bytes[at] ?? 0, bytes.subarray(at + 8, at + 8 + length).toString()]);
    at += 8 + length;
  }
  return result;
}

test("lines become frames in order, each with its stream", () => {
  assert.deepEqual(frames(decode(line("out\n") + line("err\n", "stderr") + line("no end"))), [
    [1, "out\n"],
    [2, "err\n"],
    [1, "no end"],
  ]);
});

test("a stream that is not wanted is left out", () => {
  assert.deepEqual(frames(decode(line("out\n") + line("err\n", "stderr"), { stdout: false })), [[2, "err\n"]]);
});

test("any text survives, in the shim's layout and in any other", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), fc.boolean(), (texts, foreign) => {
      const lines = texts.map((text) =>
        foreign ? `{"stream":"stdout","log":${JSON.stringify(text)},"time":"2026-11-27T21:33:19Z"}\n` : line(text),
      );
      const expected = texts.map((text) => [1, text.toWellFormed()]);
      assert.deepEqual(frames(decode(lines.join(""))), expected);
    }),
  );
});

test("escapes of every kind are undone, pairs of surrogates too", () => {
  const text = String.raw`{"log":"\u0000\u0007\u001b[0m\"\\\/\b\f\r\t\u00e9\u20ac\ud83d\ude00\ud83d\n","stream":"stdout","time":"2026-11-27T21:33:19.424371604Z"}`;
  assert.deepEqual(frames(decode(`${text}\n`)), [[1, '\u0000\u0007\u001b[0m"\\/\b\f\r\té€😀\uFFFD\n']]);
});

test("timestamps and attributes stand before the text, in this order", () => {
  const short = line("b\n", "stdout", "2026-11-27T21:33:19.5Z");
  assert.deepEqual(frames(decode(line("a\n") + short, { timestamps: true, attributes: "k=v" })), [
    [1, "2026-11-27T21:33:19.424371604Z k=v a\n"],
    [1, "2026-11-27T21:33:19.500000000Z k=v b\n"],
  ]);
});

test("many short lines with long attributes fit", () => {
  const attributes = "k=".padEnd(300, "v");
  const got = frames(decode(line("x\n").repeat(200), { timestamps: true, attributes }));
  assert.deepEqual(
    got,
    Array.from({ length: 200 }, () => [1, `2026-11-27T21:33:19.424371604Z ${attributes} x\n`]),
  );
});

test("a tty's output has no frames", () => {
  assert.equal(decode(line("a\r\n") + line("b"), { raw: true }).toString(), "a\r\nb");
  assert.equal(decode(line("a\n"), { raw: true, timestamps: true }).toString(), "2026-11-27T21:33:19.424371604Z a\n");
});

test("since and until are inclusive, to the nanosecond, in both layouts", () => {
  const at = 1_795_815_199_424_371_604n;
  const times = ["2026-11-27T21:33:19.424371603Z", "2026-11-27T21:33:19.424371604Z", "2026-11-27T21:33:19.424371605Z"];
  for (const layout of [
    line,
    (text: string, _: string, time: string) => line(text, "stdout", time.replace("Z", "+00:00")),
  ]) {
    const input = times.map((time, n) => layout(`${n}`, "stdout", time)).join("");
    assert.deepEqual(frames(decode(input, { sinceNs: at })), [
      [1, "1"],
      [1, "2"],
    ]);
    const decoder = new LineDecoder({ ...all, untilNs: at });
    assert.deepEqual(frames(decoder.decode(Buffer.from(input))), [
      [1, "0"],
      [1, "1"],
    ]);
    assert.equal(decoder.done, true);
  }
});

test("NULs, cut lines and what is no log line are skipped, and nothing after them", () => {
  const cut = line("lost\n").slice(0, 20);
  for (const damage of [
    "\0\0\0\0",
    `${cut}\n`,
    `${cut}\0\0\n`,
    "\n",
    "{}\n",
    "null\n",
    '{"log":"x"\n',
    '{"log":1,"stream":"stdout","time":"2026-11-27T21:33:19Z"}\n',
    "garbage\n",
    `{"log":"\\ud8\n`,
    `{"log":"\\x"}\n`,
  ]) {
    assert.deepEqual(
      frames(decode(line("a") + damage + line("b"))),
      [
        [1, "a"],
        [1, "b"],
      ],
      JSON.stringify(damage),
    );
  }
});

test("merged frames hold lines of one stream, in order, up to their size; timestamps stay at each line", () => {
  const merged = decode(line("a\n") + line("b\n") + line("c\n", "stderr") + line("d\n", "stderr") + line("e"), {
    merge: true,
  });
  assert.deepEqual(frames(merged), [
    [1, "a\nb\n"],
    [2, "c\nd\n"],
    [1, "e"],
  ]);
  const stamped = decode(line("a\n") + line("b\n", "stderr") + line("c\n", "stderr"), {
    merge: true,
    timestamps: true,
  });
  assert.deepEqual(frames(stamped), [
    [1, "2026-11-27T21:33:19.424371604Z a\n"],
    [2, "2026-11-27T21:33:19.424371604Z b\n2026-11-27T21:33:19.424371604Z c\n"],
  ]);
});

test("merging changes the frames and nothing else, whatever the lines are", () => {
  const entry = fc.record({
    text: fc.string({ unit: "binary" }),
    stream: fc.constantFrom("stdout", "stderr"),
    kind: fc.constantFrom("own", "foreign", "broken"),
    repeat: fc.constantFrom(1, 1, 1, 3_000),
  });
  fc.assert(
    fc.property(fc.array(entry), fc.boolean(), (entries, stdout) => {
      const input = entries
        .map(({ text, stream, kind, repeat }) => {
          if (kind === "broken") return `{"log":${JSON.stringify(text)}\n`;
          const own = line(text, stream);
          return kind === "own" ? own.repeat(repeat) : own.replace("}\n", " }\n");
        })
        .join("");
      const joined = (merge: boolean): [number, string][] => {
        const result: [number, string][] = [];
        for (const [stream, text] of frames(decode(input, { merge, stdout }))) {
          const last = result.at(-1);
          if (last?.[0] === stream) last[1] += text;
          else result.push([stream, text]);
        }
        return result;
      };
      assert.deepEqual(joined(true), joined(false));
    }),
    { numRuns: 60 },
  );
});

test("a time without its last zeros is shown with them, and compared by its value", () => {
  const times = ["2026-11-27T21:33:19Z", "2026-11-27T21:33:19.5Z", "2026-11-27T21:33:19.50000001Z"];
  const input = times.map((time, n) => line(`${n}`, "stdout", time)).join("");
  assert.deepEqual(frames(decode(input, { timestamps: true })), [
    [1, "2026-11-27T21:33:19.000000000Z 0"],
    [1, "2026-11-27T21:33:19.500000000Z 1"],
    [1, "2026-11-27T21:33:19.500000010Z 2"],
  ]);
  const at = 1795815199n * 1_000_000_000n;
  assert.deepEqual(
    frames(decode(input, { sinceNs: at + 500_000_000n })).map(([, text]) => text),
    ["1", "2"],
  );
  assert.deepEqual(
    frames(decode(input, { untilNs: at + 500_000_000n })).map(([, text]) => text),
    ["0", "1"],
  );
});

test("a line cut in its time is skipped", () => {
  const cut = line("cut").slice(0, -8);
  assert.deepEqual(frames(decode(`${cut}\n${line("whole")}`)), [[1, "whole"]]);
});
