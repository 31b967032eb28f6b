import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FlagError, parseFlags } from "../../base/flags.ts";
import { parseConfigFile } from "./config-file.ts";
import { type DaemonConfig, mergeConfig, resolveConfig } from "./config.ts";
import { directives, directivesOfDockerdOnly } from "./directives.ts";

const specs = directives.map(({ flag }) => flag);
const dir = mkdtempSync(join(tmpdir(), "gantry-config-"));
after(() => rmSync(dir, { recursive: true }));

function merge(args: readonly string[], file: unknown = {}): DaemonConfig {
  return mergeConfig(parseConfigFile(JSON.stringify(file)), parseFlags(specs, args), "/etc/gantry/daemon.json");
}

function resolveWith(text: string, args: readonly string[] = []): DaemonConfig {
  const path = join(dir, "daemon.json");
  writeFileSync(path, text);
  return resolveConfig(parseFlags(specs, ["--config-file", path, ...args]));
}

test("the defaults are the documented ones", () => {
  const config = merge([]);
  assert.deepEqual(config.hosts, ["unix:///run/gantry/gantry.sock"]);
  assert.deepEqual(
    [config.dataRoot, config.execRoot, config.pidFile, config.cgroupParent, config.defaultRuntime, config.logDriver],
    ["/var/lib/gantry", "/run/gantry", "/run/gantry/gantryd.pid", "/gantry", "crun", "json-file"],
  );
  assert.deepEqual(
    [config.mtu, config.ipForward, config.defaultShmSizeBytes, config.bip],
    [1500, true, 67108864, undefined],
  );
});

test("the socket and the pid file follow the exec root", () => {
  const config = merge(["--exec-root", "/x"]);
  assert.deepEqual([config.hosts, config.pidFile], [["unix:///x/gantry.sock"], "/x/gantryd.pid"]);
});

test("flags and file say the same things", () => {
  const byFlags = merge(
    `-H unix:///a -H unix:///b --default-ulimit nofile=1024:2048 --log-opt max-size=1m --label a=1 --mtu 1400 -D
     --add-runtime x=/usr/bin/x --ip-forward=false --dns 1.1.1.1 --default-shm-size 128m
     --max-layer-size 20g`.split(/\s+/),
  );
  const byFile = merge([], {
    hosts: ["unix:///a", "unix:///b"],
    "default-ulimits": { nofile: { Name: "nofile", Soft: 1024, Hard: 2048 } },
    "log-opts": { "max-size": "1m" },
    labels: ["a=1"],
    runtimes: { x: { path: "/usr/bin/x" } },
    mtu: 1400,
    debug: true,
    "ip-forward": false,
    dns: ["1.1.1.1"],
    "default-shm-size": "128m",
    "max-layer-size": "20g",
  });
  assert.deepEqual(byFlags, byFile);
  assert.deepEqual(Object.keys(byFlags.runtimes), ["crun", "runc", "x"]);
  assert.equal(byFlags.logLevel, "debug");
  assert.deepEqual([byFlags.maxLayerBytes, merge([]).maxLayerBytes], [20 * 2 ** 30, 0]);
});

test("unknown keys are all named; those of dockerd are told from typos", () => {
  assert.throws(() => resolveWith('{"foo":1,"bar":2}'), {
    kind: "InvalidParameter",
    message:
      /^unable to configure the daemon with file .*: the following directives don't match any configuration option: foo, bar$/,
  });
  assert.throws(() => resolveWith('{"storage-driver":"overlay2"}'), {
    message: /the following directives of dockerd are not supported by Gantry yet: storage-driver$/,
  });
});

test("no key is both supported and refused as dockerd's", () => {
  const both = directives.flatMap(({ key }) => (key !== undefined && directivesOfDockerdOnly.has(key) ? [key] : []));
  assert.deepEqual(both, []);
});

test("what is in the file and on the command line is named with both values", () => {
  assert.throws(() => resolveWith('{"debug":true,"hosts":["unix:///x"]}', ["-D", "-H", "unix:///y"]), {
    message:
      /the following directives are specified both as a flag and in the configuration file: debug: \(from flag: true, from file: true\), hosts: \(from flag: \[unix:\/\/\/y\], from file: \[unix:\/\/\/x\]\)$/,
  });
});

test("a value of the wrong type, and a file that is no JSON, stop the start", () => {
  for (const text of ['{"debug":"x"}', '{"mtu":"x"}', '{"hosts":"x"}', '{"log-opts":{"a":1}}', '{"runtimes":{"a":{}}}'])
    assert.throws(() => resolveWith(text), { message: /invalid value for / }, text);
  for (const text of ['{"debug":true,', "[]", "null", '{"debug":true} x'])
    assert.throws(() => resolveWith(text), { message: /invalid JSON/ }, text);
});

