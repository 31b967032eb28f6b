// Layers whose names, links and whiteouts lead out (T01): refused, or unpacked inside. Needs root.

import assert from "node:assert/strict";
import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import { directory, file, gnuLong, hardlink, symlink, tarOf } from "../support/tar.ts";
import { xattrsOf } from "../support/unpack-bench.ts";
import { badArchive, unpackCases } from "../support/unpack-cases.ts";

const { bench, refuses, confines } = unpackCases();

const text = (path: string): string => readFileSync(path, "utf8");

describe("layers with names that lead out", () => {
  for (const name of ["../x", "a/../../x", "..", "a/..", "./../x", "a/b/../../../x", "/../x", "..//x"])
    refuses(`the name ${name}`, () => tarOf(file(name, "x")), badArchive, /contains "\.\."/);
  for (const type of ["0", "1", "2", "3", "4", "5", "6"])
    refuses(
      `".." in a member of type ${type}`,
      () => tarOf({ name: "../../x", type, link: "y" }),
      badArchive,
      /contains "\.\."/,
    );
  refuses('".." in a prefix field', () => tarOf(file("x", "x", { prefix: "../.." })), badArchive, /contains "\.\."/);
  refuses(
    '".." in a PAX path',
    () => tarOf(file("x", "x", { pax: { path: "../../x" } })),
    badArchive,
    /contains "\.\."/,
  );
  refuses(
    '".." in a GNU long name',
    () => tarOf(gnuLong("L", `../${"a".repeat(120)}`), file("x", "x")),
    badArchive,
    /contains "\.\."/,
  );
  refuses('".." in a whiteout', () => tarOf(file("../.wh.canary")), badArchive, /contains "\.\."/);
  refuses(
    '".." in a GNU sparse name',
    () =>
      tarOf(
        file("x", "0\n".padEnd(512, "\0"), {
          pax: {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "../x",
            "GNU.sparse.realsize": "0",
          },
        }),
      ),
    badArchive,
    /contains "\.\."/,
  );
  confines(
    "an absolute name",
    () => tarOf(file(`${bench().canary}/file`, "mine")),
    (layer) => {
      assert.equal(text(join(layer, bench().canary, "file")), "mine");
    },
  );
  confines(
    "a name of dots",
    () => tarOf(file("...", "x"), file("..a", "y"), file("a..", "z")),
    (layer) => {
      assert.deepEqual(readdirSync(layer).sort(), ["...", "..a", "a.."]);
    },
  );
});

