import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findGoModules, parseGoModules } from "./go-buildinfo.ts";
import {
  parseApk,
  parseDpkg,
  parseOsRelease,
  parsePackageJson,
  parsePackageLock,
  parsePythonMetadata,
} from "./package-databases.ts";
import { type PackageRecord, packageUrl } from "./package-record.ts";
import { renderSpdx } from "./spdx.ts";

const debian = { id: "debian", versionId: "12" };

function urls(records: readonly PackageRecord[]): readonly string[] {
  return records.map((record) => packageUrl(record, debian));
}

describe("databases of packages", () => {
  it("dpkg: what is installed, not what was removed", () => {
    const text = `Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134
Description: add and remove users
 Version: 9 in a long text

Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl (3.0.1-1)
Version: 1:3.0.1-1+b2~x

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
`;
    assert.deepEqual(urls(parseDpkg(text, "var/lib/dpkg/status")), [
      "pkg:deb/debian/adduser@3.134?arch=all&distro=debian-12",
      "pkg:deb/debian/libssl3@1%3A3.0.1-1%2Bb2~x?arch=amd64&distro=debian-12&upstream=openssl",
    ]);
    assert.deepEqual(urls(parseDpkg("Package: base\nVersion: 1\n", "var/lib/dpkg/status.d/base")), [
      "pkg:deb/debian/base@1?distro=debian-12",
    ]);
  });

  it("apk", () => {
    const text =
      "C:Q1abc\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\n\nP:libcrypto3\nV:3.1.4-r5\nA:x86_64\no:openssl\nF:lib\n\n";
    const alpine = parseOsRelease('NAME="Alpine Linux"\nID=alpine\nVERSION_ID="3.19.1"\n');
    const found = parseApk(text, "lib/apk/db/installed");
    assert.deepEqual(
      found.map((record) => packageUrl(record, alpine)),
      [
        "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1",
        "pkg:apk/alpine/libcrypto3@3.1.4-r5?arch=x86_64&distro=alpine-3.19.1&upstream=openssl",
      ],
    );
    assert.equal(found[0]?.license, "MIT");
  });

  it("npm: package.json, and locks of all versions", () => {
    assert.deepEqual(urls(parsePackageJson('{"name":"@babel/core","version":"7.0.0"}', "x")), [
      "pkg:npm/%40babel/core@7.0.0",
    ]);
    assert.deepEqual(parsePackageJson('{"type":"module"}', "x"), []);
    assert.deepEqual(parsePackageJson("{", "x"), []);
    const three = {
      packages: {
        "": { name: "app", version: "1.0.0" },
        "node_modules/a": { version: "1.1.0" },
        "node_modules/a/node_modules/@s/b": { version: "2.0.0" },
        "node_modules/linked": { link: true, resolved: "../x" },
      },
    };
    assert.deepEqual(urls(parsePackageLock(JSON.stringify(three), "x")), ["pkg:npm/a@1.1.0", "pkg:npm/%40s/b@2.0.0"]);
    const one = { dependencies: { a: { version: "1.1.0", dependencies: { b: { version: "2.0.0" } } } } };
    assert.deepEqual(urls(parsePackageLock(JSON.stringify(one), "x")), ["pkg:npm/a@1.1.0", "pkg:npm/b@2.0.0"]);
  });

  it("pip: the headers alone, with a normalised name", () => {
    const text = "Metadata-Version: 2.1\r\nName: Typing_Extensions\r\nVersion: 4.8.0\r\n\r\nVersion: 9\r\n";
    assert.deepEqual(urls(parsePythonMetadata(text, "x")), ["pkg:pypi/typing-extensions@4.8.0"]);
    assert.deepEqual(parsePythonMetadata("nothing", "x"), []);
  });
});

