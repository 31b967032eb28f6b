// The driver local on the real kernel: what every driver must do, its mounts, and that it deletes nothing which is not its own.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { silentLogger } from "../../src/base/log.ts";
import { mountsUnder, readMounts } from "../../src/engine/kernel/mountinfo.ts";
import type { ProjectQuotas } from "../../src/engine/kernel/project-quota.ts";
import { Layout } from "../../src/engine/volumes/layout.ts";
import { createLocalDriver, type LocalDriver } from "../../src/engine/volumes/local.ts";
import { createMounter } from "../../src/engine/volumes/mounter.ts";
import { volumeDriverSuite, type VolumeDriverSubject } from "../../src/engine/volumes/suite.ts";

const helper = join(import.meta.dirname, "../../shim/build/gantry-copy");
const root = mkdtempSync(join(tmpdir(), "gantry-volumes-"));
const layout = new Layout(root);
const host = join(root, "host");

const noQuotas: ProjectQuotas = {
  unsupported: () => Promise.resolve("this file system has none"),
  limit: () => Promise.reject(new Error("no limits")),
  share: () => Promise.resolve(undefined),
  release: () => Promise.resolve(),
};

/** As a daemon that starts makes it. */
async function restarted(options: Readonly<Record<string, string>>): Promise<LocalDriver> {
  await layout.setUp();
  const mounter = createMounter(helper);
  const resolve = (name: string): Promise<string> => Promise.reject(new Error(`no host ${name}`));
  const driver = createLocalDriver({ layout, mounter, quotas: noQuotas, resolve, logger: silentLogger });
  for (const name of await layout.names()) driver.know(name, options);
  await driver.settle(() => []);
  return driver;
}

function mounted(): readonly string[] {
  return mountsUnder(readMounts(), root).map(({ mountPoint }) => mountPoint);
}

function sh(...argv: readonly string[]): void {
  const [file = "", ...args] = argv;
  const result = spawnSync(file, args, { encoding: "utf8" });
  assert.equal(result.status, 0, `${argv.join(" ")}: ${result.stderr}`);
}

after(() => {
  for (const mount of mounted().toReversed()) spawnSync("umount", ["-l", mount]);
  rmSync(root, { recursive: true, force: true });
});

describe("what every driver must do", () => {
  const tmpfs = { type: "tmpfs", device: "tmpfs" };
  const subjects: readonly Omit<VolumeDriverSubject, "create">[] = [
    { name: "local", options: {}, deletesData: true, refused: { type: "tmpfs" } },
    // The file system is the kernel's, and outlives an unmount.
    {
      name: "local with a bind",
      options: { type: "none", o: "bind", device: host },
      deletesData: false,
      refused: { ...tmpfs, size: "1m" },
    },
  ];
  for (const { name, options, deletesData, refused } of subjects)
    for (const driverCase of volumeDriverSuite({
      name,
      options,
      deletesData,
      refused,
      create: () => restarted(options),
    }))
      test(driverCase.title, async () => {
        rmSync(host, { recursive: true, force: true });
        mkdirSync(host);
        assert.deepEqual(await driverCase.run(), []);
        assert.deepEqual(mounted(), []);
        assert.deepEqual(readdirSync(layout.root), []);
      });
});

