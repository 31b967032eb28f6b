// gantry-copy against random trees full of hostile links, and against damaged requests: whatever it is told, it ends, nothing outside
// of what it writes to changes, and nothing from outside gets in. GANTRY_FUZZ_RUNS and GANTRY_FUZZ_SEED repeat or lengthen it. Needs root.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";

const copyPath = process.env["GANTRY_COPY"] ?? fileURLToPath(new URL("../../shim/build/gantry-copy", import.meta.url));
const runs = Number(process.env["GANTRY_FUZZ_RUNS"] ?? 20);
const seed = Number(process.env["GANTRY_FUZZ_SEED"] ?? 20261128);
const canary = "canary-from-outside";

/** A generator of numbers below `n` (xorshift32). */
function numbers(start: number): (n: number) => number {
  let state = start | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

describe("gantry-copy with anything", () => {
  let room: string;
  const at = (...names: readonly string[]): string => join(room, ...names);
  before(() => {
    room = mkdtempSync(join(tmpdir(), "gantry-copy-random-"));
    mkdirSync(at("outside", "d"), { recursive: true });
    writeFileSync(at("outside", "secret"), canary);
    writeFileSync(at("outside", "d", "secret"), canary);
  });
  after(() => rmSync(room, { recursive: true, force: true }));

  /** Everything about a tree but the times of access. */
  function fingerprint(path: string, lines: string[] = []): readonly string[] {
    const stat = lstatSync(path, { bigint: true });
    const content = stat.isSymbolicLink() ? readlinkSync(path) : stat.isFile() ? readFileSync(path, "latin1") : "";
    lines.push([path, stat.mode, stat.uid, stat.gid, stat.mtimeNs, stat.ino, stat.nlink, content].join(" "));
    if (stat.isDirectory()) for (const name of readdirSync(path).sort()) fingerprint(join(path, name), lines);
    return lines;
  }

  const names = ["a", "b", "c", "*", "\\x", "é"] as const;

  function fill(directory: string, random: (n: number) => number, depth = 0): void {
    for (const name of names) {
      const path = join(directory, name);
      const targets = [
        "..",
        "/",
        "../..",
        at("outside"),
        at("outside/secret"),
        "../../outside",
        name,
        "a",
        "b/../..",
        "/a/b",
        "",
      ];
      switch (random(depth < 3 ? 7 : 5)) {
        case 0:
          writeFileSync(path, `content of ${path}`);
          chmodSync(path, [0o644, 0o4755, 0o2711, 0][random(4)] as number);
          break;
        case 1:
          symlinkSync(targets[random(targets.length - 1)] as string, path);
          break;
        case 2:
          spawnSync("mkfifo", [path]);
          break;
        case 3: {
          const other = join(directory, names[random(names.length)] as string);
          if (lstatSync(other, { throwIfNoEntry: false })?.isDirectory() === false) linkSync(other, path);
          break;
        }
        case 4:
          break;
        default:
          mkdirSync(path, { mode: 0o755 });
          fill(path, random, depth + 1);
      }
    }
  }

  const parts = ["a", "b", "c", "..", ".", "", "*", "?", "[a-c]", "**", "é", "\\*", "x", "outside", "secret"] as const;
  const pathOf = (random: (n: number) => number): string =>
    `/${Array.from({ length: random(5) }, () => parts[random(parts.length)]).join("/")}`;
  const pick = <T>(random: (n: number) => number, from: readonly T[]): T => from[random(from.length)] as T;

  function actions(random: (n: number) => number): readonly string[] {
    const owners = [pick(random, ["", "", "0", "1:2", "bob", ":"]), pick(random, ["", "", "755", "u+s,go=", "a=rwX"])];
    const kind = random(6);
    if (kind === 0) return ["mkdir", pathOf(random), "755", ...owners];
    if (kind === 1) return ["mkfile", pathOf(random), "644", ...owners, "4", "new"];
    const exclude = Array.from({ length: random(3) }, () => `${pick(random, ["", "!"])}${pathOf(random).slice(1)}`);
    const flags = ["w", "f", "p", "r"].filter(() => random(2) === 0).join("");
    const to = pathOf(random) + pick(random, ["", "/"]);
    return ["copy", String(random(2)), pathOf(random), flags, String(exclude.length), ...exclude, to, ...owners];
  }

  function run(
    mode: string,
    input: Buffer,
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    const { status, stdout, stderr, signal } = spawnSync(copyPath, [mode], { input, timeout: 30_000 });
    assert.equal(signal, null, `ended by ${signal}`);
    assert.doesNotMatch(stderr.toString(), /Sanitizer|runtime error/);
    return { status, stdout: stdout.toString("latin1"), stderr: stderr.toString() };
  }

  const bytesOf = (words: readonly string[]): Buffer => Buffer.from(words.map((word) => `${word}\0`).join(""));

  for (let round = 0; round < runs; round++)
    it(`stays in its trees, run ${round} of seed ${seed}`, () => {
      const random = numbers(seed + round * 7919);
      for (const name of ["base", "up", "work", "one", "two"]) {
        rmSync(at(name), { recursive: true, force: true });
        mkdirSync(at(name));
      }
      for (const name of ["base", "one", "two"]) fill(at(name), random);
      const trees = ["outside", "base", "one", "two"];
      const earlier = trees.map((name) => fingerprint(at(name)));
      const lower = random(2) === 0 ? ["base", "1", at("base")] : ["none", "0"];
      const sources = ["2", "1", at("one"), "2", at("two"), at("one")];
      const request = [...lower, at("up"), at("work"), ...sources];
      for (let n = 1 + random(4); n > 0; n--) request.push(...actions(random));
      const { status, stderr } = run("apply", bytesOf(request));
      assert.ok([0, 1, 2, 5].includes(status ?? -1), `status ${status}: ${stderr}: ${JSON.stringify(request)}`);
      assert.deepEqual(
        trees.map((name) => fingerprint(at(name))),
        earlier,
        JSON.stringify(request),
      );
      assert.ok(!fingerprint(at("up")).some((line) => line.endsWith(canary)), JSON.stringify(request));

      const source = [pathOf(random), pick(random, ["", "wf", "wfp", "p"]), "0"];
      const read = bytesOf(["1", at("one"), "0", ...source]);
      const digest = run("digest", read);
      assert.deepEqual(run("digest", read), digest);
      const listed = run("list", bytesOf(["1", at("one"), ...source]));
      for (const line of listed.stdout.split("\0").slice(0, -1))
        assert.doesNotMatch(run("cat", bytesOf(["1", at("one"), line.slice(1)])).stdout, /canary/);
    });

  it("refuses or carries out damaged requests, and ends", () => {
    const random = numbers(seed);
    const earlier = fingerprint(at("outside"));
    for (let n = 0; n < runs * 2; n++) {
      rmSync(at("up"), { recursive: true, force: true });
      mkdirSync(at("up"));
      const whole = ["none", "0", at("up"), at("work"), "1", "1", at("one"), ...actions(random), ...actions(random)];
      const bytes = bytesOf(whole);
      // Behind the trees' names: which trees there are is the daemon's word.
      const start = bytesOf(whole.slice(0, 7)).length;
      for (let k = random(4); k > 0; k--) bytes[start + random(bytes.length - start)] = random(256);
      const cut = bytes.subarray(0, random(3) === 0 ? random(bytes.length) : bytes.length);
      const { status } = run(pick(random, ["apply", "apply", "digest", "list", "cat"]), cut);
      assert.ok([0, 1, 2, 3, 5].includes(status ?? -1), `status ${status}`);
    }
    assert.deepEqual(fingerprint(at("outside")), earlier);
  });
});
