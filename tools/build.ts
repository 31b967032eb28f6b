// `npm run build`: dist/ with the bundles, the programs in C and the embedded image, and bin/ with the two launchers.
//   node tools/build.ts               a release: failpoints are compiled away
//   node tools/build.ts --failpoints  for tests that make the bundle fail on purpose
//   … --out DIR                       the bundles and what is beside them in DIR, no launchers: bin/ and dist/ stay

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { makeBusyboxImage } from "./busybox-image.ts";

const root = join(import.meta.dirname, "..");
const { values: options } = parseArgs({ options: { failpoints: { type: "boolean" }, out: { type: "string" } } });
const dist = options.out === undefined ? join(root, "dist") : resolve(options.out);
const release = options.failpoints !== true;

/**
 * Node's heap options: a small young generation keeps the resident set small; the old one is bounded, so a leak is seen. Without
 * its initial size V8 collects the whole heap for every 14 MB of buffers that pass through: a third of the time of a pull.
 */
const nodeFlags = {
  gantryd: [
    "--max-semi-space-size=2",
    "--initial-old-space-size=64",
    "--max-old-space-size=1024",
    "--disable-warning=ExperimentalWarning",
  ],
  gantry: ["--max-semi-space-size=4", "--disable-warning=ExperimentalWarning"],
} as const;

function git(...args: readonly string[]): string {
  const result = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : "";
}

function buildInfo(): { readonly version: string; readonly commit: string; readonly time: string } {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string };
  const epoch = process.env["SOURCE_DATE_EPOCH"];
  const time = epoch === undefined ? git("log", "-1", "--format=%cI") : new Date(Number(epoch) * 1000).toISOString();
  return { version, commit: git("rev-parse", "HEAD"), time };
}

/** A file appears whole or not at all: a daemon may be starting from the old one. */
function writeWhole(path: string, data: string | Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, data, { mode });
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}

/** Turns the compile cache on before the program is read: then Node does not compile it again at each start. */
function renderEntry(name: string): string {
  return [
    '"use strict";',
    'require("node:module").enableCompileCache(`${__dirname}/cache`);',
    `require("./${name}-main.js");`,
    "",
  ].join("\n");
}

/** Runs the pinned Node with the bundle; symbolic links to the launcher work. */
function renderLauncher(name: keyof typeof nodeFlags): string {
  const pinned = join(root, "node_modules/.bin/node");
  const node = relative(root, resolve(dirname(pinned), readlinkSync(pinned)));
  const flags = nodeFlags[name].join(" ");
  return [
    "#!/bin/sh",
    `# Runs ${name} with the Node that Gantry pins. GANTRY_DEV=1 runs the sources in place of the bundle.`,
    "self=$0",
    // readlink is a process: only where the launcher was reached through a link.
    `if [ -L "$self" ] || [ ! -d "\${self%/bin/${name}}/dist" ]; then self=$(readlink -f "$self"); fi`,
    `root=\${self%/bin/${name}}`,
    `program=$root/dist/${name}.js`,
    `[ "\${GANTRY_DEV:-}" != 1 ] || program=$root/src/cmd/${name}.ts`,
    ...(name === "gantryd"
      ? [
          "# Node raises its own soft limit of open files; containers get the one that the daemon was started with.",
          "GANTRY_SOFT_NOFILE=$(ulimit -Sn)",
          "export GANTRY_SOFT_NOFILE",
        ]
      : []),
    // Without "--" Node takes an --env-file behind the program for its own.
    `exec "$root/${node}" ${flags} -- "$program" "$@"`,
    "",
  ].join("\n");
}

async function bundle(entries: Readonly<Record<string, string>>): Promise<void> {
  await build({
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, path]) => [name, join(root, path)])),
    outdir: dist,
    bundle: true,
    platform: "node",
    // Not ES modules: an import of node:http as one touches its lazy exports, and so loads undici (80 ms).
    format: "cjs",
    target: "node24",
    legalComments: "none",
    define: {
      GANTRY_BUILD: JSON.stringify(buildInfo()),
      GANTRY_RELEASE: String(release),
      "process.env.WS_NO_BUFFER_UTIL": '"1"',
      "process.env.WS_NO_UTF_8_VALIDATE": '"1"',
      "import.meta.url": "gantryFileUrl",
    },
    banner: { js: 'const gantryFileUrl = require("node:url").pathToFileURL(__filename).href;' },
    logLevel: "warning",
  });
}

function copyPrograms(): void {
  for (const name of ["gantry-shim", "gantry-unpack", "gantry-pack", "gantry-copy", "gantry-archive"]) {
    const from = join(root, "shim/build", name);
    if (!existsSync(from)) throw new Error(`build: ${from} is missing: run make -C shim`);
    const to = join(dist, "libexec", name);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, `${to}.new`);
    chmodSync(`${to}.new`, 0o755);
    renameSync(`${to}.new`, to);
  }
}

function copyEmbeddedImage(): void {
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
  if (busybox === undefined) throw new Error("build: no busybox: install busybox-static");
  writeWhole(join(dist, "images/busybox.tar"), makeBusyboxImage(busybox), 0o644);
}

mkdirSync(dist, { recursive: true });
await bundle({
  "gantryd-main": "src/cmd/gantryd.ts",
  "gantry-main": "src/cmd/gantry.ts",
  "store-worker": "src/engine/store/worker.ts",
  "dns-worker": "src/engine/network/dns/worker.ts",
  "registry-password-worker": "src/registry/auth/password-worker.ts",
});
copyPrograms();
copyEmbeddedImage();
rmSync(join(dist, "cache"), { recursive: true, force: true });
for (const name of ["gantryd", "gantry"] as const) {
  writeWhole(join(dist, `${name}.js`), renderEntry(name), 0o644);
  if (options.out === undefined) writeWhole(join(root, "bin", name), renderLauncher(name), 0o755);
}
// The bundles are CommonJS modules, wherever dist/ is copied to.
writeWhole(join(dist, "package.json"), '{ "type": "commonjs" }\n', 0o644);
// A first run of each fills the compile cache.
if (options.out === undefined)
  for (const name of ["gantryd", "gantry"]) execFileSync(join(root, "bin", name), ["--version"], { stdio: "ignore" });
