// The three files that a container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Reads the host's own where they count.

import { readFile } from "node:fs/promises";
import { EngineError, errnoOf } from "../../base/errors.ts";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import { parseExtraHost, renderHosts } from "./hosts-file.ts";
import type { NetworkFiles } from "./index.ts";
import { parseResolvConf, planResolvConf, renderResolvConf, type ResolvConf, usesResolvedStub } from "./resolv-conf.ts";

export interface FileOptions {
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** The container uses the host's network. */
  readonly hostNetwork: boolean;
  readonly address: string | undefined;
  readonly hostGateway: string;
  /** The daemon's own --dns, --dns-search and --dns-opt: for containers that ask for nothing. */
  readonly defaults: ResolvConf;
}

async function readOr(path: string, missing: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return missing;
    throw error;
  }
}

async function readHostResolvConf(hostNetwork: boolean): Promise<ResolvConf> {
  const conf = parseResolvConf(await readOr("/etc/resolv.conf", ""));
  if (hostNetwork || !usesResolvedStub(conf)) return conf;
  return parseResolvConf(await readOr("/run/systemd/resolve/resolv.conf", ""));
}

function firstFilled(asked: readonly string[] | null | undefined, otherwise: readonly string[]): readonly string[] {
  return asked === undefined || asked === null || asked.length === 0 ? otherwise : asked;
}

/**
 * @throws InvalidParameter host-gateway without a default bridge
 * @throws System           a file of the host cannot be read
 */
export async function makeFiles(options: FileOptions): Promise<NetworkFiles> {
  const { config, hostConfig, hostNetwork, defaults } = options;
  const hostname = config.Hostname ?? "";
  const asked: ResolvConf = {
    nameservers: firstFilled(hostConfig.Dns, defaults.nameservers),
    search: firstFilled(hostConfig.DnsSearch, defaults.search),
    options: firstFilled(hostConfig.DnsOptions, defaults.options),
  };
  const extraHosts = (hostConfig.ExtraHosts ?? []).flatMap((text) => {
    const parsed = parseExtraHost(text);
    return "complaint" in parsed ? [] : [parsed];
  });
  if (options.hostGateway === "" && extraHosts.some(({ address }) => address === "host-gateway"))
    throw new EngineError(
      "InvalidParameter",
      "unable to derive the IP value for host-gateway: there is no default bridge",
    );
  const self =
    options.address === undefined
      ? undefined
      : { address: options.address, hostname, domainname: config.Domainname ?? "" };
  const made = renderHosts(extraHosts, options.hostGateway, self);
  return {
    // On the host's network the host's names hold, unless the container brings names of its own.
    hosts: hostNetwork && extraHosts.length === 0 ? await readOr("/etc/hosts", made) : made,
    hostname: `${hostname}\n`,
    resolvConf: renderResolvConf(planResolvConf(await readHostResolvConf(hostNetwork), asked, hostNetwork)),
  };
}
