// A virtual machine with Debian's cloud kernel (pure cgroup v2, kernel modules) for what the test host's own kernel lacks.
// It is emulated: for correctness, never for speed. The guest's root is an ext4 image made of the host's own programs and
// of the bundle; it has no network device, so nothing can leave it.

import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "../..");
const cache = join(root, ".cache/vm");

/** Host programs that the guest needs; their libraries follow by ldd. */
const programs = ["/bin/busybox", "/usr/bin/crun", "/usr/sbin/nft", "/usr/sbin/ip", "/usr/bin/ps", "/usr/bin/nsenter"];

/** Modules that the initramfs loads before it can mount the root, in this order. */
const earlyModules = ["virtio_pci", "virtio_blk", "ext4"];

/** Modules for the engine itself. */
const engineModules = [
  "overlay veth bridge macvlan ipvlan dummy 8021q sctp",
  "nf_tables nft_chain_nat nft_masq nft_nat nft_redir nft_ct nft_fib_inet nft_reject_inet",
  "nft_limit nft_log nft_meta_bridge nf_conntrack_bridge nf_conntrack_netlink",
].flatMap((names) => names.split(" "));

/** Node in the guest: the one that is pinned, where the bundle finds it. */
export const guestNode = `/gantry/${relative(root, realpathSync(join(root, "node_modules/.bin/node")))}`;

export interface VmOptions {
  /** Files and directories of the test host → absolute paths in the guest. */
  readonly files?: Readonly<Record<string, string>>;
  /** More programs of the test host, and more modules of the guest's kernel. */
  readonly programs?: readonly string[];
  readonly modules?: readonly string[];
}

export interface VmResult {
  /** Everything that the guest printed on its console after its script began. */
  readonly output: string;
  /** The script's exit status; undefined when the guest never got there. */
  readonly status: number | undefined;
}

interface Kernel {
  readonly image: string;
  readonly modules: string;
  readonly release: string;
}

/** Debian's cloud kernel, unpacked once under .cache/vm. */
function kernel(): Kernel {
  const tree = join(cache, "kernel");
  if (globSync(join(tree, "boot/vmlinuz-*")).length === 0) {
    mkdirSync(join(cache, "deb"), { recursive: true });
    const depends = execFileSync("apt-cache", ["depends", "linux-image-cloud-amd64"], { encoding: "utf8" });
    const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
    if (name === undefined) throw new Error("no cloud kernel among the Debian packages: is `apt-get update` due?");
    execFileSync("apt-get", ["-qq", "-oAPT::Sandbox::User=root", "download", name], { cwd: join(cache, "deb") });
    for (const deb of globSync(join(cache, "deb/*.deb"))) execFileSync("dpkg", ["-x", deb, tree]);
  }
  const image = globSync(join(tree, "boot/vmlinuz-*"))[0] ?? "";
  const release = basename(image).slice("vmlinuz-".length);
  const modules = join(tree, "lib/modules", release);
  if (!existsSync(join(modules, "modules.dep"))) execFileSync("depmod", ["-b", tree, release]);
  return { image, modules, release };
}

/** Module files with all they depend upon, dependencies first. */
function moduleFiles(modules: string, names: readonly string[]): string[] {
  const dependencies = new Map<string, { readonly file: string; readonly needs: readonly string[] }>();
  for (const line of readFileSync(join(modules, "modules.dep"), "utf8").split("\n")) {
    const [file = "", needs = ""] = line.split(":");
    if (file !== "") dependencies.set(basename(file, ".ko"), { file, needs: needs.split(" ").filter(Boolean) });
  }
  const found = new Set<string>();
  for (const name of names) {
    const entry = dependencies.get(name);
    if (entry === undefined) continue; // Built into the kernel.
    for (const file of entry.needs.toReversed()) found.add(file);
    found.add(entry.file);
  }
  return [...found];
}

function copyInto(staging: string, path: string): void {
  const target = join(staging, path);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(realpathSync(path), target, { dereference: true });
}

