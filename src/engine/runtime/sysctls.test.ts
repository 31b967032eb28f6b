import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { checkSysctls, planSysctls } from "./sysctls.ts";

test("only sysctls of the container's own namespaces pass, with the texts of runc (K02)", () => {
  const check = (name: string, more = {}): readonly string[] => checkSysctls({ Sysctls: { [name]: "1" }, ...more });
  for (const name of [
    "net.ipv4.ip_forward",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/eth0.1/rp_filter",
    "kernel.msgmax",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "fs.mqueue.msg_max",
    "kernel.domainname",
  ]) {
    assert.deepEqual(check(name), [], name);
  }
  for (const name of [
    "kernel.core_pattern",
    "a=1+kernel.x",
    "",
    "net",
    "net.",
    "vm.swappiness",
    "kernel.msgmax=1",
    "net..ipv4",
    "net/../kernel/core_pattern",
    "net.ipv4/../../kernel/core_pattern",
    "net.x\nkernel.core_pattern",
    "kernel.shmmax.x",
    "NET.x",
    "fs.mqueue",
  ]) {
    assert.deepEqual(check(name), [`sysctl ${JSON.stringify(name)} is not in a separate kernel namespace`], name);
  }
  assert.deepEqual(check("net.ipv4.ip_forward", { NetworkMode: "host" }), [
    'sysctl "net.ipv4.ip_forward" not allowed in host network namespace',
  ]);
  assert.deepEqual(check("kernel.shmmax", { IpcMode: "host" }), [
    'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace',
  ]);
  assert.deepEqual(check("kernel.hostname"), [
    'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
  ]);
  assert.equal(check("kernel.domainname", { UTSMode: "host" }).length, 1);
  assert.equal(checkSysctls({ Sysctls: { "net.ipv4.ip_forward": "1\nkernel.x=1" } }).length, 1);
});

test("whatever passes names a file of net, fs/mqueue or the listed ones in kernel (K02)", () => {
  const word = fc.constantFrom(
    "net",
    "kernel",
    "fs",
    "mqueue",
    "core_pattern",
    "msgmax",
    "ipv4",
    "..",
    ".",
    "/",
    "=",
    "+",
    "\n",
    "x",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      const name = words.join("");
      if (checkSysctls({ Sysctls: { [name]: "1" } }).length > 0) return;
      const [written = ""] = Object.keys(planSysctls({ Sysctls: { [name]: "1" } }, "", false));
      // Runtimes make a path by turning every dot into a slash.
      const path = `/proc/sys/${written.replaceAll(".", "/")}`;
      assert.match(path, /^\/proc\/sys\/(?:net\/[^/]+|fs\/mqueue\/[^/]+|kernel\/msgmax$)/);
      assert.doesNotMatch(path, /\/\.\.(?:\/|$)|\n|=/);
    }),
    { numRuns: 2000 },
  );
});

test("defaults let everybody ping and bind low ports in a network namespace of the container's own", () => {
  assert.deepEqual(planSysctls({}, "", true), {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
  });
  assert.deepEqual(planSysctls({ Sysctls: { "net/ipv4/ip_unprivileged_port_start": "80" } }, "d.example", true), {
    "net.ipv4.ip_unprivileged_port_start": "80",
    "net.ipv4.ping_group_range": "0 2147483647",
    "kernel.domainname": "d.example",
  });
  assert.deepEqual(planSysctls({}, "", false), {});
});
