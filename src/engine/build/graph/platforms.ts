// Platforms as a Dockerfile sees them: normalised as containerd does, and as the predefined build arguments.

import { EngineError } from "../../../base/errors.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { parsePlatform, renderPlatform } from "../../../spec/oci/platform.ts";

/** Variants that are the architecture's default are left out: arm64/v8, amd64/v1; arm without one is v7. */
export function normalizePlatform(platform: Platform): Platform {
  const { architecture, os } = platform;
  let variant = platform.variant === "" ? undefined : platform.variant;
  if (
    (architecture === "arm64" && (variant === "v8" || variant === "8")) ||
    (architecture === "amd64" && variant === "v1")
  )
    variant = undefined;
  if (architecture === "arm") variant = variant === undefined ? "v7" : variant.replace(/^(?=\d$)/, "v");
  const version = platform["os.version"];
  return {
    architecture,
    os,
    ...(version === undefined || version === "" ? {} : { "os.version": version }),
    ...(variant === undefined ? {} : { variant }),
  };
}

/** @throws InvalidParameter malformed */
export function parseBuildPlatform(text: string, host: Platform): Platform {
  const wanted = parsePlatform(text);
  if (wanted.os === "") throw new EngineError("InvalidParameter", `${JSON.stringify(text)} is an invalid platform`);
  const architecture = wanted.architecture === "" ? host.architecture : wanted.architecture;
  return normalizePlatform({
    architecture,
    os: wanted.os,
    ...(wanted.variant === "" ? {} : { variant: wanted.variant }),
  });
}

/** BUILDPLATFORM … TARGETSTAGE, before build arguments replace them. */
export function platformArgs(build: Platform, target: Platform, stage: string): readonly (readonly [string, string])[] {
  const of = (prefix: string, platform: Platform): (readonly [string, string])[] => [
    [`${prefix}PLATFORM`, renderPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform["os.version"] ?? ""],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
  return [...of("BUILD", build), ...of("TARGET", target), ["TARGETSTAGE", stage === "" ? "default" : stage]];
}

/** "->arm64": what a cross-compiling stage makes, where it is not what the stage runs on. */
export function crossSuffix(runsOn: Platform, lookup: (name: string) => string | undefined): string {
  const whole = lookup("TARGETPLATFORM");
  let target: Platform;
  if (whole !== undefined) {
    const [os = "", architecture = "", variant] = whole.split("/");
    target = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  } else {
    const [os, architecture, variant] = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map(lookup);
    if (os === undefined && architecture === undefined && variant === undefined) return "";
    target = {
      os: os === undefined || os === "" ? runsOn.os : os,
      architecture: architecture === undefined || architecture === "" ? runsOn.architecture : architecture,
      ...(variant === undefined ? {} : { variant }),
    };
  }
  const normal = normalizePlatform(target);
  if (normal.os !== runsOn.os) return `->${renderPlatform(normal)}`;
  if (normal.architecture === runsOn.architecture) return "";
  return `->${normal.architecture}${normal.variant === undefined ? "" : `/${normal.variant}`}`;
}
