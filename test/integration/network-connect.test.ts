// Containers on several networks: at create and start, connected and disconnected while they run, with static addresses, both
// families, priorities for the gateway, names, links; and what a daemon that was killed in between makes of it.

import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import { buildBundle } from "../support/bundle.ts";
import { startDaemon, type TestDaemon, type TestDaemonOptions } from "../support/daemon.ts";

async function startWithImage(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await startDaemon({ ...options, args: ["--embedded-image=", ...(options.args ?? [])] });
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  return daemon;
}

const asleep = ["busybox", "sleep", "100000"];

async function runAsleep(daemon: TestDaemon, name: string, ...flags: readonly string[]): Promise<string> {
  return daemon.dockerOk(["run", "-d", "--name", name, ...flags, ...asleep]);
}

/** In a container, by its shell. */
function inside(daemon: TestDaemon, name: string, script: string): Promise<string> {
  return daemon.dockerOk(["exec", name, "sh", "-c", script]);
}

/** "eth0 172.18.0.2/16" …, in the order of the interfaces. */
async function addresses(daemon: TestDaemon, name: string): Promise<readonly string[]> {
  const text = await inside(daemon, name, "ip -o addr show scope global");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [, device = "", , address = ""] = line.trim().split(/\s+/);
      return `${device} ${address}`;
    })
    .toSorted();
}

