// Networks on the whole daemon and the real kernel: made, shown, removed and pruned in all forms, refused when they cannot be, and
// settled when the daemon is killed in the middle.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { failpointNamesIn } from "../../src/base/failpoint.ts";
import { makeBusyboxImage } from "../../tools/busybox-image.ts";
import { buildBundle } from "../support/bundle.ts";
import { startDaemon, type TestDaemon, type TestDaemonOptions } from "../support/daemon.ts";

interface Shown {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly IPAM: { readonly Config: readonly { readonly Subnet: string; readonly Gateway?: string }[] | null };
  readonly Containers: Readonly<Record<string, unknown>>;
  readonly Options: Readonly<Record<string, string>>;
}

interface Host {
  /** Names of bridges, with their addresses. */
  readonly bridges: Readonly<Record<string, readonly string[]>>;
  readonly rules: string;
}

function start(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  return startDaemon({ ...options, args: ["--embedded-image=", ...(options.args ?? [])] });
}

async function startWithImage(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await start(options);
  await daemon.dockerOk(["load", "-q"], { input: makeBusyboxImage("/bin/busybox") });
  return daemon;
}

async function create(daemon: TestDaemon, body: unknown): Promise<string> {
  const result = await daemon.api("POST", "/v1.51/networks/create", body);
  assert.equal(result.status, 201, result.text);
  return (result.json as { readonly Id: string }).Id;
}

async function inspect(daemon: TestDaemon, name: string): Promise<Shown> {
  const result = await daemon.api("GET", `/v1.51/networks/${name}`);
  assert.equal(result.status, 200, result.text);
  return result.json as Shown;
}

async function remove(daemon: TestDaemon, name: string): Promise<void> {
  const result = await daemon.api("DELETE", `/v1.51/networks/${name}`);
  assert.equal(result.status, 204, result.text);
}

async function names(daemon: TestDaemon): Promise<readonly string[]> {
  const list = (await daemon.api("GET", "/v1.51/networks")).json as readonly Shown[];
  return list.map(({ Name }) => Name).toSorted();
}

async function hostOf(daemon: TestDaemon): Promise<Host> {
  const { stdout } = await daemon.inNamespace(["ip", "-json", "address", "show", "type", "bridge"]);
  interface Link {
    readonly ifname?: string;
    readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[];
  }
  const links = (stdout.trim() === "" ? [] : JSON.parse(stdout)) as readonly Link[];
  const bridges: Record<string, readonly string[]> = {};
  for (const { ifname, addr_info = [] } of links)
    if (ifname !== undefined)
      bridges[ifname] = addr_info
        .filter(({ scope }) => scope === "global")
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  const rules = await daemon.inNamespace(["nft", "list", "ruleset"]);
  return { bridges, rules: rules.stdout };
}

/** What must be as before when nothing is left behind. */
async function footprint(daemon: TestDaemon): Promise<unknown> {
  const { bridges, rules } = await hostOf(daemon);
  // After a start the tables and chains may stand in another order.
  const counted = rules
    .replaceAll(/(packets|bytes) \d+/g, "$1 n")
    .split("\n")
    .toSorted();
  return {
    bridges,
    rules: counted,
    names: await names(daemon),
    findings: (await daemon.api("GET", "/gantry/check")).text,
  };
}

/** Removes the networks that a test leaves, as disposing the daemon wants to find none. */
async function prune(daemon: TestDaemon): Promise<void> {
  assert.equal((await daemon.api("POST", "/v1.51/networks/prune")).status, 200);
}

function bridgeOf(id: string): string {
  return `br-${id.slice(0, 12)}`;
}

