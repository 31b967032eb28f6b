import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isEngineError, messageOf } from "../../base/errors.ts";
import { createSchema } from "./containers/schema.ts";
import { parseJson } from "./json.ts";
import { decodeObject } from "./schema.ts";

function decode(text: string): unknown {
  return decodeObject(createSchema, parseJson(text), "");
}

function messageFor(text: string): string {
  try {
    decode(text);
  } catch (error) {
    assert.ok(isEngineError(error, "InvalidParameter"), messageOf(error));
    return error.message.replace("invalid JSON: json: cannot unmarshal ", "");
  }
  return "accepted";
}

// Recorded from dockerd 28.5.
const refusals: readonly (readonly [string, string])[] = [
  ["[]", "array into Go value of type container.CreateRequest"],
  ['"x"', "string into Go value of type container.CreateRequest"],
  ['{"Image":5}', "number into Go struct field .Image of type string"],
  ['{"Cmd":5}', "number into Go value of type string"],
  ['{"Cmd":{}}', "object into Go value of type string"],
  ['{"HostConfig":{"Memory":1e400}}', "number 1e400 into Go struct field .HostConfig.Memory of type int64"],
  ['{"HostConfig":{"Memory":1.5}}', "number 1.5 into Go struct field .HostConfig.Memory of type int64"],
  ['{"HostConfig":{"Memory":1e9}}', "number 1e9 into Go struct field .HostConfig.Memory of type int64"],
  [
    '{"HostConfig":{"Memory":9223372036854775808}}',
    "number 9223372036854775808 into Go struct field .HostConfig.Memory of type int64",
  ],
  ['{"HostConfig":{"Memory":"5"}}', "string into Go struct field .HostConfig.Memory of type int64"],
  ['{"HostConfig":[]}', "array into Go struct field .HostConfig of type container.HostConfig"],
  ['{"HostConfig":{"Binds":"x"}}', "string into Go struct field .HostConfig.Binds of type []string"],
  ['{"HostConfig":{"Binds":[{}]}}', "object into .HostConfig.Binds.0 of type string"],
  ['{"Env":{"a":"b"}}', "object into Go struct field .Env of type []string"],
  ['{"Labels":["a"]}', "array into Go struct field .Labels of type map[string]string"],
  ['{"Labels":{"a":1}}', "number into Go struct field .Labels.a of type string"],
  ['{"Tty":"true"}', "string into Go struct field .Tty of type bool"],
  ['{"StopTimeout":1.5}', "number 1.5 into Go struct field .StopTimeout of type int"],
  ['{"ExposedPorts":["80"]}', "array into Go struct field .ExposedPorts of type nat.PortSet"],
  ['{"ExposedPorts":{"80/tcp":[]}}', "array into Go struct field .ExposedPorts.80~1tcp of type struct {}"],
  [
    '{"HostConfig":{"LogConfig":{"Config":{"a":1}}}}',
    "number into Go struct field .HostConfig.LogConfig.Config.a of type string",
  ],
  [
    '{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}',
    "number into Go struct field .HostConfig.PortBindings.80~1tcp.0.HostPort of type string",
  ],
  [
    '{"HostConfig":{"PortBindings":{"80/tcp":{}}}}',
    "object into Go struct field .HostConfig.PortBindings.80~1tcp of type []nat.PortBinding",
  ],
  [
    '{"HostConfig":{"RestartPolicy":{"Name":1}}}',
    "number into Go struct field .HostConfig.RestartPolicy.Name of type container.RestartPolicyMode",
  ],
  [
    '{"HostConfig":{"Mounts":[{"Type":1}]}}',
    "number into Go struct field .HostConfig.Mounts.0.Type of type mount.Type",
  ],
  ['{"HostConfig":{"Mounts":{}}}', "object into Go struct field .HostConfig.Mounts of type []mount.Mount"],
  ['{"HostConfig":{"ConsoleSize":[-1,2]}}', "number -1 into .HostConfig.ConsoleSize.0 of type uint"],
  ['{"HostConfig":{"ConsoleSize":["1",2]}}', "string into .HostConfig.ConsoleSize.0 of type uint"],
  ['{"HostConfig":{"Ulimits":[{"Soft":"1"}]}}', "string into Go struct field .HostConfig.Ulimits.0.Soft of type int64"],
  ['{"HostConfig":{"BlkioWeight":70000}}', "number 70000 into Go struct field .HostConfig.BlkioWeight of type uint16"],
  ['{"HostConfig":{"Tmpfs":[]}}', "array into Go struct field .HostConfig.Tmpfs of type map[string]string"],
  [
    '{"NetworkingConfig":{"EndpointsConfig":[]}}',
    "array into Go struct field .NetworkingConfig.EndpointsConfig of type map[string]*network.EndpointSettings",
  ],
  [
    '{"NetworkingConfig":{"EndpointsConfig":{"x":{"IPAMConfig":{"IPv4Address":1}}}}}',
    "number into Go struct field .NetworkingConfig.EndpointsConfig.x.IPAMConfig.IPv4Address of type string",
  ],
  ['{"Healthcheck":{"Interval":"1s"}}', "string into Go struct field .Healthcheck.Interval of type time.Duration"],
  ['{"Healthcheck":[]}', "array into Go struct field .Healthcheck of type v1.HealthcheckConfig"],
  [
    '{"HostConfig":{"CgroupnsMode":1}}',
    "number into Go struct field .HostConfig.CgroupnsMode of type container.CgroupnsMode",
  ],
  ['{"Volumes":{"/x":5}}', "number into Go struct field .Volumes.~1x of type struct {}"],
];

