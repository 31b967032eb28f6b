// Every flag of `run` and `create`. Flags that the daemon refuses are parsed and sent all the same, so that it names them.

import type { FlagSpec } from "../../../base/flags.ts";
import { parseRamBytes } from "../../../base/units.ts";
import { parseMount } from "./mount.ts";
import { parseNetworkFlag } from "./network.ts";
import {
  complaintOf,
  parseDeviceCgroupRule,
  parseDuration,
  parseEnv,
  parseExtraHost,
  parseGpus,
  parseIopsDevice,
  parseIp,
  parseLabel,
  parseLink,
  parseMemorySwap,
  parseNanoCpus,
  parseRateDevice,
  parseSearchDomain,
  parseStream,
  parseSysctl,
  parseUint16,
  parseUlimit,
  parseWeightDevice,
} from "./values.ts";

type Extra = Omit<FlagSpec, "name" | "kind" | "usage">;

function list(name: string, usage: string, extra: Extra = {}): FlagSpec {
  return { name, kind: "strings", usage, ...extra };
}
function text(name: string, usage: string, extra: Extra = {}): FlagSpec {
  return { name, kind: "string", usage, ...extra };
}
function bool(name: string, usage: string, extra: Extra = {}): FlagSpec {
  return { name, kind: "bool", usage, ...extra };
}
function int(name: string, usage: string, extra: Extra = {}): FlagSpec {
  return { name, kind: "int", usage, ...extra };
}
function bytes(name: string, usage: string, extra: Extra = {}): FlagSpec {
  return text(name, usage, { valueName: "bytes", complain: complaintOf(parseRamBytes), ...extra });
}
function duration(name: string, usage: string): FlagSpec {
  return text(name, usage, { valueName: "duration", shownDefault: "0s", complain: complaintOf(parseDuration) });
}

const rate = { complain: complaintOf(parseRateDevice), shownDefault: "[]" };
const iops = { complain: complaintOf(parseIopsDevice), shownDefault: "[]" };

