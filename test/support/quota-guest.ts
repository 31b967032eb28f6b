// Runs in a virtual machine whose kernel has project quotas: limits directories of the file systems at /mnt/ext4 and /mnt/xfs, and prints
// what happened as `fact=value`. The asserts are in cgroup2.test.ts.

import { closeSync, mkdirSync, openSync, renameSync, rmSync, statfsSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { errnoOf, messageOf } from "../../src/base/errors.ts";
import { createProjectQuotas } from "../../src/engine/kernel/project-quota.ts";

const mebibyte = 1 << 20;

function fact(name: string, value: string | number): void {
  process.stdout.write(`${name}=${String(value).trim().replaceAll("\n", " ")}\n`);
}

/** Node has no name for the one that quotas give. */
function nameOf(error: unknown): string {
  const code = errnoOf(error) ?? "?";
  return code === "UNKNOWN" && (error as { readonly errno?: number }).errno === -constants.errno.EDQUOT
    ? "EDQUOT"
    : code;
}

/**
 * Writes until it is refused, 32 MiB at most, as somebody who is not root: to root ext4 does not hold the limit.
 *
 * @returns MiB, and why it ended
 */
function fill(file: string): string {
  const fd = openSync(file, "w");
  const block = Buffer.alloc(mebibyte / 2);
  let bytes = 0;
  process.seteuid?.(1000);
  try {
    while (bytes < 32 * mebibyte) bytes += writeSync(fd, block);
    return "32 end";
  } catch (error) {
    return `${Math.round(bytes / mebibyte)} ${nameOf(error)}`;
  } finally {
    process.seteuid?.(0);
    closeSync(fd);
  }
}

function rename(from: string, to: string): string {
  try {
    renameSync(from, to);
    return "moved";
  } catch (error) {
    return errnoOf(error) ?? "?";
  }
}

async function limitDirectories(name: string, top: string): Promise<void> {
  const quotas = createProjectQuotas("/gantry/shim/build/gantry-copy");
  const directory = (each: string): string => {
    const path = join(top, each);
    mkdirSync(path);
    return path;
  };
  fact(`${name}_state`, (await quotas.unsupported(top)) ?? "ok");
  const [a, b, plain] = [directory("a"), directory("b"), directory("plain")];
  await quotas.limit(a, 8 * mebibyte);
  await quotas.limit(b, 8 * mebibyte);
  mkdirSync(join(a, "deep"));
  fact(`${name}_first`, fill(join(a, "deep/file")));
  // Ids differ: the first is full.
  fact(`${name}_second`, fill(join(b, "file")));
  const { blocks, bsize } = statfsSync(a);
  fact(`${name}_size`, (blocks * bsize) / mebibyte);
  fact(`${name}_plain`, fill(join(plain, "file")));
  // Another daemon finds the id on the directory.
  await createProjectQuotas("/gantry/shim/build/gantry-copy").limit(a, 12 * mebibyte);
  fact(`${name}_raised`, fill(join(a, "more")));
  rmSync(join(a, "more"));
  rmSync(join(a, "deep/file"));
  const shared = directory("shared");
  mkdirSync(join(plain, "tree"));
  fact(`${name}_foreign`, rename(join(plain, "tree"), join(a, "tree")));
  await quotas.share(shared, a);
  mkdirSync(join(shared, "tree"));
  fact(`${name}_shared`, rename(join(shared, "tree"), join(a, "tree")));
  const alone = directory("alone");
  await quotas.share(alone, plain);
  mkdirSync(join(alone, "tree"));
  fact(`${name}_alone`, rename(join(alone, "tree"), join(plain, "alone")));
  fact(`${name}_full`, await quotas.limit(plain, mebibyte).then(() => "limited", messageOf));
  fact(`${name}_out`, rename(b, join(plain, "b")));
  await quotas.release(join(plain, "b"));
  await quotas.release(join(top, "missing"));
  fact(`${name}_released`, fill(join(plain, "b/file")));
  for (const each of ["a", "plain", "shared", "alone"]) rmSync(join(top, each), { recursive: true });
}

await limitDirectories("ext4", "/mnt/ext4");
await limitDirectories("xfs", "/mnt/xfs");
