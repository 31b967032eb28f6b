// Runs crun directly with the engine's own spec: a busybox root file system, a bundle, a mount and network namespace of its
// own, and a cgroup of its own. What needs the whole engine is in engine.test.ts.

import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newContainerId } from "../../src/base/ids.ts";
import { readHostFacts } from "../../src/engine/kernel/host-facts.ts";
import { createRuntimeSpecs, renderSpec } from "../../src/engine/runtime/index.ts";
import type { SpecInput } from "../../src/engine/runtime/index.ts";
import type { ContainerConfig, HostConfig } from "../../src/spec/docker/container.ts";
import type { OciProcess, OciSpec } from "../../src/spec/oci/runtime.ts";

export const facts = readHostFacts();
export const specs = createRuntimeSpecs();

const applets = [
  "sh",
  "cat",
  "ls",
  "id",
  "mount",
  "umount",
  "mknod",
  "readlink",
  "stat",
  "grep",
  "sleep",
  "env",
  "pwd",
  "true",
  "touch",
  "mkdir",
  "head",
  "dd",
  "rm",
  "unshare",
  "echo",
  "wc",
  "cp",
];

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A directory for one test file, removed by dispose() with every cgroup that was used. */
export class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), "gantry-security-"));
  readonly #cgroupParent = `/gantry-test-${randomBytes(6).toString("hex")}`;
  #made = 0;

  /** A new root file system: busybox with its usual links, passwd and group with alice (1000) in three groups. */
  makeRoot(): string {
    const root = join(this.directory, `root${this.#made++}`);
    for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/alice"])
      mkdirSync(join(root, name), { recursive: true });
    copyFileSync("/usr/bin/busybox", join(root, "bin/busybox"));
    for (const name of applets) symlinkSync("busybox", join(root, "bin", name));
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nalice:x:1000:\nwheel:x:10:root,alice\naudio:x:29:alice\n");
    return root;
  }

  /** Compiles the probe into a root file system, as /bin/syscall-probe. */
  addProbe(root: string): void {
    const source = join(import.meta.dirname, "syscall-probe.c");
    execFileSync("cc", ["-O1", "-static", "-o", join(root, "bin/syscall-probe"), source]);
    chmodSync(join(root, "bin/syscall-probe"), 0o755);
  }

  async spec(
    root: string,
    args: readonly string[],
    hostConfig: HostConfig = {},
    config: ContainerConfig = {},
    changes: Partial<SpecInput> = {},
  ): Promise<OciSpec> {
    const id = newContainerId();
    return specs.buildSpec({
      id,
      config,
      hostConfig,
      args,
      user: await specs.resolveUser(config.User ?? "", hostConfig.GroupAdd ?? [], [root]),
      hostname: "box",
      rootfsPath: root,
      // The whole of crun runs in a network namespace of its own, which is its "host".
      namespaces: { network: "host", pid: undefined, ipc: undefined, uts: undefined, cgroup: undefined },
      files: { hosts: undefined, hostname: undefined, resolvConf: undefined },
      shmPath: undefined,
      initPath: undefined,
      cgroupsPath: `${this.#cgroupParent}/${id}`,
      seccomp: undefined,
      facts,
      runtimeTakesBpf: true,
      ...changes,
    });
  }

  /** `crun run`, and where a process is given `crun exec` in it while it runs. */
  run(spec: OciSpec, exec?: OciProcess, runtime: "crun" | "runc" = "crun"): Result {
    const bundle = join(this.directory, `bundle${this.#made++}`);
    mkdirSync(bundle);
    writeFileSync(join(bundle, "config.json"), renderSpec(spec));
    const name = `t${randomBytes(8).toString("hex")}`;
    const state = join(this.directory, "state");
    const base = `${runtime} --root ${state}`;
    const script =
      exec === undefined
        ? `exec ${base} run --bundle ${bundle} ${name}`
        : `${base} run --detach --bundle ${bundle} ${name} >/dev/null 2>&1 </dev/null && ${base} exec --process ${bundle}/process.json ${name}; s=$?; ${base} delete --force ${name} >/dev/null 2>&1; exit $s`;
    if (exec !== undefined) writeFileSync(join(bundle, "process.json"), renderSpec(exec));
    // Old crun refuses to start where a v2 hierarchy stands beside v1.
    const hide = facts.hybrid && runtime === "crun" ? "umount /sys/fs/cgroup/unified 2>/dev/null; " : "";
    const { status, stdout, stderr } = spawnSync("unshare", ["--mount", "--net", "sh", "-c", `${hide}${script}`], {
      encoding: "utf8",
      timeout: 120_000,
    });
    return { status, stdout, stderr };
  }

  /** Runs a shell script in a container and gives what it printed; fails where the container does not start. */
  async shell(
    script: string,
    hostConfig: HostConfig = {},
    config: ContainerConfig = {},
    root = this.makeRoot(),
  ): Promise<string> {
    const { stdout, stderr, status } = this.run(await this.spec(root, ["sh", "-c", script], hostConfig, config));
    if (status === null) throw new Error(`the container did not end: ${stderr}`);
    return `${stdout}${stderr}`;
  }

  dispose(): void {
    const mounts = [...Object.values(facts.cgroupMounts), ...(facts.hybrid ? ["/sys/fs/cgroup/unified"] : [])];
    const parents = mounts.map((mount) => join(mount, this.#cgroupParent));
    spawnSync("find", [...parents, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], { stdio: "ignore" });
    rmSync(this.directory, { recursive: true, force: true });
  }
}
