// Members that the API leaves out when they are empty, and what a template finds there: `{{if .State.Health}}` must work for
// every container. Source: Docker Engine API 1.51, and which members dockerd 28 omits.

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

/** The empty value of a member that may be left out; undefined for what is no member at all. */
export function zeroOf(path: string): unknown {
  return zeros.get(path);
}
