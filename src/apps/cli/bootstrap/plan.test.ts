// Bootstrap plans: what they say, and that nothing of this machine is in the image.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseListFile, parseSourcesFile } from "./apt-sources.ts";
import { findDistribution, suiteOf } from "./distributions.ts";
import { parseRelease, planBootstrap, renderSourceLine, type BootstrapRequest, type Release } from "./plan.ts";

const debian = findDistribution("debian");
assert.ok(debian !== undefined);
const source = {
  uri: "http://mirror.internal/debian",
  suite: "bookworm",
  components: ["main"],
  signedBy: "",
  trusted: false,
};
const request: BootstrapRequest = {
  distribution: debian,
  suite: "bookworm",
  tag: "debian:bookworm",
  architecture: "amd64",
  variant: "minbase",
  include: ["curl", "git"],
  keyring: "",
  isOwnMirror: false,
  mode: "root",
};
const release: Release = { source, origin: "Debian", codename: "bookworm", version: "12.11", date: 1_747_000_000 };
const security: Release = {
  ...release,
  source: { ...source, uri: "http://mirror.internal/debian-security", suite: "bookworm-security" },
};

function hookOf(argv: readonly string[]): string {
  return argv.find((arg) => arg.startsWith("--customize-hook="))?.slice("--customize-hook=".length) ?? "";
}

test("the plan: mmdebstrap's arguments, the clamped time, the image's configuration", () => {
  const plan = planBootstrap(request, [release, security], 1_747_000_000);
  assert.deepEqual(
    plan.argv.filter((arg) => !arg.startsWith("--customize-hook=")),
    [
      "mmdebstrap",
      "--mode=root",
      "--variant=minbase",
      "--architectures=amd64",
      "--format=tar",
      "--skip=output/dev",
      "--include=curl,git",
      "bookworm",
      "-",
      "deb http://mirror.internal/debian bookworm main",
      "deb http://mirror.internal/debian-security bookworm-security main",
    ],
  );
  assert.equal(plan.env["SOURCE_DATE_EPOCH"], "1747000000");
  assert.deepEqual(plan.config, {
    created: "2025-05-11T21:46:40Z",
    architecture: "amd64",
    os: "linux",
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Cmd: ["bash"],
      Labels: {
        "org.opencontainers.image.created": "2025-05-11T21:46:40Z",
        "org.opencontainers.image.ref.name": "debian:bookworm",
        "org.opencontainers.image.title": "debian",
        "org.opencontainers.image.version": "12.11",
      },
    },
    history: [
      {
        created: "2025-05-11T21:46:40Z",
        created_by: "mmdebstrap --variant=minbase --include=curl --include=git bookworm",
        comment: "gantry image bootstrap",
      },
    ],
  });
});

test("the machine's mirror is in mmdebstrap's sources only, unless --mirror named it", () => {
  const plan = planBootstrap(request, [release, security], 1);
  assert.doesNotMatch(JSON.stringify([plan.config, hookOf(plan.argv)]), /mirror\.internal/);
  const own = planBootstrap({ ...request, isOwnMirror: true }, [release], 1);
  assert.match(hookOf(own.argv), /deb http:\/\/mirror\.internal\/debian bookworm main/);
});

test("the hook leaves nothing of the machine behind and writes the image's sources", () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-hook-"));
  try {
    for (const dir of ["etc/apt/sources.list.d", "var/cache/ldconfig", "var/cache/debconf", "var/log"])
      mkdirSync(join(root, dir), { recursive: true });
    for (const file of [
      "etc/hostname",
      "etc/resolv.conf",
      "etc/machine-id",
      "etc/apt/sources.list",
      "etc/apt/sources.list.d/0000x.list",
      "var/cache/ldconfig/aux-cache",
      "var/cache/debconf/config.dat-old",
    ])
      writeFileSync(join(root, file), "of this machine");
    const hook = hookOf(planBootstrap(request, [release, security], 1).argv);
    const { status, stderr } = spawnSync("sh", ["-c", hook, "exec", root], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual(readdirSync(join(root, "etc")).sort(), ["apt", "machine-id"]);
    assert.equal(statSync(join(root, "etc/machine-id")).size, 0);
    assert.deepEqual(readdirSync(join(root, "etc/apt")), ["sources.list.d"]);
    assert.deepEqual(
      [...readdirSync(join(root, "var/cache/ldconfig")), ...readdirSync(join(root, "var/cache/debconf"))],
      [],
    );
    assert.equal(
      readFileSync(join(root, "etc/apt/sources.list.d/debian.sources"), "utf8"),
      [
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nComponents: main\n",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n",
        "Types: deb\nURIs: http://deb.debian.org/debian-security\nSuites: bookworm-security\nComponents: main\n",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
      ].join(""),
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("a quote in a mirror's address cannot leave the hook's text", () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-hook-"));
  try {
    for (const dir of ["etc/apt/sources.list.d"]) mkdirSync(join(root, dir), { recursive: true });
    const evil = { ...release, source: { ...source, uri: `http://x/'; touch ${root}/broken; '` } };
    const hook = hookOf(planBootstrap({ ...request, isOwnMirror: true }, [evil], 1).argv);
    assert.equal(spawnSync("sh", ["-c", hook, "exec", root]).status, 0);
    assert.deepEqual(readdirSync(root), ["etc"]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("APT's sources in both forms: options, several suites, what is off or for source packages is left out", () => {
  assert.deepEqual(
    parseListFile(
      "# deb http://off/debian sid main\ndeb-src http://a/debian sid main\ndeb [arch=amd64 signed-by=/k.gpg trusted=yes] http://a/debian/ sid main contrib # c\n",
    ),
    [{ uri: "http://a/debian", suite: "sid", components: ["main", "contrib"], signedBy: "/k.gpg", trusted: true }],
  );
  const text = `Types: deb deb-src
# a comment
URIs: http://a/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .

Enabled: no
Types: deb
URIs: http://b/
Suites: x

Types: deb-src
URIs: http://c/
Suites: x
`;
  const one = { uri: "http://a/debian", components: ["main", "contrib"], signedBy: "", trusted: false };
  assert.deepEqual(parseSourcesFile(text), [
    { ...one, suite: "bookworm" },
    { ...one, suite: "bookworm-updates" },
  ]);
});

test("Release files: origin, version, date; --keyring goes before a source's own key", () => {
  const text =
    "Origin: Debian\nSuite: oldstable\nVersion: 12.11\nCodename: bookworm\nDate: Sat, 17 May 2025 09:00:00 UTC\n";
  assert.deepEqual(parseRelease(text, source), {
    source,
    origin: "Debian",
    codename: "bookworm",
    version: "12.11",
    date: Date.UTC(2025, 4, 17, 9) / 1000,
  });
  assert.throws(() => parseRelease("<html>", source), /has no date/);
  assert.equal(
    renderSourceLine({ ...source, signedBy: "/own.gpg" }, "/given.gpg"),
    "deb [signed-by=/given.gpg] http://mirror.internal/debian bookworm main",
  );
});

test("versions are names of suites, and a distribution alone is its default", () => {
  assert.deepEqual([suiteOf(debian, "12"), suiteOf(debian, "sid"), suiteOf(debian, "")], ["bookworm", "sid", "stable"]);
});
