import assert from "node:assert/strict";
import { test } from "node:test";
import { checkLogConfig, parseLogRotation } from "./log-config.ts";

test("options are checked with dockerd's texts", () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ foo: "1" }, "unknown log opt 'foo' for json-file log driver"],
    [{ "max-size": "x" }, "invalid size: 'x'"],
    [{ "max-size": "-5" }, "invalid size: '-5'"],
    [{ "max-size": "1z" }, "invalid suffix: 'z'"],
    [{ "max-size": "0" }, "max-size must be a positive number"],
    [{ "max-file": "0" }, "max-file cannot be less than 1"],
    [{ "max-file": "x" }, 'strconv.Atoi: parsing "x": invalid syntax'],
    [{ compress: "x" }, 'strconv.ParseBool: parsing "x": invalid syntax'],
    [{ mode: "foo" }, "logger: logging mode not supported: foo"],
    [{ mode: "non-blocking", "max-buffer-size": "x" }, "error parsing option max-buffer-size: invalid size: 'x'"],
    [{ "max-buffer-size": "4m" }, "logger: max-buffer-size option is only supported with 'mode=non-blocking'"],
  ];
  for (const [config, text] of cases) {
    assert.deepEqual(checkLogConfig({ Type: "json-file", Config: config }), { errors: [text], unsupported: [] });
    assert.deepEqual(checkLogConfig({ Config: config }).errors, [text]);
  }
});

test("options and drivers that are not built yet are named", () => {
  assert.deepEqual(
    checkLogConfig({ Config: { compress: "true", tag: "x", labels: "", mode: "blocking", "max-size": "1m" } }),
    {
      errors: [],
      unsupported: ['HostConfig.LogConfig.Config["compress"]', 'HostConfig.LogConfig.Config["tag"]'],
    },
  );
  assert.deepEqual(checkLogConfig({ Type: "syslog" }), {
    errors: [],
    unsupported: ['HostConfig.LogConfig.Type "syslog"'],
  });
  assert.deepEqual(checkLogConfig({ Type: "foo" as "local" }).errors, [
    'error looking up logging plugin foo: plugin "foo" not found',
  ]);
  assert.deepEqual(checkLogConfig({ Type: "none", Config: { foo: "1" } }), { errors: [], unsupported: [] });
});

test("sizes are read as dockerd reads them: in thousands", () => {
  const sizes = ["10m", "1.5k", "2048", "1 GiB"].map((size) => parseLogRotation({ Config: { "max-size": size } }));
  assert.deepEqual(
    sizes.map(({ maxSizeBytes }) => maxSizeBytes),
    [10_000_000, 1500, 2048, 1_000_000_000],
  );
  assert.deepEqual(parseLogRotation({ Config: { "max-size": "10m", "max-file": "3" } }).maxFiles, 3);
  assert.deepEqual(parseLogRotation({}), { maxSizeBytes: 0, maxFiles: 1 });
  for (const size of ["", "m", "1x", "0x1", "9".repeat(40), "99999999999p", "-1"]) {
    assert.equal(checkLogConfig({ Config: { "max-size": size } }).errors.length, 1, size);
  }
});