/** The flags that describe a container. */
export const containerFlags: readonly FlagSpec[] = [
  list("add-host", "Add a line to the container's hosts file (host:ip)", { complain: complaintOf(parseExtraHost) }),
  list("annotation", "Add an annotation for the OCI runtime", { valueName: "map", shownDefault: "map[]" }),
  list("attach", "Attach to STDIN, STDOUT or STDERR", { short: "a", complain: complaintOf(parseStream) }),
  text("blkio-weight", "Relative block IO weight, 10 to 1000, or 0 for none", {
    valueName: "uint16",
    shownDefault: "0",
    complain: complaintOf(parseUint16),
  }),
  list("blkio-weight-device", "Relative block IO weight of a device", {
    complain: complaintOf(parseWeightDevice),
    shownDefault: "[]",
  }),
  list("cap-add", "Add Linux capabilities"),
  list("cap-drop", "Drop Linux capabilities"),
  text("cgroup-parent", "Parent cgroup of the container"),
  text("cgroupns", "Cgroup namespace (host|private); the daemon's default when empty"),
  text("cidfile", "File to write the container's id to"),
  int("cpu-count", "Number of CPUs (Windows only)"),
  int("cpu-percent", "Percentage of CPU (Windows only)"),
  int("cpu-period", "Period of the CPU limit in microseconds"),
  int("cpu-quota", "CPU time per period in microseconds"),
  int("cpu-rt-period", "Real-time CPU period in microseconds"),
  int("cpu-rt-runtime", "Real-time CPU time per period in microseconds"),
  int("cpu-shares", "Relative CPU weight", { short: "c" }),
  text("cpus", "Number of CPUs", { valueName: "decimal", complain: complaintOf(parseNanoCpus) }),
  text("cpuset-cpus", "CPUs that may be used (0-3, 0,1)"),
  text("cpuset-mems", "Memory nodes that may be used (0-3, 0,1)"),
  list("device", "Add a device of the host's"),
  list("device-cgroup-rule", "Add a rule to the list of allowed devices", {
    complain: complaintOf(parseDeviceCgroupRule),
  }),
  list("device-read-bps", "Limit reading of a device, bytes per second", rate),
  list("device-read-iops", "Limit reading of a device, operations per second", iops),
  list("device-write-bps", "Limit writing to a device, bytes per second", rate),
  list("device-write-iops", "Limit writing to a device, operations per second", iops),
  list("dns", "DNS server to use", { complain: complaintOf(parseIp) }),
  list("dns-opt", "DNS option", { hidden: true }),
  list("dns-option", "DNS option"),
  list("dns-search", "DNS search domain", { complain: complaintOf(parseSearchDomain) }),
  text("domainname", "NIS domain name of the container"),
  text("entrypoint", "Program to run instead of the image's ENTRYPOINT"),
  list("env", "Set an environment variable", { short: "e", complain: complaintOf((value) => parseEnv(value, {})) }),
  list("env-file", "Read environment variables from a file"),
  list("expose", "Expose a port or a range of ports"),
  text("gpus", "GPUs to add ('all' for all of them)", { valueName: "gpu-request", complain: complaintOf(parseGpus) }),
  list("group-add", "Additional group of the process"),
  text("health-cmd", "Command that checks health"),
  duration("health-interval", "Time between two checks (ms|s|m|h)"),
  int("health-retries", "Failures in a row that make a container unhealthy"),
  duration("health-start-interval", "Time between two checks while starting (ms|s|m|h)"),
  duration("health-start-period", "Time in which failures do not count yet (ms|s|m|h)"),
  duration("health-timeout", "Longest time that a check may take (ms|s|m|h)"),
  text("hostname", "Host name of the container", { short: "h" }),
  bool("init", "Run an init that forwards signals and reaps processes"),
  bool("interactive", "Keep stdin open even if not attached", { short: "i" }),
  bytes("io-maxbandwidth", "Most IO bandwidth of the system drive (Windows only)"),
  int("io-maxiops", "Most IO operations of the system drive (Windows only)", { valueName: "uint" }),
  text("ip", "IPv4 address (e.g., 172.30.100.104)"),
  text("ip6", "IPv6 address (e.g., 2001:db8::33)"),
  text("ipc", "IPC namespace to use"),
  text("isolation", "Kind of isolation"),
  bytes("kernel-memory", "Limit of kernel memory"),
  list("label", "Set a label", { short: "l", complain: complaintOf(parseLabel) }),
  list("label-file", "Read labels from a file"),
  list("link", "Link to another container", { complain: complaintOf(parseLink) }),
  list("link-local-ip", "Link-local address of the container"),
  text("log-driver", "Driver of the container's log"),
  list("log-opt", "Option of the log driver"),
  text("mac-address", "MAC address (e.g., 92:d0:c6:0a:29:33)"),
  bytes("memory", "Memory limit", { short: "m" }),
  bytes("memory-reservation", "Memory that is kept under pressure"),
  bytes("memory-swap", "Limit of memory plus swap: '-1' for none", { complain: complaintOf(parseMemorySwap) }),
  int("memory-swappiness", "How eagerly to swap (0 to 100)", { default: "-1" }),
  list("mount", "Attach a file system mount", { valueName: "mount", complain: complaintOf(parseMount) }),
  text("name", "Name of the container"),
  list("net", "Network to connect to", { hidden: true, complain: complaintOf(parseNetworkFlag) }),
  list("net-alias", "Name on the network", { hidden: true }),
  list("network", "Network to connect to", { valueName: "network", complain: complaintOf(parseNetworkFlag) }),
  list("network-alias", "Additional name on the network"),
  bool("no-healthcheck", "Turn off the image's health check"),
  bool("oom-kill-disable", "Turn off the OOM killer"),
  int("oom-score-adj", "Preference of the OOM killer (-1000 to 1000)"),
  text("pid", "PID namespace to use"),
  int("pids-limit", "Most processes (-1 for no limit)"),
  text("platform", "Platform of the image, os[/arch[/variant]]"),
  bool("privileged", "Give all privileges to the container"),
  list("publish", "Publish a port or a range of ports", { short: "p" }),
  bool("publish-all", "Publish all exposed ports at random ones", { short: "P" }),
  text("pull", 'When to pull the image ("always", "missing", "never")', { default: "missing" }),
  bool("quiet", "Show no progress of pulling", { short: "q" }),
  bool("read-only", "Mount the root file system read-only"),
  text("restart", "When to start the container again", { default: "no" }),
  bool("rm", "Remove the container and its anonymous volumes when it exits"),
  text("runtime", "OCI runtime of the container"),
  list("security-opt", "Security option"),
  bytes("shm-size", "Size of /dev/shm"),
  text("stop-signal", "Signal that stops the container"),
  int("stop-timeout", "Seconds that the container has to stop"),
  list("storage-opt", "Option of the storage driver"),
  list("sysctl", "Kernel parameter", { valueName: "map", shownDefault: "map[]", complain: complaintOf(parseSysctl) }),
  list("tmpfs", "Mount a tmpfs at a directory"),
  bool("tty", "Allocate a pseudo-terminal", { short: "t" }),
  list("ulimit", "Limit of a resource", {
    valueName: "ulimit",
    shownDefault: "[]",
    complain: complaintOf(parseUlimit),
  }),
  text("user", "User of the process (format: <name|uid>[:<group|gid>])", { short: "u" }),
  text("userns", "User namespace to use"),
  text("uts", "UTS namespace to use"),
  list("volume", "Bind a directory or volume", { short: "v" }),
  text("volume-driver", "Driver of the container's volumes"),
  list("volumes-from", "Mount the volumes of another container"),
  text("workdir", "Working directory of the process", { short: "w" }),
];
