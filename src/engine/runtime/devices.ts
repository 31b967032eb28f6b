// Device nodes and the device cgroup: the defaults, HostConfig.Devices and DeviceCgroupRules, Privileged.
// The engine's default leaves out /dev/net/tun (10:200) and mknod of everything, which runc grants on its own.
// Source: runtime-spec config-linux.md "Default Devices"; Engine API 1.51, DeviceMapping and DeviceCgroupRules.

import { posix } from "node:path";
import { EngineError } from "../../base/errors.ts";
import type { DeviceMapping, HostConfig } from "../../spec/docker/container.ts";
import type { OciDevice, OciDeviceRule } from "../../spec/oci/runtime.ts";
import type { HostDevice, SpecHost } from "./spec-host.ts";

function allow(major: number, minor: number | undefined): OciDeviceRule {
  return { allow: true, type: "c", major, ...(minor === undefined ? {} : { minor }), access: "rwm" };
}

const denyAll: OciDeviceRule = { allow: false, access: "rwm" };

/** null, zero, full, random, urandom, tty, console, ptmx and pseudo-terminals. */
export const defaultDeviceRules: readonly OciDeviceRule[] = [
  denyAll,
  allow(1, 3),
  allow(1, 5),
  allow(1, 7),
  allow(1, 8),
  allow(1, 9),
  allow(5, 0),
  allow(5, 1),
  allow(5, 2),
  allow(136, undefined),
];

const rulePattern = /^([acb]) ([0-9]{1,10}|\*):([0-9]{1,10}|\*) ([rwm]{1,3})$/;
const maxDeviceNumber = 0xffffffff;

/** "c 1:3 rwm", "b *:* r"; undefined when it is no rule. */
export function parseDeviceCgroupRule(text: string): OciDeviceRule | undefined {
  const match = rulePattern.exec(text);
  if (match === null) return undefined;
  const [, type, major = "*", minor = "*", access = ""] = match;
  const numbers = [major, minor].filter((n) => n !== "*").map(Number);
  if (numbers.some((n) => n > maxDeviceNumber)) return undefined;
  return {
    allow: true,
    type: type === "a" || type === "b" ? type : "c",
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
    access: [...new Set(access)].join(""),
  };
}

/** A device mapping with dockerd's defaults: the same path inside, rwm. */
function mappingOf(device: DeviceMapping): { readonly host: string; readonly inside: string; readonly access: string } {
  const host = device.PathOnHost ?? "";
  return { host, inside: device.PathInContainer || host, access: device.CgroupPermissions ?? "" };
}

/** Complaints about Devices and DeviceCgroupRules that need no look at the host. */
export function checkDevices(hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  for (const device of hostConfig.Devices ?? []) {
    const { host, inside, access } = mappingOf(device);
    if (!/^[rwm]{1,3}$/.test(access))
      errors.push(`invalid device mode for ${JSON.stringify(host)}: ${JSON.stringify(access)}`);
    if (!host.startsWith("/") || host.includes("\0")) {
      errors.push(
        `error gathering device information while adding custom device ${JSON.stringify(host)}: the path must be absolute`,
      );
    }
    const clean = posix.normalize(inside);
    if (!inside.startsWith("/") || inside.includes("\0") || clean === "/" || clean === "/dev") {
      errors.push(`invalid device path in the container: ${JSON.stringify(inside)}`);
    }
  }
  for (const rule of hostConfig.DeviceCgroupRules ?? []) {
    if (parseDeviceCgroupRule(rule) === undefined) errors.push(`invalid device cgroup rule format: '${rule}'`);
  }
  return errors;
}

function nodeOf(device: HostDevice, path: string): OciDevice {
  return {
    path,
    type: device.type,
    major: device.major,
    minor: device.minor,
    fileMode: device.mode,
    uid: device.uid,
    gid: device.gid,
  };
}

function addMapping(
  device: DeviceMapping,
  host: SpecHost,
): readonly { readonly node: OciDevice; readonly rule: OciDeviceRule }[] {
  const { host: path, inside, access } = mappingOf(device);
  const failure = (reason: string): EngineError =>
    new EngineError(
      "System",
      `error gathering device information while adding custom device ${JSON.stringify(path)}: ${reason}`,
    );
  const found = host.deviceAt(path);
  if (found === "missing") throw failure("no such file or directory");
  const devices = found === "other" ? host.devicesUnder(path) : [found];
  if (devices.length === 0) throw failure("not a device node");
  return devices.map((each) => ({
    node: nodeOf(each, found === "other" ? posix.join(inside, posix.relative(path, each.path)) : inside),
    rule: { allow: true, type: each.type, major: each.major, minor: each.minor, access },
  }));
}

/**
 * Device nodes to make beside the default ones, and the rules of the device cgroup, first to last.
 *
 * @throws System "error gathering device information while adding custom device …" when a device is not there
 */
export function planDevices(
  hostConfig: HostConfig,
  host: SpecHost,
): { readonly nodes: readonly OciDevice[]; readonly rules: readonly OciDeviceRule[] } {
  const mapped = (hostConfig.Devices ?? []).flatMap((device) => addMapping(device, host));
  const extra = (hostConfig.DeviceCgroupRules ?? []).flatMap((rule) => parseDeviceCgroupRule(rule) ?? []);
  const nodes = new Map<string, OciDevice>();
  if (hostConfig.Privileged === true) {
    for (const device of host.devicesUnder("/dev")) nodes.set(device.path, nodeOf(device, device.path));
  }
  for (const { node } of mapped) nodes.set(node.path, node);
  return {
    nodes: [...nodes.values()],
    rules:
      hostConfig.Privileged === true
        ? [{ allow: true, access: "rwm" }]
        : [...defaultDeviceRules, ...mapped.map(({ rule }) => rule), ...extra],
  };
}
