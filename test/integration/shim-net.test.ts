// A container's own network as the shim makes it: interfaces, addresses of both families, routes; and changed while it runs.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isEngineError } from "../../src/base/errors.ts";
import type { ShimNetwork, ShimOwnNetwork } from "../../src/engine/runtime/shim.ts";
import { endContainer, started } from "./shim-client-side.ts";
import { type Container, ShimWorld } from "./shim-fixture.ts";
import { addressesOf, eventually, inside, linkIndex, makeBridges, own, ping, routesOf, veth } from "./shim-net-side.ts";

let world: ShimWorld;
before(() => {
  world = new ShimWorld();
  makeBridges(world);
});
after(async () => {
  await world.dispose();
});

async function sleeping(network: ShimNetwork): Promise<Container & { readonly pid: number }> {
  const container = await world.spawn({ args: ["sleep", "1000"], network });
  return { ...container, pid: await started(container.shim) };
}

test("two networks of both families: addresses, MACs, MTUs, sysctls, default routes, ways to both bridges", async () => {
  const first = veth(0, 2, { sysctls: { "net/ipv4/conf/eth0/log_martians": "1" } });
  const second = veth(1, 2, { mtu: 0 });
  const c = await sleeping(
    own([first, second], {
      gateway4: { interface: "eth0", via: "10.88.0.1" },
      gateway6: { interface: "eth1", via: "fd89::1" },
    }),
  );
  assert.deepEqual(addressesOf(c.pid), { eth0: first.addresses, eth1: second.addresses });
  const links = inside(c.pid, "ip", "-o", "link");
  assert.match(links, new RegExp(`eth0.*mtu 1400.*${first.mac}`));
  assert.match(links, new RegExp(`eth1.*mtu 1500.*${second.mac}`));
  assert.equal(inside(c.pid, "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"), "1\n");
  assert.equal(inside(c.pid, "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra"), "0\n");
  assert.equal(world.inNet("cat", `/proc/sys/net/ipv6/conf/${first.hostInterface}/accept_ra`), "0\n");
  assert.match(routesOf(c.pid, 4), /^default via 10\.88\.0\.1 dev eth0 *$/m);
  assert.match(routesOf(c.pid, 6), /^default via fd89::1 dev eth1 /m);
  for (const address of ["10.88.0.1", "10.89.0.1", "fd88::1", "fd89::1"]) ping(c.pid, address);
  await endContainer(c);
  assert.doesNotMatch(world.inNet("ip", "-o", "link"), /gvnet/);
});

test("IPv6 only: no IPv4 address, usable at once", async () => {
  const c = await sleeping(
    own([veth(0, 3, { addresses: ["fd88::3/64"] })], { gateway6: { interface: "eth0", via: "fd88::1" } }),
  );
  assert.deepEqual(addressesOf(c.pid), { eth0: ["fd88::3/64"] });
  assert.equal(routesOf(c.pid, 4), "");
  ping(c.pid, "fd88::1");
  await endContainer(c);
});

test("IPv4 only: IPv6 is off on the interface", async () => {
  const c = await sleeping(own([veth(0, 4, { addresses: ["10.88.0.4/16"] })]));
  assert.doesNotMatch(inside(c.pid, "ip", "address", "show", "eth0"), /inet6/);
  await endContainer(c);
});

test("default routes: straight out of the interface, and by a gateway that is in no subnet of it", async () => {
  const link = veth(0, 5, { addresses: ["10.88.0.5/32", "fd88::5/128"] });
  const c = await sleeping(
    own([link], {
      gateway4: { interface: "eth0", via: "10.88.0.1" },
      gateway6: { interface: "eth0", via: "fd88::1" },
    }),
  );
  assert.match(routesOf(c.pid, 4), /^default via 10\.88\.0\.1 dev eth0 onlink/m);
  assert.match(routesOf(c.pid, 6), /^default via fd88::1 dev eth0 .*onlink/m);
  await c.shim.setNetwork(
    own([link], { gateway4: { interface: "eth0", via: "" }, gateway6: { interface: "eth0", via: "" } }),
  );
  assert.match(routesOf(c.pid, 4), /^default dev eth0 scope link *$/m);
  assert.match(routesOf(c.pid, 6), /^default dev eth0 /m);
  await c.shim.setNetwork(own([link]));
  assert.doesNotMatch(routesOf(c.pid, 4) + routesOf(c.pid, 6), /default/);
  await endContainer(c);
});

