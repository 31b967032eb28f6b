import assert from "node:assert/strict";
import { test } from "node:test";
import { complainAboutPorts, parseBindings, parseExposed, parseHostIp, parsePortKey } from "./parse.ts";

function complain(key: string, HostPort = "8080", HostIp = ""): readonly string[] {
  return complainAboutPorts({}, { PortBindings: { [key]: [{ HostIp, HostPort }] } });
}

test("keys of ports are read as dockerd reads them", () => {
  assert.deepEqual(parsePortKey("80"), { port: 80, protocol: "tcp" });
  assert.deepEqual(parsePortKey("80/"), { port: 80, protocol: "tcp" });
  assert.deepEqual(parsePortKey("53/UDP"), { port: 53, protocol: "udp" });
  assert.deepEqual(parsePortKey("080/sctp"), { port: 80, protocol: "sctp" });
});

test("complaints about bindings are dockerd's", () => {
  for (const key of ["80-82/tcp", "abc/tcp", "70000/tcp", "-1/tcp", "+80/tcp", "", "/tcp", "0/tcp"])
    assert.deepEqual(complain(key), [`invalid port specification: ${JSON.stringify(key.split("/")[0])}`], key);
  for (const host of ["abc", "70000", "-5", "8010-8000", " 80", "1-2-3", "0-5", "1e3", "8080 "])
    assert.deepEqual(complain("80/tcp", host), [`invalid port specification: ${JSON.stringify(host)}`], host);
});

test("what dockerd would publish on all addresses by mistake is refused", () => {
  for (const ip of ["1.2.3", "localhost", "fe80::1%lo", "127.0.0.1 ", "[", "1.2.3.4/24"])
    assert.deepEqual(complain("80/tcp", "8080", ip), [`invalid IP address: ${ip}`], ip);
  assert.deepEqual(complain("80/foo"), ['invalid port specification: "80/foo": unknown protocol']);
  assert.deepEqual(complain("80/tcp/udp"), ['invalid port specification: "80/tcp/udp": unknown protocol']);
});

test("all complaints come at once", () => {
  const PortBindings = { "x/tcp": [{}], "80/tcp": [{ HostIp: "y", HostPort: "z" }, { HostPort: "8080" }] };
  assert.deepEqual(complainAboutPorts({}, { PortBindings }), [
    'invalid port specification: "x"',
    "invalid IP address: y",
    'invalid port specification: "z"',
  ]);
  assert.deepEqual(complainAboutPorts({}, {}), []);
});

test("addresses of the host have one form", () => {
  const forms = { "127.0.0.1": "127.0.0.1", "::1": "::1", "[::1]": "::1", "0:0:0:0:0:0:0:0": "::" };
  for (const [text, form] of Object.entries(forms)) assert.equal(parseHostIp(text), form);
  assert.equal(parseHostIp("FD00:0:0:1::2"), "fd00:0:0:1::2");
  assert.equal(parseHostIp("::ffff:127.0.0.1"), "127.0.0.1");
  assert.equal(parseHostIp("::ffff:7f00:1"), "127.0.0.1");
});

test("bindings: fixed, in a range, any; in the order of the container's ports; empty lists publish nothing", () => {
  const { wishes } = parseBindings({
    "100/tcp": [{ HostPort: "08080" }],
    "80/tcp": [{ HostIp: "::1", HostPort: "8000-8010" }, { HostPort: "0" }, {}],
    "90/tcp": [],
    "91/tcp": null,
  });
  assert.deepEqual(
    wishes.map(({ port, hostIp, hostRange }) => [port, hostIp, hostRange]),
    [
      [80, "::1", [8000, 8010]],
      [80, "", undefined],
      [80, "", undefined],
      [100, "", [8080, 8080]],
    ],
  );
});

test("exposed ports: ranges are taken apart, what is none exposes nothing", () => {
  assert.deepEqual(
    parseExposed(["90-92/tcp", "5/udp", "abc", "7/foo", "90000", "8"]).map(
      ({ port, protocol }) => `${port}/${protocol}`,
    ),
    ["90/tcp", "91/tcp", "92/tcp", "5/udp", "8/tcp"],
  );
});
