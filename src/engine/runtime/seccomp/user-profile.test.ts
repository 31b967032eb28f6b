import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError } from "../../../base/errors.ts";
import { defaultCapabilities } from "../capabilities.ts";
import { specInput, v1Facts } from "../fixture.ts";
import { parseSecurityOptions } from "../security-options.ts";
import { createSeccompPlanner } from "./plan.ts";
import { checkUserProfile, renderUserProfile } from "./user-profile.ts";

const render = (profile: unknown, capabilities: readonly string[] = []): unknown =>
  renderUserProfile(profile, v1Facts, capabilities);

test("a profile in Docker's format becomes the section of the spec", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    archMap: [
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] },
    ],
    flags: ["SECCOMP_FILTER_FLAG_LOG"],
    syscalls: [
      { names: ["read"], action: "SCMP_ACT_ALLOW", args: null, comment: "x" },
      { name: "clone", action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 2114060288, op: "SCMP_CMP_MASKED_EQ" }] },
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38, excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["arm_x"], action: "SCMP_ACT_ALLOW", includes: { arches: ["arm64"] } },
      { names: ["new"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "6.2" } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
    ],
  };
  assert.deepEqual(checkUserProfile(profile), []);
  const common = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    flags: ["SECCOMP_FILTER_FLAG_LOG"],
  };
  const read = { names: ["read"], action: "SCMP_ACT_ALLOW" };
  const clone = {
    names: ["clone"],
    action: "SCMP_ACT_ALLOW",
    args: [{ index: 0, value: 2114060288, op: "SCMP_CMP_MASKED_EQ" }],
  };
  const ptrace = { names: ["ptrace"], action: "SCMP_ACT_ALLOW" };
  assert.deepEqual(render(profile), {
    ...common,
    syscalls: [read, clone, { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }, ptrace],
  });
  assert.deepEqual(render(profile, ["CAP_SYS_ADMIN"]), {
    ...common,
    syscalls: [read, clone, { names: ["mount"], action: "SCMP_ACT_ALLOW" }, ptrace],
  });
  assert.equal(render({}), undefined);
});

test("malformed profiles are named before anything is made", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [{ defaultAction: "X" }, "string X is not a valid action for seccomp"],
    [[], "the seccomp profile must be an object"],
    [{ defaultAction: "SCMP_ACT_ALLOW", syscalls: {} }, "syscalls must be a list"],
    [
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [1], action: "SCMP_ACT_ALLOW" }] },
      "names must be a string",
    ],
    [
      { defaultAction: "SCMP_ACT_ALLOW", architectures: ["x"], archMap: [{ architecture: "y" }] },
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    ],
    [
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ name: "a", names: ["b"], action: "SCMP_ACT_ALLOW" }] },
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    ],
    [
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ name: "a", action: "SCMP_ACT_ALLOW", args: [{ index: 6, op: "SCMP_CMP_EQ" }] }],
      },
      "index must be a whole number from 0 to 5",
    ],
  ];
  for (const [profile, text] of cases)
    assert.deepEqual(checkUserProfile(profile), [`Decoding seccomp profile failed: ${text}`]);
});

test("any JSON is judged without an exception", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        fc.record({ defaultAction: fc.constant("SCMP_ACT_ALLOW"), syscalls: fc.jsonValue(), archMap: fc.jsonValue() }),
      ),
      (profile) => {
        if (checkUserProfile(profile).length === 0) render(profile);
      },
    ),
    { numRuns: 500 },
  );
});

test("the planner: builtin as program or section, unconfined and privileged none, the user's as section", () => {
  const plan = createSeccompPlanner();
  const ask = (options: readonly string[], changes: Parameters<typeof specInput>[2], privileged = false): string => {
    const input = specInput({ Privileged: privileged }, {}, { seccomp: undefined, ...changes });
    const { section, annotations } = plan(input, defaultCapabilities, parseSecurityOptions(options));
    return `${section === undefined ? "" : section.defaultAction} ${Object.keys(annotations).join()}`.trim();
  };
  const allow = 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}';
  assert.equal(ask([], {}), "run.oci.seccomp_bpf_data");
  assert.equal(ask([], { runtimeTakesBpf: false }), "SCMP_ACT_ERRNO");
  assert.equal(ask(["seccomp=unconfined"], {}), "");
  assert.equal(ask([], {}, true), "");
  assert.equal(ask([allow], {}), "SCMP_ACT_ALLOW");
  assert.equal(ask([allow], {}, true), "SCMP_ACT_ALLOW");
  assert.equal(ask([], { seccomp: "unconfined" }), "");
  assert.equal(ask([], { seccomp: { defaultAction: "SCMP_ACT_LOG" } }), "SCMP_ACT_LOG");
  assert.equal(ask([], { facts: { ...v1Facts, seccomp: false } }), "");
  assert.throws(
    () => ask([], { facts: { ...v1Facts, architecture: "riscv64" } }),
    (error) => isEngineError(error, "NotImplemented"),
  );
});

test("programs differ by capabilities and are kept", () => {
  const plan = createSeccompPlanner();
  const input = specInput({}, {}, { seccomp: undefined });
  const security = parseSecurityOptions([]);
  assert.equal(plan(input, defaultCapabilities, security), plan(input, defaultCapabilities, security));
  assert.notDeepEqual(plan(input, defaultCapabilities, security), plan(input, ["CAP_SYS_ADMIN"], security));
});
