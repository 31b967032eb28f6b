// What a bootstrap knows of distributions: how their archives call themselves, where the public ones are, numbers as names.
// Source: the Release files of the archives; debian.org/releases, releases.ubuntu.com.

/** A distribution that can be named in `gantry image bootstrap NAME:SUITE`. */
export interface Distribution {
  /** The name in references. */
  readonly name: string;
  /** `Origin` of its Release files. */
  readonly origin: string;
  /** The suite when none is named. */
  readonly defaultSuite: string;
  /** Version number → suite. */
  readonly versions: Readonly<Record<string, string>>;
  /** URI of packages and of security updates for an architecture (Debian's name): what the image's own APT uses. */
  publicUris(architecture: string): { readonly main: string; readonly security: string };
  /** Its keyring, here and in the image. */
  readonly keyring: string;
}

const debian: Distribution = {
  name: "debian",
  origin: "Debian",
  defaultSuite: "stable",
  versions: { "10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky" },
  publicUris: () => ({ main: "http://deb.debian.org/debian", security: "http://deb.debian.org/debian-security" }),
  keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
};

const ubuntu: Distribution = {
  name: "ubuntu",
  origin: "Ubuntu",
  defaultSuite: "noble",
  versions: { "20.04": "focal", "22.04": "jammy", "24.04": "noble", "25.10": "questing" },
  publicUris: (architecture) => {
    if (architecture !== "amd64" && architecture !== "i386") {
      const ports = "http://ports.ubuntu.com/ubuntu-ports";
      return { main: ports, security: ports };
    }
    return { main: "http://archive.ubuntu.com/ubuntu", security: "http://security.ubuntu.com/ubuntu" };
  },
  keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
};

/** undefined for one that is not known. */
export function findDistribution(name: string): Distribution | undefined {
  return [debian, ubuntu].find((known) => known.name === name);
}

/** The archive's name of what the user wrote: "12" is bookworm, "" the default. */
export function suiteOf(distribution: Distribution, text: string): string {
  return text === "" ? distribution.defaultSuite : (distribution.versions[text] ?? text);
}

/** Debian's name of an architecture → the OCI platform's. */
export const ociArchitectures: Readonly<Record<string, { readonly architecture: string; readonly variant?: string }>> =
  {
    amd64: { architecture: "amd64" },
    i386: { architecture: "386" },
    arm64: { architecture: "arm64" },
    armhf: { architecture: "arm", variant: "v7" },
    armel: { architecture: "arm", variant: "v5" },
    ppc64el: { architecture: "ppc64le" },
    mips64el: { architecture: "mips64le" },
    loong64: { architecture: "loong64" },
    riscv64: { architecture: "riscv64" },
    s390x: { architecture: "s390x" },
  };

/** Debian's name of this machine's architecture; "" for one that is not known. */
export function hostArchitecture(): string {
  const names: Readonly<Record<string, string>> = {
    x64: "amd64",
    ia32: "i386",
    arm64: "arm64",
    arm: "armhf",
    ppc64: "ppc64el",
    loong64: "loong64",
    riscv64: "riscv64",
    s390x: "s390x",
  };
  return names[process.arch] ?? "";
}