function libraries(program: string): string[] {
  try {
    const text = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return [...text.matchAll(/(\/\S+)\s+\(0x/g)].map((m) => m[1] ?? "");
  } catch {
    return []; // Static.
  }
}

function makeInitramfs(work: string, k: Kernel): string {
  const staging = join(work, "initramfs");
  mkdirSync(join(staging, "bin"), { recursive: true });
  mkdirSync(join(staging, "mods"));
  for (const dir of ["proc", "sys", "dev", "root"]) mkdirSync(join(staging, dir));
  cpSync("/bin/busybox", join(staging, "bin/busybox"));
  const files = moduleFiles(k.modules, earlyModules);
  for (const file of files) cpSync(join(k.modules, file), join(staging, "mods", basename(file)));
  const init = [
    "#!/bin/busybox sh",
    "/bin/busybox mount -t devtmpfs dev /dev",
    ...files.map((file) => `/bin/busybox insmod /mods/${basename(file)}`),
    "i=0; while [ ! -b /dev/vda ] && [ $i -lt 200 ]; do /bin/busybox usleep 50000; i=$((i+1)); done",
    "/bin/busybox mount -t ext4 /dev/vda /root",
    "/bin/busybox umount /dev",
    "exec /bin/busybox switch_root /root /init",
    "",
  ].join("\n");
  writeFileSync(join(staging, "init"), init, { mode: 0o755 });
  const archive = join(work, "initramfs.gz");
  execFileSync("sh", ["-c", `find . | cpio -o -H newc --quiet | gzip -1 > ${archive}`], { cwd: staging });
  return archive;
}

function makeRoot(work: string, k: Kernel, script: string, options: VmOptions): string {
  const { files = {} } = options;
  const modules = moduleFiles(k.modules, [...engineModules, ...(options.modules ?? [])]);
  const staging = join(work, "root");
  for (const dir of [
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/lib",
    "var/log",
    "etc",
    "root",
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
  ]) {
    mkdirSync(join(staging, dir), { recursive: true });
  }
  const node = realpathSync(join(root, "node_modules/.bin/node"));
  for (const program of [...programs, ...(options.programs ?? []), node]) {
    if (program !== node) copyInto(staging, program);
    for (const library of libraries(program)) copyInto(staging, library);
  }
  for (const applet of execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).split("\n")) {
    if (applet !== "" && applet !== "busybox" && !existsSync(join(staging, "bin", applet)))
      symlinkSync("busybox", join(staging, "bin", applet));
  }
  // The product as it is shipped, in the same layout: bin/ finds dist/ and Node beside it.
  for (const part of ["bin", "dist", "shim/build"]) {
    if (existsSync(join(root, part)))
      cpSync(join(root, part), join(staging, "gantry", part), { recursive: true, verbatimSymlinks: true });
  }
  const pinned = join(staging, "gantry", relative(root, node));
  mkdirSync(dirname(pinned), { recursive: true });
  cpSync(node, pinned);
  for (const [from, to] of Object.entries(files)) {
    mkdirSync(dirname(join(staging, to)), { recursive: true });
    cpSync(from, join(staging, to), { recursive: true });
  }
  for (const file of modules) {
    const target = join(staging, "lib/modules", k.release, file);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(k.modules, file), target);
  }
  writeFileSync(join(staging, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(staging, "etc/group"), "root:x:0:\n");
  writeFileSync(join(staging, "etc/hosts"), "127.0.0.1 localhost\n");
  writeFileSync(join(staging, "etc/resolv.conf"), "nameserver 192.0.2.1\n");
  // No /etc/protocols: a host without netbase has none, and nft then names no protocol.
  writeFileSync(join(staging, "etc/os-release"), 'PRETTY_NAME="Test guest"\n');
  writeFileSync(join(staging, "script"), script, { mode: 0o755 });
  const init = [
    "#!/bin/sh",
    "export PATH=/gantry/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root",
    "mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/pts /dev/shm",
    "mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /run; mount -t cgroup2 cgroup /sys/fs/cgroup",
    "for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$c > /sys/fs/cgroup/cgroup.subtree_control; done",
    ...modules.map((file) => `insmod /lib/modules/${k.release}/${file}`),
    "ip link set lo up; hostname guest",
    "echo VM-BEGIN; sh /script; echo VM-END $?",
    "sync; poweroff -f",
    "",
  ].join("\n");
  writeFileSync(join(staging, "init"), init);
  chmodSync(join(staging, "init"), 0o755);
  const image = join(work, "root.img");
  execFileSync("mkfs.ext4", ["-q", "-F", "-d", staging, image, "1500M"]);
  return image;
}

/**
 * Boots the guest, runs `script` with sh as its root, and powers it off.
 *
 * @param timeoutMs the guest is killed after this long; its output so far is returned
 */
export async function runInVm(script: string, timeoutMs: number, options: VmOptions = {}): Promise<VmResult> {
  const work = mkdtempSync(join(tmpdir(), "vm-"));
  try {
    const k = kernel();
    const argv = [
      "-machine",
      "q35,accel=tcg",
      "-cpu",
      "max",
      "-smp",
      "2",
      "-m",
      "2048",
      "-nographic",
      "-no-reboot",
      "-nic",
      "none",
      "-monitor",
      "none",
      "-kernel",
      k.image,
      "-initrd",
      makeInitramfs(work, k),
      "-drive",
      `file=${makeRoot(work, k, script, options)},format=raw,if=virtio`,
      "-append",
      "console=ttyS0 panic=-1 no_timer_check quiet loglevel=3",
    ];
    const child = spawn("qemu-system-x86_64", argv, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    await new Promise((resolve) => child.once("close", resolve));
    clearTimeout(timer);
    const begin = text.indexOf("VM-BEGIN");
    const end = /VM-END (\d+)/.exec(text);
    return {
      output: (begin < 0 ? text : text.slice(begin + "VM-BEGIN".length, end?.index)).replaceAll("\r", ""),
      status: end === null ? undefined : Number(end[1]),
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
