// ShimOptions → the fields of a spawn request, pure. Source: docs/shim-protocol.md, "spawn".

import type { Field } from "./shim-frames.ts";
import type {
  ShimGateway,
  ShimInterface,
  ShimNetwork,
  ShimOptions,
  ShimOwnNetwork,
  ShimStep,
  ShimView,
} from "./shim.ts";

function flag(value: boolean): string {
  return value ? "1" : "0";
}

function gatewayOf(gateway: ShimGateway | undefined): string | undefined {
  return gateway === undefined ? undefined : `${gateway.interface} ${gateway.via}`.trimEnd();
}

function interfaceFields(link: ShimInterface): Field[] {
  return [
    ["if", link.name],
    ["if.kind", link.kind],
    ["if.parent", link.parent],
    ["if.host", link.hostInterface || undefined],
    ["if.mode", link.mode || undefined],
    ["if.flag", link.flag || undefined],
    ["if.mac", link.mac || undefined],
    ["if.mtu", link.mtu || undefined],
    ...link.addresses.map((address): Field => ["if.address", address]),
    ...Object.entries(link.sysctls).map(([path, value]): Field => ["if.sysctl", `${path} ${value}`]),
  ];
}

/** A container's own network: of a spawn request, and of `network` later. Fields of an interface follow its `if`. */
function ownNetworkFields(network: ShimOwnNetwork): Field[] {
  const ports = network.ports.map(
    ({ protocol, hostIp, hostPort, address, containerPort }) =>
      `${protocol} ${hostIp} ${hostPort} ${address} ${containerPort}\n`,
  );
  return [
    ["net", "own"],
    ...network.interfaces.flatMap(interfaceFields),
    ["gateway4", gatewayOf(network.gateway4)],
    ["gateway6", gatewayOf(network.gateway6)],
    ["dns", network.dnsSocket],
    ["firewall", network.firewall.map((line) => `${line}\n`).join("") || undefined],
    ["ports", ports.join("") || undefined],
  ];
}

export function networkFields(network: ShimNetwork): Field[] {
  if (network.kind === "own") return ownNetworkFields(network);
  return [["net", network.kind]];
}

/** Fields of a view follow its `view`. */
function viewFields({ name, tree, source, target, readonly }: ShimView): Field[] {
  const fields: Field[] = [
    ["view", name],
    ["view.source", source],
    ["view.target", target],
    ["view.ro", readonly ? "1" : undefined],
  ];
  if (tree.kind === "tmpfs") return [...fields, ["view.tmpfs", tree.sizeBytes]];
  if (tree.kind === "path")
    return [...fields, ["view.path", tree.path], ["view.socket", tree.isSocket ? "1" : undefined]];
  return [
    ...fields,
    ...tree.lower.map((lower): Field => ["view.lower", lower]),
    ["view.upper", tree.writable?.upper],
    ["view.work", tree.writable?.work],
  ];
}

function stepFields(step: ShimStep | undefined): Field[] {
  if (step === undefined) return [];
  return [["stubs", step.stubs], ["cwd", step.cwd], ...step.views.flatMap(viewFields)];
}

/** The request without its tag. */
export function spawnFields(options: ShimOptions): Field[] {
  const { rootfs, runtime, log } = options;
  return [
    ["id", options.id],
    ["run", options.runDir],
    ["exit", options.exitFile],
    ["upper", rootfs.upper],
    ["work", rootfs.work],
    ["ro", flag(rootfs.readonly)],
    ["runtime", runtime.path],
    ...runtime.args.map((arg): Field => ["runtime.arg", arg]),
    ["runtime.root", runtime.stateRoot],
    ["runtime.state", runtime.stateDir],
    ["runtime.sealed", runtime.sealed === true ? "1" : undefined],
    ["hide", flag(runtime.hidesUnifiedCgroup)],
    ["tty", flag(options.tty)],
    ["stdin", flag(options.stdin)],
    ["once", flag(options.stdinOnce)],
    ["rows", options.consoleSize?.[0]],
    ["columns", options.consoleSize?.[1]],
    ["log", log?.path],
    ["log.max", log?.maxSizeBytes],
    ["log.files", log === undefined ? undefined : Math.max(1, log.maxFiles)],
    ...options.cgroups.map((cgroup): Field => ["cgroup", cgroup]),
    ...rootfs.lower.map((lower): Field => ["lower", lower]),
    ...stepFields(options.step),
    ...(options.views ?? []).flatMap(viewFields),
    // Last, with the long lists at its end: the shim gives their memory back.
    ...networkFields(options.network),
  ];
}
