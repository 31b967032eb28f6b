// Container configuration → OCI runtime spec. Nothing here acts; the host is asked only through SpecHost.
// Source: runtime-spec 1.1 config.md and config-linux.md; Engine API 1.51, HostConfig.

import { EngineError } from "../../base/errors.ts";
import type { OciLinux, OciMount, OciNamespace, OciProcess, OciSpec } from "../../spec/oci/runtime.ts";
import { resolveCapabilities } from "./capabilities.ts";
import { readCgroupLimits, withoutUnenforceable } from "./cgroup-limits.ts";
import {
  defaultMaskedPaths,
  defaultReadonlyPaths,
  planDefaultMounts,
  withThermalThrottle,
  withoutReplaced,
} from "./default-mounts.ts";
import { planDevices } from "./devices.ts";
import { planEnvironment } from "./environment.ts";
import type { SpecInput } from "./index.ts";
import { hasRecursiveReadOnly } from "./kernel-version.ts";
import { planMounts } from "./mounts.ts";
import { cgroupnsModeOf } from "./namespace-modes.ts";
import { outerFirst, propagationOf, renderMount, type SourcedMount } from "./planned-mount.ts";
import { planResources } from "./resources.ts";
import { planRlimits, rlimitInfinity } from "./rlimits.ts";
import type { SeccompPlanner } from "./seccomp/plan.ts";
import { parseSecurityOptions } from "./security-options.ts";
import type { SecurityOptions } from "./security-options.ts";
import type { SpecHost } from "./spec-host.ts";
import { planSysctls } from "./sysctls.ts";
import { parseWorkingDirectory } from "./working-directory.ts";

const initDestination = "/sbin/docker-init";

function planNamespaces(input: SpecInput): readonly OciNamespace[] {
  const { namespaces } = input;
  const cgroup = namespaces.cgroup ?? (cgroupnsModeOf(input.hostConfig, input.facts) === "host" ? "host" : undefined);
  const entry = (type: OciNamespace["type"], path: string | undefined): readonly OciNamespace[] =>
    path === "host" ? [] : [path === undefined ? { type } : { type, path }];
  return [
    { type: "mount" },
    ...entry("network", namespaces.network),
    ...entry("uts", namespaces.uts),
    ...entry("pid", namespaces.pid),
    ...entry("ipc", namespaces.ipc),
    ...entry("cgroup", cgroup),
  ];
}

/** The files that the engine writes for the container, where the client mounts nothing in their place. */
function planFileMounts(input: SpecInput): readonly OciMount[] {
  const options = ["rbind", "rprivate", ...(input.hostConfig.ReadonlyRootfs === true ? ["ro"] : [])];
  const files: readonly (readonly [string, string | undefined])[] = [
    ["/etc/resolv.conf", input.files.resolvConf],
    ["/etc/hostname", input.files.hostname],
    ["/etc/hosts", input.files.hosts],
  ];
  return files.flatMap(([destination, source]) =>
    source === undefined ? [] : [{ destination, type: "bind", source, options }],
  );
}

/** Recursive read-only is the runtime's "rro"; everything else is as planned. Parents come before what lies in them. */
function planAllMounts(
  input: SpecInput,
  asked: readonly SourcedMount[],
  security: SecurityOptions,
  host: SpecHost,
): readonly OciMount[] {
  const privileged = input.hostConfig.Privileged === true;
  const defaults = planDefaultMounts(input.hostConfig, {
    writableSys: privileged,
    writableCgroups: privileged || security.writableCgroups,
    shmPath: input.shmPath,
  });
  const destinations = asked.map(({ mount }) => mount.destination);
  const own: OciMount[] = [...planFileMounts(input)];
  if (input.initPath !== undefined && input.hostConfig.Init === true) {
    own.push({
      destination: initDestination,
      type: "bind",
      source: input.initPath,
      options: ["bind", "rprivate", "ro"],
    });
  }
  const recursiveReadOnly = hasRecursiveReadOnly(input.facts.kernelVersion);
  const isDeep = ({ mount, source, isView }: SourcedMount): boolean =>
    mount.readOnly && isView !== true && recursiveReadOnly && host.isDirectory(source);
  const sorted = outerFirst(
    [...withoutReplaced(own, destinations), ...asked.map((each) => renderMount(each, isDeep(each)))],
    ({ destination }) => destination,
  );
  return [...withoutReplaced(defaults, destinations), ...sorted];
}

/** Without volumes and images, which have no source before they are mounted. */
function ownMounts({ hostConfig, facts }: SpecInput): readonly SourcedMount[] {
  const { mounts } = planMounts({ hostConfig, recursiveReadOnly: hasRecursiveReadOnly(facts.kernelVersion) });
  return mounts.flatMap((mount): readonly SourcedMount[] =>
    mount.kind === "bind" ? [{ mount, source: mount.source }] : mount.kind === "tmpfs" ? [{ mount, source: "" }] : [],
  );
}

/**
 * What the root mount must be so that shared and slave binds can be made.
 *
 * @throws System "path x is mounted on y but it is not a shared mount"
 */
