import assert from "node:assert/strict";
import { test } from "node:test";
import { describeStep, hideSecrets, isBind, needsMount, parseLocalOptions, planMounts } from "./local-options.ts";
import { resolveSource } from "./network-address.ts";

test("options of a local volume are refused in dockerd's words", () => {
  for (const [options, message] of [
    [{ foo: "bar" }, 'invalid option: "foo"'],
    [{ TYPE: "tmpfs" }, 'invalid option: "TYPE"'],
    [{ type: "tmpfs" }, 'missing required option: "device"'],
    [{ device: "tmpfs" }, 'missing required option: "type"'],
    [{ o: "size=1m" }, 'missing required option: "device"'],
    [{ o: "bind", device: "/x" }, 'missing required option: "type"'],
    [{ size: "banana" }, "invalid size: 'banana'"],
    [{ size: "" }, "invalid size: ''"],
    [{ size: "-1" }, "invalid size: '-1'"],
  ] as const)
    assert.throws(() => parseLocalOptions("v", options), { kind: "InvalidParameter", message: `create v: ${message}` });
});

test("a size is read, and mounts are what type or device ask for", () => {
  assert.deepEqual(parseLocalOptions("v", { size: "10m" }), { sizeBytes: 10 << 20, isMounted: false });
  assert.deepEqual(parseLocalOptions("v", { type: "tmpfs", device: "tmpfs", o: "" }), {
    sizeBytes: 0,
    isMounted: true,
  });
  assert.deepEqual(
    [needsMount(null), needsMount({}), needsMount({ type: "", device: "" }), needsMount({ type: "", device: "x" })],
    [false, false, false, true],
  );
});

test("words of o become flags or data, as dockerd reads them", () => {
  const text = (type: string, device: string, o: string): readonly string[] =>
    planMounts(type, device, o).map((step) => describeStep(step, "/t"));
  assert.deepEqual(text("tmpfs", "tmpfs", "size=1m,uid=1000,nosuid,ro,rw"), [
    "mount tmpfs:/t, flags: 0x2, data: size=1m,uid=1000",
  ]);
  assert.deepEqual(text("none", "/x", "bind,ro"), ["mount /x:/t, flags: 0x1001", "remount-ro /t, flags: 0x1021"]);
  assert.deepEqual(text("none", "/x", "rbind,rslave"), ["mount /x:/t, flags: 0x5000", "remount /t, flags: 0x84000"]);
  assert.deepEqual(text("ext4", "/dev/x", ""), ["mount /dev/x:/t"]);
  assert.deepEqual(text("ext4", "/dev/x", "constructor"), ["mount /dev/x:/t, data: constructor"]);
});

test("a bind is one whatever else is asked for", () => {
  assert.equal(isBind(planMounts("none", "/x", "ro,rbind")), true);
  assert.equal(isBind(planMounts("tmpfs", "tmpfs", "ro")), false);
});

test("passwords are in no message", () => {
  assert.equal(hideSecrets("username=a,password=geheim,vers=3"), "username=a,password=********,vers=3");
  assert.equal(hideSecrets("pass=x"), "pass=********");
  const [step] = planMounts("cifs", "//h/x", "password=geheim");
  assert.ok(step !== undefined);
  assert.equal(describeStep(step, "/t"), "mount //h/x:/t, data: password=********");
});

test("host names of nfs and cifs become addresses, all else is left", async () => {
  const resolve = async (host: string): Promise<string> => `addr-of-${host}`;
  const of = async (type: string, device: string, o: string): Promise<readonly string[]> => {
    const source = await resolveSource(type, { device, o }, resolve);
    return [source.device, source.o];
  };
  assert.deepEqual(await of("nfs", ":/x", "addr=nas,rw"), [":/x", "addr=addr-of-nas,rw"]);
  assert.deepEqual(await of("nfs", ":/x", "addr=10.0.0.1,rw"), [":/x", "addr=10.0.0.1,rw"]);
  assert.deepEqual(await of("nfs", "nas:/x", "clientaddr=nas"), ["nas:/x", "clientaddr=nas"]);
  assert.deepEqual(await of("cifs", "//nas/share", "username=a"), ["//addr-of-nas/share", "username=a"]);
  assert.deepEqual(await of("cifs", "//nas/share", "addr=other"), ["//nas/share", "addr=addr-of-other"]);
  assert.deepEqual(await of("cifs", "//10.0.0.1/share", ""), ["//10.0.0.1/share", ""]);
  assert.deepEqual(await of("tmpfs", "nas", "addr=nas"), ["nas", "addr=nas"]);
  await assert.rejects(
    resolveSource("nfs", { device: ":/x", o: "addr=gone" }, () => Promise.reject(new Error("nobody knows it"))),
    { message: "error resolving passed in network volume address: lookup gone: nobody knows it" },
  );
});
