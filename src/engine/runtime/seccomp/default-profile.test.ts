// The golden file beside this test is the reviewed behaviour of the profile: a change of the tables shows up here name by
// name. Write it anew with UPDATE_GOLDEN=1, and review the difference.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { capabilityNames, defaultCapabilities } from "../capabilities.ts";
import { returns } from "./bpf.ts";
import { architecturesOf, compileDefaultProfile, renderDefaultSection } from "./default-filter.ts";
import { argumentRules, denials, errno, syscallNumbers, verdictOf } from "./default-profile.ts";
import type { Architecture } from "./default-profile.ts";
import { runProgram } from "./interpreter.ts";

const audits: Readonly<Record<Architecture, number>> = {
  x86_64: 0xc000_003e,
  i386: 0x4000_0003,
  aarch64: 0xc000_00b7,
  arm: 0x4000_0028,
};
const architectures = ["x86_64", "i386", "aarch64", "arm"] as const;
const pairs = [architecturesOf("amd64") ?? [], architecturesOf("arm64") ?? []];
const zeroArgs = [0n, 0n, 0n, 0n, 0n, 0n];
const names: ReadonlyMap<number, string> = new Map([
  [returns.allow, "allow"],
  [returns.errno(errno.EPERM), "EPERM"],
  [returns.errno(errno.ENOSYS), "ENOSYS"],
  [returns.errno(errno.EAFNOSUPPORT), "EAFNOSUPPORT"],
  [returns.killProcess, "kill"],
]);
const programs = new Map(
  pairs.flatMap((pair) => {
    const code = compileDefaultProfile(pair, defaultCapabilities);
    return pair.map((architecture) => [architecture, code] as const);
  }),
);

function ask(architecture: Architecture, number: number, args: readonly bigint[] = zeroArgs): string {
  const result = runProgram(programs.get(architecture) ?? [], { number, audit: audits[architecture], args });
  return names.get(result) ?? String(result);
}

function askByName(architecture: Architecture, name: string, ...args: readonly bigint[]): string {
  const number = syscallNumbers(architecture).get(name);
  assert.ok(number !== undefined, name);
  return ask(architecture, number, [...args, ...zeroArgs].slice(0, 6));
}

test("the answer to every system call of every architecture is the reviewed one (K04)", () => {
  const file = new URL("default-profile.golden.json", import.meta.url);
  const found = Object.fromEntries(
    architectures.map((architecture) => {
      const byAnswer: Record<string, string[]> = { allow: [], EPERM: [], ENOSYS: [] };
      for (const [name, number] of syscallNumbers(architecture)) byAnswer[ask(architecture, number)]?.push(name);
      for (const list of Object.values(byAnswer)) list.sort();
      return [
        architecture,
        Object.fromEntries(Object.entries(byAnswer).map(([answer, list]) => [answer, list.join(" ")])),
      ];
    }),
  );
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  assert.deepEqual(found, JSON.parse(readFileSync(file, "utf8")));
});

test("numbers that no table knows, and all of x32, answer ENOSYS; other architectures are killed", () => {
  for (const architecture of architectures) {
    const known = new Set(syscallNumbers(architecture).values());
    for (let number = 0; number < 2000; number++)
      if (!known.has(number)) assert.equal(ask(architecture, number), "ENOSYS");
    assert.equal(ask(architecture, 0xffff_ffff), "ENOSYS");
  }
  for (const number of [0, 1, 59, 520]) assert.equal(ask("x86_64", 0x4000_0000 + number), "ENOSYS");
  const code = programs.get("x86_64") ?? [];
  assert.equal(runProgram(code, { number: 0, audit: audits.aarch64, args: zeroArgs }), returns.killProcess);
});

test("clone makes processes and threads, no namespaces", () => {
  const namespaceFlags = {
    NEWNS: 0x20000n,
    NEWCGROUP: 0x2000000n,
    NEWUTS: 0x4000000n,
    NEWIPC: 0x8000000n,
    NEWUSER: 0x10000000n,
    NEWPID: 0x20000000n,
    NEWNET: 0x40000000n,
  };
  for (const architecture of architectures) {
    assert.equal(askByName(architecture, "clone", 0x11n), "allow");
    assert.equal(askByName(architecture, "clone", 0x3d0f00n), "allow");
    for (const flag of Object.values(namespaceFlags))
      assert.equal(askByName(architecture, "clone", 0x11n | flag), "EPERM");
    assert.equal(askByName(architecture, "clone3"), "ENOSYS");
    assert.equal(askByName(architecture, "unshare"), "EPERM");
    assert.equal(askByName(architecture, "setns"), "EPERM");
  }
});

