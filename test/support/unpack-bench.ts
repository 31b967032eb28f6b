// A place to unpack hostile archives in: the layer's directory, and around it a canary that no archive may touch. What is
// accepted is put together again at once, and must be the same archive.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Tree, describeTree } from "./tree.ts";

/** The program under test; GANTRY_UNPACK names another build of it (with sanitizers). */
export const unpackPath = process.env["GANTRY_UNPACK"] ?? join(import.meta.dirname, "../../shim/build/gantry-unpack");

/** Its counterpart; GANTRY_PACK names another build. */
export const packPath = process.env["GANTRY_PACK"] ?? join(import.meta.dirname, "../../shim/build/gantry-pack");

export interface UnpackLimits {
  readonly entries?: number;
  readonly bytes?: number;
  readonly depth?: number;
}

export interface UnpackRun {
  readonly status: number | null;
  /** What it said, without the line's end. */
  readonly said: string;
  /** Its report: bytes in files, members. */
  readonly out: string;
  readonly layer: string;
}

/** Layer and canary; dispose removes them. */
export class UnpackBench implements Disposable {
  readonly root: string;
  /** Absolute path of the canary tree, for archives that aim at it. */
  readonly canary: string;
  readonly layer: string;
  readonly #before: Tree;

  constructor() {
    if (!existsSync(unpackPath)) throw new Error(`${unpackPath} is missing: run make -C shim`);
    this.root = mkdtempSync(join(tmpdir(), "gantry-unpack-"));
    this.canary = join(this.root, "canary");
    this.layer = join(this.root, "fs");
    mkdirSync(join(this.canary, "dir"), { recursive: true });
    writeFileSync(join(this.canary, "file"), "canary");
    writeFileSync(join(this.canary, "dir", "secret"), "canary", { mode: 0o600 });
    writeFileSync(join(this.canary, "setuid"), "canary");
    chmodSync(join(this.canary, "setuid"), 0o4755);
    symlinkSync("file", join(this.canary, "link"));
    for (const name of ["file", "dir/secret", "dir", "."]) utimesSync(join(this.canary, name), 1e9, 1e9);
    this.#before = describeTree(this.canary);
    mkdirSync(this.layer);
  }

  /** Unpacks into an empty layer. @throws an accepted archive does not come back byte for byte */
  run(archive: Uint8Array, limits: UnpackLimits = {}): UnpackRun {
    for (const name of ["fs", "recipe", "aside"]) rmSync(join(this.root, name), { recursive: true, force: true });
    mkdirSync(this.layer, { mode: 0o755 });
    const { entries = 10_000, bytes = 64 << 20, depth = 100 } = limits;
    const args = [String(entries), String(bytes), String(depth), this.layer, this.root];
    // The leak checker wants /proc, which is gone after the chroot; the program frees by leaving.
    const env = { ASAN_OPTIONS: "detect_leaks=0" };
    const { status, stdout, stderr } = spawnSync(unpackPath, args, {
      env,
      input: archive,
      encoding: "utf8",
      timeout: 60_000,
    });
    if (status === 0) this.#comesBack(archive);
    return { status, said: stderr.trimEnd(), out: stdout.trimEnd(), layer: this.layer };
  }

  /** The tar of what was unpacked last. */
  pack(): { readonly status: number | null; readonly said: string; readonly tar: Buffer } {
    const { status, stdout, stderr } = spawnSync(packPath, ["recipe", this.root], {
      maxBuffer: 1 << 30,
      timeout: 60_000,
    });
    return { status, said: stderr.toString().trimEnd(), tar: stdout };
  }

  #comesBack(archive: Uint8Array): void {
    const { status, said, tar } = this.pack();
    assert.equal(status, 0, said);
    assert.ok(tar.equals(archive), `another archive came back: ${tar.length} bytes of ${archive.length}`);
  }

  /** What an archive changed outside of its layer: must be empty. */
  canaryChanges(): readonly string[] {
    const now = describeTree(this.canary);
    return [...new Set([...Object.keys(this.#before), ...Object.keys(now)])].filter(
      (path) => this.#before[path] !== now[path],
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Extended attributes of a file, in hex, by a tool of the host. */
export function xattrsOf(path: string): Readonly<Record<string, string>> {
  const program =
    "import os,sys,json;p=sys.argv[1];print(json.dumps({n:os.getxattr(p,n,follow_symlinks=False).hex() for n in os.listxattr(p,follow_symlinks=False)}))";
  const { stdout, status, stderr } = spawnSync("python3", ["-c", program, path], { encoding: "utf8" });
  if (status !== 0) throw new Error(`python3: ${stderr}`);
  return JSON.parse(stdout) as Record<string, string>;
}
