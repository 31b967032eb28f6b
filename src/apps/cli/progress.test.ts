// Progress as docker draws it: lines for pipes, bars and cursor movements for terminals. Expected bytes are docker CLI 28's.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProgressLine } from "../../client/images.ts";
import { CliError } from "./command.ts";
import { renderAmount, showProgress, streamSink, type ProgressSink } from "./progress.ts";

async function draw(
  lines: readonly ProgressLine[],
  size: () => { readonly rows: number; readonly columns: number } | undefined,
): Promise<string> {
  let out = "";
  const sink: ProgressSink = { write: (text) => void (out += text), size };
  await showProgress(
    (async function* () {
      yield* lines;
    })(),
    sink,
  );
  return out;
}

const pull: readonly ProgressLine[] = [
  { status: "Pulling from bb", id: "latest" },
  { status: "Pulling fs layer", progressDetail: {}, id: "aaa" },
  { status: "Pulling fs layer", progressDetail: {}, id: "bbb" },
  { status: "Downloading", progressDetail: { current: 500, total: 1000 }, id: "aaa" },
  { status: "Download complete", progressDetail: {}, id: "aaa" },
  { status: "Digest: sha256:1" },
];

test("a pipe gets a line per status and no amounts", async () => {
  assert.equal(
    await draw(pull, () => undefined),
    "latest: Pulling from bb\naaa: Pulling fs layer\nbbb: Pulling fs layer\naaa: Download complete\nDigest: sha256:1\n",
  );
});

test("a terminal gets a line per id that is rewritten in place", async () => {
  const bar = `[${"=".repeat(25)}>${" ".repeat(25)}]     500B/1kB`;
  assert.equal(
    await draw(pull, () => ({ rows: 24, columns: 120 })),
    [
      "latest: Pulling from bb\n",
      "\n\x1b[1A\x1b[2K\raaa: Pulling fs layer \r\x1b[1B",
      "\n\x1b[1A\x1b[2K\rbbb: Pulling fs layer \r\x1b[1B",
      `\x1b[2A\x1b[2K\raaa: Downloading ${bar}\r\x1b[2B`,
      "\x1b[2A\x1b[2K\raaa: Download complete \r\x1b[2B",
      "Digest: sha256:1\n",
    ].join(""),
  );
});

test("a line never exceeds the terminal's width, as it is at that moment", async () => {
  const lines = [20, 40].map((current) => ({ id: "a", status: "Pushing", progressDetail: { current, total: 100 } }));
  const widths = [12, 30];
  const out = await draw(lines, () => ({ rows: 24, columns: widths.shift() ?? 0 }));
  assert.equal(out, "\n\x1b[1A\x1b[2K\ra: Pushing \r\x1b[1B\x1b[1A\x1b[2K\ra: Pushing      40B/100B\r\x1b[1B");
});

test("a line that has left the screen is not written over others", async () => {
  const lines = ["a", "b", "c", "a"].map((id) => ({ id, status: "x", progressDetail: {} }));
  const out = await draw(lines, () => ({ rows: 3, columns: 80 }));
  assert.ok(out.includes("\x1b[1A") && !out.includes("\x1b[3A"), JSON.stringify(out));
});

test("amounts: the bar only where there is room, sizes, units, a current beyond its total", () => {
  const cases: readonly (readonly [Parameters<typeof renderAmount>[0], number, string])[] = [
    [{}, 200, ""],
    [{ current: 0, total: 0 }, 200, ""],
    [{ current: 5 }, 200, "      5B"],
    [{ current: 5, units: "layers" }, 200, "5 layers"],
    [{ current: 1, total: 4, units: "layers" }, 80, "1/4 layers"],
    [{ current: 0, total: 10 }, 200, `[>${" ".repeat(50)}]       0B/10B`],
    [{ current: 20, total: 10 }, 200, `[${"=".repeat(50)}>]      20B`],
    [{ current: 5, total: 10 }, 110, "      5B/10B"],
    [{ current: 5, total: 10, hidecounts: true }, 110, ""],
  ];
  for (const [detail, columns, text] of cases)
    assert.equal(renderAmount(detail, columns), text, JSON.stringify(detail));
});

test("control characters of a daemon do not reach the terminal", async () => {
  const out = await draw([{ id: "a\x1b[31m", status: "s\x07", progressDetail: {} }], () => ({ rows: 24, columns: 80 }));
  assert.ok(out.includes("a\\x1b[31m: s\\x07"), JSON.stringify(out));
});

test("the stream's error is thrown after what came before it; aux lines are handed over and not shown", async () => {
  let out = "";
  const seen: unknown[] = [];
  const lines: readonly ProgressLine[] = [
    { aux: { Size: 1 } },
    { status: "a" },
    { errorDetail: { message: "no space left" }, error: "no space left" },
  ];
  await assert.rejects(
    showProgress(
      (async function* () {
        yield* lines;
      })(),
      { write: (text) => void (out += text), size: () => undefined },
      (aux) => seen.push(aux),
    ),
    new CliError("no space left"),
  );
  assert.deepEqual([out, seen], ["a\n", [{ Size: 1 }]]);
});

test("TERM=dumb is no terminal to draw on", () => {
  const stream = { isTTY: true, rows: 30, columns: 90 } as NodeJS.WriteStream;
  assert.equal(streamSink(stream, () => undefined, { TERM: "dumb" }).size(), undefined);
  assert.deepEqual(streamSink(stream, () => undefined, { TERM: "xterm" }).size(), { rows: 30, columns: 90 });
});
