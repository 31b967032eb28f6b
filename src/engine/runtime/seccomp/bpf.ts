// A compiler from decisions about system calls to classic BPF as seccomp(2) takes it. Numbers are found by binary search
// over ranges of equal decisions; arguments are looked at afterwards, as 32 or 64 bits. All jumps go forward.
// Source: seccomp(2), linux/filter.h, linux/bpf_common.h, linux/seccomp.h. Programs are for little-endian machines.

/** One instruction: struct sock_filter. */
export interface Instruction {
  readonly code: number;
  /** Instructions to skip when the test is true, when it is false: 0–255. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** What a filter returns: SECCOMP_RET_* of linux/seccomp.h. */
export const returns = {
  allow: 0x7fff_0000,
  killProcess: 0x8000_0000,
  errno: (code: number): number => 0x0005_0000 | (code & 0xffff),
} as const;

/** A tree of tests on arguments with return values at its ends. */
export type Decision =
  | { readonly returns: number }
  | {
      readonly argument: number;
      /** 32 looks at the lower half only, as the kernel does for int arguments. */
      readonly width: 32 | 64;
      readonly test: "equals" | "anyBitOf";
      readonly value: bigint;
      readonly yes: Decision;
      readonly no: Decision;
    };

/** Decisions by system call number of one architecture; numbers not in the map get `otherwise`. */
export interface ArchitectureProgram {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number;
  readonly decisions: ReadonlyMap<number, Decision>;
  readonly otherwise: Decision;
}

/** linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|… with BPF_K, BPF_RET|BPF_K. */
export const opcodes = {
  load: 0x20,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpGreaterEqual: 0x35,
  jumpSet: 0x45,
  return: 0x06,
} as const;

/** struct seccomp_data: number at 0, architecture at 4, six 64-bit arguments from 16. */
const numberOffset = 0;
const architectureOffset = 4;
const argumentsOffset = 16;
const maxInstructions = 4096;
const maxSkip = 255;

type Code = readonly Instruction[];

const load = (offset: number): Instruction => ({ code: opcodes.load, jt: 0, jf: 0, k: offset });

/** Test, then `yes`, then `no`; a distance that does not fit in 8 bits goes through an unconditional jump. */
function branch(code: number, k: number, yes: Code, no: Code): Code {
  if (yes.length <= maxSkip) return [{ code, jt: 0, jf: yes.length, k }, ...yes, ...no];
  return [{ code, jt: 1, jf: 0, k }, { code: opcodes.jump, jt: 0, jf: 0, k: yes.length }, ...yes, ...no];
}

function compileDecision(decision: Decision): Code {
  if ("returns" in decision) return [{ code: opcodes.return, jt: 0, jf: 0, k: decision.returns }];
  const low = argumentsOffset + 8 * decision.argument;
  const code = decision.test === "equals" ? opcodes.jumpEqual : opcodes.jumpSet;
  const yes = compileDecision(decision.yes);
  const no = compileDecision(decision.no);
  const lowWord = Number(decision.value & 0xffff_ffffn);
  const onLow = [load(low), ...branch(code, lowWord, yes, no)];
  if (decision.width === 32) return onLow;
  const highWord = Number((decision.value >> 32n) & 0xffff_ffffn);
  const onHigh = decision.test === "equals" ? branch(code, highWord, onLow, no) : branch(code, highWord, yes, onLow);
  return [load(low + 4), ...onHigh];
}

/** Equal neighbours put together: the decision for numbers from `from` up to the next range. */
interface Range {
  readonly from: number;
  readonly decision: Decision;
}

function rangesOf(program: ArchitectureProgram): readonly Range[] {
  const ranges: Range[] = [];
  const add = (from: number, decision: Decision): void => {
    const last = ranges.at(-1)?.decision;
    const same =
      last === decision ||
      (last !== undefined && "returns" in last && "returns" in decision && last.returns === decision.returns);
    if (!same) ranges.push({ from, decision });
  };
  let next = 0;
  for (const [number, decision] of [...program.decisions].toSorted((a, b) => a[0] - b[0])) {
    if (number > next) add(next, program.otherwise);
    add(number, decision);
    next = number + 1;
  }
  add(next, program.otherwise);
  return ranges;
}

function searchTree(ranges: readonly Range[]): Code {
  const [only] = ranges;
  if (ranges.length === 1 && only !== undefined) return compileDecision(only.decision);
  const middle = ranges.length >> 1;
  const upper = ranges.slice(middle);
  return branch(opcodes.jumpGreaterEqual, upper[0]?.from ?? 0, searchTree(upper), searchTree(ranges.slice(0, middle)));
}

/**
 * The program for a set of architectures; any other architecture kills the process.
 *
 * @throws RangeError more than the kernel's 4096 instructions
 */
export function compileFilter(programs: readonly ArchitectureProgram[]): Code {
  let code: Code = compileDecision({ returns: returns.killProcess });
  for (const program of programs.toReversed()) {
    const body = [load(numberOffset), ...searchTree(rangesOf(program))];
    code = branch(opcodes.jumpEqual, program.audit, body, code);
  }
  code = [load(architectureOffset), ...code];
  if (code.length > maxInstructions) throw new RangeError(`seccomp program of ${code.length} instructions`);
  return code;
}

/** struct sock_filter, 8 bytes each, little-endian. */
export function encodeFilter(code: Code): Buffer {
  const bytes = Buffer.alloc(code.length * 8);
  for (const [index, { code: opcode, jt, jf, k }] of code.entries()) {
    bytes.writeUInt16LE(opcode, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k, index * 8 + 4);
  }
  return bytes;
}
