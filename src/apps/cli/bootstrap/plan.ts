// The plan of a bootstrap: mmdebstrap's argv and the image's configuration, a pure function of what was asked for and what
// the archives say. Nothing in the image depends on the time, on this machine or on the mirror: times are clamped to the
// archives' own date, and the image's APT sources are the distribution's public ones unless --mirror named others.
// Source: mmdebstrap(1) 1.3; OCI image-spec 1.1, config.md, annotations.md.

import type { AptSource } from "./apt-sources.ts";
import { ociArchitectures, type Distribution } from "./distributions.ts";

/** What the user asked for. */
export interface BootstrapRequest {
  readonly distribution: Distribution;
  readonly suite: string;
  /** The image's name. */
  readonly tag: string;
  /** Debian's name. */
  readonly architecture: string;
  readonly variant: string;
  readonly include: readonly string[];
  /** Path of --keyring, "" for none. */
  readonly keyring: string;
  /** The sources come from --mirror, and stay in the image. */
  readonly isOwnMirror: boolean;
  readonly mode: "root" | "unshare";
}

/** What a suite's Release file says. */
export interface Release {
  readonly source: AptSource;
  readonly origin: string;
  readonly codename: string;
  /** "12.11", or "". */
  readonly version: string;
  /** Unix seconds. */
  readonly date: number;
}

/** A file within the image. */
interface PlannedFile {
  readonly path: string;
  readonly text: string;
}

export interface BootstrapPlan {
  /** mmdebstrap's; it writes the tar to stdout. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly tag: string;
  /** Without rootfs: layers are known when they are made. */
  readonly config: Readonly<Record<string, unknown>>;
}

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** RFC 3339 of unix seconds. */
export function renderTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** "deb [signed-by=…] uri suite components". */
export function renderSourceLine(source: AptSource, keyring: string): string {
  const key = keyring || source.signedBy;
  const options = [...(key === "" ? [] : [`signed-by=${key}`]), ...(source.trusted ? ["trusted=yes"] : [])];
  const shown = options.length === 0 ? "" : ` [${options.join(" ")}]`;
  return `deb${shown} ${source.uri} ${source.suite} ${source.components.join(" ")}`;
}

function renderImageSources(request: BootstrapRequest, releases: readonly Release[]): PlannedFile {
  if (request.isOwnMirror) {
    const lines = releases.map(({ source }) => renderSourceLine({ ...source, signedBy: "" }, ""));
    return { path: "/etc/apt/sources.list", text: `${lines.join("\n")}\n` };
  }
  const { distribution } = request;
  const uris = distribution.publicUris(request.architecture);
  const paragraphs = releases.map(({ source }) =>
    [
      "Types: deb",
      `URIs: ${source.suite.endsWith("-security") ? uris.security : uris.main}`,
      `Suites: ${source.suite}`,
      `Components: ${source.components.join(" ")}`,
      `Signed-By: ${distribution.keyring}`,
      "",
    ].join("\n"),
  );
  return { path: `/etc/apt/sources.list.d/${distribution.name}.sources`, text: paragraphs.join("\n") };
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What a shell of mmdebstrap's runs with the root directory as $1, after everything is installed. */
function cleaning(sources: PlannedFile): string {
  const path = `"$1${sources.path}"`;
  return [
    "set -e",
    'rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1/var/cache/ldconfig/aux-cache"',
    'rm -f "$1"/var/cache/debconf/*-old "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
    'if [ -e "$1/etc/machine-id" ]; then : > "$1/etc/machine-id"; fi',
    `if [ -d "$1/etc/apt/sources.list.d" ]; then printf %s ${quote(sources.text)} > ${path}; chmod 0644 ${path}; fi`,
  ].join("; ");
}

/**
 * @param releases the suites that are used, the main one first
 * @param epoch    unix seconds: every time in the image is this or older
 */
export function planBootstrap(request: BootstrapRequest, releases: readonly Release[], epoch: number): BootstrapPlan {
  const { architecture, distribution, include, suite, variant } = request;
  const sources = renderImageSources(request, releases);
  const main = releases[0];
  const created = renderTime(epoch);
  const platform = ociArchitectures[architecture] ?? { architecture };
  return {
    argv: [
      "mmdebstrap",
      `--mode=${request.mode}`,
      `--variant=${variant}`,
      `--architectures=${architecture}`,
      "--format=tar",
      "--skip=output/dev",
      ...(include.length === 0 ? [] : [`--include=${include.join(",")}`]),
      ...(request.keyring === "" ? [] : [`--keyring=${request.keyring}`]),
      `--customize-hook=${cleaning(sources)}`,
      suite,
      "-",
      ...releases.map(({ source }) => renderSourceLine(source, request.keyring)),
    ],
    env: { SOURCE_DATE_EPOCH: String(epoch), LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
    tag: request.tag,
    config: {
      created,
      ...platform,
      os: "linux",
      config: {
        Env: [searchPath],
        Cmd: ["bash"],
        Labels: {
          "org.opencontainers.image.created": created,
          "org.opencontainers.image.ref.name": `${distribution.name}:${suite}`,
          "org.opencontainers.image.title": distribution.name,
          "org.opencontainers.image.version": main?.version || suite,
        },
      },
      history: [
        {
          created,
          created_by: ["mmdebstrap", `--variant=${variant}`, ...include.map((name) => `--include=${name}`), suite].join(
            " ",
          ),
          comment: "gantry image bootstrap",
        },
      ],
    },
  };
}

/** The fields of a Release or InRelease file that a plan needs. @throws Error it is none */
export function parseRelease(text: string, source: AptSource): Release {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  const milliseconds = Date.parse(field("Date"));
  if (Number.isNaN(milliseconds)) throw new Error(`the Release file of ${source.uri} ${source.suite} has no date`);
  return {
    source,
    origin: field("Origin"),
    codename: field("Codename"),
    version: field("Version"),
    date: Math.trunc(milliseconds / 1000),
  };
}
