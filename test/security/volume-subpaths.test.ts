// S11, B01 for volumes: a part of a volume that somebody swaps for a link to the host while containers start with it. The shim
// resolves it once, inside of the volume, and mounts what it has found.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ShimWorld } from "../integration/shim-fixture.ts";

let world: ShimWorld;
/** A directory of the host that no container may see. */
let canary: string;
before(() => {
  world = new ShimWorld();
  canary = join(world.dir, "canary");
  mkdirSync(canary);
  writeFileSync(join(canary, "secret-of-the-host"), "host");
});
after(async () => {
  await world.dispose();
});

test("a part that is swapped for a link to the host while containers start never shows the host", async () => {
  const hostile = join(world.dir, "hostile");
  mkdirSync(join(hostile, "s/deep"), { recursive: true });
  mkdirSync(join(hostile, "s/deep/secret-of-the-volume"));
  mkdirSync(join(hostile, "other"));
  symlinkSync(canary, join(hostile, "other/deep"));
  // Two names change places all the time: s is a directory, and one with a link that leads out.
  const program = join(world.dir, "swap");
  const source = `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(void) { for (;;) renameat2(AT_FDCWD, "s", AT_FDCWD, "other", RENAME_EXCHANGE); }`;
  execFileSync("gcc", ["-x", "c", "-o", program, "-"], { input: source });
  const swapper = spawn(program, { cwd: hostile, stdio: "ignore" });
  const results = new Set<string>();
  try {
    const tree = { kind: "path", path: hostile, isSocket: false } as const;
    for (let n = 0; n < 200; n++) {
      const options = world.prepare({
        args: ["true"],
        views: [{ name: "0", tree, source: "s/deep", readonly: n % 2 === 0, at: "/m" }],
      });
      let shown: string;
      try {
        const shim = await world.shims.spawn(options);
        // As the runtime would see it.
        shown = readdirSync(`/proc/${shim.identity.pid}/root${join(options.runDir, "views/0")}`).join(" ");
        await shim.abandon();
        await shim.gone;
      } catch (error) {
        shown = error instanceof Error ? error.message.replaceAll(hostile, "V") : "";
      }
      results.add(shown);
    }
  } finally {
    swapper.kill("SIGKILL");
    await once(swapper, "close");
  }
  const missing = "cannot access path V/s/deep: lstat V/s/deep: no such file or directory";
  assert.deepEqual([...results].toSorted(), [missing, "secret-of-the-volume"]);
  assert.deepEqual(readdirSync(canary), ["secret-of-the-host"]);
});
