// Archives by chance: members of all kinds under few names, so that they replace each other, with every way of saying things.

import { type RawMember, directory, end, file, gnuLong, hardlink, member, paxHeader, symlink } from "./tar.ts";

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const names = [
  "a",
  "b",
  "c",
  "d",
  "a/x",
  "a/y",
  "b/x",
  "b/y/z",
  "c/l/m",
  "d/e/f",
  "a/.wh.x",
  ".wh.b",
  "b/.wh..wh..opq",
];

/** An archive that may be accepted or refused; never one that says how it was made. */
export function randomTar(random: () => number): Buffer {
  const below = (n: number): number => Math.floor(random() * n);
  const name = (): string => names[below(names.length)] ?? "a";
  const data = (): Buffer => {
    const size = [0, 1, 17, 511, 512, 513, 4000, 70_000][below(8)] ?? 0;
    return below(3) === 0 ? Buffer.alloc(size) : Buffer.alloc(size, `${random()}`);
  };
  const more = (): Partial<RawMember> => ({
    mode: below(0o10000),
    uid: below(3000),
    gid: below(3000),
    mtime: below(2 ** 31),
    format: below(3) === 0 ? "gnu" : "ustar",
    ...(below(4) === 0 ? { pax: { mtime: `${below(2 ** 31)}.${below(1e9)}`, comment: "x".repeat(below(900)) } } : {}),
  });
  const next = (): (RawMember | Uint8Array)[] => {
    switch (below(12)) {
      case 0:
      case 1:
        return [directory(name(), more())];
      case 2:
        return [symlink(name(), ["a", "b/y", "../c", "/d", "nowhere"][below(5)] ?? "a", more())];
      case 3:
        return [hardlink(name(), name(), more())];
      case 4:
        return [{ name: name(), type: "6", ...more() }];
      case 5:
        return [gnuLong("L", `${name()}/${"long".repeat(below(40))}`), file("short", data(), { uid: below(9) })];
      case 6:
        return [paxHeader({ comment: `${random()}` }, "g")];
      case 7:
        return [
          file(name(), Buffer.from("2\n0\n512\n9000\n100\n".padEnd(512, "\0") + "s".repeat(612)), {
            pax: {
              "GNU.sparse.major": "1",
              "GNU.sparse.minor": "0",
              "GNU.sparse.realsize": `${9100 + below(2) * 4000}`,
            },
          }),
        ];
      default:
        return [file(name(), data(), more())];
    }
  };
  const parts: Uint8Array[] = [];
  for (let left = 1 + below(25); left > 0; left--)
    for (const part of next()) parts.push(part instanceof Uint8Array ? part : member(part));
  const tails = [
    end,
    Buffer.alloc(512),
    Buffer.alloc(10_240),
    Buffer.alloc(0),
    Buffer.concat([end, Buffer.from("trailing")]),
  ];
  return Buffer.concat([...parts, tails[below(tails.length)] ?? end]);
}
