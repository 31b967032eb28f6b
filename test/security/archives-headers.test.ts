// Layers with broken headers, lying sparse maps, and more of everything than is allowed (T01, T02). Needs root.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { base256, directory, end, file, gnuLong, member, paxHeader, symlink, tarOf } from "../support/tar.ts";
import { badArchive, limit, unpackCases } from "../support/unpack-cases.ts";

const { bench, refuses, confines } = unpackCases();

describe("layers with broken headers", () => {
  const whole = (): Buffer => tarOf(file("a", "x".repeat(2000)), file("b", "y"));
  for (const bytes of [1, 100, 511, 513, 700, 1024, 2400, 2559])
    refuses(`an archive cut after ${bytes} bytes`, () => whole().subarray(0, bytes), badArchive, /unexpected EOF/);
  refuses(
    "a wrong checksum",
    () => tarOf(file("a", "x", { spoil: (h) => h.write("1", 0) })),
    badArchive,
    /wrong checksum/,
  );
  refuses(
    "random bytes",
    () => Buffer.from(Array.from({ length: 2048 }, (_, i) => (i * 7919 + 13) % 251)),
    badArchive,
    /checksum|header/,
  );
  refuses(
    "a size that is no number",
    () => tarOf(file("a", "", { patch: (h) => h.write("12x45", 124) })),
    badArchive,
    /bad size/,
  );
  refuses(
    "a negative base-256 size",
    () => tarOf(file("a", "", { patch: (h) => h.fill(0xff, 124, 136) })),
    badArchive,
    /negative size/,
  );
  refuses(
    "a base-256 size beyond 64 bits",
    () => tarOf(file("a", "", { patch: (h) => base256(1n << 70n, 12).copy(h, 124) })),
    badArchive,
    /out of range/,
  );
  refuses(
    "a size of 8 EiB",
    () => tarOf(file("a", "", { patch: (h) => base256((1n << 63n) - 1n, 12).copy(h, 124) })),
    limit,
    /larger than/,
  );
  refuses(
    "a PAX size beyond 64 bits",
    () => tarOf(file("a", "", { pax: { size: "99999999999999999999999" } })),
    badArchive,
    /out of range/,
  );
  refuses("a negative PAX size", () => tarOf(file("a", "", { pax: { size: "-1" } })), badArchive, /bad size/);
  refuses("a PAX size with a sign", () => tarOf(file("a", "", { pax: { size: "+1" } })), badArchive, /bad size/);
  refuses(
    "a PAX size larger than the data",
    () => tarOf(file("a", "x", { pax: { size: "100000" } })),
    badArchive,
    /unexpected EOF/,
  );
  refuses("a uid of -1", () => tarOf(file("a", "", { pax: { uid: "4294967295" } })), badArchive, /uid .* out of range/);
  refuses(
    "a gid beyond 32 bits",
    () => tarOf(file("a", "", { pax: { gid: "4294967296" } })),
    badArchive,
    /gid .* out of range/,
  );
  refuses("a time that is none", () => tarOf(file("a", "", { pax: { mtime: "yesterday" } })), badArchive, /bad mtime/);
  refuses(
    "a time out of range",
    () => tarOf(file("a", "", { pax: { mtime: "9".repeat(19) } })),
    badArchive,
    /out of range/,
  );
  refuses(
    "an empty name in a sparse header",
    () => tarOf(file("a", "", { pax: { "GNU.sparse.major": "1", "GNU.sparse.minor": "0" } })),
    badArchive,
    /sparse file without its size/,
  );
  refuses("a NUL in a PAX path", () => tarOf(file("a", "", { pax: { path: "a\0b" } })), badArchive, /NUL byte/);
  refuses(
    "a NUL in a PAX key",
    () => tarOf(file("a", "", { pax: { "pa\0th": "b" } })),
    badArchive,
    /NUL byte in a key/,
  );
  for (const [what, data] of [
    ["a length of 0", "0 a=b\n"],
    ["a length too short", "3 a=b\n"],
    ["a length beyond the header", "99 a=b\n"],
    ["no length", "a=b\n"],
    ["no key", "5 =b\n"],
    ["no end of line", "6 a=bc"],
    ["no equals sign", "6 abc\n"],
    ["a huge length", `${"9".repeat(30)} a=b\n`],
  ] as const)
    refuses(
      `a PAX record with ${what}`,
      () => tarOf({ name: "x", type: "x", data }, file("a")),
      badArchive,
      /extended header/,
    );
  refuses(
    "two PAX headers for one member",
    () => tarOf(paxHeader({ path: "a" }), paxHeader({ path: "b" }), file("c")),
    badArchive,
    /two extended headers/,
  );
  refuses(
    "an archive that ends after a PAX header",
    () => Buffer.concat([paxHeader({ path: "a" }), end]),
    badArchive,
    /ends after an extended header/,
  );
  refuses("an unknown type", () => tarOf({ name: "a", type: "Z" }), badArchive, /unsupported tar member/);
  refuses(
    "a volume's continuation",
    () => tarOf({ name: "a", type: "M", data: "x" }),
    badArchive,
    /unsupported tar member/,
  );
  refuses(
    "an invalid capability",
    () => tarOf(file("a", "x", { pax: { "SCHILY.xattr.security.capability": "rubbish" } })),
    badArchive,
    /invalid value of security.capability/,
  );
  refuses(
    "a component of 256 bytes",
    () => tarOf(file("a", "", { pax: { path: "c".repeat(256) } })),
    badArchive,
    /longer than 255/,
  );
  confines(
    "a terminal's control characters in a message",
    () => tarOf(file("\u001b[31mred\n", "x")),
    (layer) => {
      assert.deepEqual(readdirSync(layer), ["\u001b[31mred\n"]);
    },
  );
  it("says a name with control characters on one harmless line", () => {
    const run = bench().run(tarOf(file("\u001b[31mred\nforged line/", "", { type: "1", link: "nothing" })));
    assert.deepEqual([run.status, Buffer.from(run.said).some((c) => c < 0x20)], [badArchive, false]);
  });
});

