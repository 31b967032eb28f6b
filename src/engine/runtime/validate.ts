// All complaints about a request at once: what is wrong (400), what is not built yet (501), what the client should know.
// Needs no host beyond SpecHost's facts and never throws. Texts as dockerd 28.5 gives them.

import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import { checkCapabilities } from "./capabilities.ts";
import { readCgroupLimits, withoutUnenforceable } from "./cgroup-limits.ts";
import { checkDevices } from "./devices.ts";
import { checkArguments, checkEnvironment } from "./environment.ts";
import type { HostFacts } from "./index.ts";
import { hasRecursiveReadOnly } from "./kernel-version.ts";
import { checkLogConfig } from "./log-config.ts";
import { isRelabelledBind } from "./mount-binds.ts";
import { mountWarnings, planMounts } from "./mounts.ts";
import { checkNamespaceModes } from "./namespace-modes.ts";
import { checkResources, resourceWarnings } from "./resources.ts";
import { checkUserProfile } from "./seccomp/user-profile.ts";
import { parseSecurityOptions } from "./security-options.ts";
import type { SpecHost } from "./spec-host.ts";
import { checkSysctls } from "./sysctls.ts";
import { listUnsupported } from "./unsupported.ts";
import { checkUserText } from "./user-text.ts";
import { checkVolumesFrom, isRelabelledFrom } from "./volumes-from.ts";
import { workingDirectoryError } from "./working-directory.ts";

export interface Validation {
  readonly invalid: readonly string[];
  readonly unsupported: readonly string[];
  readonly warnings: readonly string[];
}

const controlCharacters = /\p{Cc}/u;

/** What the names themselves may be is network/'s business: they end up in its files. */
function checkNames(config: ContainerConfig, hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  if ((config.Hostname ?? "") !== "") {
    if (hostConfig.UTSMode === "host") errors.push("conflicting options: hostname and the UTS mode");
    if ((hostConfig.NetworkMode ?? "").startsWith("container:")) {
      errors.push("conflicting options: hostname and the network mode");
    }
  }
  if ((config.Domainname ?? "") !== "" && hostConfig.UTSMode === "host") {
    errors.push("conflicting options: domainname and the UTS mode");
  }
  return errors;
}

function checkProcess(config: ContainerConfig): readonly string[] {
  const errors: string[] = [];
  const cwd = workingDirectoryError(config.WorkingDir ?? "");
  if (cwd !== undefined) errors.push(cwd);
  errors.push(...checkEnvironment(config.Env ?? []));
  errors.push(...checkArguments("Cmd", config.Cmd ?? []), ...checkArguments("Entrypoint", config.Entrypoint ?? []));
  errors.push(...checkUserText(config.User ?? ""));
  return errors;
}

function checkLabels(config: ContainerConfig, hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  for (const [key, value] of Object.entries(config.Labels ?? {})) {
    if (controlCharacters.test(key) || value.includes("\0")) {
      errors.push(`invalid label: ${JSON.stringify(key.slice(0, 200))} has control characters`);
    }
  }
  for (const [key, value] of Object.entries(hostConfig.Annotations ?? {})) {
    if (key === "") errors.push("invalid Annotations: the empty string is not permitted as an annotation key");
    else if (controlCharacters.test(key) || value.includes("\0")) {
      errors.push(`invalid Annotations: ${JSON.stringify(key.slice(0, 200))} has control characters`);
    } else if (key.startsWith("run.oci.")) {
      // crun takes orders by annotation: hooks' output files, handlers, the seccomp program itself.
      errors.push(`invalid Annotations: ${JSON.stringify(key)} is reserved for the engine`);
    }
  }
  return errors;
}

function checkSecurity(hostConfig: HostConfig, facts: HostFacts): readonly string[] {
  const options = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const errors = [...options.errors];
  if (options.seccomp.kind === "profile") errors.push(...checkUserProfile(options.seccomp.profile));
  if (options.seccomp.kind === "profile" && !facts.seccomp) {
    errors.push("seccomp is not enabled in your kernel, cannot run a custom seccomp profile");
  }
  const { appArmor } = options;
  if (appArmor !== undefined && appArmor !== "" && appArmor !== "unconfined" && !facts.appArmor) {
    errors.push(`AppArmor is not enabled in your kernel, cannot use the profile ${JSON.stringify(appArmor)}`);
  }
  if (options.labels.some((label) => label !== "disable") && !facts.seLinux) {
    errors.push("SELinux is not enabled in your kernel, cannot use labels; only label=disable is possible");
  }
  return errors;
}

