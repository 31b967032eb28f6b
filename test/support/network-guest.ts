// Runs in a virtual machine, as one process because starting one is slow there: starts the shipped daemon, makes networks and
// containers over its API, and prints what reaches what as `name=value`. The asserts are in network-vm.test.ts.

import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const socketPath = "/run/gantry/gantry.sock";

function fact(name: string, value: string): void {
  process.stdout.write(`${name}=${value.trim().replaceAll("\n", " ")}\n`);
}

function ip(...args: readonly string[]): string {
  return execFileSync("/usr/sbin/ip", args, { encoding: "utf8" });
}

function linkNames(): readonly string[] {
  const links = JSON.parse(ip("-json", "link", "show")) as readonly { readonly ifname: string }[];
  return links.map(({ ifname }) => ifname).sort();
}

/** What a program says; "no: …" where it ends badly. */
function say(argv: readonly string[]): Promise<string> {
  const [file = "", ...args] = argv;
  return new Promise((resolve) => {
    execFile(file, args, { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve(error === null ? stdout : `no: ${stdout}${stderr}`),
    );
  });
}

const lan = ["/usr/bin/nsenter", "--net=/run/netns/lan"] as const;

async function works(argv: readonly string[]): Promise<string> {
  return (await say(argv)).startsWith("no: ") ? "no" : "yes";
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

function call(method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json" };
    const sent = request({ socketPath, method, path: `/v1.51${path}`, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const parsed: unknown = text.trim() === "" ? {} : JSON.parse(text);
        resolve({ status: response.statusCode ?? 0, body: parsed as Answer["body"] });
      });
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function must(method: string, path: string, body?: unknown): Promise<Answer["body"]> {
  const answer = await call(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

async function startDaemon(): Promise<ChildProcess> {
  const log = openSync("/var/log/gantryd.log", "a");
  const child = spawn("gantryd", ["--cgroup-parent", "/gantry-vm"], { stdio: ["ignore", log, log] });
  for (let tries = 0; tries < 400; tries += 1) {
    if (child.exitCode !== null) throw new Error(`gantryd ended with ${child.exitCode}`);
    const answered = await call("GET", "/version").catch(() => undefined);
    if (answered?.status === 200) return child;
    await sleep(200);
  }
  throw new Error("gantryd does not answer");
}

interface NetworkRequest {
  readonly driver: string;
  readonly subnets?: readonly (readonly [subnet: string, gateway: string, range?: string])[];
  readonly options?: Readonly<Record<string, string>>;
  readonly ipv6?: boolean;
}

function createNetwork(
  name: string,
  { driver, subnets = [], options = {}, ipv6 = false }: NetworkRequest,
): Promise<Answer> {
  const config = subnets.map(([Subnet, Gateway, IPRange]) => ({ Subnet, Gateway, IPRange }));
  const body = { Name: name, Driver: driver, Options: options, EnableIPv6: ipv6, IPAM: { Config: config } };
  return call("POST", "/networks/create", body);
}

async function makeNetwork(name: string, wanted: NetworkRequest): Promise<void> {
  const { status, body } = await createNetwork(name, wanted);
  if (status !== 201) throw new Error(`network ${name}: ${JSON.stringify(body)}`);
}

interface Running {
  readonly address: string;
  /** Runs a program of the container's image in its network and mount namespaces. */
  inside(...argv: readonly string[]): readonly string[];
  readonly pid: number;
}

async function run(
  name: string,
  network: string,
  more: Readonly<Record<string, unknown>> = {},
  address = "",
): Promise<Running> {
  const endpoint = address === "" ? {} : { IPAMConfig: { IPv4Address: address } };
  await must("POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    HostConfig: { NetworkMode: network, ...more },
    NetworkingConfig: { EndpointsConfig: { [network]: endpoint } },
  });
  await must("POST", `/containers/${name}/start`);
  const found = (await must("GET", `/containers/${name}/json`)) as {
    readonly State: { readonly Pid: number };
    readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
  };
  const pid = found.State.Pid;
  return {
    pid,
    address: found.NetworkSettings.Networks[network]?.IPAddress ?? "",
    inside: (...argv) => ["/usr/bin/nsenter", "-t", String(pid), "-m", "-n", ...argv],
  };
}

function ping(from: Running, to: string, ...options: readonly string[]): Promise<string> {
  return works(from.inside("/bin/ping", "-c", "1", "-W", "5", ...options, to));
}

/** For what shall not get through: a shorter wait, on a machine where an answer takes milliseconds. */
function knock(from: Running, to: string): Promise<string> {
  return works(from.inside("/bin/ping", "-c", "2", "-W", "1", to));
}

/** Three links to a namespace that is the LAN: untagged and VLAN 10 on the first, a router's net on the second. */
function makeLan(): void {
  ip("netns", "add", "lan");
  ip("-n", "lan", "link", "set", "lo", "up");
  for (const n of [0, 1, 2]) {
    ip("link", "add", "name", `up${n}`, "type", "veth", "peer", "name", `lan${n}`, "netns", "lan");
    ip("link", "set", "dev", `up${n}`, "up");
    ip("-n", "lan", "link", "set", "dev", `lan${n}`, "up");
  }
  ip("-n", "lan", "link", "add", "link", "lan0", "name", "lan0.10", "type", "vlan", "id", "10");
  ip("-n", "lan", "link", "set", "dev", "lan0.10", "up");
  ip("address", "add", "10.50.0.2/24", "dev", "up0");
  ip("address", "add", "10.72.0.2/24", "dev", "up1");
  for (const [address, device] of [
    ["10.50.0.1/24", "lan0"],
    ["10.51.0.1/24", "lan0"],
    ["10.60.0.1/24", "lan0.10"],
    ["10.72.0.1/24", "lan1"],
    ["10.80.0.1/24", "lan2"],
  ] as const)
    ip("-n", "lan", "address", "add", address, "dev", device);
  ip("-n", "lan", "address", "add", "fd00:50::1/64", "nodad", "dev", "lan0");
  ip("-n", "lan", "route", "add", "10.71.0.0/24", "via", "10.72.0.2");
}

async function macvlan(): Promise<{ readonly m1: Running; readonly m2: Running }> {
  const subnets = [
    ["10.50.0.0/24", "10.50.0.1", "10.50.0.64/26"],
    ["fd00:50::/64", "fd00:50::1"],
  ] as const;
  await makeNetwork("mv", { driver: "macvlan", options: { parent: "up0" }, subnets, ipv6: true });
  const [m1, m2] = await Promise.all([run("m1", "mv", {}, "10.50.0.70"), run("m2", "mv")]);
  fact("mac_pair", await ping(m1, m2.address));
  fact("mac_name", await ping(m1, "m2"));
  fact("mac_gateway", await ping(m1, "10.50.0.1"));
  fact("mac_gateway6", await ping(m1, "fd00:50::1", "-6"));
  fact("mac_from_lan", await works([...lan, "/bin/ping", "-c", "1", "-W", "5", "10.50.0.70"]));
  fact("mac_from_host", await works(["/bin/ping", "-c", "1", "-W", "1", "10.50.0.70"]));

  const options = { parent: "up0", macvlan_mode: "private" };
  await makeNetwork("priv", { driver: "macvlan", options, subnets: [["10.51.0.0/24", "10.51.0.1"]] });
  const [p1, p2] = await Promise.all([run("p1", "priv"), run("p2", "priv")]);
  fact("private_pair", await knock(p1, p2.address));
  fact("private_lan", await ping(p1, "10.51.0.1"));

  const tagged = { parent: "up0.10" };
  await makeNetwork("tagged", { driver: "macvlan", options: tagged, subnets: [["10.60.0.0/24", "10.60.0.1"]] });
  const v1 = await run("v1", "tagged");
  fact("vlan_lan", await ping(v1, "10.60.0.1"));
  fact("vlan_untagged", await knock(v1, "10.50.0.70"));

  const through = { parent: "up1", macvlan_mode: "passthru" };
  await makeNetwork("pass", { driver: "macvlan", options: through, subnets: [["10.72.0.0/24", "10.72.0.1"]] });
  const t1 = await run("t1", "pass", {}, "10.72.0.9");
  fact("pass_lan", await ping(t1, "10.72.0.1"));
  fact("pass_second", await run("t2", "pass").then(() => "started", String));
  for (const name of ["t1", "t2"]) await must("DELETE", `/containers/${name}?force=1`);
  await must("DELETE", "/networks/pass");

  await makeNetwork("lone", { driver: "macvlan" });
  const [d1, d2] = await Promise.all([run("d1", "lone"), run("d2", "lone")]);
  fact("lone_pair", await ping(d1, d2.address));
  fact("lone_lan", await knock(d1, "10.50.0.1"));
  return { m1, m2 };
}

async function ipvlan(): Promise<Running> {
  const l2 = { driver: "ipvlan", options: { parent: "up2" } };
  await makeNetwork("ip2", { ...l2, subnets: [["10.80.0.0/24", "10.80.0.1"]] });
  const [i1, i2] = await Promise.all([run("i1", "ip2"), run("i2", "ip2")]);
  fact("ip2_pair", await ping(i1, i2.address));
  fact("ip2_name", await ping(i1, "i2"));
  fact("ip2_lan", await ping(i1, "10.80.0.1"));
  fact("ip2_from_lan", await works([...lan, "/bin/ping", "-c", "1", "-W", "5", i1.address]));
  fact("ip2_taken", JSON.stringify((await createNetwork("ip2b", l2)).body));

  const l3 = { driver: "ipvlan", options: { parent: "up1", ipvlan_mode: "l3" } };
  await makeNetwork("ip3", { ...l3, subnets: [["10.71.0.0/24", ""]] });
  const [l1, other] = await Promise.all([run("l1", "ip3"), run("l2", "ip3")]);
  fact("ip3_pair", await ping(l1, other.address));
  fact("ip3_lan", await ping(l1, "10.72.0.1"));
  fact("ip3_from_lan", await works([...lan, "/bin/ping", "-c", "1", "-W", "5", l1.address]));
  fact("ip3_route", await say(l1.inside("/bin/ip", "route", "show", "default")));
  return l1;
}

/** A bridge on this kernel, with ports of two protocols. */
async function bridge(): Promise<void> {
  await makeNetwork("both", { driver: "bridge", ipv6: true });
  const PortBindings = { "9000/sctp": [{ HostPort: "9000" }], "80/tcp": [{ HostPort: "8080" }] };
  const s1 = await run("s1", "both", { PortBindings });
  spawn("/usr/bin/nsenter", ["-t", String(s1.pid), "-n", "/sctp-talk", "serve", "9000"], { stdio: "ignore" });
  // busybox's wget is no use: statically linked, it crashes in the look-up of a name.
  const fetch = [
    ...lan,
    "/bin/sh",
    "-c",
    "printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | nc -w 5 10.50.0.2 8080 | grep ^root:",
  ];
  const [web = "", ...rest] = s1.inside("/bin/httpd", "-f", "-p", "80", "-h", "/etc");
  spawn(web, rest, { stdio: "ignore" });
  let page = await say(fetch);
  for (let tries = 0; tries < 20 && page.startsWith("no: "); tries += 1) {
    await sleep(200);
    page = await say(fetch);
  }
  fact("http_lan", page);
  fact("sctp_lan", await say([...lan, "/sctp-talk", "ask", "10.50.0.2", "9000"]));
}

async function checks(m1: Running, l1: Running): Promise<void> {
  fact("after_ip3", await ping(l1, "10.72.0.1"));
  fact("after_sctp", await say([...lan, "/sctp-talk", "ask", "10.50.0.2", "9000"]));
  const m3 = await run("m3", "mv");
  fact("after_new", await ping(m1, m3.address));
  fact("after_name", await ping(m1, "m3"));
  fact("health", await say(["gantry", "system", "check"]));
  ip("link", "add", "name", "stale0", "type", "bridge");
  ip("link", "set", "dev", "stale0", "alias", "gantry 0123456789ab");
  fact("stale", await say(["gantry", "system", "check", "--repair"]));
}

async function remove(before: readonly string[]): Promise<void> {
  const names = ["m1", "m2", "m3", "p1", "p2", "v1", "i1", "i2", "l1", "l2", "d1", "d2", "s1"];
  await Promise.all(names.map((name) => must("DELETE", `/containers/${name}?force=1`)));
  const networks = ["mv", "priv", "tagged", "ip2", "ip3", "lone", "both"];
  await Promise.all(networks.map((name) => must("DELETE", `/networks/${name}`)));
  const left = linkNames().filter((name) => !before.includes(name));
  fact("links", left.join(" "));
}

makeLan();
const before = linkNames();
let daemon = await startDaemon();
const { m1 } = await macvlan();
const l1 = await ipvlan();
await bridge();
daemon.kill("SIGKILL");
await sleep(500);
daemon = await startDaemon();
await checks(m1, l1);
await remove(before);
process.exit(0);