interface Shown {
  readonly Id: string;
  readonly State: { readonly Pid: number; readonly Status: string };
  readonly HostConfig: { readonly Links: readonly string[] | null };
  readonly NetworkSettings: {
    readonly SandboxKey: string;
    readonly IPAddress: string;
    readonly Networks: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

async function inspect(daemon: TestDaemon, name: string): Promise<Shown> {
  return (JSON.parse(await daemon.dockerOk(["inspect", name])) as readonly Shown[])[0] as Shown;
}

async function healthy(daemon: TestDaemon): Promise<void> {
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
}

async function refused(
  daemon: TestDaemon,
  path: string,
  body: unknown,
  status: number,
  message: string | RegExp,
): Promise<void> {
  const answer = await daemon.api("POST", path, body);
  const said = (answer.json as { readonly message?: string } | undefined)?.message ?? answer.text;
  assert.equal(answer.status, status, said);
  if (typeof message === "string") assert.equal(said, message);
  else assert.match(said, message);
}

test("a container is on all the networks that it asks for, in order of priority and name", async () => {
  await using daemon = await startWithImage();
  for (const [name, subnet] of [
    ["zz", "10.61.0.0/24"],
    ["aa", "10.62.0.0/24"],
    ["mm", "10.63.0.0/24"],
  ] as const)
    await daemon.dockerOk(["network", "create", "--subnet", subnet, name]);
  const networks = ["--network", "zz", "--network", "name=mm,gw-priority=7,alias=foo", "--network", "aa"];
  await runAsleep(daemon, "one", ...networks);
  assert.deepEqual(await addresses(daemon, "one"), ["eth0 10.63.0.2/24", "eth1 10.62.0.2/24", "eth2 10.61.0.2/24"]);
  assert.match(await inside(daemon, "one", "ip route"), /^default via 10\.63\.0\.1 dev eth0/);
  const { NetworkSettings: settings } = await inspect(daemon, "one");
  assert.deepEqual(Object.keys(settings.Networks), ["aa", "mm", "zz"]);
  const { EndpointID, NetworkID, MacAddress, DNSNames, ...mm } = settings.Networks["mm"] ?? {};
  assert.match(String(EndpointID), /^[0-9a-f]{64}$/);
  assert.match(String(NetworkID), /^[0-9a-f]{64}$/);
  assert.equal(MacAddress, await inside(daemon, "one", "cat /sys/class/net/eth0/address"));
  assert.deepEqual((DNSNames as readonly string[]).slice(0, 2), ["one", "foo"]);
  assert.deepEqual(mm, {
    IPAMConfig: null,
    Links: null,
    Aliases: ["foo"],
    DriverOpts: null,
    GwPriority: 7,
    Gateway: "10.63.0.1",
    IPAddress: "10.63.0.2",
    IPPrefixLen: 24,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
  });
  // Not on the default bridge: the fields from before networks had names stay empty.
  assert.equal(settings.IPAddress, "");
  const hosts = await inside(daemon, "one", "cat /etc/hosts");
  for (const address of ["10.61.0.2", "10.62.0.2", "10.63.0.2"]) assert.match(hosts, new RegExp(`^${address}\\t`, "m"));
  assert.match(
    await inside(daemon, "one", "cat /etc/resolv.conf"),
    /^nameserver 127\.0\.0\.11\n(?:.*\n)*options .*ndots:0/m,
  );
  await healthy(daemon);
});

test("a container is connected and disconnected while it runs, and traffic on its other network goes on", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "one"]);
  await daemon.dockerOk(["network", "create", "--subnet", "10.62.0.0/24", "two"]);
  await runAsleep(daemon, "server", "--network", "one", "--ip", "10.61.0.9");
  await runAsleep(daemon, "other", "--network", "two", "--ip", "10.62.0.9");
  await runAsleep(daemon, "client", "--network", "one");
  const inode = (): number => statSync(join(daemon.dataRoot, "containers", id, "hosts")).ino;
  const { Id: id, NetworkSettings: before } = await inspect(daemon, "client");
  const hostsInode = inode();
  const stream = daemon.docker(["exec", "client", "ping", "-i", "0.05", "-c", "100", "-q", "10.61.0.9"]);
  for (let n = 0; n < 10; n++) {
    await daemon.dockerOk(["network", "connect", "two", "client"]);
    await inside(daemon, "client", "ping -c 1 -W 2 10.62.0.9");
    await daemon.dockerOk(["network", "disconnect", "two", "client"]);
  }
  const { stdout } = await stream;
  assert.match(stdout, /100 packets received, 0% packet loss/);
  await daemon.dockerOk(["network", "connect", "--alias", "al", "two", "client"]);
  const { NetworkSettings: after } = await inspect(daemon, "client");
  assert.deepEqual(after.Networks["one"], before.Networks["one"]);
  assert.equal(after.SandboxKey, before.SandboxKey);
  const hosts = await inside(daemon, "client", "cat /etc/hosts");
  assert.match(hosts, new RegExp(`^${String(after.Networks["two"]?.["IPAddress"])}\\t`, "m"));
  assert.equal(inode(), hostsInode);
  await daemon.dockerOk(["network", "disconnect", "one", "client"]);
  assert.deepEqual(
    (await addresses(daemon, "client")).map((line) => line.split(" ")[1]),
    [`${String(after.Networks["two"]?.["IPAddress"])}/24`],
  );
  assert.match(await inside(daemon, "client", "ip route"), /^default via 10\.62\.0\.1/);
  assert.doesNotMatch(await inside(daemon, "client", "cat /etc/hosts"), /^10\.61\./m);
  await healthy(daemon);
});

