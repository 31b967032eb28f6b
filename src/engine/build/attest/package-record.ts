// A package that was found in a tree, and its package URL. Source: package-url/purl-spec.

/** Which program installs it. */
export type PackageType = "deb" | "apk" | "npm" | "pypi" | "golang";

export interface PackageRecord {
  readonly type: PackageType;
  /** With its scope or module path: "@babel/core", "golang.org/x/net". */
  readonly name: string;
  readonly version: string;
  /** File that says so, relative to the root. */
  readonly path: string;
  readonly architecture?: string | undefined;
  /** The package that it was built from, where that is another one: "openssl", or "openssl (3.0.1)". */
  readonly source?: string | undefined;
  /** As the package says it; not always an SPDX expression. */
  readonly license?: string | undefined;
}

/** What os-release says. */
export interface Distribution {
  /** "debian", "alpine"; "" for none. */
  readonly id: string;
  readonly versionId: string;
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `pkg:deb/debian/adduser@3.134?arch=all&distro=debian-12` */
export function packageUrl(record: PackageRecord, distribution: Distribution): string {
  const path = namePath(record, distribution).map(encode).join("/");
  const qualifiers = isDistribution(record.type)
    ? [
        ["arch", record.architecture],
        ["distro", distribution.id === "" ? "" : [distribution.id, distribution.versionId].filter(Boolean).join("-")],
        ["upstream", record.source?.split(" ", 1)[0]],
      ].filter(([, value]) => value !== undefined && value !== "")
    : [];
  const query = qualifiers.map(([key, value]) => `${key}=${encode(value ?? "")}`).join("&");
  const version = record.version === "" ? "" : `@${encode(record.version)}`;
  return `pkg:${record.type}/${path}${version}${query === "" ? "" : `?${query}`}`;
}

function isDistribution(type: PackageType): boolean {
  return type === "deb" || type === "apk";
}

function namePath({ type, name }: PackageRecord, { id }: Distribution): readonly string[] {
  if (type === "deb") return [id === "" ? "debian" : id, name];
  if (type === "apk") return [id === "" ? "alpine" : id, name];
  // Source: purl-spec, types: pypi names are lower-case with dashes.
  if (type === "pypi") return [name.toLowerCase().replaceAll("_", "-")];
  return name.split("/");
}
