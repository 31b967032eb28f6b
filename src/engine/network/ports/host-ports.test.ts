import assert from "node:assert/strict";
import { test } from "node:test";
import { isEngineError } from "../../../base/errors.ts";
import { newContainerId } from "../../../base/ids.ts";
import type { PortMap } from "../../../spec/docker/container.ts";
import { createHostPorts } from "./host-ports.ts";
import { parseEphemeralRange, parseSocketTable } from "./host-sockets.ts";
import type { HostPorts, PortRequest } from "./index.ts";

/** A host whose programs have these ports, and whose ephemeral range is short. */
function portsOf(taken: readonly string[] = [], range: readonly [number, number] = [32768, 60999]): HostPorts {
  return createHostPorts({
    ephemeralRange: () => range,
    isTaken: (protocol, port) => taken.includes(`${protocol}/${port}`),
  });
}

function request(containerName: string, bindings: PortMap, more: Partial<PortRequest> = {}): PortRequest {
  return {
    containerId: newContainerId(),
    containerName,
    bindings,
    exposed: [],
    publishAll: false,
    defaultHostIp: "",
    families: [4, 6],
    ...more,
  };
}

function reserve(ports: HostPorts, asked: PortRequest): readonly string[] {
  return ports
    .reserve(asked)
    .map(({ protocol, hostIp, hostPort, containerPort }) => `${hostIp} ${hostPort} ${containerPort}/${protocol}`);
}

function on(HostPort: string, HostIp = "", key = "80/tcp"): PortMap {
  return { [key]: [{ HostIp, HostPort }] };
}

function complains(kind: Parameters<typeof isEngineError>[1], message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isEngineError(error, kind), String(error));
    assert.equal(error.message, message);
    return true;
  };
}

test("no address means all of both families, with one port", () => {
  assert.deepEqual(reserve(portsOf(), request("a", on("8080"))), ["0.0.0.0 8080 80/tcp", ":: 8080 80/tcp"]);
  assert.deepEqual(reserve(portsOf(), request("a", on(""))), ["0.0.0.0 32768 80/tcp", ":: 32768 80/tcp"]);
  assert.deepEqual(reserve(portsOf(), request("a", on("8080"), { families: [4] })), ["0.0.0.0 8080 80/tcp"]);
  assert.deepEqual(reserve(portsOf(), request("a", on("8080"), { families: [6] })), [":: 8080 80/tcp"]);
});

test("an address of the binding wins over the network's, which wins over all", () => {
  const ports = portsOf();
  const of = (ip: string, defaultHostIp: string): readonly string[] =>
    reserve(ports, { ...request("a", on("8080", ip), { defaultHostIp }), containerId: id });
  const id = newContainerId();
  assert.deepEqual(of("127.0.0.1", "10.0.0.1"), ["127.0.0.1 8080 80/tcp"]);
  assert.deepEqual(of("", "10.0.0.1"), ["10.0.0.1 8080 80/tcp"]);
  assert.deepEqual(of("", "::"), [":: 8080 80/tcp"]);
  assert.deepEqual(of("", "0.0.0.0"), ["0.0.0.0 8080 80/tcp", ":: 8080 80/tcp"]);
  assert.deepEqual(of("0.0.0.0", ""), ["0.0.0.0 8080 80/tcp"]);
  assert.deepEqual(of("::ffff:127.0.0.1", ""), ["127.0.0.1 8080 80/tcp"]);
});

test("a clash names the holder and reserves nothing", () => {
  const ports = portsOf();
  const web = request("web", on("8080"));
  reserve(ports, web);
  const clash = (bindings: PortMap, address: string): void =>
    assert.throws(
      () => reserve(ports, request("other", bindings)),
      complains("Conflict", `Bind for ${address}:8080 failed: port is already allocated (by container web)`),
    );
  clash(on("8080"), "0.0.0.0");
  clash(on("8080", "127.0.0.1"), "0.0.0.0");
  clash(on("8080", "::1"), "::");
  clash({ "80/tcp": [{ HostPort: "8079" }, { HostPort: "8080" }] }, "0.0.0.0");
  assert.deepEqual(reserve(ports, request("udp", on("8080", "", "80/udp"))).length, 2);
  assert.deepEqual(reserve(ports, request("free", on("8079"))).length, 2);
  ports.release(web.containerId);
  assert.deepEqual(reserve(ports, request("other", on("8080"))).length, 2);
});

