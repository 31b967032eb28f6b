import assert from "node:assert/strict";
import { test } from "node:test";
import { isHostWord, mergeHosts, parseExtraHost, renderHosts } from "./hosts-file.ts";
import {
  parseResolvConf,
  planInternalResolvConf,
  planResolvConf,
  renderResolvConf,
  usesResolvedStub,
} from "./resolv-conf.ts";

const none = { nameservers: [], search: [], options: [] };

test("a container's own name stands with its address, the domain first", () => {
  const text = renderHosts(
    [
      { name: "h1", address: "1.2.3.4" },
      { name: "gw", address: "host-gateway" },
    ],
    ["172.17.0.1", "fd00::1"],
    [{ address: "172.17.0.3", names: ["DB", "dbh", "db"] }],
    {
      addresses: ["172.17.0.2", "fd00::2"],
      hostname: "foo",
      domainname: "d.x",
    },
  );
  assert.deepEqual(text.split("\n").slice(6), [
    "1.2.3.4\th1",
    "172.17.0.1\tgw",
    "fd00::1\tgw",
    "172.17.0.3\tDB dbh db",
    "172.17.0.2\tfoo.d.x foo",
    "fd00::2\tfoo.d.x foo",
    "",
  ]);
  assert.match(text, /^127\.0\.0\.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n/);
});

test("without an address of its own there is no line for it", () => {
  assert.doesNotMatch(renderHosts([], [], [], undefined), /\n\d+\.\d+\.\d+\.\d+\t(?!localhost)/);
});

test("extra hosts: both separators, brackets, host-gateway; nothing else", () => {
  assert.deepEqual(parseExtraHost("a:1.2.3.4"), { name: "a", address: "1.2.3.4" });
  assert.deepEqual(parseExtraHost("a=[::1]"), { name: "a", address: "::1" });
  assert.deepEqual(parseExtraHost("a:::1"), { name: "a", address: "::1" });
  assert.deepEqual(parseExtraHost("a:host-gateway"), { name: "a", address: "host-gateway" });
  const complaints = {
    foo: 'bad format for add-host: "foo"',
    ":1.1.1.1": 'bad format for add-host: ":1.1.1.1"',
    "a\nb:1.1.1.1": 'bad format for add-host: "a\\nb:1.1.1.1"',
    "a b:1.1.1.1": 'bad format for add-host: "a b:1.1.1.1"',
    "foo:bar": 'invalid IP address in add-host: "bar"',
    "foo:1.1.1.1\n2.2.2.2 evil": 'invalid IP address in add-host: "1.1.1.1\\n2.2.2.2 evil"',
    "foo:fe80::1%eth0": 'invalid IP address in add-host: "fe80::1%eth0"',
  };
  for (const [text, complaint] of Object.entries(complaints)) assert.deepEqual(parseExtraHost(text), { complaint });
});

test("a host name is one word of a line", () => {
  for (const text of ["a", "a_b", "Ünicode", "a.b-c"]) assert.equal(isHostWord(text), true, text);
  for (const text of ["", "a b", "a\tb", "a\nb", "a\u2028b", "a\0", "#a", "a\u001b[2J"])
    assert.equal(isHostWord(text), false, text);
});

test("resolv.conf is read as resolvers read it", () => {
  const text =
    "# c\nnameserver 1.1.1.1\nnameserver ::1 # x\nnameserver x\ndomain d\nsearch a b\noptions ndots:2 rotate\n; c\n";
  assert.deepEqual(parseResolvConf(text), {
    nameservers: ["1.1.1.1", "::1"],
    search: ["a", "b"],
    options: ["ndots:2", "rotate"],
  });
});

test("servers that a container cannot reach are left out; with none left there are public ones", () => {
  const host = { ...none, nameservers: ["127.0.0.1", "::1", "fd00::1", "10.0.0.53"] };
  assert.deepEqual(planResolvConf(host, none, false).nameservers, ["10.0.0.53"]);
  assert.deepEqual(planResolvConf(host, none, true).nameservers, host.nameservers);
  const local = { ...none, nameservers: ["127.0.0.53"] };
  assert.deepEqual(planResolvConf(local, none, false).nameservers, ["8.8.8.8", "8.8.4.4"]);
  assert.equal(usesResolvedStub(local), true);
  assert.equal(usesResolvedStub(host), false);
});

test("what is asked for replaces the host's, list by list; a search of a dot is none", () => {
  const host = { nameservers: ["10.0.0.53"], search: ["corp"], options: ["rotate"] };
  assert.deepEqual(planResolvConf(host, { ...none, nameservers: ["9.9.9.9"] }, false), {
    ...host,
    nameservers: ["9.9.9.9"],
  });
  assert.deepEqual(planResolvConf(host, { ...none, search: ["."], options: ["ndots:3"] }, false), {
    nameservers: ["10.0.0.53"],
    search: [],
    options: ["ndots:3"],
  });
});

test("what was rendered reads back the same", () => {
  const conf = { nameservers: ["9.9.9.9", "::2"], search: ["a.b", "c"], options: ["ndots:3"] };
  assert.deepEqual(parseResolvConf(renderResolvConf(conf)), conf);
});

test("with the engine's name server the host's search and options stay, and ndots is 0 unless the client says it", () => {
  const host = { nameservers: ["10.0.0.53"], search: ["corp"], options: ["rotate"] };
  assert.deepEqual(planInternalResolvConf(host, none), {
    nameservers: ["127.0.0.11"],
    search: ["corp"],
    options: ["rotate", "ndots:0"],
  });
  assert.deepEqual(
    planInternalResolvConf({ ...host, options: ["ndots:5", "rotate"] }, none).options,
    ["rotate", "ndots:0"],
    "the host's ndots would put its search domains before the containers' names",
  );
  assert.deepEqual(planInternalResolvConf(host, { nameservers: ["1.2.3.4"], search: ["."], options: ["ndots:3"] }), {
    nameservers: ["127.0.0.11"],
    search: [],
    options: ["ndots:3"],
  });
});

test("a hosts file that nobody touched becomes the new one; in one that was edited only our lines change", () => {
  const [before, after] = ["a\n1\tx\n2\tx\n", "a\n2\tx\n3\tx\n"];
  assert.equal(mergeHosts(before, after, before), after);
  assert.equal(mergeHosts(before, after, "a\n1\tx\n9\tmine\n2\tx\n"), "a\n9\tmine\n2\tx\n3\tx\n");
  assert.equal(mergeHosts(before, after, ""), "3\tx\n");
});
