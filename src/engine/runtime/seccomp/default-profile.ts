// The default seccomp profile: every system call of the reviewed kernel is allowed except those in the table below.
// Each line says why, and which capability from capabilities(7) lifts it. What the tables do not know answers ENOSYS, as an
// older kernel would; what is refused answers EPERM. Not looked at: pointers (a filter sees numbers only), and so also the
// families behind i386's socketcall(2), which 32-bit C libraries still use, so that AF_ALG stays reachable there.

import { arm, aarch64, i386, x86_64 } from "./syscall-tables.ts";

export type Architecture = "x86_64" | "i386" | "aarch64" | "arm";

/** EPERM, ENOSYS and EAFNOSUPPORT of asm-generic/errno*.h; the same on all four architectures. */
export const errno = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const;

interface Denial {
  readonly names: readonly string[];
  readonly reason: string;
  /** Any of these lifts the denial; none: it stays whatever the container may do. */
  readonly liftedBy: readonly string[];
  readonly errno: number;
}

function deny(reason: string, liftedBy: readonly string[], names: string, code: number = errno.EPERM): Denial {
  return { names: names.split(" "), reason, liftedBy, errno: code };
}

/** The deny table. */
export const denials: readonly Denial[] = [
  deny(
    "changes what is mounted; parsers of mount data are a kernel attack surface (CVE-2022-0185)",
    ["CAP_SYS_ADMIN"],
    "mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick",
  ),
  deny("swaps the root directory", [], "pivot_root"),
  deny(
    "new namespaces give unprivileged users root's kernel surface (CVE-2022-0492, CVE-2023-0386)",
    ["CAP_SYS_ADMIN"],
    "unshare setns",
  ),
  deny(
    "its flags are behind a pointer, where no filter can look; ENOSYS makes C libraries use clone",
    ["CAP_SYS_ADMIN"],
    "clone3",
    errno.ENOSYS,
  ),
  deny(
    "the verifier has let unprivileged programs into the kernel (CVE-2020-8835, CVE-2021-3490)",
    ["CAP_SYS_ADMIN", "CAP_BPF"],
    "bpf",
  ),
  deny(
    "reads the host's activity; long list of kernel bugs (CVE-2013-2094)",
    ["CAP_SYS_ADMIN", "CAP_PERFMON"],
    "perf_event_open",
  ),
  deny("keyrings are not namespaced (CVE-2016-0728, CVE-2017-6074)", [], "add_key request_key keyctl"),
  deny(
    "works around every other rule of this filter, and a steady source of holes (CVE-2022-29582, CVE-2023-2598)",
    [],
    "io_uring_setup io_uring_enter io_uring_register",
  ),
  deny("stops the kernel inside a copy, which wins races (CVE-2019-18683)", [], "userfaultfd"),
  deny("loads code into the kernel", ["CAP_SYS_MODULE"], "init_module finit_module delete_module"),
  deny("replaces the running kernel", [], "kexec_load kexec_file_load"),
  deny("stops the machine", ["CAP_SYS_BOOT"], "reboot"),
  deny("swap space belongs to the host", [], "swapon swapoff"),
  deny("the clock is not namespaced", ["CAP_SYS_TIME"], "clock_settime clock_settime64 settimeofday stime"),
  deny("opens any file of a file system by number (the Shocker escape)", ["CAP_DAC_READ_SEARCH"], "open_by_handle_at"),
  deny("leaves the root directory", ["CAP_SYS_CHROOT"], "chroot"),
  deny("writes a log of all processes of the host", ["CAP_SYS_PACCT"], "acct"),
  deny("limits of the host's file systems", ["CAP_SYS_ADMIN"], "quotactl quotactl_fd"),
  deny("the kernel's log has addresses and other containers' messages", ["CAP_SYS_ADMIN", "CAP_SYSLOG"], "syslog"),
  deny("names are the engine's to set", ["CAP_SYS_ADMIN"], "sethostname setdomainname"),
  deny("watches whole mounts of the host", ["CAP_SYS_ADMIN"], "fanotify_init"),
  deny("names of files anywhere, for profilers of the kernel", ["CAP_SYS_ADMIN"], "lookup_dcookie"),
  deny(
    "labels and modules of the host's security system",
    ["CAP_SYS_ADMIN"],
    "lsm_get_self_attr lsm_set_self_attr lsm_list_modules",
  ),
  deny("hangs up the terminal of somebody else", ["CAP_SYS_TTY_CONFIG"], "vhangup"),
  deny("compares or takes objects of other processes", ["CAP_SYS_PTRACE"], "kcmp pidfd_getfd process_madvise"),
  deny(
    "moves memory between nodes and slows the host down",
    ["CAP_SYS_NICE"],
    "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  ),
  deny("moves other processes' memory", [], "migrate_pages move_pages"),
  deny("ports and configuration space of devices", ["CAP_SYS_RAWIO"], "iopl ioperm"),
  deny("configuration space of devices, on old ARM boards", [], "pciconfig_iobase pciconfig_read pciconfig_write"),
  deny("real-mode emulation, a surface that nothing needs (CVE-2009-3547 and kin)", [], "vm86 vm86old"),
  deny(
    "removed from Linux, or never there",
    [],
    "afs_syscall break create_module ftime get_kernel_syms getpmsg gtty idle lock " +
      "mpx nfsservctl prof profil putpmsg query_module security stty tuxcall ulimit uselib vserver _sysctl bdflush",
    errno.ENOSYS,
  ),
  deny(
    "replaced long ago; kept out to keep the surface small",
    [],
    "nice oldfstat oldlstat oldolduname oldstat olduname " +
      "readdir sgetmask sigaction signal sigpending sigsuspend ssetmask sysfs ustat",
    errno.ENOSYS,
  ),
  deny(
    "newer than the last review",
    [],
    "uprobe open_tree_attr file_getattr file_setattr listns rseq_slice_yield",
    errno.ENOSYS,
  ),
];

/** Which values of one argument are let through. The kernel reads these arguments as 32 bits, and so do the rules. */
export interface ArgumentRule {
  readonly name: string;
  readonly reason: string;
  readonly index: number;
  readonly liftedBy: readonly string[];
  /** Allowed when no bit of the mask is set, when the value is one of these, or when it is none of these. */
  readonly allow:
    | { readonly noBitOf: number }
    | { readonly oneOf: readonly number[] }
    | { readonly noneOf: readonly number[] };
  readonly errno: number;
}

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. Source: linux/sched.h. */
export const cloneNamespaceFlags = 0x7e02_0000;

/** linux/socket.h */
const families = { AF_ALG: 38, AF_VSOCK: 40 } as const;

export const argumentRules: readonly ArgumentRule[] = [
  {
    name: "clone",
    reason: "new namespaces, as for unshare",
    index: 0,
    liftedBy: ["CAP_SYS_ADMIN"],
    allow: { noBitOf: cloneNamespaceFlags },
    errno: errno.EPERM,
  },
  {
    name: "socket",
    reason:
      "AF_ALG writes through the page cache (CVE-2026-31431); AF_VSOCK talks to the host's hypervisor past all namespaces",
    index: 0,
    liftedBy: [],
    allow: { noneOf: [families.AF_ALG, families.AF_VSOCK] },
    errno: errno.EAFNOSUPPORT,
  },
  {
    name: "personality",
    reason: "other personalities turn address randomisation off; allowed: Linux, 32-bit, old version numbers, asking",
    index: 0,
    liftedBy: [],
    allow: { oneOf: [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff] },
    errno: errno.EPERM,
  },
];

const tables: Readonly<Record<Architecture, string>> = { x86_64, i386, aarch64, arm };

/** name → number of one architecture. */
export function syscallNumbers(architecture: Architecture): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of tables[architecture].split(/\s+/)) {
    if (word === "") continue;
    if (/^\d+$/.test(word)) next = Number(word);
    else numbers.set(word, next++);
  }
  return numbers;
}

/** What the profile says about a name under a set of capabilities. */
export type Verdict = { readonly allow: true } | { readonly errno: number } | { readonly rule: ArgumentRule };

/** @param capabilities of the container's bounding set */
export function verdictOf(name: string, capabilities: readonly string[]): Verdict {
  const lifted = (by: readonly string[]): boolean => by.some((capability) => capabilities.includes(capability));
  const denial = denials.find(({ names }) => names.includes(name));
  if (denial !== undefined) return lifted(denial.liftedBy) ? { allow: true } : { errno: denial.errno };
  const rule = argumentRules.find((candidate) => candidate.name === name);
  return rule === undefined || lifted(rule.liftedBy) ? { allow: true } : { rule };
}