describe("mounts", () => {
  test("tmpfs, bind, read-only bind and overlay are mounted as asked, once for all users", async () => {
    mkdirSync(host, { recursive: true });
    writeFileSync(join(host, "file"), "of the host");
    for (const name of ["upper", "work"]) mkdirSync(join(root, name), { recursive: true });
    const driver = await restarted({});
    for (const [name, options, line] of [
      ["tmp", { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=7,noexec" }, /^tmpfs .*noexec.*size=1024k,uid=7/],
      ["bound", { type: "none", o: "bind", device: host }, /^\w+ .*rw/],
      ["fixed", { type: "none", o: "bind,ro", device: host }, /^\w+ .*\bro\b/],
      [
        "over",
        { type: "overlay", device: "overlay", o: `lowerdir=${host},upperdir=${root}/upper,workdir=${root}/work` },
        /^overlay /,
      ],
    ] as const) {
      await driver.create(name, options);
      const path = await driver.mount(name, "a");
      await driver.mount(name, "b");
      const mounts = mountsUnder(readMounts(), path);
      const shown = mounts.map(
        ({ fsType, options: flags, superOptions }) => `${fsType} ${[...flags, ...superOptions].join()}`,
      );
      assert.equal(mounts.length, 1, name);
      assert.match(shown[0] ?? "", line);
      assert.equal(existsSync(join(path, "file")), name !== "tmp");
      await driver.unmount(name, "a");
      assert.equal(driver.isMounted(name), true, "the second user has it");
      await driver.unmount(name, "b");
      assert.equal(driver.isMounted(name), false, name);
      await driver.remove(name);
    }
    assert.deepEqual(readdirSync(layout.root), []);
    assert.equal(readFileSync(join(host, "file"), "utf8"), "of the host");
  });

  test("what cannot be mounted is told in dockerd's words, and nothing stays mounted", async () => {
    const driver = await restarted({});
    const image = join(root, "image");
    writeFileSync(image, "no block device");
    for (const [options, message] of [
      [{ type: "bogus", device: "x" }, "mount x:T: no such device"],
      [{ type: "tmpfs", device: "tmpfs", o: "bogus=3" }, "mount tmpfs:T, data: bogus=3: invalid argument"],
      [{ type: "none", o: "bind", device: "/nonexist" }, "mount /nonexist:T, flags: 0x1000: no such file or directory"],
      [{ type: "none", o: "bind", device: image }, `mount ${image}:T, flags: 0x1000: not a directory`],
      [{ type: "ext4", device: image }, `mount ${image}:T: block device required`],
      [{ type: "ext4", o: "password=x", device: image }, `mount ${image}:T, data: password=********: invalid argument`],
    ] as const) {
      await driver.create("broken", options);
      const text = message.replace(":T", `:${layout.data("broken")}`);
      await assert.rejects(driver.mount("broken", "a"), { message: `failed to mount local volume: ${text}` });
      assert.equal(driver.isMounted("broken"), false);
      await driver.remove("broken");
    }
    await driver.create("broken", { type: "tmpfs", device: "" });
    await assert.rejects(driver.mount("broken", "a"), { message: "missing device in volume options" });
    await driver.remove("broken");
    await driver.create("broken", { type: "none", o: "bind", device: "relative" });
    await assert.rejects(driver.mount("broken", "a"), /relative.*absolute path/);
    await driver.remove("broken");
    await driver.create("broken", { type: "nfs", device: ":/x", o: "addr=nas" });
    await assert.rejects(driver.mount("broken", "a"), /error resolving passed in network volume address: lookup nas/);
    await driver.remove("broken");
  });

  test("a daemon that starts keeps what is in use mounted, and unmounts what nobody uses", async () => {
    const options = { type: "tmpfs", device: "tmpfs" };
    const driver = await restarted({});
    for (const name of ["used", "unused"]) {
      await driver.create(name, options);
      writeFileSync(join(await driver.mount(name, "c1"), "file"), "kept");
    }
    const later = createLocalDriver({
      layout,
      mounter: createMounter(helper),
      quotas: noQuotas,
      resolve: (name) => Promise.resolve(name),
      logger: silentLogger,
    });
    for (const name of ["used", "unused"]) later.know(name, options);
    await later.mount("used", "c2");
    await later.unmount("used", "c2");
    assert.equal(later.isMounted("used"), true, "nothing is unmounted before the users are known");
    await later.settle((name) => (name === "used" ? ["c1"] : []));
    assert.deepEqual([later.isMounted("used"), later.isMounted("unused")], [true, false]);
    assert.equal(readFileSync(join(layout.data("used"), "file"), "utf8"), "kept");
    await assert.rejects(later.remove("used"), { kind: "Conflict" });
    await later.unmount("used", "c1");
    assert.equal(later.isMounted("used"), false);
    for (const name of ["used", "unused"]) await later.remove(name);
  });
});

describe("nothing outside is deleted", () => {
  test("a data directory that was replaced by a link is neither mounted nor followed", async () => {
    const driver = await restarted({});
    mkdirSync(host, { recursive: true });
    writeFileSync(join(host, "file"), "precious");
    await driver.create("linked", { type: "tmpfs", device: "tmpfs" });
    rmSync(layout.data("linked"), { recursive: true });
    symlinkSync(host, layout.data("linked"));
    await assert.rejects(driver.mount("linked", "a"), /is no directory/);
    await driver.remove("linked");
    assert.equal(readFileSync(join(host, "file"), "utf8"), "precious");
    assert.deepEqual(mounted(), []);
  });

  test("a directory that somebody has mounted in a volume stops the removal, until it is unmounted", async () => {
    const driver = await restarted({});
    writeFileSync(join(host, "file"), "precious");
    for (const place of ["_data/deep/inside", "_data"]) {
      await driver.create("occupied", {});
      const target = join(layout.directory("occupied"), place);
      mkdirSync(target, { recursive: true });
      sh("mount", "--bind", host, target);
      await assert.rejects(driver.remove("occupied"), {
        kind: "Conflict",
        message: /something is mounted on .*unmount it first/,
      });
      assert.equal(readFileSync(join(host, "file"), "utf8"), "precious");
      assert.equal(existsSync(layout.directory("occupied")), true);
      sh("umount", target);
      await driver.remove("occupied");
      assert.equal(readFileSync(join(host, "file"), "utf8"), "precious");
    }
  });

  test("a directory that is no volume's is not taken for one", async () => {
    const driver = await restarted({});
    mkdirSync(join(layout.root, "stranger"));
    writeFileSync(join(layout.root, "stranger", "file"), "precious");
    await assert.rejects(driver.create("stranger", {}), { kind: "Conflict", message: /is there already/ });
    assert.deepEqual(readdirSync(layout.root), ["stranger"]);
    assert.equal(readFileSync(join(layout.root, "stranger", "file"), "utf8"), "precious");
    rmSync(join(layout.root, "stranger"), { recursive: true });
  });
});
