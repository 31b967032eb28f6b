// Root in a container that can write to a volume, while the engine copies into it or deletes what was in it: a program puts links to a
// canary of the host in place of every name that appears. S11 for volumes: what the engine then changes is never the canary.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { removeSmallTree } from "../../src/engine/kernel/small-tree.ts";
import { createTrees } from "../../src/engine/volumes/trees.ts";
import { describeTree } from "../support/tree.ts";

const built = join(import.meta.dirname, "../../shim/build");
const copyPath = process.env["GANTRY_COPY"] ?? join(built, "gantry-copy");
const trees = createTrees({ copyPath, unpackPath: join(built, "gantry-unpack") });
const { signal } = new AbortController();
const dir = mkdtempSync(join(tmpdir(), "gantry-volume-swap-"));
const canary = join(dir, "canary");
const program = join(dir, "swap");

/** Without end, in its working directory: links to the canary's file in place of pipes, and to the canary in place of "a" once "b" is there. */
const source = `#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  for (;;) {
    DIR *all = opendir(".");
    struct stat st;
    char to[4096];
    if (stat("b", &st) == 0 && lstat("a", &st) == 0 && S_ISDIR(st.st_mode) && rename("a", "was-a") == 0) symlink(argv[1], "a");
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
      if (entry->d_type != DT_FIFO) continue;
      snprintf(to, sizeof to, "%s/file", argv[1]);
      unlink(entry->d_name);
      symlink(to, entry->d_name);
    }
    closedir(all);
  }
}`;

before(() => {
  execFileSync("gcc", ["-x", "c", "-O1", "-o", program, "-"], { input: source });
  mkdirSync(canary);
  writeFileSync(join(canary, "file"), "of the host\n", { mode: 0o600 });
});
after(() => {
  rmSync(dir, { recursive: true, force: true });
});

function copyInto(volume: string, lower: readonly string[]): Promise<boolean> {
  return trees.fill(lower, "/", volume, signal);
}

async function whileSwapped(directory: string, use: () => Promise<void>): Promise<void> {
  const swapper = spawn(program, [canary], { cwd: directory, stdio: "ignore" });
  try {
    await use();
  } finally {
    swapper.kill("SIGKILL");
    await once(swapper, "close");
  }
}

test("S11: nodes and links that are copied into a volume do not change or show a file of the host", async () => {
  const image = join(dir, "image");
  mkdirSync(join(image, "a"), { recursive: true });
  execFileSync("mkfifo", ["-m", "666", ...Array.from({ length: 400 }, (_, n) => `p${n}`)], { cwd: image });
  writeFileSync(join(image, "a/file"), "of the image\n");
  mkdirSync(join(image, "b"));
  for (let n = 0; n < 400; n++) linkSync(join(image, "a/file"), join(image, `b/${n}`));
  chmodSync(join(image, "a/file"), 0o666);
  const untouched = describeTree(canary);
  const { ino } = lstatSync(join(canary, "file"));
  for (let round = 0; round < 12; round++) {
    const volume = join(dir, `volume-${round}`);
    mkdirSync(volume);
    // It may fail: what it finds is not what it made.
    await whileSwapped(volume, () =>
      copyInto(volume, [image]).then(
        () => undefined,
        (error: unknown) => assert.ok(error instanceof Error),
      ),
    );
    assert.deepEqual(describeTree(canary), untouched, `round ${round}`);
    assert.equal(execFileSync("find", [volume, "-inum", String(ino)], { encoding: "utf8" }), "");
  }
});

test("S11: a directory that is deleted, and exchanged for a link while that is done, takes nothing of the host along", async () => {
  const swap = join(dir, "exchange");
  const exchange = `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(void) {
  char directory[8], link[8];
  for (int n = 0;; n = (n + 1) % 25) {
    snprintf(directory, sizeof directory, "s%d", n);
    snprintf(link, sizeof link, "l%d", n);
    renameat2(AT_FDCWD, directory, AT_FDCWD, link, RENAME_EXCHANGE);
  }
}`;
  execFileSync("gcc", ["-x", "c", "-O1", "-o", swap, "-"], { input: exchange });
  const untouched = describeTree(canary);
  for (let round = 0; round < 12; round++) {
    const aside = join(dir, `aside-${round}`);
    const held = join(aside, "0/1");
    for (let n = 0; n < 25; n++) {
      mkdirSync(join(held, `s${n}`), { recursive: true });
      symlinkSync(canary, join(held, `l${n}`));
    }
    const swapper = spawn(swap, { cwd: held, stdio: "ignore" });
    try {
      while (lstatSync(join(held, "s0")).isDirectory()) await sleep(1);
      for (let n = 0; n < 100 && existsSync(aside); n++) removeSmallTree(aside);
    } finally {
      swapper.kill("SIGKILL");
      await once(swapper, "close");
    }
    assert.deepEqual(describeTree(canary), untouched, `round ${round}`);
  }
});