describe("sparse files that lie", () => {
  const sparse = (map: string, size: number, more: Readonly<Record<string, string>> = {}): Buffer =>
    tarOf(
      file("s", map.padEnd(512, "\0"), {
        pax: { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": String(size), ...more },
      }),
    );
  refuses("a map out of order", () => sparse("2\n10\n0\n5\n0\n", 100), badArchive, /out of order/);
  refuses("a map beyond the file", () => sparse("1\n90\n20\n", 100), badArchive, /beyond the file/);
  refuses(
    "a map that overflows",
    () => sparse(`1\n18446744073709551615\n2\n`, 100),
    badArchive,
    /out of range|out of order/,
  );
  refuses("more data than the member has", () => sparse("1\n0\n50\n", 100), badArchive, /does not match/);
  refuses("a map without an end", () => sparse("9\n", 100), badArchive, /longer than the member|empty|bad/);
  refuses("a map of letters", () => sparse("x\n", 100), badArchive, /bad sparse map/);
  refuses("a map of a million regions", () => sparse("1000000\n", 100), limit, /sparse regions/);
  refuses("a file of 1 TiB", () => sparse("0\n", 2 ** 40), limit, /larger than/);
  refuses("an unknown format", () => sparse("0\n", 0, { "GNU.sparse.major": "2" }), badArchive, /not supported/);
  refuses("format 0.0", () => sparse("0\n", 0, { "GNU.sparse.offset": "0" }), badArchive, /not supported/);
});

describe("layers beyond limits", () => {
  refuses(
    "more members than allowed",
    () => tarOf(...Array.from({ length: 11 }, (_, i) => file(`f${i}`))),
    limit,
    /more than 10 members/,
    { entries: 10 },
  );
  refuses(
    "more bytes than allowed",
    () => tarOf(file("a", "x".repeat(600)), file("b", "x".repeat(600))),
    limit,
    /larger than the 1000 bytes/,
    { bytes: 1000 },
  );
  refuses(
    "the same file over and over",
    () => tarOf(...Array.from({ length: 5 }, () => file("a", "x".repeat(300)))),
    limit,
    /larger than the 1000 bytes/,
    { bytes: 1000 },
  );
  refuses("a path that is too deep", () => tarOf(file("d/".repeat(20) + "f")), limit, /more than 10 components/, {
    depth: 10,
  });
  refuses(
    "a path of 10,000 components",
    () => tarOf(file("f", "", { pax: { path: "d/".repeat(10_000) } })),
    limit,
    /components|longer than/,
  );
  refuses(
    "a path of more than 4095 bytes",
    () => tarOf(file("f", "", { pax: { path: `${"d".repeat(200)}/`.repeat(30) } })),
    limit,
    /longer than 4095/,
  );
  refuses(
    "a link target of 5,000 bytes",
    () => tarOf(symlink("s", "", { pax: { linkpath: "t".repeat(5000) } })),
    limit,
    /longer than 4095/,
  );
  refuses(
    "a PAX header of 2 MiB",
    () => tarOf(file("f", "", { pax: { comment: "c".repeat(2 << 20) } })),
    limit,
    /extended header of/,
  );
  refuses(
    "a PAX header of 8 GiB",
    () => tarOf({ name: "x", type: "x", size: 2 ** 33 - 1 }),
    limit,
    /extended header of/,
  );
  refuses(
    "a GNU long name of 2 MiB",
    () => tarOf(gnuLong("L", "n".repeat(2 << 20)), file("f")),
    limit,
    /extended header of/,
  );
  refuses(
    "a global header of 2 MiB",
    () => tarOf({ name: "g", type: "g", data: Buffer.alloc(2 << 20) }, file("f")),
    limit,
    /global header of/,
  );
  refuses(
    "100 attributes on one file",
    () =>
      tarOf(
        file("f", "", {
          pax: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`SCHILY.xattr.user.n${i}`, "v"])),
        }),
      ),
    limit,
    /extended attributes/,
  );
  refuses(
    "a gigabyte of zeros after the end",
    () => Buffer.concat([tarOf(file("f")), Buffer.alloc(100 << 20)]),
    limit,
    /after the end/,
  );
  it("removes a tree that symlinks made deeper than any path when it is replaced, or refuses it", () => {
    const step = Array.from({ length: 90 }, () => "d".repeat(40)).join("/");
    const members = [directory("base")];
    for (let i = 0; i < 4; i++)
      members.push(
        directory(i === 0 ? `base/${step}` : `l${i - 1}/${step}`, {
          pax: { path: i === 0 ? `base/${step}` : `l${i - 1}/${step}` },
        }),
        symlink(`l${i}`, i === 0 ? `base/${step}` : `l${i - 1}/${step}`, {
          pax: { linkpath: i === 0 ? `base/${step}` : `l${i - 1}/${step}` },
        }),
      );
    const run = bench().run(tarOf(...members, file("base", "x")), { depth: 1000 });
    assert.deepEqual(bench().canaryChanges(), []);
    assert.ok(run.status === 0 || run.status === badArchive || run.status === limit, run.said);
  });
});

describe("members after the end", () => {
  confines(
    "what follows the first zero block: it is ignored",
    () => Buffer.concat([member(file("a", "x")), end, member(file("hidden", "x")), end]),
    (layer) => {
      assert.equal(existsSync(join(layer, "hidden")), false);
    },
  );
});