test("who is connected while it does not run is so at its next start; networks are kept over stop and restart", async () => {
  await using daemon = await startWithImage();
  for (const name of ["one", "two", "three"]) await daemon.dockerOk(["network", "create", name]);
  await daemon.dockerOk(["create", "--name", "box", "--network", "one", ...asleep]);
  await daemon.dockerOk(["network", "connect", "--alias", "x", "two", "box"]);
  const created = (await inspect(daemon, "box")).NetworkSettings;
  assert.deepEqual(Object.keys(created.Networks), ["one", "two"]);
  assert.deepEqual(created.Networks["two"]?.["Aliases"], ["x"]);
  assert.equal(created.Networks["two"]?.["IPAddress"], "");
  await daemon.dockerOk(["start", "box"]);
  assert.equal((await addresses(daemon, "box")).length, 2);
  await daemon.dockerOk(["network", "connect", "three", "box"]);
  await daemon.dockerOk(["network", "disconnect", "one", "box"]);
  await daemon.dockerOk(["restart", "-t", "0", "box"]);
  assert.deepEqual(Object.keys((await inspect(daemon, "box")).NetworkSettings.Networks), ["three", "two"]);
  assert.equal((await addresses(daemon, "box")).length, 2);
  await daemon.dockerOk(["stop", "-t", "0", "box"]);
  const stopped = (await inspect(daemon, "box")).NetworkSettings;
  assert.deepEqual(
    [stopped.SandboxKey, stopped.Networks["two"]?.["IPAddress"], stopped.Networks["two"]?.["Aliases"]],
    ["", "", ["x"]],
  );
  for (const name of ["two", "three"]) await daemon.dockerOk(["network", "disconnect", name, "box"]);
  await daemon.dockerOk(["start", "box"]);
  assert.deepEqual(await addresses(daemon, "box"), []);
  assert.deepEqual((await inspect(daemon, "box")).NetworkSettings.Networks, {});
  await daemon.dockerOk(["network", "connect", "one", "box"]);
  assert.equal((await addresses(daemon, "box")).length, 1);
  await daemon.dockerOk(["pause", "box"]);
  await daemon.dockerOk(["network", "connect", "two", "box"]);
  await daemon.dockerOk(["unpause", "box"]);
  assert.equal((await addresses(daemon, "box")).length, 2);
  await healthy(daemon);
});

test("what cannot be connected is refused in dockerd's words, and nothing of it stays", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "auto"]);
  await daemon.dockerOk(["network", "create", "--subnet", "10.66.0.0/24", "sub"]);
  const id = await runAsleep(daemon, "run", "--network", "auto");
  await runAsleep(daemon, "hst", "--network", "host");
  await runAsleep(daemon, "non", "--network", "none");
  await runAsleep(daemon, "cc", "--network", "container:run");
  await runAsleep(daemon, "holder", "--network", "sub", "--ip", "10.66.0.5");
  const shared =
    "container sharing network namespace with another container or host cannot be connected to any other network";
  const none = "container cannot be connected to multiple networks with one of the networks in private (none) mode";
  const connect = (network: string, body: unknown, status: number, message: string | RegExp): Promise<void> =>
    refused(daemon, `/networks/${network}/connect`, body, status, message);
  const disconnect = (network: string, body: unknown, status: number, message: string | RegExp): Promise<void> =>
    refused(daemon, `/networks/${network}/disconnect`, body, status, message);
  await connect("auto", { Container: "run" }, 403, "endpoint with name run already exists in network auto");
  await connect("nope", { Container: "run" }, 404, "network nope not found");
  await connect("sub", { Container: "nope" }, 404, "No such container: nope");
  await connect("sub", {}, 400, 'invalid name or ID supplied: ""');
  await connect("sub", { Container: 5 }, 400, /cannot unmarshal number into Go struct field ConnectOptions\.Container/);
  await connect(
    "host",
    { Container: "run" },
    400,
    /^cannot connect container to host network - container must be created/,
  );
  await connect("none", { Container: "run" }, 400, none);
  await connect("sub", { Container: "hst" }, 400, shared);
  await connect("sub", { Container: "non" }, 400, none);
  await connect("sub", { Container: "cc" }, 400, shared);
  const settings = (EndpointConfig: object): object => ({ Container: "run", EndpointConfig });
  const invalid = (text: string): string => `invalid endpoint settings:\n${text}`;
  await connect(
    "bridge",
    settings({ Aliases: ["q"] }),
    400,
    invalid("network-scoped alias is supported only for containers in user defined networks"),
  );
  await connect("sub", settings({ IPAMConfig: { IPv4Address: "10.66.0.5" } }), 403, /[Aa]ddress already in use/);
  await connect(
    "sub",
    settings({ IPAMConfig: { IPv4Address: "10.67.0.5" } }),
    400,
    invalid("no configured subnet or ip-range contain the IP address 10.67.0.5"),
  );
  await connect("sub", settings({ MacAddress: "foo" }), 400, "invalid MAC address foo");
  const sysctls = { DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.ip_forward=1" } };
  await connect("sub", settings(sysctls), 400, /^invalid endpoint settings:\n.*net\.ipv4\.ip_forward/);
  await disconnect("sub", { Container: "run" }, 500, `container ${id} is not connected to network sub`);
  await disconnect("sub", { Container: "nope", Force: true }, 404, "endpoint nope not found");
  await disconnect("host", { Container: "hst" }, 400, /^cannot disconnect container from host network/);
  await disconnect("auto", { Container: "cc" }, 500, /is not connected to network auto$/);
  assert.deepEqual(Object.keys((await inspect(daemon, "run")).NetworkSettings.Networks), ["auto"]);
  // A sysctl that the kernel does not have is met when the interface is made: the change is taken back whole.
  const unknown = { DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.nonono=1" } };
  await connect("sub", settings(unknown), 500, /nonono/);
  assert.deepEqual(Object.keys((await inspect(daemon, "run")).NetworkSettings.Networks), ["auto"]);
  assert.equal((await addresses(daemon, "run")).length, 1);
  const good = { DriverOpts: { "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1" } };
  assert.equal((await daemon.api("POST", "/networks/sub/connect", settings(good))).status, 200);
  assert.equal(await inside(daemon, "run", "cat /proc/sys/net/ipv4/conf/eth1/log_martians"), "1");
  await healthy(daemon);
});

