// Images for tests: a root file system built in a directory, imported through the API.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestDaemon } from "./daemon.ts";

/** A directory with busybox in it, as a root file system to be made hostile. */
export function busyboxRoot(): string {
  const root = mkdtempSync(join(tmpdir(), "rootfs-"));
  for (const dir of ["bin", "etc", "tmp", "proc", "sys", "dev", "root"]) mkdirSync(join(root, dir));
  cpSync("/bin/busybox", join(root, "bin/busybox"));
  for (const applet of execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).split("\n")) {
    if (applet !== "" && applet !== "busybox") symlinkSync("/bin/busybox", join(root, "bin", applet));
  }
  return root;
}

/** Imports what `prepare` made of a busybox root as image `name`; the directory is removed. */
export async function importImage(daemon: TestDaemon, name: string, prepare: (root: string) => void): Promise<void> {
  const root = busyboxRoot();
  try {
    prepare(root);
    const tar = spawnSync("tar", ["-C", root, "--numeric-owner", "-cf", "-", "."], { maxBuffer: 1 << 28 });
    if (tar.status !== 0) throw new Error(tar.stderr.toString());
    const answer = await daemon.api("POST", `/images/create?fromSrc=-&repo=${name}`, tar.stdout);
    if (answer.status !== 200 || answer.text.includes("errorDetail")) throw new Error(`import: ${answer.text}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