function planPropagation(asked: readonly SourcedMount[], host: SpecHost): string | undefined {
  let result: string | undefined;
  for (const { mount, source } of asked) {
    const propagation = propagationOf(mount);
    if (propagation === "" || propagation.endsWith("private")) continue;
    const { mountPoint, shared, slave } = host.propagationOf(source);
    if (propagation.endsWith("shared")) {
      if (!shared) {
        throw new EngineError("System", `path ${source} is mounted on ${mountPoint} but it is not a shared mount`);
      }
      result = "shared";
    } else {
      if (!shared && !slave) {
        throw new EngineError(
          "System",
          `path ${source} is mounted on ${mountPoint} but it is not a shared or slave mount`,
        );
      }
      result ??= "rslave";
    }
  }
  return result;
}

/**
 * Builds the spec of a container.
 *
 * @throws InvalidParameter the working directory leads through a descriptor
 * @throws System           a device is missing, or a mount does not propagate as asked
 */
export function buildSpec(input: SpecInput, host: SpecHost, seccomp: SeccompPlanner): OciSpec {
  const { config, hostConfig, facts } = input;
  const privileged = hostConfig.Privileged === true;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const capabilities = resolveCapabilities(
    { add: hostConfig.CapAdd ?? [], drop: hostConfig.CapDrop ?? [], privileged },
    host.capabilities,
  );
  const asked = input.mounts ?? ownMounts(input);
  const devices = planDevices(hostConfig, host);
  const enforceable = withoutUnenforceable(hostConfig, readCgroupLimits(facts, host)).hostConfig;
  const ownNetwork = input.namespaces.network !== "host" && !(hostConfig.NetworkMode ?? "").startsWith("container:");
  const ownUts = input.namespaces.uts === undefined;
  const propagation = planPropagation(asked, host);
  const filter = seccomp(input, capabilities, security);
  const unmasked = privileged || security.unconfinedPaths;
  const masked = withThermalThrottle(hostConfig.MaskedPaths ?? (unmasked ? [] : defaultMaskedPaths), facts.cpuCount);
  const readonlyPaths = hostConfig.ReadonlyPaths ?? (unmasked ? [] : defaultReadonlyPaths);
  const tty = config.Tty === true;
  const { rlimits } = planRlimits(hostConfig, facts, host.rlimits);
  const process: OciProcess = {
    terminal: tty,
    ...(tty ? consoleSizeOf(hostConfig.ConsoleSize ?? []) : {}),
    user: { uid: input.user.uid, gid: input.user.gid, additionalGids: input.user.additionalGids },
    args:
      hostConfig.Init === true && input.initPath !== undefined ? [initDestination, "--", ...input.args] : input.args,
    env: planEnvironment(config.Env ?? [], { hostname: input.hostname, tty, home: input.user.home }),
    cwd: parseWorkingDirectory(config.WorkingDir ?? ""),
    capabilities: processCapabilities(capabilities),
    ...(rlimits.length > 0 ? { rlimits } : {}),
    noNewPrivileges: security.noNewPrivileges,
    ...(facts.appArmor && security.appArmor !== undefined && security.appArmor !== "unconfined"
      ? { apparmorProfile: security.appArmor }
      : {}),
    oomScoreAdj: hostConfig.OomScoreAdj ?? 0,
  };
  const linux: OciLinux = {
    namespaces: planNamespaces(input),
    ...(devices.nodes.length > 0 ? { devices: devices.nodes } : {}),
    cgroupsPath: input.cgroupsPath,
    resources: { devices: devices.rules, ...planResources(enforceable, facts) },
    ...(filter.section === undefined ? {} : { seccomp: filter.section }),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    maskedPaths: masked,
    readonlyPaths,
    sysctl: planSysctls(hostConfig, ownUts ? (config.Domainname ?? "") : "", ownNetwork),
  };
  const annotations = { ...hostConfig.Annotations, ...filter.annotations };
  return {
    ociVersion: "1.0.2",
    process,
    root: { path: input.rootfsPath, readonly: hostConfig.ReadonlyRootfs === true },
    ...(ownUts ? { hostname: input.hostname } : {}),
    mounts: planAllMounts(input, asked, security, host),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    linux,
  };
}

/** Inheritable and ambient stay empty: an exec by another user must not regain anything (CVE-2022-29162, CVE-2022-24769). */
export function processCapabilities(names: readonly string[]): NonNullable<OciProcess["capabilities"]> {
  return { bounding: names, effective: names, permitted: names, inheritable: [], ambient: [] };
}

function consoleSizeOf(size: readonly number[]): Pick<OciProcess, "consoleSize"> {
  const [height = 0, width = 0] = size;
  return height > 0 && width > 0 ? { consoleSize: { height, width } } : {};
}

/** JSON of a spec or process as runtimes read it; infinite rlimits become the exact 2^64 - 1 that no double holds. */
export function renderSpec(value: OciSpec | OciProcess): string {
  return JSON.stringify(value, (_, member: unknown) =>
    member === rlimitInfinity ? rawJson("18446744073709551615") : member,
  );
}

const rawJson = (JSON as unknown as { readonly rawJSON: (text: string) => unknown }).rawJSON;
