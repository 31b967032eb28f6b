// The seccomp profile as the kernel carries it out: every system call number is tried under the default profile and
// without one, and the difference is compared with what the profile's tables say (K03, K04).

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { defaultCapabilities } from "../../src/engine/runtime/capabilities.ts";
import { architecturesOf } from "../../src/engine/runtime/seccomp/default-filter.ts";
import { syscallNumbers, verdictOf } from "../../src/engine/runtime/seccomp/default-profile.ts";
import type { HostConfig } from "../../src/spec/docker/container.ts";
import { Bench, facts, specs } from "./bundle.ts";

const bench = new Bench();
after(() => bench.dispose());
const root = bench.makeRoot();
bench.addProbe(root);

const highest = 520;
const [native = "x86_64", compatible = "i386"] = architecturesOf(facts.architecture) ?? [];

async function probe(
  abi: "64" | "32",
  hostConfig: HostConfig,
  runtimeTakesBpf: boolean,
  runtime: "crun" | "runc" = "crun",
): Promise<ReadonlyMap<number, string>> {
  const args = ["/bin/syscall-probe", abi, "0", String(highest)];
  const spec = await bench.spec(root, args, hostConfig, {}, { runtimeTakesBpf });
  const { stdout, stderr } = bench.run(spec, undefined, runtime);
  const answers = new Map(
    [...stdout.matchAll(/^(\d+) (\w+)$/gm)].map(([, number, answer = ""]) => [Number(number), answer]),
  );
  assert.equal(answers.size, highest, stderr);
  return answers;
}

/** Differences between what the kernel answered and what the profile says should change. */
function surprises(
  architecture: typeof native,
  filtered: ReadonlyMap<number, string>,
  open: ReadonlyMap<number, string>,
): readonly string[] {
  const names = new Map([...syscallNumbers(architecture)].map(([name, number]) => [number, name]));
  const found: string[] = [];
  for (let number = 0; number < highest; number++) {
    const name = names.get(number);
    const verdict = name === undefined ? { errno: 38 } : verdictOf(name, defaultCapabilities);
    let expected = open.get(number);
    if ("errno" in verdict) expected = String(verdict.errno);
    // With -1 for flags every namespace bit is set; -1 as personality asks for the present one.
    if (name === "clone") expected = "1";
    if (filtered.get(number) !== expected)
      found.push(`${name ?? number}: ${filtered.get(number)}, expected ${expected}`);
  }
  return found;
}

// The kernel exempts its own trampolines from every filter, and a thread's first rseq or set_robust_list differs by chance.
const exempt = /^(?:uretprobe|uprobe|restart_syscall): /;

test("the compiled program: every native system call answers as the tables say (K04)", async () => {
  const [filtered, open] = [
    await probe("64", {}, true),
    await probe("64", { SecurityOpt: ["seccomp=unconfined"] }, true),
  ];
  assert.deepEqual(
    surprises(native, filtered, open).filter((line) => !exempt.test(line)),
    [],
  );
});

test("the compiled program: every 32-bit system call answers as the tables say (K04)", {
  skip: facts.architecture !== "amd64" && "int 0x80 is of x86",
}, async () => {
  const [filtered, open] = [
    await probe("32", {}, true),
    await probe("32", { SecurityOpt: ["seccomp=unconfined"] }, true),
  ];
  assert.deepEqual(
    surprises(compatible, filtered, open).filter((line) => !exempt.test(line)),
    [],
  );
});

test("the section for other runtimes lets nothing through that the program refuses", async () => {
  const [program, section] = [await probe("64", {}, true), await probe("64", {}, false, "runc")];
  const names = new Map([...syscallNumbers(native)].map(([name, number]) => [number, name]));
  const refused = (answer: string | undefined): boolean => answer === "1" || answer === "38";
  const more = [...program].filter(([number, answer]) => refused(answer) && !refused(section.get(number)));
  assert.deepEqual(
    more.map(([number]) => names.get(number) ?? number),
    [],
  );
});

test("the filter is in force in an exec too", async () => {
  const spec = await bench.spec(root, ["sleep", "60"], { CapAdd: ["SYS_ADMIN"] });
  const call = async (...args: readonly (string | number)[]): Promise<string> => {
    const exec = specs.buildExecProcess(spec, {
      args: ["/bin/syscall-probe", "call", ...args.map(String)],
      env: [],
      user: await specs.resolveUser("", [], [root]),
      cwd: "",
      tty: false,
      privileged: false,
      consoleSize: undefined,
    });
    const { stdout, stderr } = bench.run(spec, exec);
    return `${stdout}${stderr}`.trim();
  };
  const numbers = syscallNumbers(native);
  assert.equal(await call(numbers.get("keyctl") ?? -1, 0, -1), "1");
  assert.equal(await call(numbers.get("socket") ?? -1, 38, 5, 0), "97");
  assert.equal(await call(numbers.get("getpid") ?? -1), "0");
});

test("AF_ALG and AF_VSOCK cannot be opened, also with high bits set (K03)", async () => {
  const socket = syscallNumbers(native).get("socket") ?? -1;
  for (const family of ["38", "40", "0x100000026", "0x700000028"]) {
    const spec = await bench.spec(root, ["/bin/syscall-probe", "call", String(socket), family, "5", "0"]);
    assert.equal(bench.run(spec).stdout.trim(), "97", family);
  }
  const inet = await bench.spec(root, ["/bin/syscall-probe", "call", String(socket), "2", "1", "0"]);
  assert.equal(bench.run(inet).stdout.trim(), "0");
});

test("x32 system calls answer ENOSYS", { skip: facts.architecture !== "amd64" && "x32 is of x86-64" }, async () => {
  const spec = await bench.spec(root, ["/bin/syscall-probe", "call", String(0x4000_0000 + 39)]);
  assert.equal(bench.run(spec).stdout.trim(), "38");
});
