// The small grammars of the graph, as tables.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isChmod } from "./chmod.ts";
import { parseExposed } from "./expose.ts";
import { parseGitAddress } from "./git-address.ts";
import { goDuration, goQuote, goQuoteRune } from "./go-format.ts";
import { absolutePath, destinationPath, hasWildcard, rooted } from "./paths.ts";
import { crossSuffix, normalizePlatform, parseBuildPlatform } from "./platforms.ts";
import { showCommand } from "./raw-expand.ts";
import { isSignal } from "./signals.ts";
import { canonicalJson, definitionOf, vertexDigest } from "./vertex.ts";

test("paths never leave their root", () => {
  assert.deepEqual(
    [
      rooted("a/../../b/./c/"),
      rooted(".."),
      rooted("/a", "../b"),
      absolutePath("/w", "../../x"),
      absolutePath("/w", "/y"),
    ],
    ["/b/c", "/", "/b", "/x", "/y"],
  );
  const destinations = ["", ".", "./", "a", "a/", "/a/.", "/", "../x", ".."].map((path) => destinationPath("/w", path));
  assert.deepEqual(destinations, ["/w/", "/w/", "/w/", "/w/a", "/w/a/", "/a/", "/", "/x", "/"]);
  assert.deepEqual(["a*", "a\\*", "a\\\\*", "[a]", "?", "a"].map(hasWildcard), [true, false, true, true, true, false]);
});

test("values as Go writes them", () => {
  assert.deepEqual([0, 1, 1500, 2_000_000, 1_500_000_000, 60_000_000_000, 5_400_000_000_000].map(goDuration), [
    "0s",
    "1ns",
    "1.5µs",
    "2ms",
    "1.5s",
    "1m0s",
    "1h30m0s",
  ]);
  assert.deepEqual(['a"b', "\n\u0001", "ü"].map(goQuote), ['"a\\"b"', '"\\n\\x01"', '"ü"']);
  assert.deepEqual([0, 2, 10, 39, 65].map(goQuoteRune), ["'\\x00'", "'\\x02'", "'\\n'", "'\\''", "'A'"]);
});

test("EXPOSE: ports, ranges, protocols, and what is none", () => {
  assert.deepEqual(parseExposed(["80", "53/UDP", "8000-8001/tcp", "127.0.0.1:90:91", "80"]), [
    "53/udp",
    "80/tcp",
    "80/tcp",
    "8000/tcp",
    "8001/tcp",
    "91/tcp",
  ]);
  for (const [word, message] of [
    ["x", "invalid containerPort: x"],
    ["70000", "invalid containerPort: 70000"],
    ["80-70", "invalid containerPort: 80-70"],
    ["80/icmp", "invalid proto: icmp"],
  ] as const)
    assert.throws(() => parseExposed([word]), { message });
});

test("modes and signals", () => {
  assert.deepEqual(["644", "07777", "10000", "u=rwX,go=rX", "+x", "a-w", "99", "", "u", "x=r"].map(isChmod), [
    true,
    true,
    false,
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
  assert.deepEqual(["SIGINT", "term", "9", "0", "65", "RTMIN+3", "SIGRTMAX-1", "SIGFOO", ""].map(isSignal), [
    true,
    true,
    true,
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
});

test("platforms: aliases, default variants, cross-compilation", () => {
  const host = { os: "linux", architecture: "amd64" };
  assert.deepEqual(
    ["linux/aarch64", "arm64/v8", "linux/arm64/v8", "linux/arm", "linux/amd64/v1", "linux"].map((text) => {
      try {
        return parseBuildPlatform(text, host);
      } catch {
        return "refused";
      }
    }),
    [
      { os: "linux", architecture: "arm64" },
      "refused",
      { os: "linux", architecture: "arm64" },
      { os: "linux", architecture: "arm", variant: "v7" },
      host,
      host,
    ],
  );
  assert.deepEqual(normalizePlatform({ os: "linux", architecture: "arm", variant: "6" }).variant, "v6");
  const suffix = (values: Readonly<Record<string, string>>): string => crossSuffix(host, (name) => values[name]);
  assert.deepEqual(
    [
      suffix({}),
      suffix({ TARGETPLATFORM: "linux/arm64" }),
      suffix({ TARGETARCH: "arm" }),
      suffix({ TARGETOS: "linux" }),
    ],
    ["", "->arm64", "->arm/v7", ""],
  );
});

test("addresses of repositories", () => {
  assert.deepEqual(parseGitAddress("https://h/r.git#main:sub/dir"), {
    remote: "https://h/r.git",
    ref: "main",
    subdirectory: "sub/dir",
    keepGitDir: undefined,
    checksum: undefined,
  });
  assert.equal(parseGitAddress("git@h:r.git")?.remote, "git@h:r.git");
  assert.equal(parseGitAddress("github.com/a/b")?.remote, "https://github.com/a/b");
  assert.deepEqual(parseGitAddress("https://h/r.git?tag=v1&subdir=s&keep-git-dir=1")?.ref, "refs/tags/v1");
  for (const path of ["a/b", "https://h/x.tar", "./r.git", "a:b"]) assert.equal(parseGitAddress(path), undefined, path);
});

test("commands are shown with their quotes, single quotes hide variables, what cannot be expanded is shown as it is", () => {
  const values: Readonly<Record<string, string>> = { A: "1" };
  const show = (text: string): string => showCommand(text, (name) => values[name], "\\");
  assert.equal(show("RUN echo \"$A ${A}\" '$A' \\$A $B ${B} ${B:-x}"), "RUN echo \"1 1\" '$A' $A $B ${B} x");
  assert.equal(show("RUN echo ${A"), "RUN echo ${A");
});

test("the same op is the same vertex, whatever the order of members; ignored variables do not count", () => {
  assert.equal(canonicalJson({ b: 1, a: [undefined, { d: undefined, c: 2 }] }), '{"a":[null,{"c":2}],"b":1}');
  const merge = { kind: "merge" } as const;
  assert.notEqual(vertexDigest(merge, []), vertexDigest(merge, [vertexDigest(merge, [])]));
  assert.equal(definitionOf(merge), merge);
});
