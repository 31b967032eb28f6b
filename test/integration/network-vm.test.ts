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

/** Each line `name=value` is one fact; `NAME=yes` and `no` are what `try` found. The asserts are out here. */
const script = String.raw`
# The shell would take busybox's own.
ip() { /usr/sbin/ip "$@"; }
nsenter() { /usr/bin/nsenter "$@"; }
lan() { /usr/bin/nsenter --net=/run/netns/lan "$@"; }
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo $name=yes; else echo $name=no; fi; }
said() { name=$1; shift; echo $name=$("$@" 2>&1 | tr '\n' ' '); }
ping4() { c=$1; shift; gantry exec $c ping -c 1 -W 3 "$@"; }
start() { gantryd --cgroup-parent /gantry-vm >>/var/log/gantryd.log 2>&1 &
  i=0; until gantry version >/dev/null 2>&1; do i=$((i+1)); [ $i -gt 300 ] && { cat /var/log/gantryd.log; exit 1; }; sleep 0.2; done; }
address() { gantry inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' $1; }
up() { name=$1; network=$2; shift 2; gantry run -d --name $name --network $network "$@" busybox sleep 1000 >/dev/null || echo failed=$name; }

for s in ipvlan vlan dummy; do
  ip netns add $s; ip -n $s link set lo up
  nsenter --net=/run/netns/$s ${guestNode} /source/test/support/driver-cases.ts $s >/suite.$s 2>&1 &
  suites="$suites $!"
done

ip netns add lan; ip -n lan link set lo up
for n in 0 1 2; do ip link add name up$n type veth peer name lan$n netns lan; ip link set up$n up; ip -n lan link set lan$n up; done
ip address add 10.50.0.2/24 dev up0; ip -n lan address add 10.50.0.1/24 dev lan0; ip -n lan address add 10.51.0.1/24 dev lan0
ip -n lan address add fd00:50::1/64 nodad dev lan0
ip -n lan link add link lan0 name lan0.10 type vlan id 10; ip -n lan link set lan0.10 up; ip -n lan address add 10.60.0.1/24 dev lan0.10
ip address add 10.72.0.2/24 dev up1; ip -n lan address add 10.72.0.1/24 dev lan1; ip -n lan route add 10.71.0.0/24 via 10.72.0.2
ip -n lan address add 10.80.0.1/24 dev lan2
start

gantry network create -d macvlan -o parent=up0 --subnet 10.50.0.0/24 --gateway 10.50.0.1 --ip-range 10.50.0.64/26 --ipv6 --subnet fd00:50::/64 --gateway fd00:50::1 mv >/dev/null
up m1 mv --ip 10.50.0.70; up m2 mv
try mac_pair ping4 m1 $(address m2)
try mac_name ping4 m1 m2
try mac_gateway ping4 m1 10.50.0.1
try mac_gateway6 ping4 m1 -6 fd00:50::1
try mac_from_lan lan ping -c 1 -W 3 10.50.0.70
try mac_from_host ping -c 1 -W 1 10.50.0.70
said mac_kind gantry exec m1 ip -o route show default

gantry network create -d macvlan -o parent=up0 -o macvlan_mode=private --subnet 10.51.0.0/24 --gateway 10.51.0.1 priv >/dev/null
up p1 priv; up p2 priv
try private_pair ping4 p1 $(address p2)
try private_lan ping4 p1 10.51.0.1
try private_other ping4 p1 -c 1 10.50.0.70

gantry network create -d macvlan -o parent=up0.10 --subnet 10.60.0.0/24 --gateway 10.60.0.1 tagged >/dev/null
up v1 tagged
try vlan_lan ping4 v1 10.60.0.1
try vlan_untagged ping4 v1 10.50.0.70

gantry network create -d macvlan -o parent=up1 -o macvlan_mode=passthru --subnet 10.52.0.0/24 pass >/dev/null
up t1 pass
said pass_second gantry run --rm --network pass busybox true
gantry rm -f t1 >/dev/null; gantry network rm pass >/dev/null

gantry network create -d ipvlan -o parent=up2 --subnet 10.80.0.0/24 --gateway 10.80.0.1 ip2 >/dev/null
up i1 ip2; up i2 ip2
try ip2_pair ping4 i1 i2
try ip2_lan ping4 i1 10.80.0.1
try ip2_from_lan lan ping -c 1 -W 3 $(address i1)
said ip2_taken gantry network create -d ipvlan -o parent=up2 ip2b

gantry network create -d ipvlan -o parent=up1 -o ipvlan_mode=l3 --subnet 10.71.0.0/24 ip3 >/dev/null
up l1 ip3; up l2 ip3
try ip3_pair ping4 l1 l2
try ip3_lan ping4 l1 10.72.0.1
try ip3_from_lan lan ping -c 1 -W 3 $(address l1)
said ip3_route gantry exec l1 ip route show default

gantry network create -d macvlan --subnet 10.90.0.0/24 lone >/dev/null
up d1 lone; up d2 lone
try lone_pair ping4 d1 d2
try lone_lan ping4 d1 10.50.0.1

gantry network create --ipv6 both >/dev/null
up s1 both -p 9000:9000/sctp -p 8080:80
gantry exec -d s1 httpd -f -p 80 -h /etc
nsenter -t $(gantry inspect --format '{{.State.Pid}}' s1) -n /sctp-talk serve 9000 &
try bridge_mac ping4 s1 10.50.0.70
said http_lan lan wget -T 5 -q -O- http://10.50.0.2:8080/hostname
said sctp_lan lan /sctp-talk ask 10.50.0.2 9000
said sctp_own /sctp-talk ask 10.50.0.2 9000

kill -9 $(cat /run/gantry/gantryd.pid); sleep 0.5
start
try after_pair ping4 m1 m2
try after_ip3 ping4 l1 10.72.0.1
said after_sctp lan /sctp-talk ask 10.50.0.2 9000
up m3 mv
try after_new ping4 m3 m1
said health gantry system check

ip link add name stale0 type bridge; ip link set stale0 alias "gantry 0123456789ab"
said stale gantry system check
said repaired gantry system check --repair
try stale_left ip link show stale0

gantry rm -f m1 m2 m3 p1 p2 v1 i1 i2 l1 l2 d1 d2 s1 >/dev/null
gantry network rm mv priv tagged ip2 ip3 lone both >/dev/null
echo links=$(ip -brief link | cut -d' ' -f1 | cut -d@ -f1 | sort | tr '\n' ' ')
wait $suites
cat /suite.*
tail -n 5 /var/log/gantryd.log
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
  private_other: "no",
  vlan_lan: "yes",
  vlan_untagged: "no",
  ip2_pair: "yes",
  ip2_lan: "yes",
  ip2_from_lan: "yes",
  ip3_pair: "yes",
  ip3_lan: "yes",
  ip3_from_lan: "yes",
  ip3_route: "default dev eth0",
  lone_pair: "yes",
  lone_lan: "no",
  sctp_lan: "hello 10.50.0.1",
  after_pair: "yes",
  after_ip3: "yes",
  after_sctp: "hello 10.50.0.1",
  after_new: "yes",
  stale_left: "no",
  links: "gantry0 lo up0 up1 up2",
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
  assert.equal(facts["failed"], undefined, output);
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, facts[name]])), expected, output);
  assert.match(facts["pass_second"] ?? "", /passthru|already/, output);
  assert.match(facts["ip2_taken"] ?? "", /is already using parent interface up2/, output);
  assert.doesNotMatch(facts["health"] ?? "", /F\d/, output);
  assert.match(facts["stale"] ?? "", /F6.*stale0/, output);
  const cases = casesOf(output);
  assert.equal(cases.length, 25, output);
  for (const { title, wrong } of cases) await t.test(title, () => assert.equal(wrong, ""));
});
