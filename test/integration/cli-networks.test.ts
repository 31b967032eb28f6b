// What the CLI prints about networks and ports, byte for byte beside the docker CLI on the same socket; what changes something
// is undone before the other's turn. Skipped where there is no docker CLI.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { asGantry, type CliBench, hasDockerCli, startBench } from "../support/cli.ts";
import type { CommandResult } from "../support/daemon.ts";

const skip = hasDockerCli() ? false : "no docker CLI 28 or newer on PATH to compare with";

let bench: CliBench;

async function gantryOk(line: string): Promise<void> {
  const { code, stderr } = await bench.gantry(line.split(" "));
  assert.equal(code, 0, `${line}: ${stderr}`);
}

before(async () => {
  if (skip !== false) return;
  bench = await startBench();
  await gantryOk("network create --subnet 10.99.0.0/24 --label a=b --label c=d net2");
  await gantryOk("network create --internal --ipv6 --subnet 10.99.1.0/24 --subnet fd00:99::/64 net10");
  const ports = "-p 8000-8002:80-82 -p 127.0.0.1:9000:90/udp -p 100 --expose 200 --expose 201-203/udp";
  await gantryOk(`run -d --name net-web --network net2 --network-alias w ${ports} busybox sleep 1000`);
  const more = "-p [::1]:8080:80 -p 81:81 -p 82:82 -p 83:83 -p 7000:84 -p 5000-5001:5000-5001/udp";
  await gantryOk(`run -d --name net-more ${more} busybox sleep 1000`);
  await gantryOk("create --name net-new -p 80:80 busybox sleep 1000");
  await gantryOk("network connect --ip 10.99.1.77 net10 net-web");
});

after(async () => {
  if (skip !== false) return;
  await bench.gantry(["rm", "-f", "net-web", "net-more", "net-new"]);
  await bench.gantry(["network", "rm", "net2", "net10"]);
  await bench[Symbol.asyncDispose]();
});

/** Ids are new each time, and docker joins labels and networks in the order in which Go walks a map: a new one each time. */
function comparable({ code, stdout, stderr }: CommandResult): CommandResult {
  const ids = /\b[0-9a-f]{64}\b/g;
  const lists = /(?<=^|\s)[\w=.-]+(?:,[\w=.-]+)+(?=\s|$)/g;
  const sorted = stdout.replaceAll(lists, (list) => list.split(",").sort().join());
  return { code, stdout: sorted.replaceAll(ids, "<id>"), stderr: asGantry(stderr).replaceAll(ids, "<id>") };
}

const shown: readonly (readonly string[])[] = [
  ["ps", "--format", "{{.Names}} {{.Ports}} {{.Networks}}"],
  ...["net-web", "net-more", "net-new", "nope"].map((name) => ["port", name]),
  ...["80", "80/tcp", "80/", "90", "90/udp", "200", "x", "70000", "080", ""].map((port) => ["port", "net-web", port]),
  ["network", "ls", "--format", "table {{.Name}}\\t{{.IPv4}}\\t{{.IPv6}}\\t{{.Internal}}\\t{{.Labels}}"],
  ["network", "ls", "--format", '{{.Name}} {{.Label "a"}} {{.CreatedAt}}'],
  ...["driver=bridge", "type=custom", "type=x", "name=net", "label=a=b", "dangling=true", "scope=x", "foo=x"].map(
    (filter) => ["network", "ls", "-f", filter],
  ),
  ["network", "inspect", "net2", "nope", "net10"],
  ["network", "inspect", "-v", "net2"],
  ["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}};{{end}}", "net10"],
  ["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}} {{len .Containers}} {{.EnableIPv6}}", "net10"],
  ["inspect", "-f", "{{json .NetworkSettings.Ports}}", "net-web", "net-more", "net-new"],
  ["inspect", "-f", '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "net-web"],
  [
    "inspect",
    "-f",
    "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}} {{$v.DNSNames}}{{end}}",
    "net-web",
  ],
  ["network", "connect", "net2", "net-web"],
  ["network", "connect", "nope", "net-web"],
  ["network", "connect", "net2", "nope"],
  ["network", "connect", "host", "net-web"],
  ["network", "connect", "--ip", "10.1.2.3", "net10", "net-more"],
  ["network", "disconnect", "net10", "net-more"],
  ["network", "disconnect", "-f", "net10", "nope"],
  ["network", "create", "net2"],
  ["network", "create", "bridge"],
  ["network", "create", "--subnet", "junk", "net-x"],
  ["network", "create", "--driver", "nope", "net-x"],
  ["network", "create", "--ipv4=false", "net-x"],
  ["network", "create", "--ipam-driver", "nope", "net-x"],
  ["network", "rm", "-f", "nope"],
  ["network", "prune", "-f", "--filter", "label=nope"],
  ["network", "prune", "-f", "--filter", "until=x"],
];

for (const argv of shown)
  test(`prints what docker prints: ${argv.join(" ")}`, { skip }, async () => {
    const docker = await bench.docker(argv);
    const gantry = await bench.gantry(argv);
    assert.deepEqual(comparable(gantry), comparable(docker));
  });

/** A command line, and what takes its effect back. */
const changes: readonly (readonly [string, string])[] = [
  ["network create net-made", "network rm net-made"],
  ["network create --ipv6 --label a --opt com.docker.network.driver.mtu=1400 net-made", "network rm net-made"],
  ["network connect --alias x --ip 10.99.0.50 net2 net-more", "network disconnect net2 net-more"],
  ["network connect --link net-web:ww --gw-priority 5 net2 net-more", "network disconnect net2 net-more"],
  ["network disconnect net10 net-web", "network connect net10 net-web"],
  ["run -d --name net-run --network host -p 80:80 busybox sleep 100", "rm -f net-run"],
  ["run -d --name net-run --network container:net-web -p 80:80 busybox sleep 100", "rm -f net-run"],
  ["run -d --name net-run --network net2 --ip 10.99.0.1 busybox sleep 100", "rm -f net-run"],
  ["run -d --name net-run --network nope busybox sleep 100", "rm -f net-run"],
  ["run -d --name net-run -p 8000:80 busybox sleep 100", "rm -f net-run"],
];

for (const [line, undo] of changes)
  test(`does and prints what docker does: ${line}`, { skip }, async () => {
    const docker = await bench.docker(line.split(" "));
    await bench.gantry(undo.split(" "));
    const gantry = await bench.gantry(line.split(" "));
    await bench.gantry(undo.split(" "));
    assert.deepEqual(comparable(gantry), comparable(docker));
  });

test("network rm goes on after a failure, and says every one", { skip }, async () => {
  await gantryOk("network create net-gone");
  const { code, stdout, stderr } = await bench.gantry(["network", "rm", "nope", "net-gone", "bridge"]);
  assert.deepEqual(
    { code, stdout, stderr },
    {
      code: 1,
      stdout: "net-gone\n",
      stderr:
        "Error response from daemon: network nope not found\nError response from daemon: bridge is a pre-defined network and cannot be removed\n",
    },
  );
});

test("prune says which networks it removed", { skip }, async () => {
  for (const argv of [
    ["network", "prune", "-f", "--filter", "label=prune-me"],
    ["system", "prune", "-f", "--filter", "label=prune-me"],
  ]) {
    await gantryOk("network create --label prune-me net-pruned");
    const docker = await bench.docker(argv);
    await gantryOk("network create --label prune-me net-pruned");
    const gantry = await bench.gantry(argv);
    assert.match(gantry.stdout, /^Deleted Networks:\nnet-pruned\n\n/);
    assert.deepEqual(gantry, docker);
  }
});
