// What is said where there are no project quotas, and the limits that need none: sizes of tmpfs. Few kernels of test hosts have project
// quotas: how they work is tested in the virtual machine of cgroup2.test.ts.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { EngineError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/log.ts";
import { createProjectQuotas, type ProjectQuotas } from "../../src/engine/kernel/project-quota.ts";
import { createSnapshotter } from "../../src/engine/snapshots/index.ts";
import { openStore } from "../../src/engine/store/index.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";
import { packPath, unpackPath } from "../support/unpack-bench.ts";

const root = join(import.meta.dirname, "../..");
let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon({ args: ["--bridge", "none"] });
});
after(async () => {
  await daemon?.[Symbol.asyncDispose]();
});

test("where there are no project quotas, a size is refused with what the file system is and what to do", async (t) => {
  const reason = await createProjectQuotas(join(root, "shim/build/gantry-copy")).unsupported(daemon.dataRoot);
  if (reason === undefined) return t.skip("this file system has project quotas");
  const create = (StorageOpt: Record<string, string>): Promise<unknown> =>
    daemon
      .api("POST", "/containers/create", { Image: "busybox", Cmd: ["true"], HostConfig: { StorageOpt } })
      .then(({ status, json }) => ({ status, ...(json as { readonly message: string }) }));
  const answer = await create({ size: "10G" });
  assert.deepEqual(answer, {
    status: 501,
    message: `--storage-opt size is supported only where the file system of the data root has project quotas: ${reason.replace(daemon.dataRoot, join(daemon.dataRoot, "snapshots"))}`,
  });
  assert.deepEqual(await create({ Foo: "1", size: "abc" }), {
    status: 400,
    message: "Unknown option foo\ninvalid size: 'abc'",
  });
  const volume = await daemon.api("POST", "/volumes/create", { Name: "sized", DriverOpts: { size: "1g" } });
  assert.equal(volume.status, 400);
  assert.match(volume.text, /quota size requested but no quota support: /);
});

test("a tmpfs has exactly the size and the mode that --tmpfs and --mount ask for, and holds no more", async () => {
  await importImage(daemon, "tmpfs-test", () => {});
  const facts =
    "df -k /x | tail -1 | awk '{print $2}'; stat -c %a /x; dd if=/dev/zero of=/x/f bs=4k 2>/dev/null; wc -c </x/f";
  const seen = (...args: readonly string[]): Promise<string> =>
    daemon.dockerOk(["run", "--rm", "--network", "none", ...args, "tmpfs-test", "sh", "-c", `echo $(${facts})`]);
  const asked = await Promise.all([
    seen("--tmpfs", "/x:size=1m,mode=700"),
    seen("--mount", "type=tmpfs,target=/x,tmpfs-size=1m,tmpfs-mode=0700"),
    seen("--mount", "type=tmpfs,target=/x,tmpfs-size=1234567"),
    seen("--tmpfs", "/x:size=64k,mode=1750"),
  ]);
  assert.deepEqual(asked, ["1024 700 1048576", "1024 700 1048576", "1208 1777 1236992", "64 1750 65536"]);
});

test("a layer is limited before anything is in it, and its limit is forgotten with it: removed, not committed, left by a crash", async (t) => {
  const dataRoot = mkdtempSync(join(tmpdir(), "limits-"));
  t.after(() => rmSync(dataRoot, { recursive: true }));
  const calls: string[] = [];
  const note = (what: string, directory: string): void =>
    void calls.push(`${what} ${basename(directory)}: ${readdirSync(directory).toSorted().join(" ")}`);
  let isFull = false;
  const quotas: ProjectQuotas = {
    unsupported: () => Promise.resolve(undefined),
    share: () => Promise.reject(new Error("nobody shares")),
    limit: async (directory, sizeBytes) => {
      note(`limit to ${sizeBytes}`, directory);
      if (isFull) throw new EngineError("NotImplemented", "no more");
    },
    release: async (directory) => note("release", directory),
  };
  const store = await openStore({ directory: dataRoot, logger: silentLogger, ballastBytes: 0 });
  t.after(() => store.close());
  const open = (): ReturnType<typeof createSnapshotter> =>
    createSnapshotter({ store, dataRoot, logger: silentLogger, unpackPath, packPath, quotas });
  const take = (): readonly string[] => calls.splice(0);

  const snapshots = await open();
  const kept = await snapshots.prepare("kept", undefined, { sizeBytes: 4096 });
  await store.commit(kept.changes);
  const undone = await snapshots.prepare("undone", undefined, { sizeBytes: 1 });
  await undone.undo();
  await (await snapshots.prepare("plain", undefined)).undo();
  assert.deepEqual(take(), ["limit to 4096 1: ", "limit to 1 2: ", "release 2: fs limit work"]);

  isFull = true;
  await assert.rejects(snapshots.prepare("refused", undefined, { sizeBytes: 1 }), { kind: "NotImplemented" });
  isFull = false;
  assert.deepEqual(take(), ["limit to 1 4: ", "release 4: "]);
  assert.deepEqual(readdirSync(join(dataRoot, "snapshots")), ["1"]);

  await snapshots.prepare("cut off", undefined, { sizeBytes: 1 });
  mkdirSync(join(dataRoot, "snapshots/7"));
  take();
  const restarted = await open();
  assert.deepEqual(take().toSorted(), ["release 5: fs limit work", "release 7: "]);
  const removal = restarted.removal("kept");
  await store.commit(removal.changes);
  await removal.discard();
  assert.deepEqual(take(), ["release 1: fs limit work"]);
});
