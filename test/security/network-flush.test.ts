// The engine's tables when somebody else changes nft rules (security.md's N05; CVE-2025-54388, -54410), when networks come and go, and
// when containers do so while whole tables are written. On the real kernel, in namespaces of the test's own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseNetworkId } from "../../src/base/ids.ts";
import { endpointElements, portElements, renderShimElements } from "../../src/engine/network/firewall/index.ts";
import { parseElements, parseListing } from "../../src/engine/network/firewall/listing.ts";
import { renderAddElements, renderDeleteElements } from "../../src/engine/network/firewall/render.ts";
import { type Container, hostIp, NetworkWorld, neighbourIp, networkOf } from "./network-world.ts";

let world: NetworkWorld;
let web: Container;

before(async () => {
  world = new NetworkWorld("gflush");
  const one = world.addNetwork(networkOf(1));
  web = world.addContainer(one, 2);
  world.publish(web, { protocol: "tcp", hostIp: "0.0.0.0", hostPort: 8080, containerPort: 80 });
  for (const port of [80, 81]) await web.peer.serveTcp("0.0.0.0", port, "tell");
  world.run(world.neighbourNetns, "ip", "route", "add", "10.1.0.0/24", "via", hostIp);
  await world.firewall.replace();
});

after(() => world[Symbol.asyncDispose]());

afterEach(async () => assert.deepEqual(await world.firewall.check(), []));

function nft(rules: string): void {
  execFileSync("nft", ["-f", "-"], { input: rules });
}

function terse(): string {
  return ["inet", "bridge"]
    .map((family) =>
      execFileSync("nft", ["-s", "-t", "list", "table", family, "gantry"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }),
    )
    .join("");
}