describe("layers with links that lead out", () => {
  confines(
    "a file through an absolute symlink to a directory",
    () => tarOf(symlink("d", bench().canary), directory(`${bench().canary.slice(1)}/`), file("d/file", "mine")),
    (layer) => {
      assert.equal(text(join(layer, bench().canary, "file")), "mine");
      assert.equal(readlinkSync(join(layer, "d")), bench().canary);
    },
  );
  refuses(
    "a file through an absolute symlink to nothing in the layer",
    () => tarOf(symlink("d", bench().canary), file("d/file", "x")),
    badArchive,
    /is not a directory/,
  );
  confines(
    "a file through a symlink of many ..",
    () => tarOf(directory("a"), symlink("a/up", "../../../../../.."), file("a/up/inside", "x")),
    (layer) => {
      assert.equal(text(join(layer, "inside")), "x");
    },
  );
  confines(
    "a chain of symlinks",
    () => tarOf(symlink("a", "b"), symlink("b", "c/.."), directory("c"), symlink("c/d", "/.."), file("a/c/d/e", "x")),
    (layer) => {
      assert.equal(text(join(layer, "e")), "x");
    },
  );
  confines(
    "a file over a symlink to a file outside",
    () => tarOf(symlink("f", `${bench().canary}/file`), file("f", "mine")),
    (layer) => {
      assert.equal(lstatSync(join(layer, "f")).isFile(), true);
    },
  );
  confines(
    "a chmod through a symlink",
    () => tarOf(symlink("f", `${bench().canary}/file`, { mode: 0o4777 })),
    (layer) => {
      assert.equal(readlinkSync(join(layer, "f")), `${bench().canary}/file`);
    },
  );
  confines(
    "a directory over a symlink to a directory outside",
    () => tarOf(symlink("d", bench().canary), directory("d", { mode: 0o777 }), file("d/file", "mine")),
    (layer) => {
      assert.equal(text(join(layer, "d/file")), "mine");
    },
  );
  confines(
    "a symlink over a directory with children",
    () => tarOf(directory("d"), file("d/f"), symlink("d", bench().canary)),
    (layer) => {
      assert.equal(readlinkSync(join(layer, "d")), bench().canary);
    },
  );
  confines(
    "times set through a directory that became a symlink",
    () => tarOf(directory("dir", { mtime: 5 }), symlink("dir", bench().canary)),
    (layer) => {
      assert.equal(readlinkSync(join(layer, "dir")), bench().canary);
    },
  );
  confines(
    "a device node over a symlink",
    () => tarOf(symlink("n", `${bench().canary}/file`), { name: "n", type: "3", devMajor: 1, devMinor: 3 }),
    (layer) => {
      assert.equal(lstatSync(join(layer, "n")).isCharacterDevice(), true);
    },
  );
  for (const target of ["../../../etc/passwd", "a/../../x"])
    refuses(`a hard link to ${target}`, () => tarOf(hardlink("h", target)), badArchive, /contains "\.\."/);
  refuses(
    "a hard link to an absolute path outside",
    () => tarOf(hardlink("h", `${bench().canary}/file`)),
    badArchive,
    /not in the layer/,
  );
  refuses(
    "a hard link through a symlink outside",
    () => tarOf(symlink("d", bench().canary), hardlink("h", "d/file")),
    badArchive,
    /not in the layer/,
  );
  confines(
    "a hard link to a symlink: the symlink itself is linked",
    () => tarOf(symlink("s", `${bench().canary}/file`), hardlink("h", "s"), file("h", "mine")),
    (layer) => {
      assert.equal(text(join(layer, "h")), "mine");
      assert.equal(readlinkSync(join(layer, "s")), `${bench().canary}/file`);
    },
  );
  refuses(
    "a hard link to a directory",
    () => tarOf(directory("d"), hardlink("h", "d")),
    badArchive,
    /a hard link to the directory/,
  );
  refuses("a hard link to the root", () => tarOf(hardlink("h", "/")), badArchive, /not in the layer|a hard link/);
  refuses(
    "a hard link before its target",
    () => tarOf(hardlink("h", "later"), file("later")),
    badArchive,
    /not in the layer/,
  );
  refuses("a hard link without a target", () => tarOf(hardlink("h", "")), badArchive, /without a link target/);
  refuses(
    "a hard link to a whiteout's name",
    () => tarOf(file(".wh.x"), hardlink("h", ".wh.x")),
    badArchive,
    /not in the layer/,
  );
  refuses(
    "a hard link over a directory that holds its target",
    () => tarOf(directory("d"), file("d/f"), hardlink("d", "d/f")),
    badArchive,
    /in place of a directory/,
  );
  refuses("a symlink to nothing", () => tarOf(symlink("s", "")), badArchive, /a symbolic link to nothing/);
  refuses(
    "a loop of symlinks on the way",
    () => tarOf(symlink("a", "b"), symlink("b", "a"), file("a/x")),
    badArchive,
    /loop|Too many levels/,
  );
  refuses("a member below a file", () => tarOf(file("f"), file("f/x")), badArchive, /not a directory/);
  refuses(
    "a member below a device node",
    () => tarOf({ name: "n", type: "3", devMajor: 1, devMinor: 3 }, file("n/x")),
    badArchive,
    /not a directory/,
  );
  refuses("a member below a FIFO", () => tarOf({ name: "n", type: "6" }, file("n/x")), badArchive, /not a directory/);
  confines(
    "magic links of /proc",
    () =>
      tarOf(
        symlink("p", "/proc/self/root"),
        directory("proc"),
        directory("proc/self"),
        directory("proc/self/root"),
        file("p/x", "mine"),
      ),
    (layer) => {
      assert.equal(text(join(layer, "proc/self/root/x")), "mine");
    },
  );
});

describe("layers that speak to overlayfs", () => {
  confines(
    "attributes of trusted.overlay and others",
    () =>
      tarOf(
        directory("d", {
          pax: {
            "SCHILY.xattr.trusted.overlay.opaque": "y",
            "SCHILY.xattr.trusted.overlay.redirect": "/etc",
            "SCHILY.xattr.user.overlay.opaque": "y",
          },
        }),
        file("f", "x", {
          pax: {
            "SCHILY.xattr.trusted.overlay.metacopy": "",
            "SCHILY.xattr.security.selinux": "x",
            "SCHILY.xattr.security.ima": "x",
            "SCHILY.xattr.trusted.x": "x",
          },
        }),
      ),
    (layer) => {
      assert.deepEqual([xattrsOf(join(layer, "d")), xattrsOf(join(layer, "f"))], [{}, {}]);
    },
  );
  for (const name of [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh..", "a/.wh..."])
    refuses(`the whiteout ${name}`, () => tarOf(directory("a"), file(name)), badArchive, /a whiteout of nothing/);
  confines(
    "an opaque marker in a symlinked directory outside",
    () => tarOf(symlink("d", bench().canary), directory(bench().canary), file("d/.wh..wh..opq")),
    (layer) => {
      assert.equal(xattrsOf(join(layer, bench().canary))["trusted.overlay.opaque"], "79");
      assert.equal(xattrsOf(bench().canary)["trusted.overlay.opaque"], undefined);
    },
  );
  refuses(
    "a member in a directory named as a whiteout",
    () => tarOf(file("a/.wh.b/c")),
    badArchive,
    /named as a whiteout/,
  );
  confines(
    "AUFS' own files",
    () => tarOf(file(".wh..wh.plnk"), file(".wh..wh.aufs", "data")),
    (layer) => {
      assert.deepEqual(readdirSync(layer), []);
    },
  );
  refuses(
    "the root replaced by a file",
    () => tarOf(file("./", "x", { type: "7", pax: { path: "." } })),
    badArchive,
    /replace the root/,
  );
  refuses("the root replaced by a symlink", () => tarOf(symlink(".", bench().canary)), badArchive, /replace the root/);
  refuses("the root replaced by a device", () => tarOf({ name: "/", type: "4" }), badArchive, /replace the root/);
  refuses("a member without a name", () => tarOf(file("", "x")), badArchive, /without a path/);
});
