// Known holes of the OCI runtimes by version, named when the daemon starts. Distributions patch without a new version
// number, so these are warnings and never a refusal. Source: the projects' release notes and security advisories.

interface Hole {
  readonly ids: readonly string[];
  readonly what: string;
  /** First version that has it; undefined for all before the fix. */
  readonly since: string | undefined;
  /** First good version of each maintained branch, oldest first. */
  readonly fixedIn: readonly string[];
}

const holes: Readonly<Record<"crun" | "runc", readonly Hole[]>> = {
  crun: [
    {
      ids: ["CVE-2022-27650"],
      what: "exec with inheritable capabilities",
      since: undefined,
      fixedIn: ["1.4.4"],
    },
    {
      ids: ["CVE-2024-21626 (hardening)"],
      what: "the working directory is not checked to be inside the container",
      since: undefined,
      fixedIn: ["1.15"],
    },
    {
      ids: ["CVE-2025-24965"],
      what: "the krun handler writes through symbolic links of the image",
      since: undefined,
      fixedIn: ["1.20"],
    },
    { ids: ["CVE-2026-30892"], what: "exec -u takes a wrong user", since: "1.19", fixedIn: ["1.27"] },
    {
      ids: ["CVE-2026-47766"],
      what: "an image with /dev as symbolic link changes host files (Gantry replaces such a link first)",
      since: undefined,
      fixedIn: ["1.28"],
    },
    {
      ids: ["CVE-2026-88264", "CVE-2026-88265"],
      what: "/dev/console and /dev/null follow symbolic links where nothing is mounted on /dev",
      since: undefined,
      fixedIn: ["1.30"],
    },
  ],
  runc: [
    { ids: ["CVE-2022-29162"], what: "exec with inheritable capabilities", since: undefined, fixedIn: ["1.1.2"] },
    {
      ids: ["CVE-2023-25809", "CVE-2023-27561", "CVE-2023-28642"],
      what: "writable cgroups without root, /proc and /sys through symbolic links",
      since: undefined,
      fixedIn: ["1.1.5"],
    },
    {
      ids: ["CVE-2024-21626"],
      what: "a leaked descriptor as working directory leads to the host",
      since: undefined,
      fixedIn: ["1.1.12"],
    },
    {
      ids: ["CVE-2024-45310"],
      what: "empty files and directories made on the host",
      since: undefined,
      fixedIn: ["1.1.14"],
    },
    {
      ids: ["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"],
      what: "masked paths, /dev/console and labels can be turned into writes to the host's /proc",
      since: undefined,
      fixedIn: ["1.2.8", "1.3.3", "1.4.0"],
    },
    {
      ids: ["CVE-2026-41579"],
      what: "an image with /dev as symbolic link changes host files (Gantry replaces such a link first)",
      since: undefined,
      fixedIn: ["1.3.6", "1.4.3", "1.5.0"],
    },
  ],
};

type Version = readonly [major: number, minor: number, patch: number];

/** "crun version 1.8.1", "1.1.5+ds1", "1.14" → numbers; undefined when there are none. */
function parseVersion(text: string): Version | undefined {
  const match = /(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

function isFixed(version: Version, fixedIn: readonly string[]): boolean {
  const fixes = fixedIn.flatMap((text) => {
    const fix = parseVersion(text);
    return fix === undefined ? [] : [fix];
  });
  const sameBranch = fixes.find((fix) => fix[0] === version[0] && fix[1] === version[1]);
  if (sameBranch !== undefined) return compare(version, sameBranch) >= 0;
  const newest = fixes.at(-1);
  return newest !== undefined && compare(version, newest) > 0;
}

/**
 * One text per known hole of a runtime.
 *
 * @param kind    "crun", "runc"; of others nothing is known
 * @param version the number alone or the first line of `--version`
 */
export function runtimeWarnings(kind: string, version: string): readonly string[] {
  const known = kind === "crun" || kind === "runc" ? holes[kind] : undefined;
  if (known === undefined) return [];
  const have = parseVersion(version);
  if (have === undefined) return [`the version of ${kind} is unknown: ${JSON.stringify(version.slice(0, 80))}`];
  return known.flatMap(({ ids, what, since, fixedIn }) => {
    const from = since === undefined ? undefined : parseVersion(since);
    if ((from !== undefined && compare(have, from) < 0) || isFixed(have, fixedIn)) return [];
    return [
      `${kind} ${have.join(".")} has ${ids.join(", ")} unless your distribution patched it: ${what}; fixed in ${fixedIn.join(", ")}`,
    ];
  });
}
