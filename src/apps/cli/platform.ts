// --platform of commands about images, "os[/arch[/variant]]": as the API wants it, JSON of an OCI platform. Texts are docker's.
// Source: the docker CLI 28; containerd's platforms package (names that are known, normal forms).

const oses = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  ),
);
const architectures = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 " +
    "ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);
const aliases: Readonly<Record<string, readonly [string, string]>> = {
  i386: ["386", ""],
  x86_64: ["amd64", ""],
  "x86-64": ["amd64", ""],
  aarch64: ["arm64", ""],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
};
const hostArchitectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** A platform in its normal form; variant "" where there is none. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

function normalise(os: string, architecture: string, variant: string): Platform {
  const [name, own] = aliases[architecture] ?? [architecture, ""];
  let chosen = variant || own;
  if (name === "arm64" && (chosen === "8" || chosen === "v8")) chosen = "";
  if (name === "arm" && chosen === "") chosen = "v7";
  if (name === "arm" && /^[5-8]$/.test(chosen)) chosen = `v${chosen}`;
  if (name === "amd64" && chosen === "v1") chosen = "";
  return { os: os === "macos" ? "darwin" : os, architecture: name, variant: chosen };
}

/** @throws Error with docker's text */
export function parsePlatform(text: string): Platform {
  const quoted = JSON.stringify(text);
  const parts = text.toLowerCase().split("/");
  const [first = "", second = "", third = ""] = parts;
  if (parts.length > 3) throw new Error(`${quoted}: cannot parse platform specifier: invalid argument`);
  const bad = parts.find((part) => !/^[a-z0-9_.-]+$/.test(part));
  if (bad !== undefined)
    throw new Error(
      `${JSON.stringify(bad)} is an invalid component of ${quoted}: platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`,
    );
  if (parts.length > 1) return normalise(first, second, third);
  if (oses.has(first) || first === "macos")
    return normalise(first, hostArchitectures[process.arch] ?? process.arch, "");
  const named = normalise("linux", first, "");
  if (!architectures.has(named.architecture))
    throw new Error(`${quoted}: unknown operating system or architecture: invalid argument`);
  return named;
}

/** The JSON of the API's `platform` parameters. */
export function renderPlatformJson({ os, architecture, variant }: Platform): string {
  return JSON.stringify({ architecture, os, ...(variant === "" ? {} : { variant }) });
}

/** The parameter for a flag; undefined for "". @throws Error "invalid platform: …" */
export function platformParameter(flag: string): string | undefined {
  if (flag === "") return undefined;
  try {
    return renderPlatformJson(parsePlatform(flag));
  } catch (error) {
    throw new Error(`invalid platform: ${(error as Error).message}`, { cause: error });
  }
}
