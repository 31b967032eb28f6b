// Limits of directories, containers and volumes by project quotas, on ext4 and XFS. Few kernels of test hosts have them: a virtual
// machine with Debian's has. And what is said where they are missing.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createProjectQuotas } from "../../src/engine/kernel/project-quota.ts";
import { startDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";
import { guestNode, runInVm } from "../support/vm.ts";

const root = join(import.meta.dirname, "../..");

const script = String.raw`
for fs in ext4 xfs; do truncate -s 400M /$fs.img; mkdir -p /mnt/$fs; done
mkfs.ext4 -q -O quota,project -E quotatype=prjquota /ext4.img && mkfs.xfs -q /xfs.img || exit 1
for fs in ext4 xfs; do mount -t $fs -o loop,prjquota /$fs.img /mnt/$fs || exit 1; done
${guestNode} /source/test/support/quota-guest.ts || { tail -30 /var/log/gantryd.log; exit 1; }
`;

const directories = (name: string, refusal: string): Record<string, string | RegExp> => ({
  [`${name}_state`]: "ok",
  [`${name}_first`]: `8 ${refusal}`,
  [`${name}_second`]: `8 ${refusal}`,
  [`${name}_size`]: "8",
  [`${name}_plain`]: "32 end",
  [`${name}_raised`]: `4 ${refusal}`,
  [`${name}_foreign`]: "EXDEV",
  [`${name}_shared`]: "moved",
  [`${name}_alone`]: "moved",
  [`${name}_full`]: `limit /mnt/${name}/plain: it is not empty`,
  [`${name}_out`]: "moved",
  [`${name}_released`]: "32 end",
});

const expected: Record<string, string | RegExp> = {
  ...directories("ext4", "EDQUOT"),
  ...directories("xfs", "ENOSPC"),
  written: /^16\d{6} 16$/,
  inspected: '"StorageOpt":{"size":"16m"}',
  copied: "refused",
  committed: /^16\d{6} 20971520$/,
  in_volume: /^8\d{6}$/,
  refused: `{"message":"invalid size: 'x'\\nUnknown option other"}`,
  restarted: /^16\d{6} 16$/,
  removed: "204",
};

test("directories, containers and volumes are limited on ext4 and on XFS, across restarts and commits", {
  timeout: 600_000,
  skip: process.arch === "x64" ? false : "the guest is x86-64",
}, async () => {
  const { output, status } = await runInVm(script, 540_000, {
    files: { [join(root, "src")]: "/source/src", [join(root, "test/support")]: "/source/test/support" },
    programs: ["/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs"],
    modules: ["loop", "xfs", "quota_v2"],
  });
  assert.equal(status, 0, output);
  const facts = Object.fromEntries([...output.matchAll(/^(\w+)=(.*)$/gm)].map((m) => [m[1], (m[2] ?? "").trim()]));
  for (const [name, value] of Object.entries(expected))
    if (typeof value === "string") assert.equal(facts[name], value, `${name}\n${output}`);
    else assert.match(facts[name] ?? "", value, `${name}\n${output}`);
});

test("where there are no project quotas, a size is refused with what the file system is and what to do", async (t) => {
  await using daemon = await startDaemon();
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
  await using daemon = await startDaemon({ args: ["--bridge", "none"] });
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
