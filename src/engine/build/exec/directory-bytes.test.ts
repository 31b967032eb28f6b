import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, linkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { directoryBytes } from "./directory-bytes.ts";

test("each inode counts once, and nothing outside, whatever is swapped for a link meanwhile", async () => {
  const root = mkdtempSync(join(tmpdir(), "bytes-"));
  try {
    mkdirSync(join(root, "outside"));
    writeFileSync(join(root, "outside/large"), Buffer.alloc(4 << 20, 1));
    mkdirSync(join(root, "tree/d"), { recursive: true });
    symlinkSync(join(root, "outside"), join(root, "tree/link"));
    writeFileSync(join(root, "tree/d/f"), Buffer.alloc(64 << 10, 1));
    linkSync(join(root, "tree/d/f"), join(root, "tree/d/g"));
    const still = await directoryBytes(join(root, "tree"));
    assert.ok(still >= 64 << 10 && still < 100 << 10, `${still}`);
    const script = 'cd "$1"; while :; do mv d t; mv link d; mv d link; mv t d; done';
    const swapper = spawn("sh", ["-c", script, "sh", join(root, "tree")], { stdio: "ignore" });
    try {
      for (let n = 0; n < 300; n++) assert.ok((await directoryBytes(join(root, "tree"))) < 1 << 20);
    } finally {
      const ended = new Promise((resolve) => swapper.once("close", resolve));
      swapper.kill("SIGKILL");
      await ended;
    }
    assert.equal(await directoryBytes(join(root, "none")), 0);
  } finally {
    rmSync(root, { recursive: true });
  }
});