test("AF_ALG and AF_VSOCK are off, also behind bits that the kernel cuts off (K03)", () => {
  for (const architecture of architectures) {
    for (const family of [38n, 40n, (1n << 32n) | 38n, (0xffff_ffffn << 32n) | 40n]) {
      assert.equal(askByName(architecture, "socket", family), "EAFNOSUPPORT");
    }
    for (const family of [1n, 2n, 10n, 16n, 17n, 37n, 39n, 41n, 44n])
      assert.equal(askByName(architecture, "socket", family), "allow");
  }
});

test("personality takes five values", () => {
  for (const value of [0n, 8n, 0x20000n, 0x20008n, 0xffff_ffffn])
    assert.equal(askByName("x86_64", "personality", value), "allow");
  for (const value of [1n, 0x40000n, 0x20001n, 0x0040_0000n])
    assert.equal(askByName("x86_64", "personality", value), "EPERM");
});

test("a capability lifts exactly the lines that name it", () => {
  fc.assert(
    fc.property(fc.subarray([...capabilityNames]), fc.constantFrom(...denials), (capabilities, denial) => {
      const lifted = denial.liftedBy.some((capability) =>
        capabilities.includes(capability as (typeof capabilities)[number]),
      );
      for (const name of denial.names) {
        assert.deepEqual(verdictOf(name, capabilities), lifted ? { allow: true } : { errno: denial.errno });
      }
    }),
  );
  assert.deepEqual(verdictOf("clone", ["CAP_SYS_ADMIN"]), { allow: true });
});

test("the compiled program says what the tables say, for any capabilities and arguments", () => {
  const values = fc.oneof(
    fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
    fc.constantFrom(0n, 8n, 38n, 40n, 0x10000000n, 0xffff_ffffn),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...pairs),
      fc.subarray([...capabilityNames]),
      fc.array(values, { minLength: 12, maxLength: 12 }),
      (pair, capabilities, args) => {
        const code = compileDefaultProfile(pair, capabilities);
        for (const architecture of pair) {
          for (const [name, number] of syscallNumbers(architecture)) {
            const verdict = verdictOf(name, capabilities);
            for (const value of "rule" in verdict ? args : args.slice(0, 1)) {
              const result = runProgram(code, {
                number,
                audit: audits[architecture],
                args: [value, ...zeroArgs.slice(1)],
              });
              const low = Number(value & 0xffff_ffffn);
              let allowed = "allow" in verdict;
              let code32: number = "errno" in verdict ? verdict.errno : 0;
              if ("rule" in verdict) {
                const { allow } = verdict.rule;
                code32 = verdict.rule.errno;
                if ("noBitOf" in allow) allowed = (low & allow.noBitOf) === 0;
                else if ("oneOf" in allow) allowed = allow.oneOf.includes(low);
                else allowed = !allow.noneOf.includes(low);
              }
              assert.equal(result, allowed ? returns.allow : returns.errno(code32), `${architecture} ${name} ${value}`);
            }
          }
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("every name of the deny table is a system call of some architecture, once", () => {
  const known = new Set(architectures.flatMap((architecture) => [...syscallNumbers(architecture).keys()]));
  const denied = [...denials.flatMap((denial) => denial.names), ...argumentRules.map((rule) => rule.name)];
  assert.deepEqual(
    denied.filter((name) => !known.has(name)),
    [],
  );
  assert.equal(new Set(denied).size, denied.length);
});

test("the section for other runtimes allows the same names", () => {
  const section = renderDefaultSection(["x86_64", "i386"], defaultCapabilities);
  assert.deepEqual(
    [section.defaultAction, section.defaultErrnoRet, section.architectures],
    ["SCMP_ACT_ERRNO", 38, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]],
  );
  const allowed = new Set(
    section.syscalls
      ?.filter(({ args, action }) => args === undefined && action === "SCMP_ACT_ALLOW")
      .flatMap((rule) => rule.names),
  );
  for (const architecture of ["x86_64", "i386"] as const) {
    for (const name of syscallNumbers(architecture).keys()) {
      assert.equal(allowed.has(name), "allow" in verdictOf(name, defaultCapabilities), name);
    }
  }
  const hits = (name: string, value: number): readonly string[] =>
    (section.syscalls ?? []).flatMap(({ names: list, action, args = [] }) =>
      list.includes(name) && args.every(({ value: mask, valueTwo = 0 }) => (value & mask) >>> 0 === valueTwo)
        ? [action]
        : [],
    );
  for (let family = 0; family < 64; family++) {
    assert.deepEqual(
      hits("socket", family),
      [family === 38 || family === 40 ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW"],
      String(family),
    );
  }
  assert.deepEqual(hits("clone", 0x11), ["SCMP_ACT_ALLOW"]);
  assert.deepEqual(hits("clone", 0x10000011), ["SCMP_ACT_ERRNO"]);
});
