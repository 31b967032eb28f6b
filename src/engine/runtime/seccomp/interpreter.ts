// An interpreter of seccomp programs for the tests: executes what the compiler made as the kernel would, strictly.
// Source: linux/filter.h, seccomp(2).

import { opcodes } from "./bpf.ts";
import type { Instruction } from "./bpf.ts";

export interface SyscallData {
  readonly number: number;
  readonly audit: number;
  /** Six 64-bit values. */
  readonly args: readonly bigint[];
}

/** The program's return value. Fails on jumps out of the program and on instructions that seccomp does not have. */
export function runProgram(code: readonly Instruction[], data: SyscallData): number {
  const memory = Buffer.alloc(64);
  memory.writeUInt32LE(data.number >>> 0, 0);
  memory.writeUInt32LE(data.audit >>> 0, 4);
  for (const [index, value] of data.args.entries()) memory.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index);
  let accumulator = 0;
  for (let pc = 0; ; pc++) {
    const instruction = code[pc];
    if (instruction === undefined) throw new RangeError(`jump to ${pc} of ${code.length}`);
    const { code: opcode, jt, jf, k } = instruction;
    if (jt > 255 || jf > 255 || k < 0 || k > 0xffff_ffff) throw new RangeError(`instruction ${pc} does not fit`);
    if (opcode === opcodes.return) return k;
    if (opcode === opcodes.load) accumulator = memory.readUInt32LE(k);
    else if (opcode === opcodes.jump) pc += k;
    else if (opcode === opcodes.jumpEqual) pc += accumulator === k ? jt : jf;
    else if (opcode === opcodes.jumpGreaterEqual) pc += accumulator >= k ? jt : jf;
    else if (opcode === opcodes.jumpSet) pc += (accumulator & k) !== 0 ? jt : jf;
    else throw new TypeError(`opcode ${opcode}`);
  }
}
