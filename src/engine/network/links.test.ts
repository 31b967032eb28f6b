import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLinks } from "./links.ts";

test("links are read from ip's JSON; link-local addresses are left out", () => {
  const text = JSON.stringify([
    {
      ifname: "gantry0",
      flags: ["UP"],
      mtu: 1500,
      ifalias: "gantry 0123456789ab",
      linkinfo: { info_kind: "bridge" },
      addr_info: [
        { family: "inet", local: "172.17.0.1", prefixlen: 16, scope: "global" },
        { family: "inet6", local: "fd00::1", prefixlen: 64, scope: "global" },
        { family: "inet6", local: "fe80::1", prefixlen: 64, scope: "link" },
      ],
    },
    { ifname: "gveth1", flags: [], mtu: 1500, master: "gantry0", addr_info: [] },
    { ifname: "lo", flags: ["LOOPBACK"], mtu: 65536 },
    {},
  ]);
  const plain = {
    up: false,
    mtu: 1500,
    kind: undefined,
    master: undefined,
    addresses: [],
    addresses6: [],
    alias: "",
    loopback: false,
  };
  assert.deepEqual(parseLinks(text), [
    {
      ...plain,
      name: "gantry0",
      up: true,
      kind: "bridge",
      addresses: ["172.17.0.1/16"],
      addresses6: ["fd00::1/64"],
      alias: "gantry 0123456789ab",
    },
    { ...plain, name: "gveth1", master: "gantry0" },
    { ...plain, name: "lo", mtu: 65536, loopback: true },
  ]);
});

test("what is no JSON list of ip is refused", () => {
  assert.deepEqual(parseLinks(""), []);
  assert.throws(() => parseLinks("oops"), { kind: "System" });
  assert.throws(() => parseLinks("{}"), { kind: "System" });
});
