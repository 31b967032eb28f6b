// docker's plugin for builds, where it is: $DOCKER_BUILDX, what script/setup has unpacked, or the places of Debian's and Docker's packages.

import { existsSync } from "node:fs";
import { join } from "node:path";

/** Its path; undefined where it is not installed. */
export function findBuildx(): string | undefined {
  return [
    process.env["DOCKER_BUILDX"] ?? "",
    join(import.meta.dirname, "../../.cache/docker-buildx/usr/libexec/docker/cli-plugins/docker-buildx"),
    "/usr/libexec/docker/cli-plugins/docker-buildx",
    "/usr/lib/docker/cli-plugins/docker-buildx",
    "/usr/local/lib/docker/cli-plugins/docker-buildx",
  ].find((path) => path !== "" && existsSync(path));
}
