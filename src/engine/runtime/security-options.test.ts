import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSecurityOptions } from "./security-options.ts";

const nothing = {
  noNewPrivileges: false,
  seccomp: { kind: "builtin" },
  appArmor: undefined,
  labels: [],
  writableCgroups: false,
  unconfinedPaths: false,
  errors: [],
};

test("each option is understood in both of Docker's spellings", () => {
  const cases: readonly (readonly [readonly string[], object])[] = [
    [[], {}],
    [["no-new-privileges"], { noNewPrivileges: true }],
    [["no-new-privileges:true"], { noNewPrivileges: true }],
    [["no-new-privileges", "no-new-privileges=false"], {}],
    [["seccomp=unconfined"], { seccomp: { kind: "unconfined" } }],
    [["seccomp:unconfined"], { seccomp: { kind: "unconfined" } }],
    [["seccomp=builtin"], {}],
    [['seccomp={"a":"b=c"}'], { seccomp: { kind: "profile", profile: { a: "b=c" } } }],
    [["apparmor=unconfined", "label=disable"], { appArmor: "unconfined", labels: ["disable"] }],
    [["label=type:x", "label:level:y"], { labels: ["type:x", "level:y"] }],
    [["systempaths=unconfined", "writable-cgroups=1"], { unconfinedPaths: true, writableCgroups: true }],
  ];
  for (const [options, expected] of cases) assert.deepEqual(parseSecurityOptions(options), { ...nothing, ...expected });
});

test("what is no option is refused with dockerd's texts", () => {
  const errors = (option: string): readonly string[] => parseSecurityOptions([option]).errors;
  assert.deepEqual(errors("foo"), ['invalid --security-opt 1: "foo"']);
  for (const option of ["foo=bar", "no-new-privileges=x", "systempaths=x", "writable-cgroups=x", "credentialspec=x"]) {
    assert.deepEqual(errors(option), [`invalid --security-opt 2: ${JSON.stringify(option)}`]);
  }
  assert.match(errors("seccomp=/x")[0] ?? "", /^Decoding seccomp profile failed: /);
});