test("a network is added and removed while traffic on another goes on without a loss", async () => {
  const first = veth(0, 6);
  const c = await sleeping(own([first]));
  const index = linkIndex(c.pid, "eth0");
  ping(c.pid, "10.88.0.1");
  const flow = spawn(
    "nsenter",
    ["-t", String(c.pid), "-n", "busybox", "ping", "-i", "0.005", "-c", "200", "10.88.0.1"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let text = "";
  flow.stdout.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  const ended = once(flow, "close");
  for (let i = 0; i < 5; i++) {
    await c.shim.setNetwork(own([first, veth(1, 6)]));
    ping(c.pid, "10.89.0.1");
    ping(c.pid, "fd89::1");
    await c.shim.setNetwork(own([first]));
    assert.deepEqual(Object.keys(addressesOf(c.pid)), ["eth0"]);
  }
  await ended;
  assert.match(text, /200 packets transmitted, 200 packets received, 0% packet loss/);
  assert.equal(linkIndex(c.pid, "eth0"), index);
  await c.shim.setNetwork(own([]));
  assert.deepEqual(addressesOf(c.pid), {});
  assert.doesNotMatch(world.inNet("ip", "-o", "link"), /gvnet/);
  await endContainer(c);
});

test("gateways move to another network and back; a changed interface is made anew with its routes", async () => {
  const both = [veth(0, 7), veth(1, 7)] as const;
  const by = (net: 0 | 1, interfaces: ShimOwnNetwork["interfaces"] = both): ShimOwnNetwork =>
    own(interfaces, {
      gateway4: { interface: `eth${net}`, via: `10.8${8 + net}.0.1` },
      gateway6: { interface: `eth${net}`, via: `fd8${8 + net}::1` },
    });
  const c = await sleeping(by(0));
  for (const net of [1, 0, 1] as const) {
    await c.shim.setNetwork(by(net));
    const routes = routesOf(c.pid, 4) + routesOf(c.pid, 6);
    assert.deepEqual(
      routes.match(/^default via \S+ dev \S+/gm),
      [`default via 10.8${8 + net}.0.1 dev eth${net}`, `default via fd8${8 + net}::1 dev eth${net}`],
      routes,
    );
  }
  const [kept, old] = [linkIndex(c.pid, "eth0"), linkIndex(c.pid, "eth1")];
  const changed = veth(1, 8, { hostInterface: "gvnet1new" });
  await c.shim.setNetwork(by(1, [both[0], changed]));
  assert.equal(linkIndex(c.pid, "eth0"), kept);
  assert.notEqual(linkIndex(c.pid, "eth1"), old);
  assert.deepEqual(addressesOf(c.pid)["eth1"], changed.addresses);
  assert.match(routesOf(c.pid, 4), /^default via 10\.89\.0\.1 dev eth1/m);
  assert.match(routesOf(c.pid, 6), /^default via fd89::1 dev eth1/m);
  ping(c.pid, "fd89::1");
  await endContainer(c);
});

test("a change that fails says why, and the old wish restores what was", async () => {
  const first = own([veth(0, 9)], { gateway4: { interface: "eth0", via: "10.88.0.1" } });
  const c = await sleeping(first);
  const broken = own([veth(1, 9), veth(0, 10, { name: "eth9", parent: "nobridge", hostInterface: "gvnobridge" })]);
  await assert.rejects(c.shim.setNetwork(broken), (error: Error) => {
    assert.ok(isEngineError(error, "System"));
    assert.match(error.message, /^find bridge nobridge: No such device$/);
    return true;
  });
  await c.shim.setNetwork(first);
  assert.deepEqual(addressesOf(c.pid), { eth0: first.interfaces[0]?.addresses });
  assert.match(routesOf(c.pid, 4), /^default via 10\.88\.0\.1 dev eth0/m);
  ping(c.pid, "10.88.0.1");
  await assert.rejects(
    c.shim.setNetwork(own([veth(0, 9, { addresses: ["10.88.0.300/16"] })])),
    /invalid address of interface eth0/,
  );
  await endContainer(c);
});

test("macvlan on a parent: made in the container's namespace, taken away from it, no host end", async () => {
  world.inNet("ip", "link", "add", "mparent", "type", "veth", "peer", "name", "mpeer");
  for (const [name, address] of [
    ["mparent", "10.90.0.200/24"],
    ["mpeer", "10.90.0.1/24"],
  ] as const) {
    world.inNet("ip", "link", "set", name, "up");
    world.inNet("ip", "address", "add", address, "dev", name);
  }
  const mac = "02:42:0a:5a:00:02";
  const link = (n: number, name = "eth0"): ShimOwnNetwork["interfaces"][number] => ({
    ...veth(0, n),
    kind: "macvlan",
    hostInterface: "",
    parent: "mparent",
    mode: "bridge",
    mac: n === 2 ? mac : "",
    mtu: 0,
    name,
    addresses: [`10.90.0.${n}/24`, `fd90::${n}/64`],
  });
  const c = await sleeping(own([link(2)], { gateway4: { interface: "eth0", via: "10.90.0.1" } }));
  const other = await sleeping(own([link(3)]));
  assert.match(inside(c.pid, "ip", "-d", "link", "show", "eth0"), new RegExp(`${mac}[^]*macvlan mode bridge`));
  assert.match(routesOf(c.pid, 4), /^default via 10\.90\.0\.1 dev eth0/m);
  ping(c.pid, "10.90.0.3");
  ping(c.pid, "fd90::3");
  await c.shim.setNetwork(own([link(4, "eth1")]));
  assert.deepEqual(Object.keys(addressesOf(c.pid)), ["eth1"]);
  ping(other.pid, "10.90.0.4");
  inside(c.pid, "ip", "link", "set", "eth1", "down");
  inside(c.pid, "ip", "link", "set", "eth1", "name", "kept");
  await c.shim.setNetwork(own([]));
  assert.deepEqual(Object.keys(addressesOf(c.pid)), [], "another name does not keep it");
  await endContainer(c);
  await endContainer(other);
  // The parent is free when the shim has left, not some time later.
  for (let i = 0; i < 3; i++) await endContainer(await sleeping(own([{ ...link(3), mode: "passthru" }])));
  await assert.rejects(
    world.spawn({ args: ["true"], network: own([{ ...link(2), parent: "nodev" }]) }),
    /find parent device nodev: No such device/,
  );
});

test("a kind of interface that the kernel lacks is named", async (t) => {
  const probe = ["ip", "link", "add", "link", "gbr0", "name", "probe", "type", "ipvlan"];
  if (spawnSync("nsenter", [`--net=/run/netns/${world.name}`, ...probe]).status === 0) {
    world.inNet("ip", "link", "del", "probe");
    return t.skip("the kernel has ipvlan");
  }
  const link = { ...veth(0, 11), kind: "ipvlan", hostInterface: "", parent: "gbr0", mode: "l2", mac: "" } as const;
  await assert.rejects(
    world.spawn({ args: ["true"], network: own([link]) }),
    /^EngineError: create ipvlan eth0 on gbr0: not supported by this kernel$|^Error: create ipvlan eth0 on gbr0: not supported by this kernel$/,
  );
});

test("neighbours that knew an address from its owner before learn of the new one, in both families", async () => {
  // A bridge without a port forgets its neighbours.
  const another = await sleeping(own([veth(0, 20)]));
  ping(another.pid, "10.88.0.1");
  const stranger = "02:42:de:ad:00:01";
  for (const address of ["10.88.0.12", "fd88::12"])
    world.inNet("ip", "neigh", "replace", address, "lladdr", stranger, "dev", "gbr0", "nud", "stale");
  const link = veth(0, 12, { mac: "02:42:0a:58:99:12" });
  const c = await sleeping(own([link]));
  await eventually("the neighbour entries are the new owner's", () => {
    const text = world.inNet("ip", "neigh", "show", "dev", "gbr0");
    return text.includes(`10.88.0.12 lladdr ${link.mac}`) && text.includes(`fd88::12 lladdr ${link.mac}`);
  });
  await endContainer(c);
  await endContainer(another);
});

test("requests for a network that cannot be changed: one that has ended, one that is not its own", async () => {
  const ended = await sleeping(own([veth(0, 13)]));
  await endContainer(ended);
  await assert.rejects(ended.shim.setNetwork(own([])), (error) => isEngineError(error, "NotFound"));
  const none = await sleeping({ kind: "none" });
  await assert.rejects(none.shim.setNetwork(own([])), (error) => isEngineError(error, "Conflict"));
  await endContainer(none);
});

test("a container that was spawned and never run can be changed, and abandoned without a trace", async () => {
  const c = await world.spawn({ args: ["true"], network: own([veth(0, 14)]) });
  await c.shim.setNetwork(own([veth(0, 14), veth(1, 14)]));
  assert.equal(world.inNet("ip", "-o", "link").match(/gvnet/g)?.length, 2);
  await c.shim.abandon();
  assert.doesNotMatch(world.inNet("ip", "-o", "link"), /gvnet/);
});

test("a container that takes its own network apart can be changed, and ends", async () => {
  const c = await sleeping(own([veth(0, 16)], { gateway4: { interface: "eth0", via: "10.88.0.1" } }));
  inside(c.pid, "ip", "link", "delete", "eth0");
  await c.shim.setNetwork(own([veth(0, 16), veth(1, 16)], { gateway4: { interface: "eth0", via: "10.88.0.1" } }));
  ping(c.pid, "10.89.0.1");
  inside(c.pid, "ip", "link", "set", "eth1", "down");
  inside(c.pid, "ip", "link", "set", "eth1", "name", "kept");
  inside(c.pid, "ip", "link", "set", "lo", "down");
  await assert.rejects(c.shim.setNetwork(own([veth(1, 16)], { gateway4: { interface: "eth1", via: "10.89.0.1" } })));
  await c.shim.setNetwork(own([veth(0, 17)], { gateway4: { interface: "eth0", via: "10.88.0.1" } }));
  assert.deepEqual(Object.keys(addressesOf(c.pid)), ["eth0"]);
  ping(c.pid, "10.88.0.1");
  inside(c.pid, "ip", "link", "delete", "eth0");
  await endContainer(c);
  assert.doesNotMatch(world.inNet("ip", "-o", "link"), /gvnet/);
});

test("a container's frames stop with its end, before its interface has gone", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"], network: own([veth(0, 15)]), hostPid: true });
  const pid = await started(c.shim);
  // Strays keep the namespace; it may answer no more once the exit is told.
  const stray = spawn("nsenter", ["-t", String(pid), "-n", "sleep", "1000"], { stdio: "ignore" });
  await sleep(50);
  const state = new Promise<string>((resolve) => {
    c.shim.on("exit", () => resolve(world.inNet("bridge", "-d", "link", "show")));
  });
  await endContainer(c);
  stray.kill();
  assert.match(`${await state}gvnet0n15 state disabled`, /gvnet0n15[^\n]*state disabled/);
});
