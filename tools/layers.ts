// The layer checker: every import of every module in src/ must be allowed by layers.json. A run that read no module fails,
// because a checker that saw nothing has proven nothing.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

/** What a room may import: other rooms (path prefixes), node: modules ("*" for all), npm packages. */
export interface Room {
  readonly rooms: readonly string[];
  readonly node: readonly string[];
  readonly npm: readonly string[];
}

export type Layers = Readonly<Record<string, Room>>;

export interface LayerReport {
  readonly modulesRead: number;
  readonly importsRead: number;
  readonly violations: readonly string[];
}

/** The specifiers of all static, re-exporting and dynamic imports in a module's source, type imports included. */
export function importsOf(source: string): string[] {
  const found: string[] = [];
  const text = source.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  for (const m of text.matchAll(/^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm)) found.push(m[1] ?? "");
  for (const m of text.matchAll(/^\s*import\s*["']([^"']+)["']/gm)) found.push(m[1] ?? "");
  for (const m of text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g)) found.push(m[1] ?? "");
  return found;
}

function inside(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

/** The room of a module: the longest prefix in the table. */
export function roomOf(path: string, layers: Layers): string | undefined {
  return Object.keys(layers)
    .filter((room) => inside(path, room))
    .sort((a, b) => b.length - a.length)[0];
}

function complaint(path: string, specifier: string, layers: Layers): string | undefined {
  const name = roomOf(path, layers);
  const room = name === undefined ? undefined : layers[name];
  if (name === undefined || room === undefined) return `${path}: in no room of layers.json`;
  if (specifier.startsWith(".")) {
    const target = normalize(join(dirname(path), specifier));
    if (!target.startsWith("src/")) return `${path}: imports ${target}, outside of src/`;
    const targetRoom = roomOf(target, layers);
    if (targetRoom === name || room.rooms.some((allowed) => inside(target, allowed))) return undefined;
    return `${path}: room ${name} may not import ${target}`;
  }
  if (specifier.startsWith("node:")) {
    const module = specifier.slice("node:".length);
    if (room.node.includes("*") || room.node.includes(module)) return undefined;
    return `${path}: room ${name} may not import ${specifier}`;
  }
  const parts = specifier.split("/");
  const pkg = specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
  if (room.npm.includes(pkg)) return undefined;
  return `${path}: room ${name} may not import the package ${pkg}`;
}

/**
 * Checks every `.ts` module under `<root>/src`, tests excepted (they may look into any room).
 *
 * @param root directory of package.json
 */
export function checkLayers(root: string, layers: Layers): LayerReport {
  let modulesRead = 0;
  let importsRead = 0;
  const violations: string[] = [];
  for (const entry of readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts") || entry.name.endsWith(".test.ts")) continue;
    const path = relative(root, join(entry.parentPath, entry.name));
    modulesRead += 1;
    for (const specifier of importsOf(readFileSync(join(root, path), "utf8"))) {
      importsRead += 1;
      const wrong = complaint(path, specifier, layers);
      if (wrong !== undefined) violations.push(wrong);
    }
  }
  if (modulesRead === 0 || importsRead === 0) violations.push(`nothing read under ${join(root, "src")}`);
  return { modulesRead, importsRead, violations: violations.sort() };
}

/** layers.json without its comment. */
export function readLayers(root: string): Layers {
  const { $comment: _, ...rooms } = JSON.parse(readFileSync(join(root, "layers.json"), "utf8")) as Record<string, Room>;
  return rooms;
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  const report = checkLayers(root, readLayers(root));
  for (const violation of report.violations) process.stderr.write(`layers: ${violation}\n`);
  process.stdout.write(`layers: ${report.modulesRead} modules, ${report.importsRead} imports\n`);
  process.exitCode = report.violations.length === 0 ? 0 : 1;
}