test("static addresses of both families, IPv6 alone, and the gateway of each", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--ipv6", "--subnet", "10.66.0.0/24", "--subnet", "fd66::/64", "dual"]);
  await daemon.dockerOk(["network", "create", "--ipv6", "--ipv4=false", "--subnet", "fd67::/64", "six"]);
  await daemon.dockerOk(["network", "create", "--subnet", "10.68.0.0/24", "four"]);
  await runAsleep(
    daemon,
    "ca",
    "--network",
    "dual",
    "--ip",
    "10.66.0.77",
    "--ip6",
    "fd66::77",
    "--mac-address",
    "02:00:00:00:00:77",
  );
  assert.deepEqual(await addresses(daemon, "ca"), ["eth0 10.66.0.77/24", "eth0 fd66::77/64"]);
  assert.equal(await inside(daemon, "ca", "cat /sys/class/net/eth0/address"), "02:00:00:00:00:77");
  await runAsleep(daemon, "cb", "--network", "six");
  assert.deepEqual(await addresses(daemon, "cb"), ["eth0 fd67::2/64"]);
  assert.match(await inside(daemon, "cb", "cat /etc/hosts"), /^fd67::2\t/m);
  assert.match(await inside(daemon, "cb", "ip -6 route"), /default via fd67::1 dev eth0/);
  assert.equal(await inside(daemon, "cb", "ip route"), "");
  // IPv4 goes by the one, IPv6 by the other.
  await runAsleep(daemon, "box", "--network", "four", "--network", "six");
  assert.match(await inside(daemon, "box", "ip route"), /default via 10\.68\.0\.1/);
  assert.match(await inside(daemon, "box", "ip -6 route"), /default via fd67::1/);
  await inside(daemon, "box", "ping -6 -c 1 -W 3 fd67::2");
  await daemon.dockerOk(["network", "connect", "--ip6", "fd66::99", "dual", "box"]);
  await inside(daemon, "box", "ping -6 -c 1 -W 3 fd66::77 && ping -c 1 -W 3 10.66.0.77");
  const shown = (await inspect(daemon, "box")).NetworkSettings.Networks["dual"];
  assert.deepEqual(
    [shown?.["GlobalIPv6Address"], shown?.["GlobalIPv6PrefixLen"], shown?.["IPv6Gateway"]],
    ["fd66::99", 64, "fd66::1"],
  );
  await healthy(daemon);
});