function checkPaths(hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  for (const [field, paths] of [
    ["MaskedPaths", hostConfig.MaskedPaths ?? []],
    ["ReadonlyPaths", hostConfig.ReadonlyPaths ?? []],
  ] as const) {
    for (const path of paths) {
      if (!path.startsWith("/") || path.includes("\0"))
        errors.push(`invalid ${field}: ${JSON.stringify(path)} must be absolute`);
    }
  }
  const parent = hostConfig.CgroupParent ?? "";
  if (controlCharacters.test(parent) || parent.split("/").includes("..")) {
    errors.push(`invalid CgroupParent: ${JSON.stringify(parent)}`);
  }
  return errors;
}

/** dockerd ignores the words where there is no label to change: who relies on them would not know. */
function checkRelabelling(hostConfig: HostConfig, facts: HostFacts): readonly string[] {
  if (facts.seLinux) return [];
  const reason = "relabelling (z, Z) needs SELinux, which is not enabled on this host; leave the letter out";
  return [
    ...(hostConfig.Binds ?? [])
      .filter(isRelabelledBind)
      .map((text) => `invalid volume specification: '${text}': ${reason}`),
    ...(hostConfig.VolumesFrom ?? [])
      .filter(isRelabelledFrom)
      .map((text) => `invalid volumes-from: '${text}': ${reason}`),
  ];
}

const restartPolicies: ReadonlySet<string> = new Set(["", "no", "always", "on-failure", "unless-stopped"]);

function checkRestartPolicy(hostConfig: HostConfig): readonly string[] {
  const { Name: name = "", MaximumRetryCount: count = 0 } = hostConfig.RestartPolicy ?? {};
  if (!restartPolicies.has(name)) {
    return [
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    ];
  }
  if (count !== 0 && name !== "on-failure") {
    return [
      `invalid restart policy: maximum retry count can only be used with 'on-failure'${count < 0 ? " and cannot be negative" : ""}`,
    ];
  }
  if (count < 0) return ["invalid restart policy: maximum retry count cannot be negative"];
  if (hostConfig.AutoRemove === true && name !== "" && name !== "no") {
    return ["can't create 'AutoRemove' container with restart policy"];
  }
  return [];
}

function checkConflicts(hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  if ((hostConfig.Links ?? []).length > 0 && hostConfig.NetworkMode === "host") {
    errors.push(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  const isolation: string = hostConfig.Isolation ?? "";
  if (isolation !== "" && isolation !== "default") {
    errors.push(`invalid isolation (${isolation}): linux only supports 'default'`);
  }
  return errors;
}

/** RuntimeSpecs.validate. */
export function validate(
  config: ContainerConfig,
  hostConfig: HostConfig,
  facts: HostFacts,
  host: SpecHost,
): Validation {
  const recursiveReadOnly = hasRecursiveReadOnly(facts.kernelVersion);
  const plan = planMounts({ hostConfig, volumes: config.Volumes ?? null, recursiveReadOnly });
  const log = checkLogConfig(hostConfig.LogConfig ?? {});
  const capabilities = {
    add: hostConfig.CapAdd ?? [],
    drop: hostConfig.CapDrop ?? [],
    privileged: hostConfig.Privileged === true,
  };
  return {
    invalid: [
      ...checkNames(config, hostConfig),
      ...checkProcess(config),
      ...checkLabels(config, hostConfig),
      ...checkNamespaceModes(hostConfig),
      ...checkRestartPolicy(hostConfig),
      ...checkCapabilities(capabilities, host.capabilities),
      ...checkSecurity(hostConfig, facts),
      ...checkResources(hostConfig, facts),
      ...checkDevices(hostConfig),
      ...checkSysctls(hostConfig),
      ...checkPaths(hostConfig),
      ...checkConflicts(hostConfig),
      ...plan.errors,
      ...checkVolumesFrom(hostConfig.VolumesFrom ?? []),
      ...checkRelabelling(hostConfig, facts),
      ...log.errors,
    ],
    unsupported: [...listUnsupported(config, hostConfig, facts), ...log.unsupported],
    warnings: [
      ...withoutUnenforceable(hostConfig, readCgroupLimits(facts, host)).warnings,
      ...resourceWarnings(hostConfig, facts, host.rlimits),
      ...mountWarnings(hostConfig),
    ],
  };
}
