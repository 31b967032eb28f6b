// Steps of foreign platforms: whether the host can execute their programs. Source: the kernel's admin-guide/binfmt-misc.rst; ELF
// header, e_machine.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import type { Platform } from "../../../spec/oci/image.ts";

/** e_machine of what the architectures' programs are. */
const machines: Readonly<Record<string, number>> = {
  "386": 3,
  mips64le: 8,
  ppc64le: 21,
  s390x: 22,
  arm: 40,
  amd64: 62,
  arm64: 183,
  riscv64: 243,
  loong64: 258,
};
/** Architectures whose programs the kernel of another one executes itself. */
const alike: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

/** The machine that an entry of binfmt_misc is for; undefined where it is not enabled, or for something else. Pure. */
export function machineOf(entry: string): number | undefined {
  if (!/^enabled$/m.test(entry)) return undefined;
  const magic = /^magic ([0-9a-f]+)$/m.exec(entry)?.[1] ?? "";
  const offset = Number(/^offset (\d+)$/m.exec(entry)?.[1] ?? "0");
  const bytes = Buffer.from(magic, "hex");
  // EI_DATA (byte 5) is 2 where the most significant byte comes first; e_machine is at 18.
  if (offset !== 0 || bytes.length < 20 || bytes.readUInt32BE(0) !== 0x7f454c46) return undefined;
  return bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18);
}

function hasInterpreter(machine: number | undefined, directory: string): boolean {
  let names: readonly string[];
  try {
    if (readFileSync(join(directory, "status"), "latin1").trim() !== "enabled") return false;
    names = readdirSync(directory).filter((name) => name !== "status" && name !== "register");
  } catch {
    return false;
  }
  return names.some((name) => {
    try {
      return machineOf(readFileSync(join(directory, name), "latin1")) === machine && machine !== undefined;
    } catch {
      return false;
    }
  });
}

/** @throws NotImplemented programs of that platform cannot be executed here */
export function requirePlatform(
  platform: Platform,
  hostArchitecture: string,
  directory = "/proc/sys/fs/binfmt_misc",
): void {
  const { os, architecture, variant } = platform;
  const name = [os, architecture, ...(variant === undefined || variant === "" ? [] : [variant])].join("/");
  if (os !== "linux") throw new EngineError("NotImplemented", `steps of platform ${name} cannot run on Linux`);
  if (architecture === hostArchitecture || alike[hostArchitecture]?.includes(architecture) === true) return;
  if (hasInterpreter(machines[architecture], directory)) return;
  throw new EngineError(
    "NotImplemented",
    `exec format error: programs of ${name} cannot run on this host (linux/${hostArchitecture}): install qemu-user-static (binfmt) for ${name}`,
  );
}
