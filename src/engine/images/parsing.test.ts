// The small readers of this room: JSON, platforms, progress, the outer tar.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { file, gnuLong, paxHeader, symlink, tarOf } from "../../../test/support/tar.ts";
import { ByteSource } from "./byte-source.ts";
import { parseJson } from "../../spec/parse-json.ts";
import {
  choosePlatform,
  hostArchitecture,
  matchesPlatform,
  parsePlatform,
  renderPlatform,
} from "../../spec/oci/platform.ts";
import { renderProgress } from "./progress.ts";
import { isTarHeader, readTar } from "./tar-reader.ts";

const json = (text: string): unknown => parseJson(Buffer.from(text), "document");

describe("parseJson", () => {
  it("reads what JSON.parse reads", () => {
    for (const text of [
      '{"a":[1,{"b":"c\\"}{"}],"d":{"a":1}}',
      '["a","a"]',
      '{"a":{"a":{"a":1}}}',
      "5",
      '[{"a":1},{"a":1}]',
    ])
      assert.deepEqual(json(text), JSON.parse(text));
  });
  it("refuses keys that appear twice, however they are written", () => {
    for (const text of [
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      `{"a":1,"a"${" ".repeat(500)}:2}`,
      '{"x":{"y":[{"a":1,"b":{},"a":[]}]}}',
    ])
      assert.throws(() => json(text), {
        message:
          "invalid document: the key " +
          (text.includes("u0061") || text.includes('"a"') ? JSON.stringify('"a"') : "") +
          " appears twice",
      });
  });
  it("refuses depth, size and what is no JSON, in linear time", () => {
    assert.throws(() => json("[".repeat(65)), /nested deeper than 64/);
    assert.throws(() => parseJson(Buffer.alloc((4 << 20) + 1, " "), "document"), /larger than/);
    for (const text of ["", "{", '{"a"', '"', "{]}", "\\"])
      assert.throws(() => json(text), { kind: "InvalidParameter", message: "invalid document: not JSON" });
    assert.throws(() => json(`"${"\\".repeat(1 << 20)}`), /not JSON/);
  });
});

describe("platforms", () => {
  it("are read as Docker writes them", () => {
    assert.deepEqual(
      ["linux", "amd64", "linux/x86_64", "Linux/ARM/v7", '{"os":"linux","architecture":"arm64","variant":"v8"}']
        .map(parsePlatform)
        .map(renderPlatform),
      ["linux/", "linux/amd64", "linux/amd64", "linux/arm/v7", "linux/arm64/v8"],
    );
  });
  it("of other systems or forms are refused", () => {
    assert.throws(() => parsePlatform("windows/amd64"), { message: "operating system is not supported" });
    for (const text of ["", "a/b/c/d", "linux/", "linux/a b", "{}x"])
      assert.throws(() => parsePlatform(text), { kind: "InvalidParameter" });
  });
  it("match when nothing that is said differs", () => {
    const image = { os: "linux", architecture: "arm64" };
    assert.equal(matchesPlatform(image, parsePlatform("linux/arm64/v8")), true);
    assert.equal(matchesPlatform({ ...image, variant: "v8" }, parsePlatform("linux/arm64")), true);
    assert.equal(
      matchesPlatform({ os: "linux", architecture: "arm", variant: "v6" }, parsePlatform("linux/arm/v7")),
      false,
    );
    assert.equal(matchesPlatform(image, parsePlatform("linux/amd64")), false);
  });
  it("are chosen by wish, then by host, then by what there is", () => {
    const of = (
      architecture: string,
    ): { readonly platform: { readonly os: string; readonly architecture: string } } => ({
      platform: { os: "linux", architecture },
    });
    const [host, other] = [of(hostArchitecture()), of("mips")];
    assert.equal(choosePlatform([other, host], undefined), host);
    assert.equal(choosePlatform([other], undefined), other);
    assert.equal(choosePlatform([host, other], parsePlatform("linux/mips")), other);
    assert.equal(choosePlatform([host], parsePlatform("linux/mips")), undefined);
  });
});

describe("renderProgress", () => {
  it("writes Docker's lines", () => {
    // Both from the reference daemon.
    assert.deepEqual(renderProgress("Loading layer", "2cc7e3d9c5b3", 32_768, 1_996_800), {
      status: "Loading layer",
      progressDetail: { current: 32_768, total: 1_996_800 },
      progress: "[>                                                  ]  32.77kB/1.997MB",
      id: "2cc7e3d9c5b3",
    });
    assert.equal(
      renderProgress("Loading layer", "x", 1_996_800, 1_996_800).progress,
      `[${"=".repeat(50)}>]  1.997MB/1.997MB`,
    );
    assert.equal(renderProgress("Extracting", "x", 122, 122).progress, `[${"=".repeat(50)}>]     122B/122B`);
  });
});

describe("readTar", () => {
  async function read(bytes: Uint8Array, chunkBytes: number): Promise<string[]> {
    const source = new ByteSource(
      (async function* () {
        for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
      })(),
    );
    const seen: string[] = [];
    for await (const member of readTar(source)) {
      const chunks: Uint8Array[] = [];
      // Every second body is left for the reader to skip.
      if (seen.length % 2 === 0) for await (const chunk of member.chunks()) chunks.push(chunk);
      seen.push(
        `${member.type} ${member.name} ${member.linkName} ${member.sizeBytes} ${Buffer.concat(chunks).toString().slice(0, 3)}`,
      );
    }
    return seen;
  }
  const long = `${"d/".repeat(80)}f`;
  const archive = tarOf(
    file("a", "abc"),
    file("b", "x".repeat(2000)),
    symlink("s", "target"),
    file("p", "pax", { pax: { path: long } }),
    gnuLong("L", long),
    file("g", "gnu"),
    paxHeader({ comment: "c" }, "g"),
    { name: "v7/", type: "\0", format: "v7" },
    file("n", "end", { prefix: "pre/fix" }),
  );
  for (const chunkBytes of [1, 100, 512, 100_000])
    it(`reads all forms of names in chunks of ${chunkBytes}`, async () => {
      assert.deepEqual(await read(archive, chunkBytes), [
        "file a  3 abc",
        "file b  2000 ",
        "symlink s target 0 ",
        `file ${long}  3 `,
        `file ${long}  3 gnu`,
        "directory v7/  0 ",
        "file pre/fix/n  3 end",
      ]);
    });
  it("refuses every cut but the one between members", async () => {
    for (let size = 1; size < 4096; size += 97)
      if (size % 512 !== 0) await assert.rejects(read(archive.subarray(0, size), 512), { kind: "InvalidParameter" });
  });
  it("knows a tar by its checksum", () => {
    assert.deepEqual(
      [
        isTarHeader(archive),
        isTarHeader(Buffer.alloc(512)),
        isTarHeader(Buffer.alloc(511)),
        isTarHeader(Buffer.alloc(512, "x")),
      ],
      [true, true, false, false],
    );
  });
});
