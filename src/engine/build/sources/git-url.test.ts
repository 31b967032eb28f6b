import assert from "node:assert/strict";
import { test } from "node:test";
import { checkRef, checkRemote, hidePassword, isCommitId, isGitUrl, parseGitUrl } from "./git-url.ts";

test("addresses of repositories are told from others and taken apart as BuildKit does", () => {
  const plain = { ref: "", subdirectory: "", keepGitDir: undefined, checksum: undefined };
  for (const [text, address] of [
    ["https://h/a.git", { ...plain, remote: "https://h/a.git" }],
    ["https://h/a.git#main", { ...plain, remote: "https://h/a.git", ref: "main" }],
    ["https://h/a.git#main:sub/dir", { ...plain, remote: "https://h/a.git", ref: "main", subdirectory: "sub/dir" }],
    ["https://h/a.git#:sub", { ...plain, remote: "https://h/a.git", subdirectory: "sub" }],
    ["https://h/a.git?ref=v1&subdir=x", { ...plain, remote: "https://h/a.git", ref: "v1", subdirectory: "x" }],
    ["https://h/a.git?tag=v1", { ...plain, remote: "https://h/a.git", ref: "refs/tags/v1" }],
    [
      "https://h/a.git?branch=b&checksum=abcdef1",
      { ...plain, remote: "https://h/a.git", ref: "refs/heads/b", checksum: "abcdef1" },
    ],
    ["https://h/a.git?keep-git-dir=1", { ...plain, remote: "https://h/a.git", keepGitDir: true }],
    ["git@h:a/b.git#x", { ...plain, remote: "git@h:a/b.git", ref: "x" }],
    ["git://h/a", { ...plain, remote: "git://h/a" }],
    ["ssh://git@h/a", { ...plain, remote: "ssh://git@h/a" }],
    ["github.com/a/b#c", { ...plain, remote: "https://github.com/a/b", ref: "c" }],
  ] as const)
    assert.deepEqual(parseGitUrl(text), address, text);
  for (const text of ["a", "./a.git", "https://h/a.tar", "file:///a.git", "ext::sh -c x"])
    assert.equal(isGitUrl(text), false, text);
  for (const text of ["https://h/a.git?x=y", "https://h/a.git?ref=b#a", "https://h/a.git?subdir=b#a:c"]) {
    assert.equal(isGitUrl(text), true);
    assert.throws(() => parseGitUrl(text), { kind: "InvalidParameter" }, text);
  }
});

test("B07: what would be an option, a command or a local path is no remote", () => {
  for (const remote of [
    "--upload-pack=touch /tmp/x",
    "-u",
    "ext::sh -c touch% /tmp/x",
    "https::x",
    "file:///etc",
    "FILE:///etc",
    "/etc",
    "./x",
    "ftp://h/x",
    "ssh://-oProxyCommand=x/y",
    "ssh://%2doProxyCommand=x@h/y",
    "-oProxyCommand=x@h:y",
    "git@-oProxyCommand=x:y",
    "git@h:-y",
    "git@h::y",
    "https://h/a\nb",
    "https://h/a b",
    "http:///x",
    "",
  ])
    assert.throws(() => checkRemote(remote), { kind: "InvalidParameter" }, remote);
  for (const [remote, protocol, host] of [
    ["https://u:secret@h:8443/a.git", "https", "h:8443"],
    ["http://h/a.git", "http", "h"],
    ["git://h/a", "git", "h"],
    ["ssh://git@h:22/a", "ssh", "h:22"],
    ["git@h:a/b.git", "ssh", "h"],
  ] as const) {
    const checked = checkRemote(remote);
    assert.deepEqual([checked.protocol, checked.host], [protocol, host]);
    assert.ok(!checked.shown.includes("secret"));
  }
});

test("B07: refs that git would misread are refused", () => {
  for (const ref of [
    "-x",
    "--upload-pack=x",
    "a b",
    "a..b",
    "a:b",
    "a^",
    "a~1",
    "@{u}",
    "*",
    "a\nb",
    "/a",
    "a/",
    "a//b",
    "x.lock",
    "a\\b",
  ])
    assert.throws(() => checkRef(ref), { kind: "InvalidParameter" }, ref);
  for (const ref of ["main", "refs/heads/a/b", "v1.0", "abcdef1", "feature/-x", "a@b"]) checkRef(ref);
  assert.equal(isCommitId("a".repeat(40)), true);
  assert.equal(isCommitId("a".repeat(39)), false);
});

test("passwords are not shown", () => {
  assert.equal(
    hidePassword("fatal: https://u:p%40@h/x and http://:q@h"),
    "fatal: https://u:xxxxx@h/x and http://:xxxxx@h",
  );
});