test("an address that is asked for and taken is refused before anything starts", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--subnet", "10.66.0.0/29", "small"]);
  await daemon.dockerOk(["network", "create", "other"]);
  await runAsleep(daemon, "ca", "--network", "small", "--ip", "10.66.0.3");
  const taken = await daemon.docker([
    "run",
    "--name",
    "cb",
    "--network",
    "other",
    "--network",
    "name=small,ip=10.66.0.3",
    ...asleep,
  ]);
  assert.match(taken.stderr, /failed to set up container networking: .*[Aa]ddress already in use/);
  assert.equal((await inspect(daemon, "cb")).State.Status, "created");
  for (const name of ["box", "cd", "ce", "cf"]) await runAsleep(daemon, name, "--network", "small");
  const full = await daemon.docker(["run", "--name", "cg", "--network", "other", "--network", "small", ...asleep]);
  assert.match(full.stderr, /no available IPv4 addresses on this network's address pools: small/);
  const members = JSON.parse(await daemon.dockerOk(["network", "inspect", "other"])) as readonly [
    { readonly Containers: object },
  ];
  assert.deepEqual(members[0].Containers, {});
  await healthy(daemon);
});

test("names of containers, aliases and links are answered on their networks, and follow every change", async () => {
  await using daemon = await startWithImage();
  for (const name of ["front", "back"]) await daemon.dockerOk(["network", "create", name]);
  await runAsleep(daemon, "db", "--network", "back", "--network-alias", "store");
  await runAsleep(daemon, "web", "--network", "front");
  const resolves = async (name: string): Promise<boolean> =>
    (await daemon.docker(["exec", "web", "ping", "-c", "1", "-W", "2", name])).code === 0;
  assert.equal(await resolves("db"), false);
  await daemon.dockerOk(["network", "connect", "--link", "db:linked", "back", "web"]);
  for (const name of ["db", "store", "linked"]) assert.equal(await resolves(name), true, name);
  await daemon.dockerOk(["rename", "db", "db2"]);
  assert.deepEqual([await resolves("db2"), await resolves("db")], [true, false]);
  await daemon.dockerOk(["restart", "-t", "0", "db2"]);
  assert.equal(await resolves("store"), true);
  await daemon.restart();
  assert.equal(await resolves("db2"), true);
  await daemon.dockerOk(["network", "disconnect", "back", "web"]);
  assert.equal(await resolves("db2"), false);
  await healthy(daemon);
});

test("links on the default bridge: lines of hosts that follow, variables, names in inspect", async () => {
  await using daemon = await startWithImage();
  await runAsleep(daemon, "db", "--expose", "5432", "-e", "PW=x", "--hostname", "dbh");
  await runAsleep(daemon, "web", "--link", "db:DB");
  const address = (await inspect(daemon, "db")).NetworkSettings.IPAddress;
  const env = (await inside(daemon, "web", "env")).split("\n");
  for (const line of [
    `DB_PORT=tcp://${address}:5432`,
    `DB_PORT_5432_TCP_ADDR=${address}`,
    "DB_PORT_5432_TCP_PORT=5432",
    "DB_PORT_5432_TCP_PROTO=tcp",
    "DB_NAME=/web/DB",
    "DB_ENV_PW=x",
  ])
    assert.ok(env.includes(line), line);
  assert.match(await inside(daemon, "web", "cat /etc/hosts"), new RegExp(`^${address}\\tDB dbh db$`, "m"));
  assert.deepEqual((await inspect(daemon, "web")).HostConfig.Links, ["/db:/web/DB"]);
  await daemon.dockerOk(["restart", "-t", "0", "db"]);
  const now = (await inspect(daemon, "db")).NetworkSettings.IPAddress;
  assert.notEqual(now, address);
  const hosts = await inside(daemon, "web", "cat /etc/hosts");
  assert.match(hosts, new RegExp(`^${now}\\tDB dbh db$`, "m"));
  assert.doesNotMatch(hosts, new RegExp(`^${address}\\t`, "m"));
  await daemon.dockerOk(["rename", "db", "db2"]);
  assert.deepEqual((await inspect(daemon, "web")).HostConfig.Links, ["/db2:/web/DB"]);
  const missing = await daemon.docker(["run", "--link", "nodb:x", "busybox", "true"]);
  assert.match(missing.stderr, /could not get container for nodb: No such container: nodb/);
  await daemon.dockerOk(["stop", "-t", "0", "db2"]);
  const stopped = await daemon.docker(["run", "--name", "late", "--link", "db2:x", "busybox", "true"]);
  assert.match(stopped.stderr, /Cannot link to a non running container: \/db2 AS \/late\/x/);
});

