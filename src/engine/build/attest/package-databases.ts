// Databases of package managers: text → packages. What cannot be read of a database is left out: a scanner says what it found.
// Sources: dpkg-query(1), deb-control(5); apk-tools, db/installed; npm, package.json and package-lock.json; Python packaging,
// "Core metadata specifications"; os-release(5).

import type { Distribution, PackageRecord } from "./package-record.ts";

/** Paragraphs of "Key: value" lines; lines that go on are dropped. */
function* paragraphs(text: string): Generator<ReadonlyMap<string, string>> {
  for (const paragraph of text.split(/\n(?:[ \t]*\n)+/)) {
    const fields = new Map<string, string>();
    for (const line of paragraph.split("\n")) {
      const match = /^([A-Za-z0-9-]+):[ \t]*(.*)$/.exec(line);
      if (match !== null) fields.set((match[1] ?? "").toLowerCase(), (match[2] ?? "").trim());
    }
    if (fields.size > 0) yield fields;
  }
}

/** dpkg's status, or a file of status.d, which has no Status line. */
export function parseDpkg(text: string, path: string): readonly PackageRecord[] {
  const found: PackageRecord[] = [];
  for (const fields of paragraphs(text)) {
    const name = fields.get("package");
    const version = fields.get("version");
    const status = fields.get("status");
    if (name === undefined || version === undefined) continue;
    if (status !== undefined && !status.endsWith(" installed")) continue;
    const source = fields.get("source");
    found.push({ type: "deb", name, version, path, architecture: fields.get("architecture"), source });
  }
  return found;
}

/** apk's installed: one letter for each field. */
export function parseApk(text: string, path: string): readonly PackageRecord[] {
  const found: PackageRecord[] = [];
  for (const paragraph of text.split(/\n\n+/)) {
    const field = (letter: string): string | undefined =>
      new RegExp(`^${letter}:(.*)$`, "m").exec(paragraph)?.[1]?.trim();
    const name = field("P");
    if (name === undefined) continue;
    const origin = field("o");
    found.push({
      type: "apk",
      name,
      version: field("V") ?? "",
      path,
      architecture: field("A"),
      license: field("L"),
      source: origin === name ? undefined : origin,
    });
  }
  return found;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** package.json of an installed package. */
export function parsePackageJson(text: string, path: string): readonly PackageRecord[] {
  const object = parseObject(text);
  const name = textOf(object["name"]);
  const version = textOf(object["version"]);
  if (name === undefined || version === undefined) return [];
  return [{ type: "npm", name, version, path, license: textOf(object["license"]) }];
}

/** package-lock.json of versions 1 to 3. */
export function parsePackageLock(text: string, path: string): readonly PackageRecord[] {
  const object = parseObject(text);
  const found: PackageRecord[] = [];
  const packages = object["packages"];
  if (typeof packages === "object" && packages !== null) {
    for (const [place, value] of Object.entries(packages as Readonly<Record<string, unknown>>)) {
      const entry = value as Readonly<Record<string, unknown>> | null;
      const at = place.lastIndexOf("node_modules/");
      const name = textOf(entry?.["name"]) ?? (at === -1 ? undefined : place.slice(at + "node_modules/".length));
      const version = textOf(entry?.["version"]);
      if (at === -1 || name === undefined || version === undefined || entry?.["link"] === true) continue;
      found.push({ type: "npm", name, version, path, license: textOf(entry?.["license"]) });
    }
    return found;
  }
  collectDependencies(object["dependencies"], path, found, 0);
  return found;
}

function collectDependencies(value: unknown, path: string, found: PackageRecord[], depth: number): void {
  if (typeof value !== "object" || value === null || depth > 64) return;
  for (const [name, item] of Object.entries(value as Readonly<Record<string, unknown>>)) {
    const entry = item as Readonly<Record<string, unknown>> | null;
    const version = textOf(entry?.["version"]);
    if (version !== undefined && /^\d/.test(version)) found.push({ type: "npm", name, version, path });
    collectDependencies(entry?.["dependencies"], path, found, depth + 1);
  }
}

/** METADATA or PKG-INFO: the headers before the first empty line. */
export function parsePythonMetadata(text: string, path: string): readonly PackageRecord[] {
  const [head = ""] = text.replaceAll("\r", "").split("\n\n", 1);
  for (const fields of paragraphs(head)) {
    const name = fields.get("name");
    const version = fields.get("version");
    const license = fields.get("license-expression") ?? fields.get("license");
    if (name !== undefined && version !== undefined)
      return [{ type: "pypi", name, version, path, ...(license === undefined ? {} : { license }) }];
  }
  return [];
}

export function parseOsRelease(text: string): Distribution {
  const field = (key: string): string =>
    (new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1] ?? "").trim().replace(/^(["'])(.*)\1$/, "$2");
  return { id: field("ID"), versionId: field("VERSION_ID") };
}
