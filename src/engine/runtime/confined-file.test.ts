import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { confinedKind } from "./confined-file.ts";

test("what is at a path of the layers is told with links resolved inside of them", async () => {
  await using stack = new AsyncDisposableStack();
  const top = await mkdtemp(join(tmpdir(), "gantry-layer-"));
  const bottom = await mkdtemp(join(tmpdir(), "gantry-layer-"));
  stack.defer(() => rm(top, { recursive: true }));
  stack.defer(() => rm(bottom, { recursive: true }));
  await mkdir(join(bottom, "data/deep"), { recursive: true });
  await writeFile(join(bottom, "data/file"), "");
  await symlink("/data", join(top, "absolute"));
  await symlink("../../../data/file", join(top, "upwards"));
  await symlink("loop", join(top, "loop"));
  await symlink(bottom, join(top, "outside"));
  const kinds: Record<string, string> = {};
  for (const path of ["/", "/data/", "/absolute/deep", "/upwards", "/upwards/below", "/outside/data", "/none", "/loop"])
    kinds[path] = await confinedKind([top, bottom], path);
  assert.deepEqual(kinds, {
    "/": "directory",
    "/data/": "directory",
    "/absolute/deep": "directory",
    "/upwards": "file",
    "/upwards/below": "nothing",
    "/outside/data": "nothing",
    "/none": "nothing",
    "/loop": "directory",
  });
  assert.equal(await confinedKind([], "/data"), "nothing");
});
