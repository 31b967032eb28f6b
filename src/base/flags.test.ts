// Flag parsing as pflag does it: every spelling, every complaint.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FlagError, parseFlags, parseInteger, renderFlagUsages, type FlagSpec } from "./flags.ts";

const specs: readonly FlagSpec[] = [
  { name: "interactive", short: "i", kind: "bool", usage: "Keep STDIN open" },
  { name: "tty", short: "t", kind: "bool", usage: "Allocate a terminal" },
  { name: "publish", short: "p", kind: "strings", usage: "Publish a port" },
  { name: "name", kind: "string", usage: "Assign a name" },
  { name: "pids-limit", kind: "int", usage: "Limit of processes", default: "0" },
  { name: "verbose", short: "v", kind: "count", usage: "Say more" },
  { name: "sig-proxy", kind: "bool", usage: "Proxy signals", default: "true" },
  { name: "old", kind: "bool", usage: "Old", deprecated: "use --new" },
  { name: "secret", kind: "bool", usage: "Secret", hidden: true },
  { name: "color", kind: "string", usage: "Colours", alone: "auto" },
];

test("every spelling of a value reaches its flag", () => {
  const flags = parseFlags(specs, ["-it", "-p80", "-p=81", "-p", "82", "--publish=83", "--name", "a", "--name=b=c"]);
  assert.deepEqual(flags.strings("publish"), ["80", "81", "82", "83"]);
  assert.equal(flags.string("name"), "b=c");
  assert.ok(flags.bool("interactive") && flags.bool("tty"));
  assert.deepEqual(flags.positional, []);
});

test("a bundle may end in a flag that takes a value", () => {
  const flags = parseFlags(specs, ["-itp", "80", "x"]);
  assert.deepEqual([flags.strings("publish"), flags.positional], [["80"], ["x"]]);
});

test("booleans take a value only with =", () => {
  const flags = parseFlags(specs, ["--tty=false", "--interactive", "false", "--sig-proxy=0", "-t=true"]);
  assert.deepEqual([flags.bool("tty"), flags.bool("interactive"), flags.bool("sig-proxy")], [true, true, false]);
  assert.deepEqual(flags.positional, ["false"]);
});

test("defaults are there without being set", () => {
  const flags = parseFlags(specs, []);
  assert.deepEqual([flags.bool("sig-proxy"), flags.isSet("sig-proxy"), flags.int("pids-limit")], [true, false, 0]);
});

test("without interspersion the first positional ends the flags", () => {
  const flags = parseFlags(specs, ["-i", "busybox", "sh", "-c", "--tty"], { interspersed: false });
  assert.deepEqual(flags.positional, ["busybox", "sh", "-c", "--tty"]);
  assert.equal(flags.bool("tty"), false);
});

test("with interspersion flags may follow positionals, until --", () => {
  const flags = parseFlags(specs, ["a", "-t", "--", "-i", "b"]);
  assert.deepEqual([flags.positional, flags.dashIndex, flags.bool("interactive")], [["a", "-i", "b"], 1, false]);
});

test("a lone dash is a positional", () => {
  assert.deepEqual(parseFlags(specs, ["-"]).positional, ["-"]);
});

test("counts add up", () => {
  assert.equal(parseFlags(specs, ["-vv", "--verbose"]).int("verbose"), 3);
});

test("a flag with a value of its own when alone never takes the next argument", () => {
  const flags = parseFlags(specs, ["--color", "never"]);
  assert.deepEqual([flags.string("color"), flags.positional], ["auto", ["never"]]);
  assert.equal(parseFlags(specs, ["--color=never"]).string("color"), "never");
});

test("complaints are pflag's", () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--nope"], "unknown flag: --nope"],
    [["--nope=1"], "unknown flag: --nope"],
    [["-x"], "unknown shorthand flag: 'x' in -x"],
    [["-ixt"], "unknown shorthand flag: 'x' in -xt"],
    [["--name"], "flag needs an argument: --name"],
    [["-ip"], "flag needs an argument: 'p' in -p"],
    [["--=x"], "bad flag syntax: --=x"],
    [["---x"], "bad flag syntax: ---x"],
    [
      ["--tty=maybe"],
      'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      ["--pids-limit", "many"],
      'invalid argument "many" for "--pids-limit" flag: strconv.ParseInt: parsing "many": invalid syntax',
    ],
  ];
  for (const [args, message] of cases)
    assert.throws(() => parseFlags(specs, args), new FlagError(message), JSON.stringify(args));
});

test("a spec's own complaint is reported like the others", () => {
  const spec: FlagSpec = { name: "mtu", kind: "int", usage: "", complain: () => "too small" };
  assert.throws(
    () => parseFlags([spec], ["--mtu=1"]),
    new FlagError('invalid argument "1" for "--mtu" flag: too small'),
  );
});

test("help stops the parsing, -h too where nothing else has it", () => {
  assert.equal(parseFlags(specs, ["-i", "--help", "--nope"]).help, true);
  assert.equal(parseFlags(specs, ["-h"]).help, true);
  const own: FlagSpec = { name: "hostname", short: "h", kind: "string", usage: "" };
  assert.equal(parseFlags([own], ["-h", "x"]).string("hostname"), "x");
});

test("a deprecated flag warns once and is not in the usage text", () => {
  const flags = parseFlags(specs, ["--old", "--old"]);
  assert.deepEqual(flags.warnings, ["Flag --old has been deprecated, use --new"]);
  assert.doesNotMatch(renderFlagUsages(specs), /--old|--secret/);
});

test("an accessor refuses a name that is not a flag", () => {
  assert.throws(() => parseFlags(specs, []).bool("typo"), TypeError);
});

test("integers are read as Go reads them", () => {
  const cases = {
    "10": 10,
    "-3": -3,
    "0x1f": 31,
    "0b11": 3,
    "010": 8,
    "0o17": 15,
    "": undefined,
    "1.5": undefined,
    "08": undefined,
  };
  for (const [text, value] of Object.entries(cases)) assert.equal(parseInteger(text), value, text);
});

test("the usage text is aligned, sorted, and names values and defaults", () => {
  const some = specs.filter(({ name }) => ["color", "publish", "sig-proxy", "tty"].includes(name));
  assert.equal(
    renderFlagUsages(some),
    [
      '      --color string[="auto"]   Colours',
      "  -p, --publish list            Publish a port",
      "      --sig-proxy               Proxy signals (default true)",
      "  -t, --tty                     Allocate a terminal",
      "",
    ].join("\n"),
  );
});

test("the usage text wraps at a width", () => {
  const spec: FlagSpec = { name: "a", kind: "bool", usage: "one two three four five six seven eight nine ten" };
  assert.equal(
    renderFlagUsages([spec], 40),
    "      --a   one two three four five six\n            seven eight nine ten\n",
  );
});