/** A binary with a list at an offset, as Go's linker writes it. */
function goBinary(offset: number, list: string, version = "go1.22.1"): Buffer {
  const header = Buffer.alloc(32);
  header.write("\xff Go buildinf:", 0, "latin1");
  header[14] = 8;
  header[15] = 2;
  const text = (bytes: Buffer): Buffer => {
    const length: number[] = [];
    for (let left = bytes.length; ; left >>= 7) {
      if (left < 128) {
        length.push(left);
        break;
      }
      length.push((left & 127) | 128);
    }
    return Buffer.concat([Buffer.from(length), bytes]);
  };
  const mark = Buffer.alloc(16, 0x30);
  return Buffer.concat([
    Buffer.from("\x7fELF", "latin1"),
    Buffer.alloc(offset - 4, 1),
    header,
    text(Buffer.from(version)),
    text(Buffer.concat([mark, Buffer.from(list), mark])),
    Buffer.alloc(100, 2),
  ]);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("Go binaries", () => {
  const list =
    "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\tgolang.org/x/net\tv0.17.0\th1:x=\n" +
    "dep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv2.0.0\th1:y=\nbuild\t-trimpath=true\n";

  it("are found in pieces of any size, wherever the list is", async () => {
    for (const size of [7, 512, 100_000])
      for (const offset of [16, 4096, 65_536 - 16]) {
        const found = await findGoModules(pieces(goBinary(offset, list), size));
        assert.deepEqual(urls(parseGoModules(found ?? "", "bin/app")), [
          "pkg:golang/stdlib@1.22.1",
          "pkg:golang/example.com/app",
          "pkg:golang/golang.org/x/net@v0.17.0",
          "pkg:golang/example.com/new@v2.0.0",
        ]);
      }
  });

  it("a long list is read whole, one that is cut off not at all", async () => {
    const long = Array.from(
      { length: 5000 },
      (_, at) => `dep\texample.com/module-${at}\tv1.0.0\th1:abcdefghijk=\n`,
    ).join("");
    const binary = goBinary(64, long);
    assert.equal(parseGoModules((await findGoModules(pieces(binary, 4096))) ?? "", "x").length, 5001);
    assert.equal(await findGoModules(pieces(binary.subarray(0, 10_000), 4096)), undefined);
  });

  it("the mark alone is no list: debuggers carry it in their data", async () => {
    const fake = Buffer.concat([
      Buffer.alloc(32),
      Buffer.from("\xff Go buildinf:\x08\x02", "latin1"),
      Buffer.alloc(64, 5),
    ]);
    const real = goBinary(1008, list).subarray(4 - 4);
    assert.equal(await findGoModules(pieces(fake, 10)), undefined);
    const both = Buffer.concat([fake, real]);
    assert.match((await findGoModules(pieces(both, 100))) ?? "", /golang\.org\/x\/net/);
  });
});

describe("the SPDX document", () => {
  const one: PackageRecord = { type: "npm", name: "@s/a", version: "1.0.0", path: "b/node_modules/@s/a/package.json" };
  const two: PackageRecord = { ...one, path: "a/node_modules/@s/a/package.json", license: "MIT" };
  const other: PackageRecord = { type: "deb", name: "z", version: "1", path: "var/lib/dpkg/status" };

  it("is the same for the same packages in any order, with one entry for each URL", () => {
    const render = (packages: readonly PackageRecord[]): string =>
      JSON.stringify(renderSpdx({ distribution: debian, packages }, "linux/amd64", "sha256:1"));
    assert.equal(render([one, two, other]), render([other, two, one]));
    const document = JSON.parse(render([one, two, other])) as {
      readonly packages: readonly { readonly name: string; readonly SPDXID: string; readonly sourceInfo: string }[];
      readonly relationships: readonly { readonly relatedSpdxElement: string }[];
    };
    assert.deepEqual(
      document.packages.map(({ name, sourceInfo }) => [name, sourceInfo]),
      [
        ["linux/amd64", undefined],
        ["z", "found in var/lib/dpkg/status"],
        ["@s/a", "found in a/node_modules/@s/a/package.json, b/node_modules/@s/a/package.json"],
      ],
    );
    for (const { SPDXID } of document.packages) {
      assert.match(SPDXID, /^SPDXRef-[A-Za-z0-9.-]+$/);
      assert.ok(document.relationships.some(({ relatedSpdxElement }) => relatedSpdxElement === SPDXID));
    }
  });

  it("has a namespace of its own for each tree", () => {
    const namespace = (treeId: string): unknown =>
      (renderSpdx({ distribution: debian, packages: [] }, "x", treeId) as Record<string, unknown>)["documentNamespace"];
    assert.notEqual(namespace("a"), namespace("b"));
  });
});
