// Driver options of one endpoint (`docker network connect --driver-opt`): what all drivers that make an interface understand.
// Source: dockerd 28.5, com.docker.network.endpoint.sysctls. Pure.

import { isDeviceName, type Options } from "./options.ts";

const sysctlsKey = "com.docker.network.endpoint.sysctls";
const nameKey = "com.docker.network.endpoint.ifname";

function unrecognised(text: string): string {
  return `unrecognised network interface sysctl '${text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`;
}

function parseSysctl(text: string): { readonly path: string; readonly value: string } | string {
  const at = text.indexOf("=");
  if (at < 0) return unrecognised(text);
  const parts = text.slice(0, at).trim().split(".");
  const [net, family = "", , name, leaf = ""] = parts;
  if (net !== "net" || parts.length < 5 || parts.some((part) => !/^[\w-]+$/.test(part))) return unrecognised(text);
  if (parts.length > 5 || name !== "IFNAME" || leaf === "" || !["ipv4", "ipv6", "mpls"].includes(family))
    return unrecognised(text);
  return { path: parts.join("/"), value: text.slice(at + 1) };
}

function split(options: Options): readonly string[] {
  const text = options[sysctlsKey] ?? "";
  return text === "" ? [] : text.split(",");
}

/** What is wrong with them, in dockerd's words; other keys pass. */
export function complainAboutEndpointOptions(options: Options): readonly string[] {
  const name = options[nameKey];
  const wrong = split(options).flatMap((text) => {
    const parsed = parseSysctl(text);
    return typeof parsed === "string" ? [parsed] : [];
  });
  return name === undefined || isDeviceName(name)
    ? wrong
    : [...wrong, `invalid interface name ${JSON.stringify(name)} in ${nameKey}`];
}

/** Path below /proc/sys → value, for the interface of that name. */
export function endpointSysctls(options: Options, interfaceName: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    split(options).flatMap((text) => {
      const parsed = parseSysctl(text);
      return typeof parsed === "string" ? [] : [[parsed.path.replace("/IFNAME/", `/${interfaceName}/`), parsed.value]];
    }),
  );
}
