// What this daemon says it can do: the one worker, and the capabilities by which clients decide what they ask for.

import { readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { MessageInit } from "../../grpc/index.ts";
import type { APICap, WorkerRecord } from "../../spec/buildkit/types.ts";
import { hostArchitecture } from "../../spec/oci/platform.ts";
import type { BuildkitDeps } from "./index.ts";

const label = "org.mobyproject.buildkit.worker.";

/** The gateway's calls that are answered. Clients look for what they need by these names. */
const frontendCaps = [
  "solve.base",
  "solve.inlinereturn",
  "resolveimage",
  "resolveimage.resolvemode",
  "readfile",
  "readdir",
  "statfile",
  "return",
  "returnmap",
  "importcaches",
  "proto.refarray",
  "reference.output",
  "frontend.caps",
  "frontend.inputs",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "gateway.warnings",
];

/**
 * Of LLB what a Dockerfile's options stand for, and what the exporters can. "cache.gha" and "cache.s3" only let such requests come
 * here, to be refused by name: buildx drops them silently otherwise.
 */
const llbCaps = [
  "cache.gha",
  "cache.s3",
  "source.image",
  "source.image.resolvemode",
  "source.local",
  "source.local.unique",
  "source.local.sessionid",
  "source.local.includepatterns",
  "source.local.followpaths",
  "source.local.excludepatterns",
  "source.local.sharedkeyhint",
  "source.ocilayout",
  "source.git",
  "source.git.keepgitdir",
  "source.git.fullurl",
  "source.git.subdir",
  "source.http",
  "source.http.checksum",
  "exec.meta.base",
  "exec.meta.cgroup.parent",
  "exec.meta.network",
  "exec.meta.proxyenv",
  "exec.meta.ulimit",
  "exec.mount.bind",
  "exec.mount.cache",
  "exec.mount.cache.sharing",
  "exec.mount.secret",
  "exec.mount.selector",
  "exec.mount.ssh",
  "exec.mount.tmpfs",
  "exec.mount.tmpfs.size",
  "exec.secretenv",
  "file.base",
  "file.rm.wildcard",
  "mergeop",
  "constraints",
  "platform",
  "meta.description",
  "meta.ignorecache",
  "exporter.image.annotations",
  "exporter.image.attestations",
  "exporter.sourcedateepoch",
  "exporter.multiple",
  "history.filter",
  "gc.freespacefilter",
];

function capsOf(ids: readonly string[]): readonly MessageInit<typeof APICap>[] {
  return ids.map((ID) => ({ ID, Enabled: true }));
}

export function capabilities(): {
  readonly FrontendAPICaps: readonly MessageInit<typeof APICap>[];
  readonly LLBCaps: readonly MessageInit<typeof APICap>[];
} {
  return { FrontendAPICaps: capsOf(frontendCaps), LLBCaps: capsOf(llbCaps) };
}

/** That there is a snapshotter tells buildx that outputs beside the image store, caches and several platforms can be made. */
export function workerRecord(deps: BuildkitDeps): MessageInit<typeof WorkerRecord> {
  const gateway = deps.hostGatewayIp();
  const quota = deps.quotaBytes?.() ?? 0;
  return {
    ID: deps.engineId,
    Labels: {
      [`${label}executor`]: "gantry",
      [`${label}hostname`]: hostname(),
      [`${label}network`]: "host",
      [`${label}snapshotter`]: "overlayfs",
      ...(gateway === "" ? {} : { [`${label}moby.host-gateway-ip`]: gateway }),
    },
    platforms: workerPlatforms(),
    GCPolicy: quota === 0 ? [] : [{ all: true, maxUsedSpace: quota }],
    BuildkitVersion: buildkitVersion(deps.engineVersion),
  };
}

export function buildkitVersion(engineVersion: string): {
  readonly package: string;
  readonly version: string;
  readonly revision: string;
} {
  return { package: "gantry", version: `v${engineVersion.replace(/^v/, "")}`, revision: "" };
}

/** Interpreters of binfmt_misc by the names that qemu's packages give them. */
const emulated: Readonly<Record<string, { readonly Architecture: string; readonly Variant?: string }>> = {
  "qemu-aarch64": { Architecture: "arm64" },
  "qemu-arm": { Architecture: "arm", Variant: "v7" },
  "qemu-i386": { Architecture: "386" },
  "qemu-x86_64": { Architecture: "amd64" },
  "qemu-riscv64": { Architecture: "riscv64" },
  "qemu-ppc64le": { Architecture: "ppc64le" },
  "qemu-s390x": { Architecture: "s390x" },
  "qemu-mips64el": { Architecture: "mips64le" },
  "qemu-mips64": { Architecture: "mips64" },
  "qemu-loongarch64": { Architecture: "loong64" },
};

/** This host's own first, then those that it emulates. Source: Linux, Documentation/admin-guide/binfmt-misc.rst. */
export function workerPlatforms(
  binfmtDirectory = "/proc/sys/fs/binfmt_misc",
): readonly { readonly OS: string; readonly Architecture: string; readonly Variant?: string }[] {
  const native = hostArchitecture();
  const architectures =
    native === "amd64" ? [{ Architecture: native }, { Architecture: "386" }] : [{ Architecture: native }];
  const foreign = interpreters(binfmtDirectory).flatMap((name) => {
    const found = emulated[name];
    return found === undefined || architectures.some(({ Architecture }) => Architecture === found.Architecture)
      ? []
      : [found];
  });
  return [...architectures, ...foreign].map((platform) => ({ OS: "linux", ...platform }));
}

function interpreters(directory: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names.filter((name) => {
    try {
      return name.startsWith("qemu-") && readFileSync(join(directory, name), "utf8").startsWith("enabled");
    } catch {
      return false;
    }
  });
}
