// Platforms, `os/arch[/variant]`: parsing, the host's own, and which of several images fits. Source: OCI image-spec 1.1,
// image-index.md, "platform"; containerd's normalisation of architecture names.

import { arch } from "node:os";
import { EngineError } from "../../base/errors.ts";
import type { Platform } from "./image.ts";

/** A platform with Go's names. */
export interface WantedPlatform {
  readonly os: string;
  /** "" for any. */
  readonly architecture: string;
  /** "" for any. */
  readonly variant: string;
}

const aliases: Readonly<Record<string, string>> = { x86_64: "amd64", "x86-64": "amd64", aarch64: "arm64", i386: "386" };
const hostNames: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** Go's name of this machine's architecture. */
export function hostArchitecture(): string {
  const name = arch();
  return hostNames[name] ?? name;
}

/**
 * Parses `os`, `arch`, `os/arch` or `os/arch/variant`, or the JSON form of newer API versions.
 *
 * @throws InvalidParameter malformed, or another operating system than linux
 */
export function parsePlatform(text: string): WantedPlatform {
  const parts = (text.trimStart().startsWith("{") ? fromJson(text) : text).split("/");
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+$/.test(part)))
    throw new EngineError("InvalidParameter", `${JSON.stringify(text)} is an invalid platform`);
  let [os = "", architecture = "", variant = ""] = parts.map((part) => part.toLowerCase());
  if (parts.length === 1 && os !== "linux") [os, architecture] = ["linux", os];
  if (os !== "linux") throw new EngineError("InvalidParameter", "operating system is not supported");
  architecture = aliases[architecture] ?? architecture;
  return { os, architecture, variant };
}

function fromJson(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const { os = "", architecture = "", variant = "" } = value as Record<string, unknown>;
    return [os, architecture, variant].filter((part) => part !== "").join("/");
  } catch (cause) {
    throw new EngineError("InvalidParameter", "failed to parse platform", { cause });
  }
}

/** As Docker writes it: "linux/amd64", "linux/arm/v7". */
export function renderPlatform(platform: Pick<Platform, "os" | "architecture" | "variant">): string {
  const { os, architecture, variant } = platform;
  return variant === undefined || variant === "" ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Whether an image of `platform` is what is wanted; an image that says no variant fits all of them. */
export function matchesPlatform(
  platform: Pick<Platform, "os" | "architecture" | "variant">,
  wanted: WantedPlatform,
): boolean {
  if (platform.os !== wanted.os) return false;
  if (wanted.architecture !== "" && (aliases[platform.architecture] ?? platform.architecture) !== wanted.architecture)
    return false;
  const variant = platform.variant ?? "";
  return wanted.variant === "" || variant === "" || variant === wanted.variant;
}

/** The first that fits; without a wish this host's own, then anything for linux. */
export function choosePlatform<T extends { readonly platform?: Platform | undefined }>(
  candidates: readonly T[],
  wanted: WantedPlatform | undefined,
): T | undefined {
  const fits = (want: WantedPlatform): T | undefined =>
    candidates.find(({ platform }) => platform !== undefined && matchesPlatform(platform, want));
  if (wanted !== undefined) return fits(wanted) ?? candidates.find(({ platform }) => platform === undefined);
  const host = { os: "linux", architecture: hostArchitecture(), variant: "" };
  return fits(host) ?? candidates.find(({ platform }) => platform === undefined) ?? fits({ ...host, architecture: "" });
}
