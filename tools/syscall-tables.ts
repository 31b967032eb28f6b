// Writes src/engine/runtime/seccomp/syscall-tables.ts out of the kernel's own headers.
//   node tools/syscall-tables.ts <directory of uapi headers by architecture> <kernel version>
// On Debian: the directory usr/lib/linux/uapi of the package linux-libc-dev (it has x86, arm64 and arm side by side).

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [headers, version] = process.argv.slice(2);
if (headers === undefined || version === undefined) throw new Error("usage: syscall-tables.ts <headers> <version>");

/** Private calls of 32-bit ARM start here. */
const armPrivateBase = 0x0f_0000;

function parseHeader(path: string): readonly (readonly [name: string, number: number])[] {
  const found: (readonly [string, number])[] = [];
  const define = /^#define\s+__(ARM_)?NR_(\w+)\s+(?:(\d+)|\(__(ARM_)?NR_(?:SYSCALL_)?BASE\s*\+\s*(\d+)\))\s*$/gm;
  for (const [, armName, name = "", plain, armBase, offset] of readFileSync(path, "utf8").matchAll(define)) {
    if (armName === undefined || armBase !== undefined) {
      found.push([
        name,
        plain === undefined ? (armBase === undefined ? 0 : armPrivateBase) + Number(offset) : Number(plain),
      ]);
    }
  }
  return found;
}

/** "0 read write … 334 rseq": a number starts a run of consecutive ones. */
function renderTable(name: string, calls: readonly (readonly [string, number])[]): string {
  const words: string[] = [];
  let expected = -1;
  for (const [call, number] of calls) {
    if (number !== expected) words.push(String(number));
    words.push(call);
    expected = number + 1;
  }
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= 112) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return `export const ${name} = \`\n${lines.map((line) => `  ${line}\n`).join("")}\`;\n`;
}

const sources: readonly (readonly [string, readonly string[]])[] = [
  ["x86_64", ["x86/asm/unistd_64.h"]],
  ["i386", ["x86/asm/unistd_32.h"]],
  ["aarch64", ["arm64/asm/unistd_64.h"]],
  ["arm", ["arm/asm/unistd-eabi.h", "arm/asm/unistd.h"]],
];

const text = [
  `// System call numbers of Linux ${version} by architecture. Made by tools/syscall-tables.ts from the kernel's headers; do not edit.\n` +
    "// A number starts a run of consecutive ones, one name each.\n",
  ...sources.map(([name, files]) => {
    const calls = files.flatMap((file) => parseHeader(join(headers, file)));
    if (calls.length < 200) throw new Error(`${name}: ${calls.length} system calls found`);
    return renderTable(
      name,
      calls.toSorted((a, b) => a[1] - b[1]),
    );
  }),
].join("\n");
writeFileSync(join(import.meta.dirname, "../src/engine/runtime/seccomp/syscall-tables.ts"), text);