test("networks of all forms are on the host as they are shown, and gone when they are removed", async () => {
  await using daemon = await start();
  const before = await footprint(daemon);
  for (const [body, bridge, addresses, config] of [
    [{}, undefined, ["172.18.0.1/16"], [{ Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" }]],
    [
      { EnableIPv6: true, IPAM: { Config: [{ Subnet: "fd01:0::/64", Gateway: "fd01::5" }] } },
      undefined,
      ["172.18.0.1/16", "fd01::5/64"],
      [
        { Subnet: "fd01:0::/64", Gateway: "fd01::5" },
        { Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" },
      ],
    ],
    [
      { EnableIPv4: false, EnableIPv6: true, IPAM: { Config: [{ Subnet: "fd02::/64" }] } },
      undefined,
      ["fd02::1/64"],
      [{ Subnet: "fd02::/64" }],
    ],
    [
      {
        IPAM: {
          Config: [{ Subnet: "10.5.0.0/24", IPRange: "10.5.0.128/25", AuxiliaryAddresses: { a: "10.5.0.130" } }],
        },
      },
      undefined,
      ["10.5.0.128/24"],
      [{ Subnet: "10.5.0.0/24", IPRange: "10.5.0.128/25", AuxiliaryAddresses: { a: "10.5.0.130" } }],
    ],
    [
      {
        Internal: true,
        Options: { "com.docker.network.bridge.name": "mine0", "com.docker.network.driver.mtu": "1400" },
      },
      "mine0",
      ["172.18.0.1/16"],
      [{ Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" }],
    ],
  ] as const) {
    const id = await create(daemon, { Name: "n", ...body });
    const shown = await inspect(daemon, "n");
    assert.equal(shown.Id, id);
    assert.deepEqual(shown.IPAM.Config, config);
    const device = bridge ?? bridgeOf(id);
    const { bridges, rules } = await hostOf(daemon);
    assert.deepEqual(bridges[device], addresses, JSON.stringify(body));
    assert.ok(rules.includes(device), rules);
    assert.equal((await daemon.api("GET", "/gantry/check")).text, "[]\n");
    // By the beginning of the id.
    await remove(daemon, id.slice(0, 20));
    assert.deepEqual(await footprint(daemon), before);
  }
});

test("bad input is refused before anything is made, with everything that is wrong", async () => {
  await using daemon = await start();
  await create(daemon, { Name: "taken", IPAM: { Config: [{ Subnet: "10.5.0.0/16" }] } });
  const before = await footprint(daemon);
  const config = (...Config: readonly unknown[]): unknown => ({ IPAM: { Config } });
  for (const [body, status, message] of [
    [{ Name: "" }, 400, "invalid name: name is empty"],
    [{ Name: "a b" }, 400, 'invalid network name "a b": spaces and control characters are not allowed'],
    [{ Name: "x".repeat(300) }, 400, /it is 300 bytes long, and at most 255 are allowed$/],
    [{ Name: "taken" }, 409, "network with name taken already exists"],
    [{ Name: "host" }, 403, "operation is not permitted on predefined host network "],
    [{ Driver: "nosuch" }, 404, 'plugin "nosuch" not found'],
    [
      config({ Subnet: "10.6.0.0/33" }),
      400,
      "invalid network config:\ninvalid subnet 10.6.0.0/33: invalid CIDR block notation",
    ],
    [
      config({ Subnet: "10.6.0.7/24" }),
      400,
      "invalid network config:\ninvalid subnet 10.6.0.7/24: it should be 10.6.0.0/24",
    ],
    [
      config({ Subnet: "10.6.0.0/24", Gateway: "10.7.0.1", IPRange: "10.8.0.0/25" }),
      400,
      "invalid network config:\n* invalid ip-range 10.8.0.0/25: parent subnet 10.6.0.0/24 doesn't contain ip-range\n* invalid gateway 10.7.0.1: parent subnet 10.6.0.0/24 doesn't contain this address",
    ],
    [
      config({ Subnet: "10.5.9.0/24" }),
      403,
      "invalid pool request: Pool overlaps with other one on this address space: network taken has 10.5.0.0/16",
    ],
    [
      config({ Subnet: "10.6.0.0/24", Gateway: "10.6.0.255" }),
      403,
      "failed to allocate gateway (10.6.0.255): Address already in use",
    ],
    [{ Driver: "macvlan", Options: { parent: "nosuch0" } }, undefined, /nosuch0|macvlan/],
    [{ Options: { "com.docker.network.bridge.name": "gantry0" } }, undefined, /gantry0/],
    [{ Options: { "com.docker.network.bridge.name": "a-name-that-is-too-long" } }, 400, /invalid bridge name/],
    ['{"Name":"n","IPAM":[]}', 400, /Content-Type/],
    [
      { Name: "n", IPAM: [] },
      400,
      "invalid JSON: json: cannot unmarshal array into Go struct field CreateRequest.IPAM of type network.IPAM",
    ],
  ] as const) {
    const request = typeof body === "string" ? body : { Name: "n", ...(body as object) };
    const result = await daemon.api("POST", "/v1.51/networks/create", request);
    const text = (result.json as { readonly message?: string }).message ?? "";
    if (status !== undefined) assert.equal(result.status, status, `${JSON.stringify(body)}: ${result.text}`);
    else assert.ok(result.status >= 400 && result.status !== 500, `${JSON.stringify(body)}: ${result.text}`);
    if (typeof message === "string") assert.equal(text, message);
    else assert.match(text, message);
  }
  assert.deepEqual(await footprint(daemon), before);
  await prune(daemon);
});

test("the default address pools are the daemon's, run out with a clear error, and a removed network's subnet is free again", async () => {
  await using daemon = await start({
    config: {
      "default-address-pools": [{ base: "10.20.0.0/22", size: 24 }],
      "default-network-opts": { bridge: { "com.docker.network.driver.mtu": "1400" } },
    },
  });
  const [own] = (await inspect(daemon, "bridge")).IPAM.Config ?? [];
  assert.equal(own?.Subnet, "10.20.0.0/24");
  for (const [i, subnet] of ["10.20.1.0/24", "10.20.2.0/24", "10.20.3.0/24"].entries()) {
    await create(daemon, { Name: `p${i}` });
    const shown = await inspect(daemon, `p${i}`);
    assert.equal(shown.IPAM.Config?.[0]?.Subnet, subnet);
    assert.deepEqual(shown.Options, { "com.docker.network.driver.mtu": "1400" });
  }
  const full = await daemon.api("POST", "/v1.51/networks/create", { Name: "more" });
  assert.deepEqual(
    [full.status, (full.json as { readonly message: string }).message.split(":")[0]],
    [400, "all predefined address pools have been fully subnetted"],
  );
  assert.ok(!(await names(daemon)).includes("more"));
  await remove(daemon, "p1");
  await create(daemon, { Name: "again" });
  assert.equal((await inspect(daemon, "again")).IPAM.Config?.[0]?.Subnet, "10.20.2.0/24");
  await prune(daemon);
});

test("what the host uses is not chosen", async () => {
  await using daemon = await start();
  for (const argv of [
    ["ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1"],
    ["ip", "address", "add", "172.18.7.1/24", "dev", "other0"],
    ["ip", "link", "set", "other0", "up"],
    ["ip", "link", "set", "other1", "up"],
    ["ip", "route", "add", "172.19.128.0/20", "dev", "other0"],
  ])
    assert.equal((await daemon.inNamespace(argv)).code, 0, argv.join(" "));
  await create(daemon, { Name: "n" });
  assert.equal((await inspect(daemon, "n")).IPAM.Config?.[0]?.Subnet, "172.20.0.0/16");
  await remove(daemon, "n");
  await daemon.inNamespace(["ip", "link", "del", "other0"]);
});

test("a network in use is neither removed nor pruned; inspect shows who is on it", async () => {
  await using daemon = await startWithImage();
  const id = await create(daemon, { Name: "used", EnableIPv6: true });
  await daemon.dockerOk(["run", "-d", "--name", "c1", "--network", "used", "busybox:latest", "sleep", "1000"]);
  const shown = await inspect(daemon, "used");
  const [member] = Object.values(shown.Containers) as readonly Readonly<Record<string, string>>[];
  assert.equal(member?.["Name"], "c1");
  assert.match(member?.["IPv4Address"] ?? "", /^172\.18\.0\.2\/16$/);
  assert.match(member?.["IPv6Address"] ?? "", /^fd[0-9a-f:]+::2\/64$/);
  const refused = await daemon.api("DELETE", "/v1.51/networks/used");
  assert.equal(refused.status, 403);
  assert.equal(
    (refused.json as { readonly message: string }).message,
    `error while removing network: network used has active endpoints (name:"c1" id:"${member?.["EndpointID"]?.slice(0, 12)}")`,
  );
  const dangling = `filters=${encodeURIComponent('{"dangling":["true"]}')}`;
  await create(daemon, { Name: "idle", Labels: { a: "1" } });
  const list = (await daemon.api("GET", `/v1.51/networks?${dangling}`)).json as readonly Shown[];
  assert.deepEqual(
    list.map(({ Name }) => Name),
    ["idle"],
  );
  assert.deepEqual((await daemon.api("POST", "/v1.51/networks/prune")).json, { NetworksDeleted: ["idle"] });
  assert.deepEqual((await daemon.api("POST", "/v1.51/networks/prune")).json, { NetworksDeleted: null });
  for (const name of ["bridge", "host", "none"]) {
    const builtIn = await daemon.api("DELETE", `/v1.51/networks/${name}`);
    assert.deepEqual(
      [builtIn.status, builtIn.text],
      [403, `{"message":"${name} is a pre-defined network and cannot be removed"}\n`],
    );
  }
  await daemon.dockerOk(["rm", "-f", "c1"]);
  await remove(daemon, "used");
  assert.equal((await hostOf(daemon)).bridges[bridgeOf(id)], undefined);
  assert.equal((await daemon.api("DELETE", "/v1.51/networks/used")).status, 404);
});

test("the daemon's directives shape the default bridge network", async () => {
  await using daemon = await startWithImage({
    config: {
      bip: "10.1.0.1/24",
      "fixed-cidr": "10.1.0.64/26",
      "default-gateway": "10.1.0.9",
      ipv6: true,
      bip6: "fd01::1/64",
      "fixed-cidr-v6": "fd01::100/120",
      icc: false,
      mtu: 1400,
      "host-gateway-ips": ["198.51.100.7", "fd09::7"],
    },
  });
  const { bridges } = await hostOf(daemon);
  assert.deepEqual(bridges["gantry0"], ["10.1.0.1/24", "fd01::1/64"]);
  const { Options, IPAM } = await inspect(daemon, "bridge");
  assert.deepEqual(IPAM.Config, [
    {
      Subnet: "10.1.0.0/24",
      IPRange: "10.1.0.64/26",
      Gateway: "10.1.0.1",
      AuxiliaryAddresses: { DefaultGatewayIPv4: "10.1.0.9" },
    },
    { Subnet: "fd01::/64", IPRange: "fd01::100/120", Gateway: "fd01::1" },
  ]);
  assert.equal(Options["com.docker.network.bridge.enable_icc"], "false");
  const show = "ip -o addr show eth0; ip route; cat /sys/class/net/eth0/mtu; grep me$ /etc/hosts";
  const said = await daemon.dockerOk([
    "run",
    "--rm",
    "--add-host",
    "me:host-gateway",
    "busybox:latest",
    "sh",
    "-c",
    show,
  ]);
  assert.match(said, /inet 10\.1\.0\.64\/24 /);
  assert.match(said, /inet6 fd01::10[01]\/64 /);
  assert.match(said, /^default via 10\.1\.0\.9 /m);
  assert.match(said, /^1400$/m);
  assert.match(said, /^198\.51\.100\.7\tme\nfd09::7\tme$/m);
});

test("without iptables there is no table of ours, and published ports are relayed", async () => {
  await using daemon = await startWithImage();
  await daemon.stop();
  daemon.writeConfig({ iptables: false, ip6tables: false });
  await daemon.start();
  assert.doesNotMatch((await hostOf(daemon)).rules, /table (inet|bridge) gantry \{/);
  await create(daemon, { Name: "plain" });
  const serve = "while :; do echo served | nc -l -p 80; done";
  await daemon.dockerOk([
    "run",
    "-d",
    "--name",
    "c1",
    "--network",
    "plain",
    "-p",
    "8080:80",
    "busybox:latest",
    "sh",
    "-c",
    serve,
  ]);
  await daemon.inNamespace(["ip", "address", "add", "198.51.100.1/32", "dev", "lo"]);
  for (const address of ["127.0.0.1", "198.51.100.1"]) {
    const answer = await daemon.inNamespace(["/bin/busybox", "nc", "-w", "5", address, "8080"]);
    assert.equal(answer.stdout, "served\n", address);
  }
  assert.match((await daemon.api("GET", "/gantry/network/rules")).text, /iptables: false/);
  assert.equal((await daemon.api("GET", "/gantry/check")).text, "[]\n");
  // The other way round, what runs gets its rules.
  await daemon.stop();
  daemon.writeConfig({});
  await daemon.start();
  assert.match((await hostOf(daemon)).rules, /dnat/);
  assert.equal((await daemon.api("GET", "/gantry/check")).text, "[]\n");
  await daemon.dockerOk(["rm", "-f", "c1"]);
  await prune(daemon);
});

test("events tell of networks that were made, removed and pruned", async () => {
  await using daemon = await start();
  const since = Math.floor(Date.now() / 1000) - 1;
  const id = await create(daemon, { Name: "seen" });
  await remove(daemon, "seen");
  await create(daemon, { Name: "pruned" });
  await daemon.api("POST", "/v1.51/networks/prune");
  const until = Math.floor(Date.now() / 1000) + 1;
  const filters = encodeURIComponent('{"type":["network"]}');
  const { text } = await daemon.api("GET", `/v1.51/events?since=${since}&until=${until}&filters=${filters}`);
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { Action: string; Actor: { ID: string; Attributes: unknown } });
  assert.deepEqual(
    events.map(({ Action }) => Action),
    ["create", "destroy", "create", "destroy", "prune"],
  );
  assert.deepEqual(events[0]?.Actor, { ID: id, Attributes: { name: "seen", type: "bridge" } });
  assert.deepEqual(events[4]?.Actor, { ID: "", Attributes: { reclaimed: "0" } });
});

test("a configuration-only network makes nothing on the host; another takes its settings, and keeps it from being removed", async () => {
  await using daemon = await start();
  const before = await footprint(daemon);
  await create(daemon, {
    Name: "settings",
    ConfigOnly: true,
    IPAM: { Config: [{ Subnet: "10.77.0.0/24" }] },
    Labels: { l: "1" },
  });
  assert.deepEqual((await hostOf(daemon)).bridges, (before as Host).bridges);
  const id = await create(daemon, { Name: "made", ConfigFrom: { Network: "settings" } });
  assert.deepEqual((await hostOf(daemon)).bridges[bridgeOf(id)], ["10.77.0.1/24"]);
  const refused = await daemon.api("DELETE", "/v1.51/networks/settings");
  assert.deepEqual(
    [refused.status, refused.text],
    [403, '{"message":"error while removing network: configuration network \\"settings\\" is in use"}\n'],
  );
  await daemon.restart();
  await remove(daemon, "made");
  await remove(daemon, "settings");
  assert.deepEqual(await footprint(daemon), before);
});

test("networks survive restarts of the daemon, and devices that are gone are made again", async () => {
  await using daemon = await startWithImage();
  const id = await create(daemon, {
    Name: "kept",
    EnableIPv6: true,
    Labels: { a: "b" },
    IPAM: { Config: [{ Subnet: "10.5.0.0/29", IPRange: "10.5.0.4/30" }], Options: {} },
  });
  await daemon.dockerOk(["run", "-d", "--name", "c1", "--network", "kept", "busybox:latest", "sleep", "1000"]);
  const shown = await inspect(daemon, "kept");
  const before = await footprint(daemon);
  await daemon.kill9();
  await daemon.start();
  assert.deepEqual(await inspect(daemon, "kept"), shown);
  assert.deepEqual(await footprint(daemon), before);
  // The address of the container that went on is not given out again.
  await daemon.dockerOk(["run", "-d", "--name", "c2", "--network", "kept", "busybox:latest", "sleep", "1000"]);
  const addresses = Object.values((await inspect(daemon, "kept")).Containers).map(
    (member) => (member as { readonly IPv4Address: string }).IPv4Address,
  );
  assert.deepEqual(addresses.toSorted(), ["10.5.0.5/29", "10.5.0.6/29"]);
  await daemon.dockerOk(["rm", "-f", "c1", "c2"]);
  await daemon.stop();
  await daemon.inNamespace(["ip", "link", "del", bridgeOf(id)]);
  await daemon.start();
  assert.deepEqual((await hostOf(daemon)).bridges[bridgeOf(id)]?.[0], "10.5.0.4/29");
  await remove(daemon, "kept");
});

test("every failpoint of networks is in the tests below", () => {
  const own = ["create", "remove"].flatMap((verb) =>
    failpointNamesIn(readFileSync(join(import.meta.dirname, `../../src/engine/network/${verb}.ts`), "utf8")),
  );
  const tested = [
    ...["begun", "device", "rules", "committed"].map((step) => `network.create.${step}`),
    ...["begun", "rules", "device", "committed"].map((step) => `network.remove.${step}`),
  ];
  assert.deepEqual(own.toSorted(), tested.toSorted());
});

test("killed at any step, a network is there as a whole after the next start, or not at all", async () => {
  using bundle = buildBundle();
  await using daemon = await start({ bundle: bundle.dir });
  const before = await footprint(daemon);
  const created = ["begun", "device", "rules", "committed"];
  for (const step of created) {
    await daemon.stop();
    await daemon.start({ GANTRY_FAILPOINTS: `network.create.${step}=kill9` });
    await assert.rejects(daemon.api("POST", "/v1.51/networks/create", { Name: "n" }), step);
    await daemon.end("SIGKILL");
    await daemon.start();
    if (step === "committed") {
      assert.ok((await names(daemon)).includes("n"));
      assert.equal((await daemon.api("GET", "/gantry/check")).text, "[]\n");
    } else {
      assert.deepEqual(await footprint(daemon), before, step);
      await create(daemon, { Name: "n" });
    }
    await remove(daemon, "n");
    assert.deepEqual(await footprint(daemon), before, step);
  }
  for (const step of ["begun", "rules", "device", "committed"]) {
    await create(daemon, { Name: "n" });
    await daemon.stop();
    await daemon.start({ GANTRY_FAILPOINTS: `network.remove.${step}=kill9` });
    await assert.rejects(daemon.api("DELETE", "/v1.51/networks/n"), step);
    await daemon.end("SIGKILL");
    await daemon.start();
    assert.deepEqual(await footprint(daemon), before, step);
  }
});

test("a step that fails is taken back: a creation leaves nothing, a removal leaves the network", async () => {
  using bundle = buildBundle();
  await using daemon = await start({ bundle: bundle.dir });
  const before = await footprint(daemon);
  for (const step of ["begun", "device", "rules"]) {
    await daemon.stop();
    await daemon.start({ GANTRY_FAILPOINTS: `network.create.${step}=error` });
    const failed = await daemon.api("POST", "/v1.51/networks/create", { Name: "n" });
    assert.deepEqual([failed.status, failed.text], [500, `{"message":"failpoint network.create.${step}"}\n`]);
    assert.deepEqual(await footprint(daemon), before, step);
  }
  await daemon.restart();
  await create(daemon, { Name: "n" });
  const made = await footprint(daemon);
  for (const step of ["begun", "rules", "device"]) {
    await daemon.stop();
    await daemon.start({ GANTRY_FAILPOINTS: `network.remove.${step}=error` });
    assert.equal((await daemon.api("DELETE", "/v1.51/networks/n")).status, 500);
    assert.deepEqual(await footprint(daemon), made, step);
  }
  await daemon.restart();
  await remove(daemon, "n");
});

test("a hundred networks are made and removed at once", async () => {
  await using daemon = await start({ config: { "default-address-pools": [{ base: "10.0.0.0/8", size: 24 }] } });
  const before = await footprint(daemon);
  const all = Array.from({ length: 100 }, (_, i) => `many-${i}`);
  const made = await Promise.all(all.map((Name) => daemon.api("POST", "/v1.51/networks/create", { Name })));
  assert.deepEqual(new Set(made.map(({ status }) => status)), new Set([201]));
  const subnets = await Promise.all(all.map(async (name) => (await inspect(daemon, name)).IPAM.Config?.[0]?.Subnet));
  assert.equal(new Set(subnets).size, 100);
  assert.equal(Object.keys((await hostOf(daemon)).bridges).length, 101);
  const twice = await Promise.all(
    ["same", "same", "same"].map((Name) => daemon.api("POST", "/v1.51/networks/create", { Name })),
  );
  assert.deepEqual(
    twice.map(({ status }) => status).toSorted((a, b) => a - b),
    [201, 409, 409],
  );
  const gone = await Promise.all([...all, "same"].map((name) => daemon.api("DELETE", `/v1.51/networks/${name}`)));
  assert.deepEqual(new Set(gone.map(({ status }) => status)), new Set([204]));
  assert.deepEqual(await footprint(daemon), before);
});
