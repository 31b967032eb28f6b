// The mode fields of HostConfig that choose namespaces: what they may say and what they default to.
// Source: Engine API 1.51, HostConfig.{PidMode,IpcMode,UTSMode,CgroupnsMode,UsernsMode,NetworkMode}.

import type { HostConfig } from "../../spec/docker/container.ts";
import type { HostFacts } from "./index.ts";

/** "container:<name or id>" → the name or id; undefined for any other mode. */
export function containerOfMode(mode: string | undefined): string | undefined {
  return /^container:(.+)$/s.exec(mode ?? "")?.[1];
}

/** IpcMode with dockerd's default filled in. */
export function ipcModeOf(hostConfig: HostConfig): string {
  return hostConfig.IpcMode || "private";
}

/** CgroupnsMode with dockerd's default: private on cgroup v2, host on v1 and for privileged containers. */
export function cgroupnsModeOf(hostConfig: HostConfig, facts: HostFacts): "private" | "host" {
  if (hostConfig.CgroupnsMode === "private" || hostConfig.CgroupnsMode === "host") return hostConfig.CgroupnsMode;
  return facts.cgroupVersion === 2 && hostConfig.Privileged !== true ? "private" : "host";
}

/** Complaints about the modes, in dockerd's words. Whether a named container exists is not known here. */
export function checkNamespaceModes(hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  const {
    PidMode: pid = "",
    IpcMode: ipc = "",
    UTSMode: uts = "",
    CgroupnsMode: cgroup,
    UsernsMode: user = "",
  } = hostConfig;
  if (pid !== "" && pid !== "host" && containerOfMode(pid) === undefined) errors.push(`invalid PID mode: ${pid}`);
  const ipcModes = ["", "none", "private", "shareable", "host"];
  if (!ipcModes.includes(ipc) && containerOfMode(ipc) === undefined) errors.push(`invalid IPC mode: ${ipc}`);
  if (uts !== "" && uts !== "host") errors.push(`invalid UTS mode: ${uts}`);
  if ((cgroup ?? "") !== "" && cgroup !== "private" && cgroup !== "host") {
    errors.push(`invalid cgroup namespace mode: ${String(cgroup)}`);
  }
  if (user !== "" && user !== "host") errors.push(`invalid USER mode: ${user}`);
  return errors;
}