test("an empty file is an empty configuration; a file that was named must be there", () => {
  assert.equal(resolveWith("").mtu, 1500);
  const flags = parseFlags(specs, ["--config-file", join(dir, "nope.json")]);
  assert.throws(() => resolveConfig(flags), { message: /open .*nope\.json: no such file or directory$/ });
});

test("values that cannot be are named", () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["-l", "foo"], /^invalid logging level: foo$/],
    [["--mtu", "-1"], /^invalid default MTU: -1$/],
    [["--log-format", "x"], /^invalid log format: x$/],
    [["--log-driver", "syslog"], /^invalid log driver: syslog/],
    [["--default-runtime", "foo"], /^specified default runtime 'foo' does not exist$/],
    [["--add-runtime", "runc=/bin/x"], /^runtime name 'runc' is reserved$/],
    [["--bridge", "br0", "--bip", "10.0.0.1/8"], /mutually exclusive/],
    [["--bip", "foo"], /^invalid bip: invalid CIDR address: foo$/],
    [["--label", "a=1", "--label", "a=2"], /^conflict labels for a$/],
    [["-H", "foo"], /^invalid bind address \(foo\)/],
    [["-H", "unix://x"], /the path must be absolute$/],
    [["-H", "tcp://0.0.0.0:99"], /without --tlsverify would give root/],
    [["-H", "tcp://0.0.0.0:99", "--tls"], /without --tlsverify would give root/],
    [["-H", "tcp://0.0.0.0"], /should be in the format tcp:\/\/host:port$/],
    [["--cgroup-parent", "/"], /^invalid cgroup parent/],
    [["--cgroup-parent", "/a/../b"], /^invalid cgroup parent/],
    [["--embedded-image", "/nope"], /no such file or directory$/],
    [["--tlsverify", "--tlscert", "/nope"], /^could not load TLS file \/nope: no such file or directory$/],
    [["--log-opt", "max-size=foo"], /^invalid log opts: invalid size: 'foo'$/],
    [["--log-opt", "nope=1"], /^invalid log opts: unknown log opt 'nope'/],
    [["--default-ulimit", "nofile=10:5"], /^invalid default ulimit: ulimit soft limit/],
  ];
  for (const [args, message] of cases)
    assert.throws(() => merge(args), { kind: "InvalidParameter", message }, args.join(" "));
  const pem = ["cert", "key", "cacert"].map((name) => `--tls${name}=${import.meta.filename}`);
  assert.deepEqual(merge(["-H", "tcp://0.0.0.0:99", "--tlsverify", ...pem]).tls.enabled, true);
  assert.deepEqual(merge(["-H", "tcp://[::1]:99", "--allow-insecure-tcp"]).hosts, ["tcp://[::1]:99"]);
});

test("plugins are looked for in dockerd's directories, or in those that are given", () => {
  assert.deepEqual(merge([]).pluginDirectories, {
    sockets: ["/run/docker/plugins"],
    specs: ["/etc/docker/plugins", "/usr/lib/docker/plugins"],
  });
  const given = { sockets: ["/a", "/b"], specs: ["/a", "/b"] };
  assert.deepEqual(merge(["--plugin-dir", "/a", "--plugin-dir=/b"]).pluginDirectories, given);
  assert.deepEqual(merge([], { "plugin-dirs": ["/a", "/b"] }).pluginDirectories, given);
});

test("values that the parser refuses in a flag are refused in the file too", () => {
  assert.throws(() => merge([], { dns: ["1.1.1.1", "x"] }), {
    message: "invalid string being converted to IP address: x",
  });
  assert.throws(() => merge([], { "plugin-dirs": ["/a", "b"] }), {
    message: "invalid plugin directory: b: an absolute path is needed",
  });
  assert.throws(() => merge([], { "default-ulimits": { nofile: { Name: "nofile", Soft: 10, Hard: 5 } } }), {
    message: /^invalid default ulimit: /,
  });
});

test("flags with wrong values are refused by the parser, in pflag's words", () => {
  const cases: Readonly<Record<string, string>> = {
    "--add-runtime=foo": 'invalid argument "foo" for "--add-runtime" flag: invalid runtime argument: foo',
    "--default-ulimit=x": 'invalid argument "x" for "--default-ulimit" flag: invalid ulimit argument: x',
    "--label=x": 'invalid argument "x" for "--label" flag: bad attribute format: x',
    "--plugin-dir=x":
      'invalid argument "x" for "--plugin-dir" flag: invalid plugin directory: x: an absolute path is needed',
    "--max-layer-size=-1": 'invalid argument "-1" for "--max-layer-size" flag: invalid size: \'-1\'',
    "--default-shm-size=x": 'invalid argument "x" for "--default-shm-size" flag: invalid size: \'x\'',
    "--dns=x": 'invalid argument "x" for "--dns" flag: invalid string being converted to IP address: x',
  };
  for (const [arg, message] of Object.entries(cases))
    assert.throws(() => parseFlags(specs, [arg]), new FlagError(message));
});
