// Networks on Debian's own kernel, which has what a test host's may lack: ipvlan, VLANs, dummies, SCTP. A virtual machine runs
// the drivers' suite and, beside it, the shipped bundle with containers and a "LAN" behind their parents.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { casesOf } from "../support/driver-lines.ts";
import { guestNode, runInVm } from "../support/vm.ts";

const root = join(import.meta.dirname, "../..");

const source = "/source/test/support";

/** Suites run beside the daemon's part, one after the other, and are shown after it: lines of several programs would mix. */
const script = String.raw`
for s in ipvlan vlan dummy; do
  /usr/sbin/ip netns add $s; /usr/sbin/ip -n $s link set lo up
  /usr/bin/nsenter --net=/run/netns/$s ${guestNode} ${source}/driver-cases.ts $s >/suite.$s 2>&1 ||
    echo "wrong suite $s: it ended with status $?" >>/suite.$s
done &
suites=$!
${guestNode} ${source}/network-guest.ts || { cat /var/log/gantryd.log; exit 1; }
wait $suites
cat /suite.*
`;

const expected = {
  mac_pair: "yes",
  mac_name: "yes",
  mac_gateway: "yes",
  mac_gateway6: "yes",
  mac_from_lan: "yes",
  mac_from_host: "no",
  private_pair: "no",
  private_lan: "yes",
  vlan_lan: "yes",
  vlan_untagged: "no",
  pass_lan: "yes",
  lone_pair: "yes",
  lone_lan: "no",
  ip2_pair: "yes",
  ip2_name: "yes",
  ip2_lan: "yes",
  ip2_from_lan: "yes",
  ip3_pair: "yes",
  ip3_lan: "yes",
  ip3_from_lan: "yes",
  sctp_lan: "hello 10.50.0.1",
  http_lan: "root:x:0:0:root:/root:/bin/sh",
  after_ip3: "yes",
  after_sctp: "hello 10.50.0.1",
  after_new: "yes",
  after_name: "yes",
  links: "gantry0",
};

test("macvlan and ipvlan containers, VLANs and SCTP ports work on a kernel that has them, and outlive the daemon", {
  timeout: 600_000,
  skip: process.arch === "x64" ? false : "the guest is x86-64",
}, async (t) => {
  const work = mkdtempSync(join(tmpdir(), "network-vm-"));
  t.after(() => rmSync(work, { recursive: true, force: true }));
  const talk = join(work, "sctp-talk");
  execFileSync("gcc", ["-O2", "-static", "-o", talk, join(root, "test/support/sctp-talk.c")]);
  const files = {
    [join(root, "src")]: "/source/src",
    [join(root, "test/support")]: "/source/test/support",
    [talk]: "/sctp-talk",
  };
  const { output, status } = await runInVm(script, 540_000, { files });
  assert.equal(status, 0, output);
  const facts = Object.fromEntries([...output.matchAll(/^(\w+)=(.*)$/gm)].map((m) => [m[1], (m[2] ?? "").trim()]));
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, facts[name]])), expected, output);
  assert.match(facts["ip3_route"] ?? "", /^default dev eth0/, output);
  assert.match(facts["pass_second"] ?? "", /network pass takes no more containers/, output);
  assert.match(facts["ip2_taken"] ?? "", /is already using parent interface up2/, output);
  assert.doesNotMatch(facts["health"] ?? "", /F\d/, output);
  assert.match(facts["stale"] ?? "", /F6.*stale0/, output);
  const cases = casesOf(output);
  assert.equal(cases.length, 25, output);
  for (const { title, wrong } of cases) await t.test(title, () => assert.equal(wrong, ""));
});