test("what somebody wrote into hosts and resolv.conf stays when the networks change", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "one"]);
  const id = await runAsleep(daemon, "box");
  await inside(daemon, "box", "echo 192.0.2.1 mine >> /etc/hosts; echo '# mine' >> /etc/resolv.conf");
  await daemon.dockerOk(["network", "connect", "one", "box"]);
  await daemon.dockerOk(["network", "disconnect", "bridge", "box"]);
  const read = (name: string): string => readFileSync(join(daemon.dataRoot, "containers", id, name), "utf8");
  const own = String((await inspect(daemon, "box")).NetworkSettings.Networks["one"]?.["IPAddress"]);
  assert.match(read("hosts"), /^192\.0\.2\.1 mine$/m);
  assert.match(read("hosts"), new RegExp(`^${own}\\t`, "m"));
  assert.doesNotMatch(read("hosts"), /^172\.17\./m);
  assert.match(read("resolv.conf"), /# mine/);
  assert.doesNotMatch(read("resolv.conf"), /127\.0\.0\.11/);
});

test("network events name the container, at start, at the end, and at each change", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "one"]);
  const since = Math.floor(Date.now() / 1000) - 1;
  const id = await runAsleep(daemon, "box");
  await daemon.dockerOk(["network", "connect", "one", "box"]);
  await daemon.dockerOk(["network", "disconnect", "one", "box"]);
  await daemon.dockerOk(["rm", "-f", "box"]);
  const filters = encodeURIComponent(JSON.stringify({ type: ["network"], event: ["connect", "disconnect"] }));
  const until = Math.floor(Date.now() / 1000) + 1;
  const { text } = await daemon.api("GET", `/events?since=${since}&until=${until}&filters=${filters}`);
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly Action: string; readonly Actor: { readonly Attributes: object } });
  assert.deepEqual(
    events.map(({ Action, Actor }) => [Action, Actor.Attributes]),
    [
      ["connect", { container: id, name: "bridge", type: "bridge" }],
      ["connect", { container: id, name: "one", type: "bridge" }],
      ["disconnect", { container: id, name: "one", type: "bridge" }],
      ["disconnect", { container: id, name: "bridge", type: "bridge" }],
    ],
  );
});

test("published ports follow the network that leads outside: none on an internal one, then one, then the other", async () => {
  await using daemon = await startWithImage();
  await daemon.dockerOk(["network", "create", "--internal", "inside"]);
  for (const name of ["one", "two"]) await daemon.dockerOk(["network", "create", name]);
  const script = "while true; do echo served | nc -l -p 80; done";
  const ports = ["-p", "18080:80"];
  await daemon.dockerOk(["run", "-d", "--name", "web", "--network", "inside", ...ports, "busybox", "sh", "-c", script]);
  const fetch = async (address: string): Promise<string> =>
    (await daemon.inNamespace(["/bin/busybox", "nc", "-w", "2", address, "18080"])).stdout.trim();
  const published = async (): Promise<string> => daemon.dockerOk(["port", "web"]);
  assert.equal(await published(), "");
  assert.equal(await fetch("127.0.0.1"), "");
  await daemon.dockerOk(["network", "connect", "one", "web"]);
  assert.match(await published(), /^80\/tcp -> 0\.0\.0\.0:18080/);
  assert.equal(await fetch("127.0.0.1"), "served");
  // Another container cannot have it now, and can when it is let go.
  const clash = await daemon.docker(["run", "--name", "late", ...ports, ...asleep]);
  assert.match(clash.stderr, /port is already allocated.*web/);
  await daemon.dockerOk(["network", "connect", "two", "web"]);
  await daemon.dockerOk(["network", "disconnect", "one", "web"]);
  await daemon.restart();
  assert.equal(await fetch("127.0.0.1"), "served");
  await daemon.dockerOk(["network", "disconnect", "two", "web"]);
  assert.equal(await published(), "");
  await daemon.dockerOk(["start", "late"]);
  await healthy(daemon);
});

