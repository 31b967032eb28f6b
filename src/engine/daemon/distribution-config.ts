// What registries' client is told of the daemon's configuration.
import type { DistributionConfig } from "../../distribution/index.ts";
import type { DaemonConfig } from "./config.ts";

export function distributionConfig(_config: DaemonConfig): DistributionConfig {
  return {
    mirrors: [],
    insecureRegistries: [],
    certsDirectories: ["/etc/docker/certs.d"],
    httpProxy: "",
    httpsProxy: "",
    noProxy: "",
    userAgent: "gantry",
    maxAttempts: 5,
    stallTimeoutMs: 30_000,
  };
}