/** Which table it is: a new one has another handle. */
function handle(): string {
  return /table inet gantry \{ # handle (\d+)/.exec(world.nft("-a", "list", "table", "inet", "gantry"))?.[1] ?? "";
}

async function reach(address: string, port: number): Promise<string> {
  const { text, error } = await world.neighbour.tcp(address, port, "", undefined, 300);
  return error === "" ? (text.split(" ")[0] ?? "") : error;
}

test("nft flush ruleset: the tables are there again within two seconds, and say the same", async () => {
  const was = terse();
  nft("flush ruleset");
  assert.equal(await reach(web.ip, 81), neighbourIp, "open meanwhile: the host's administrator wanted no rules");
  world.firewall.rulesChanged();
  for (let i = 0; i < 20 && (await reach(hostIp, 8080)) !== neighbourIp; i++) await sleep(100);
  assert.equal(await reach(hostIp, 8080), neighbourIp);
  assert.equal(await reach(web.ip, 81), "TIMEOUT");
  assert.equal(terse(), was);
});

for (const [what, change] of [
  ["a chain is flushed", "flush chain inet gantry forward"],
  ["a rule is put before ours", "insert rule inet gantry forward accept"],
  [
    "a rule is put before ours with a comment of ours",
    'insert rule inet gantry forward accept comment "what may enter a network"',
  ],
  ["a chain is added", "add chain inet gantry backdoor { type filter hook input priority 0; }"],
  ["a set is added", "add set inet gantry strangers { type ifname; }"],
  ["a policy becomes drop", "add chain inet gantry forward { policy drop; }"],
  ["a table is deleted", "delete table bridge gantry"],
  ["a table becomes dormant", "add table inet gantry { flags dormant; }"],
] as const)
  test(`${what}: the tables are written anew`, async () => {
    await world.firewall.check();
    const was = terse();
    nft(change);
    assert.ok(!sameAs(was));
    world.firewall.rulesChanged();
    for (let i = 0; i < 30 && !sameAs(was); i++) await sleep(100);
    assert.equal(terse(), was);
  });

function sameAs(was: string): boolean {
  try {
    return terse() === was;
  } catch {
    return false;
  }
}

test("what the engine itself writes is no change of somebody's, nor are the elements of shims", async () => {
  await world.firewall.check();
  const before = handle();
  const two = networkOf(2);
  await world.firewall.addNetwork(two);
  nft("add element inet gantry open4 { 10.1.0.9 . tcp . 80 }");
  world.firewall.rulesChanged();
  await sleep(400);
  assert.equal(handle(), before);
  nft("delete element inet gantry open4 { 10.1.0.9 . tcp . 80 }");
  await world.firewall.removeNetwork(two);
  world.firewall.rulesChanged();
  await sleep(400);
  assert.equal(handle(), before);
});

test("tables of others, and the administrators' chain, stay as they are", async () => {
  nft(`table ip other { chain c { type filter hook forward priority 5; policy accept; counter; }; }
    add rule inet gantry-user forward ip saddr ${neighbourIp} tcp dport 80 drop comment "not from there"`);
  const of = (table: string): string => world.nft("-s", "list", "table", ...table.split(" "));
  const [other, user] = [of("ip other"), of("inet gantry-user")];
  await world.firewall.replace();
  assert.deepEqual([of("ip other"), of("inet gantry-user")], [other, user]);
  assert.equal(await reach(hostIp, 8080), "TIMEOUT", "an administrator's drop is before ours");
  nft("flush chain inet gantry-user forward\ndelete table ip other");
  assert.equal(await reach(hostIp, 8080), neighbourIp);
});

test("a foreign table that drops what is forwarded is told as advice, not as a finding", async () => {
  assert.deepEqual(await world.firewall.advise(), []);
  nft("table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }");
  const [advice = ""] = await world.firewall.advise();
  assert.match(advice, /^the host's own table ip filter \(chain FORWARD\) drops forwarded packets unless/);
  assert.deepEqual(await world.firewall.check(), []);
  nft("delete table ip filter");
});

test("networks that are added and removed one by one leave what a whole replacement writes", async () => {
  const parts = (): Record<string, string> =>
    Object.fromEntries([...parseListing(terse())].toSorted(([a], [b]) => a.localeCompare(b)));
  const empty = parts();
  const added = [networkOf(2), networkOf(3, { internal: true }), networkOf(4, { icc: false, mode4: "routed" })];
  for (const network of added) {
    await world.firewall.addNetwork(network);
    world.networks.push(network);
  }
  const one = parts();
  assert.deepEqual(await world.firewall.check(), []);
  await world.firewall.replace();
  assert.deepEqual(parts(), one);
  for (const network of added) {
    await world.firewall.removeNetwork(network);
    world.networks.pop();
  }
  // What all networks with icc=false share stays until the next replacement.
  const { "bridge apart_in": _in, "bridge apart_through": _through, ...rest } = parts();
  assert.deepEqual(rest, empty);
});

test("a network is added and removed though the tables were flushed", async () => {
  const two = networkOf(2);
  nft("flush ruleset");
  await world.firewall.addNetwork(two);
  assert.ok(terse().includes(`chain into_${two.id.slice(0, 12)}`));
  nft("flush ruleset");
  world.networks.push(two);
  await world.firewall.removeNetwork(two);
  assert.ok(!terse().includes(`chain into_${two.id.slice(0, 12)}`));
  world.networks.pop();
});

test("a check names elements that are missing, and those that belong to nothing", async () => {
  nft("delete element inet gantry publish4 { tcp . 8080 }\nadd element inet gantry open4 { 10.1.0.7 . udp . 1 }");
  assert.deepEqual(await world.firewall.check(), [
    "inet publish4: { 6 . 8080 : 10.1.0.2 . 80 } is missing",
    "inet open4: { 10.1.0.7 . 17 . 1 } belongs to nothing",
  ]);
  await world.firewall.replace();
});

test("elements of containers that come and go while whole tables are written are as the state says in the end", async () => {
  const [one] = world.networks;
  assert.ok(one !== undefined);
  const endpoint = (n: number) => ({
    networkId: one.id,
    hostInterface: `gvethaaaaaaaa0${n}`,
    mac: `02:42:aa:00:00:0${n}`,
    addresses: [`10.1.0.10${n}`],
  });
  const [leaving, coming] = [endpoint(1), endpoint(2)];
  world.endpoints.push(leaving);
  const replaced = world.firewall.replace();
  // The shim of one took its elements out of the old tables, and the shim of the other added them there.
  await sleep(5);
  world.endpoints.splice(world.endpoints.indexOf(leaving), 1, coming);
  await replaced;
  const held = (): string => world.nft("list", "set", "bridge", "gantry", "addresses4");
  assert.ok(held().includes("10.1.0.102"));
  for (let i = 0; i < 30 && held().includes("10.1.0.101"); i++) await sleep(100);
  assert.ok(!held().includes("10.1.0.101"));
  world.endpoints.splice(world.endpoints.indexOf(coming), 1);
  nft(
    endpointElements(one, coming)
      .map((element) => renderAddElements([element]).replace(/^add/, "delete"))
      .join(""),
  );
});

/** Adds or deletes elements with the shim's code, in the host's namespace. */
class ShimElements implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "gantry-elements-"));

  constructor() {
    const shim = join(import.meta.dirname, "../../shim/src");
    const sources = ["nfnl.c", "nfnl-lines.c", "netlink.c"].map((file) => join(shim, file));
    const main = join(import.meta.dirname, "add-elements.c");
    execFileSync("cc", ["-std=gnu17", "-D_GNU_SOURCE", `-I${shim}`, "-o", join(this.#dir, "run"), main, ...sources]);
  }

  apply(lines: readonly string[], ...how: readonly string[]): void {
    const argv = [`--net=/run/netns/${world.host}`, join(this.#dir, "run"), ...how];
    execFileSync("nsenter", argv, { input: lines.join("\n") });
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true });
  }
}

test("what the shim adds as bytes is what nft adds for the text, for every set and map", () => {
  const network = networkOf(1, { icc: false });
  const endpoint = {
    networkId: network.id,
    hostInterface: "gveth0123456789",
    mac: "02:42:AC:11:00:fe",
    addresses: ["10.1.0.250", "fd00:1::ff00:0:fe"],
  };
  const ports = (["tcp", "udp", "sctp"] as const).flatMap((protocol, n) =>
    ["0.0.0.0", "198.51.100.200", "127.0.0.1", "::", "2001:db8::ff"].map((address) => ({
      networkId: parseNetworkId(network.id),
      protocol,
      hostIp: address,
      hostPort: 65535 - n,
      containerPort: 80 + n,
      address: address.includes(":") ? "fd00:1::ff00:0:fe" : "10.1.0.250",
      otherBridges: ["br-0123456789ab"],
    })),
  );
  const elements = [
    ...endpointElements(network, endpoint),
    ...endpointElements({ ...network, antiSpoofing: false }, endpoint),
    ...ports.flatMap((port) => portElements(network, port)),
  ];
  assert.equal(new Set(elements.map(({ family, set }) => `${family} ${set}`)).size, 19);
  const held = (): ReadonlyMap<string, ReadonlySet<string>> =>
    parseElements(
      parseListing(["inet", "bridge"].map((family) => world.nft("list", "table", family, "gantry")).join("")),
    );
  const none = held();
  nft(renderAddElements(elements));
  const asText = held();
  nft(renderDeleteElements(elements));
  assert.deepEqual(held(), none);
  using shim = new ShimElements();
  shim.apply(renderShimElements(elements));
  assert.deepEqual(held(), asText);
  shim.apply(renderShimElements(elements), "delete");
  assert.deepEqual(held(), none);
});