test("a daemon that is killed at any step of a change leaves what its next start makes true", async () => {
  using bundle = buildBundle();
  await using daemon = await startWithImage({ bundle: bundle.dir });
  await daemon.dockerOk(["network", "create", "--subnet", "10.61.0.0/24", "one"]);
  await daemon.dockerOk(["network", "create", "--subnet", "10.62.0.0/24", "two"]);
  await runAsleep(daemon, "box", "--network", "one");
  for (const verb of ["connect", "disconnect"]) {
    for (const step of ["decided", "intended", "told", "written"]) {
      for (const kind of ["kill9", "error"]) {
        const context = `${kind} at ${step} of ${verb}`;
        await daemon.stop();
        await daemon.start({ GANTRY_FAILPOINTS: `container.network.${step}=${kind}` });
        await daemon.api("POST", `/networks/two/${verb}`, { Container: "box" }).catch(() => undefined);
        await daemon.kill9();
        await daemon.start();
        const { Networks } = (await inspect(daemon, "box")).NetworkSettings;
        const shown = Object.values(Networks).map((network) => `${String(network["IPAddress"])}/24`);
        const real = (await addresses(daemon, "box")).map((line) => line.split(" ")[1] ?? "");
        assert.deepEqual(real.toSorted(), shown.toSorted(), context);
        const hosts = await inside(daemon, "box", "cat /etc/hosts");
        for (const address of shown) assert.ok(hosts.includes(address.split("/")[0] ?? "?"), context);
        await healthy(daemon);
        // The other way round for the next step.
        const wanted = verb === "connect" ? "disconnect" : "connect";
        await daemon.api("POST", `/networks/two/${wanted}`, { Container: "box" });
      }
    }
  }
});

test("the daemon is killed while a hundred containers are connected and disconnected at once", async () => {
  await using daemon = await startWithImage();
  for (const name of ["one", "two"]) await daemon.dockerOk(["network", "create", name]);
  const names = Array.from({ length: 100 }, (_, n) => `c${n}`);
  const each = async (work: (name: string) => Promise<unknown>): Promise<void> => {
    await Promise.all(names.map(work));
  };
  const ok = async (path: string, body?: unknown): Promise<void> => {
    const answer = await daemon.api("POST", path, body);
    assert.ok(answer.status < 300, `${path}: ${answer.text}`);
  };
  const config = { Image: "busybox", Cmd: ["sleep", "100000"], HostConfig: { NetworkMode: "one" } };
  await each((name) => ok(`/containers/create?name=${name}`, config));
  await each((name) => ok(`/containers/${name}/start`));
  await each((name) => ok("/networks/two/connect", { Container: name }));
  const [two] = JSON.parse(await daemon.dockerOk(["network", "inspect", "two"])) as readonly [
    { readonly Containers: Readonly<Record<string, { readonly IPv4Address: string }>> },
  ];
  const given = Object.values(two.Containers).map(({ IPv4Address }) => IPv4Address);
  assert.equal(new Set(given).size, 100);
  await each((name) => ok("/networks/two/disconnect", { Container: name }));
  const calls = names.map((name) =>
    daemon.api("POST", "/networks/two/connect", { Container: name }).catch(() => undefined),
  );
  await sleep(30);
  await daemon.kill9();
  await Promise.all(calls);
  await daemon.start();
  await healthy(daemon);
  const lists = await Promise.all(names.slice(0, 20).map((name) => addresses(daemon, name)));
  for (const [index, list] of lists.entries()) {
    const { Networks } = (await inspect(daemon, `c${index}`)).NetworkSettings;
    assert.equal(list.length, Object.keys(Networks).length);
  }
  await each((name) => daemon.api("DELETE", `/containers/${name}?force=1`));
  const [after] = JSON.parse(await daemon.dockerOk(["network", "inspect", "two"])) as readonly [
    { readonly Containers: object },
  ];
  assert.deepEqual(after.Containers, {});
  await healthy(daemon);
});
