// Members that the API leaves out when they are empty, and what a template finds there: `{{if .State.Health}}` must work for
// every container. Source: Docker Engine API 1.51, and which members dockerd 28 omits.

import { noValue } from "./template.ts";

const zeros: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["State.Health", null],
  ["SizeRw", null],
  ["SizeRootFs", null],
  ["ImageManifestDescriptor", null],
  ["GraphDriver", null],
  ["Config.ExposedPorts", {}],
  ["Config.Healthcheck", null],
  ["Config.ArgsEscaped", false],
  ["Config.NetworkDisabled", false],
  ["Config.MacAddress", ""],
  ["Config.StopSignal", ""],
  ["Config.StopTimeout", null],
  ["Config.Shell", []],
  ["HostConfig.Annotations", {}],
  ["HostConfig.StorageOpt", {}],
  ["HostConfig.Tmpfs", {}],
  ["HostConfig.Sysctls", {}],
  ["HostConfig.Runtime", ""],
  ["HostConfig.Mounts", []],
  ["HostConfig.Init", null],
  ["HostConfig.KernelMemory", 0],
  ["HostConfig.KernelMemoryTCP", 0],
  ["Descriptor", null],
  ["Variant", ""],
  ["OsVersion", ""],
  ["Parent", ""],
  ["Manifests", []],
  ["Peers", []],
  ["Services", {}],
]);

/** The same of objects that stand in lists and maps, by the end of their path. */
const zerosWithin: readonly (readonly [RegExp, unknown])[] = [
  [/(?:^|\.)IPAMConfig\.IPv[46]Address$/, ""],
  [/(?:^|\.)IPAMConfig\.LinkLocalIPs$/, []],
  [/(?:^|\.)IPAM\.Config\[\]\.(?:Subnet|IPRange|Gateway)$/, ""],
  [/(?:^|\.)IPAM\.Config\[\]\.AuxiliaryAddresses$/, {}],
];

/** Members that are maps of anything: a key that is missing has no value and is no mistake. */
const maps =
  /(?:^|\.)(?:Labels|Options|Annotations|Sysctls|Tmpfs|StorageOpt|Ports|Networks|Attributes|DriverOpts|Volumes|ExposedPorts|PortBindings|Containers|LogConfig\.Config|GraphDriver\.Data)\.[^.]+$/;

/** The empty value of a member that may be left out; undefined for what is no member at all. */
export function zeroOf(path: string): unknown {
  if (maps.test(path)) return noValue;
  return zeros.has(path) ? zeros.get(path) : zerosWithin.find(([pattern]) => pattern.test(path))?.[1];
}

const pointers = new Set(["OomKillDisable", "PidsLimit", "IPAMConfig", "Init", "Health", "Healthcheck", "StopTimeout"]);
pointers.add("SizeRw").add("SizeRootFs").add("Descriptor").add("GraphDriver").add("ImageManifestDescriptor");
const nullMaps = new Set(["Labels", "Options", "DriverOpts", "Volumes", "ExposedPorts", "Config", "PortBindings"]);

/** How Go prints null there: pointers, maps and lists differ. */
export function renderNull(name: string): string {
  if (pointers.has(name)) return "<nil>";
  return nullMaps.has(name) ? "map[]" : "[]";
}
