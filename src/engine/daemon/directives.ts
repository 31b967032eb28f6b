// What gantryd can be told: each directive as a flag, and as a key of the configuration file where it has one. Names and
// meanings are dockerd's. Data only; reading is flags.ts's and config-file.ts's.

import { messageOf } from "../../base/errors.ts";
import { parseRamBytes } from "../../base/units.ts";
import { type Directive, splitOnce } from "./directive.ts";
import { networkDirectives } from "./network-directives.ts";

function complainAboutRuntime(value: string): string | undefined {
  const [name, path = ""] = splitOnce(value, "=");
  return name === "" || path === "" ? `invalid runtime argument: ${value}` : undefined;
}

function complainAboutUlimit(value: string): string | undefined {
  return /^[a-z]+=-?\d+(:-?\d+)?$/.test(value) ? undefined : `invalid ulimit argument: ${value}`;
}

function complainAboutSize(value: string): string | undefined {
  try {
    parseRamBytes(value);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

export const directives: readonly Directive[] = [
  ...networkDirectives,
  {
    flag: {
      name: "add-runtime",
      kind: "strings",
      valueName: "runtime",
      usage: "Register an additional OCI compatible runtime (name=path)",
      complain: complainAboutRuntime,
    },
    key: "runtimes",
    type: "runtimes",
    reloads: true,
  },
  {
    flag: {
      name: "builder",
      kind: "string",
      valueName: "json",
      usage: "What builds may ask for and leave behind, as the member of daemon.json",
      hidden: true,
    },
    key: "builder",
    type: "builder",
    reloads: true,
  },
  {
    flag: {
      name: "allow-insecure-tcp",
      kind: "bool",
      usage: "Listen on tcp:// without TLS: everybody who reaches the port is root on this host",
    },
    key: "allow-insecure-tcp",
    type: "bool",
  },
  {
    flag: { name: "cgroup-parent", kind: "string", usage: "Set parent cgroup for all containers", default: "/gantry" },
    key: "cgroup-parent",
    type: "string",
  },
  {
    flag: {
      name: "config-file",
      kind: "string",
      usage: "Daemon configuration file",
      default: "/etc/gantry/daemon.json",
    },
    key: undefined,
    type: "string",
  },
  {
    flag: {
      name: "data-root",
      kind: "string",
      usage: "Root directory of persistent state",
      default: "/var/lib/gantry",
    },
    key: "data-root",
    type: "string",
  },
  {
    flag: { name: "debug", short: "D", kind: "bool", usage: "Enable debug mode" },
    key: "debug",
    type: "bool",
    reloads: true,
  },
  {
    flag: { name: "default-runtime", kind: "string", usage: "Default OCI runtime for containers", default: "crun" },
    key: "default-runtime",
    type: "string",
    reloads: true,
  },
  {
    flag: {
      name: "default-shm-size",
      kind: "string",
      valueName: "bytes",
      usage: "Default shm size for containers",
      default: "64MiB",
      shownDefault: "64MiB",
      complain: complainAboutSize,
    },
    key: "default-shm-size",
    type: "size",
  },
  {
    flag: {
      name: "default-ulimit",
      kind: "strings",
      valueName: "ulimit",
      usage: "Default ulimits for containers",
      complain: complainAboutUlimit,
    },
    key: "default-ulimits",
    type: "ulimits",
  },
  {
    flag: {
      name: "embedded-image",
      kind: "string",
      usage: 'Archive loaded at the first start; "" for none (default: the one that Gantry brings)',
    },
    key: "embedded-image",
    type: "string",
  },
  {
    flag: {
      name: "exec-root",
      kind: "string",
      usage: "Root directory for execution state files",
      default: "/run/gantry",
    },
    key: "exec-root",
    type: "string",
  },
  {
    flag: { name: "group", short: "G", kind: "string", usage: "Group for the unix socket", default: "docker" },
    key: "group",
    type: "string",
  },
  {
    flag: { name: "host", short: "H", kind: "strings", usage: "Daemon socket(s) to listen on" },
    key: "hosts",
    type: "strings",
  },
  {
    flag: {
      name: "http-proxy",
      kind: "string",
      usage: "HTTP proxy URL to use for outgoing traffic (default: HTTP_PROXY of the environment)",
    },
    key: "http-proxy",
    type: "string",
    secret: true,
  },
  {
    flag: {
      name: "https-proxy",
      kind: "string",
      usage: "HTTPS proxy URL to use for outgoing traffic (default: HTTPS_PROXY of the environment)",
    },
    key: "https-proxy",
    type: "string",
    secret: true,
  },
  {
    flag: { name: "init", kind: "bool", usage: "Run an init in the container to forward signals and reap processes" },
    key: "init",
    type: "bool",
  },
  {
    flag: { name: "init-path", kind: "string", usage: "Path to the init program (default: tini of the host)" },
    key: "init-path",
    type: "string",
  },
  {
    flag: { name: "insecure-registry", kind: "strings", usage: "Enable insecure registry communication" },
    key: "insecure-registries",
    type: "strings",
    reloads: true,
  },
  {
    flag: { name: "label", kind: "strings", usage: "Set key=value labels to the daemon", complain: complainAboutLabel },
    key: "labels",
    type: "strings",
    reloads: true,
  },
  {
    flag: {
      name: "live-restore",
      kind: "bool",
      usage: "Keep containers running while the daemon is down (always so; accepted for dockerd's sake)",
      default: "true",
      shownDefault: "true",
    },
    key: "live-restore",
    type: "bool",
  },
  {
    flag: { name: "log-driver", kind: "string", usage: "Default driver for container logs", default: "json-file" },
    key: "log-driver",
    type: "string",
  },
  {
    flag: { name: "log-format", kind: "string", usage: 'Set the logging format ("text"|"json")', default: "text" },
    key: "log-format",
    type: "string",
  },
  {
    flag: {
      name: "log-level",
      short: "l",
      kind: "string",
      usage: 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")',
      default: "info",
    },
    key: "log-level",
    type: "string",
    reloads: true,
  },
  {
    flag: { name: "log-opt", kind: "strings", valueName: "map", usage: "Default log driver options for containers" },
    key: "log-opts",
    type: "map",
  },
  {
    flag: { name: "max-concurrent-downloads", kind: "int", usage: "Set the max concurrent downloads", default: "3" },
    key: "max-concurrent-downloads",
    type: "int",
    reloads: true,
  },
  {
    flag: { name: "max-concurrent-uploads", kind: "int", usage: "Set the max concurrent uploads", default: "5" },
    key: "max-concurrent-uploads",
    type: "int",
    reloads: true,
  },
  {
    flag: {
      name: "max-download-attempts",
      kind: "int",
      usage: "Set the max download attempts for each pull",
      default: "5",
    },
    key: "max-download-attempts",
    type: "int",
    reloads: true,
  },
  {
    flag: {
      name: "max-layer-size",
      kind: "string",
      valueName: "bytes",
      usage: "Set the max size of one unpacked layer, 0 for what the disk has",
      default: "0",
      complain: complainAboutSize,
    },
    key: "max-layer-size",
    type: "size",
  },
  {
    flag: {
      name: "no-proxy",
      kind: "string",
      usage: "Comma-separated list of hosts or IP addresses for which the proxy is skipped",
    },
    key: "no-proxy",
    type: "string",
  },
  {
    flag: {
      name: "pidfile",
      short: "p",
      kind: "string",
      usage: "Path to use for daemon PID file (default: gantryd.pid in the exec-root)",
    },
    key: "pidfile",
    type: "string",
  },
  {
    flag: {
      name: "plugin-dir",
      kind: "strings",
      valueName: "directory",
      usage:
        "Directories of plugins' sockets and specifications, in place of /run/docker/plugins, /etc/docker/plugins and /usr/lib/docker/plugins",
      complain: (value) =>
        value.startsWith("/") ? undefined : `invalid plugin directory: ${value}: an absolute path is needed`,
      hidden: true,
    },
    key: "plugin-dirs",
    type: "strings",
  },
  {
    flag: { name: "registry-mirror", kind: "strings", usage: "Preferred registry mirror of docker.io" },
    key: "registry-mirrors",
    type: "strings",
    reloads: true,
  },
  {
    flag: {
      name: "shutdown-timeout",
      kind: "int",
      usage: "Seconds to wait for requests to end at a stop",
      default: "15",
    },
    key: "shutdown-timeout",
    type: "int",
    reloads: true,
  },
  { flag: { name: "tls", kind: "bool", usage: "Use TLS; implied by --tlsverify" }, key: "tls", type: "bool" },
  {
    flag: {
      name: "tlscacert",
      kind: "string",
      usage: "Trust certs signed only by this CA",
      default: "/etc/gantry/ca.pem",
    },
    key: "tlscacert",
    type: "string",
  },
  {
    flag: { name: "tlscert", kind: "string", usage: "Path to TLS certificate file", default: "/etc/gantry/cert.pem" },
    key: "tlscert",
    type: "string",
  },
  {
    flag: { name: "tlskey", kind: "string", usage: "Path to TLS key file", default: "/etc/gantry/key.pem" },
    key: "tlskey",
    type: "string",
  },
  { flag: { name: "tlsverify", kind: "bool", usage: "Use TLS and verify the remote" }, key: "tlsverify", type: "bool" },
  {
    flag: { name: "validate", kind: "bool", usage: "Validate daemon configuration and exit" },
    key: undefined,
    type: "bool",
  },
  {
    flag: { name: "version", short: "v", kind: "bool", usage: "Print version information and quit" },
    key: undefined,
    type: "bool",
  },
  { flag: { name: "help", kind: "bool", usage: "Print usage" }, key: undefined, type: "bool" },
];

function complainAboutLabel(value: string): string | undefined {
  return value.includes("=") && !value.startsWith("=") ? undefined : `bad attribute format: ${value}`;
}

/** dockerd's keys that Gantry does not have yet: a file that was written for dockerd is told which, not that they are typos. */
export const directivesOfDockerdOnly: ReadonlySet<string> = new Set(
  `
  allow-nondistributable-artifacts authorization-plugins
  cdi-spec-dirs containerd containerd-namespace containerd-plugin-namespace cpu-rt-period
  cpu-rt-runtime default-cgroupns-mode
  default-ipc-mode exec-opts experimental features
  metrics-addr network-control-plane-mtu no-new-privileges node-generic-resources raw-logs rootless
  seccomp-profile selinux-enabled storage-driver storage-opts swarm-default-advertise-addr
  userland-proxy-path userns-remap
  `.match(/\S+/g),
);