test("values of a wrong type are refused in dockerd's words", () => {
  assert.deepEqual(
    refusals.map(([text]) => [text, messageFor(text)]),
    refusals,
  );
});

test("known fields are taken in any case of letters, null is absence, the rest is left behind", () => {
  assert.deepEqual(
    decode(
      '{"image":"a","CMD":"true","Env":null,"Unknown":{"x":[1]},"constructor":{},"__proto__":{"Tty":true},"toString":1,' +
        '"hostconfig":{"memory":5,"Nope":1,"ConsoleSize":[7]}}',
    ),
    { Image: "a", Cmd: ["true"], HostConfig: { Memory: 5, ConsoleSize: [7, 0] } },
  );
});

test("a later duplicate wins, a later null takes the value away", () => {
  assert.deepEqual(decode('{"Image":"a","image":"b"}'), { Image: "b" });
  assert.deepEqual(decode('{"Image":"a","Image":null}'), {});
});

test("null in lists and maps is the zero value, but for endpoints", () => {
  assert.deepEqual(decode('{"Cmd":["a",null],"Env":[null]}'), { Cmd: ["a", ""], Env: [""] });
  const { NetworkingConfig } = decode('{"NetworkingConfig":{"EndpointsConfig":{"bridge":null}}}') as {
    readonly NetworkingConfig: { readonly EndpointsConfig: Readonly<Record<string, unknown>> };
  };
  assert.deepEqual({ ...NetworkingConfig.EndpointsConfig }, { bridge: null });
});

test("maps have no prototype, and __proto__ as a key of one is refused by name", () => {
  const { Labels } = decode('{"Labels":{"constructor":"a"}}') as { readonly Labels: object };
  assert.equal(Object.getPrototypeOf(Labels), null);
  assert.deepEqual(Object.entries(Labels), [["constructor", "a"]]);
  assert.equal(messageFor('{"Labels":{"__proto__":"x"}}'), 'invalid key "__proto__" in .Labels');
});

test("any JSON at any field is taken or refused, and never anything else", () => {
  const names = [...createSchema.fields.values()].map(([name]) => name);
  const hostConfig = createSchema.fields.get("hostconfig")?.[1];
  assert.ok(hostConfig?.kind === "object");
  const hostNames = [...hostConfig.fields.values()].map(([name]) => name);
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    fc.constantFrom(-1, 1e300, 2 ** 63, "", {}, [], [[]], [null], { a: null }),
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...names), odd),
      fc.dictionary(fc.constantFrom(...hostNames), odd),
      (config, host) => {
        messageFor(JSON.stringify({ ...config, HostConfig: host }));
      },
    ),
    { numRuns: 3_000 },
  );
});