test("addresses of one family meet only where they are the same or one is all; the families are apart", () => {
  const ports = portsOf();
  for (const ip of ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"]) reserve(ports, request(ip, on("8080", ip)));
  assert.throws(
    () => reserve(ports, request("x", on("8080", "0.0.0.0"))),
    complains("Conflict", "Bind for 127.0.0.1:8080 failed: port is already allocated (by container 127.0.0.1)"),
  );
  assert.throws(
    () => reserve(ports, request("x", on("8080", "0:0:0:0:0:0:0:1"))),
    complains("Conflict", "Bind for ::1:8080 failed: port is already allocated (by container ::1)"),
  );
  const four = request("four", on("9090", "0.0.0.0"));
  reserve(ports, four);
  assert.deepEqual(reserve(ports, request("six", on("9090", "::"))), [":: 9090 80/tcp"]);
});

test("two bindings of one container that meet are a clash", () => {
  const both = { "80/tcp": [{ HostPort: "8080" }], "81/tcp": [{ HostPort: "8080" }] };
  const twice = { "80/tcp": [{ HostPort: "8080" }, { HostPort: "8080", HostIp: "127.0.0.1" }] };
  for (const bindings of [both, twice]) {
    const ports = portsOf();
    assert.throws(
      () => reserve(ports, request("self", bindings)),
      complains("Conflict", "Bind for 0.0.0.0:8080 failed: port is already allocated (by container self)"),
    );
    assert.equal(reserve(ports, request("next", on("8080"))).length, 2);
  }
});

test("a range of the host gives one port, round in turn, past what is taken", () => {
  const ports = portsOf(["tcp/8002"]);
  const first = request("a", on("8000-8003"));
  assert.equal(reserve(ports, first)[0], "0.0.0.0 8000 80/tcp");
  ports.release(first.containerId);
  assert.equal(reserve(ports, request("b", on("8000-8003")))[0], "0.0.0.0 8001 80/tcp");
  assert.equal(reserve(ports, request("c", on("8000-8003")))[0], "0.0.0.0 8003 80/tcp");
  assert.equal(reserve(ports, request("d", on("8000-8003")))[0], "0.0.0.0 8000 80/tcp");
  assert.throws(
    () => reserve(ports, request("e", on("8000-8003"))),
    complains("Conflict", "Bind for 0.0.0.0:8000-8003 failed: all ports are allocated (by container d, b, c)"),
  );
});

test("any port: from the ephemeral range, in sequence, each protocol and address for itself", () => {
  const ports = portsOf(["tcp/32769"]);
  const asked = request("a", {}, { exposed: ["90/tcp", "100/tcp", "90/udp"], publishAll: true, families: [4] });
  assert.deepEqual(reserve(ports, asked), ["0.0.0.0 32768 90/tcp", "0.0.0.0 32768 90/udp", "0.0.0.0 32770 100/tcp"]);
  assert.deepEqual(reserve(ports, request("b", on(""), { families: [4] })), ["0.0.0.0 32771 80/tcp"]);
  const small = portsOf([], [40000, 40001]);
  reserve(small, request("a", on("")));
  reserve(small, request("b", on("")));
  assert.throws(() => reserve(small, request("c", on(""))), complains("Unavailable", "all ports are allocated"));
});

test("fixed ports are reserved before others are chosen", () => {
  const bindings = { "80/tcp": [{}], "90/tcp": [{ HostPort: "32768" }], "85/tcp": [{ HostPort: "32768-32769" }] };
  assert.deepEqual(reserve(portsOf(), request("a", bindings, { families: [4] })), [
    "0.0.0.0 32768 90/tcp",
    "0.0.0.0 32769 85/tcp",
    "0.0.0.0 32770 80/tcp",
  ]);
});

test("-P leaves what is bound alone, and takes keys without bindings", () => {
  const bindings = { "90/tcp": [{ HostPort: "7000" }], "91/tcp": [] };
  const asked = request("a", bindings, { exposed: ["90/tcp", "91/tcp"], publishAll: true, families: [4] });
  assert.deepEqual(reserve(portsOf(), asked), ["0.0.0.0 7000 90/tcp", "0.0.0.0 32768 91/tcp"]);
});

test("reserving again replaces, unless it fails", () => {
  const ports = portsOf();
  const web = request("web", on("8080"));
  reserve(ports, web);
  reserve(ports, request("other", on("9090")));
  assert.throws(() => reserve(ports, { ...web, bindings: on("9090") }));
  assert.throws(() => reserve(ports, request("x", on("8080"))), /by container web/);
  assert.equal(reserve(ports, { ...web, bindings: { ...on("8080"), ...on("8081", "", "81/tcp") } }).length, 4);
});

test("what is adopted is held, with the name that came last", () => {
  const ports = portsOf();
  const id = newContainerId();
  const port = { protocol: "tcp", hostIp: "0.0.0.0", hostPort: 8080, containerPort: 80 } as const;
  ports.adopt(id, "old", [port]);
  ports.adopt(id, "new", [port]);
  assert.throws(() => reserve(ports, request("x", on("8080"))), /\(by container new\)$/);
  ports.release(id);
  ports.release(id);
  assert.equal(reserve(ports, request("x", on("8080"))).length, 2);
});

test("malformed bindings are refused as at creation", () => {
  assert.throws(
    () => reserve(portsOf(), request("x", on("a"))),
    complains("InvalidParameter", 'invalid port specification: "a"'),
  );
});

test("500 ports of a range, and the same ones again for another, each told by name", () => {
  const ports = portsOf();
  const many = Object.fromEntries(
    Array.from({ length: 500 }, (_, at) => [`${9000 + at}/tcp`, [{ HostPort: String(9000 + at) }]]),
  );
  assert.equal(reserve(ports, request("many", many)).length, 1000);
  assert.throws(() => reserve(ports, request("again", many)), /Bind for 0\.0\.0\.0:9000 failed.*by container many/);
});

test("tables of /proc/net are read; connections in TIME_WAIT hold nothing", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:1F91 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0
   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
  33: 0100007F:A000 0100007F:1F90 01 00000000:00000000
`;
  assert.deepEqual([...parseSocketTable(table)], [0x1f90, 0x50, 0xa000]);
  assert.deepEqual(parseEphemeralRange("32768\t60999\n"), [32768, 60999]);
  assert.deepEqual(parseEphemeralRange(""), [32768, 60999]);
  assert.deepEqual(parseEphemeralRange("40000 39999"), [32768, 60999]);
});
