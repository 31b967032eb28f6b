import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../../base/flags.ts";
import { parseConfigFile, refuseConflicts } from "./config-file.ts";
import { type DaemonConfig, mergeConfig } from "./config.ts";
import { directives } from "./directives.ts";
import {
  distributionConfig,
  parseInsecureRegistry,
  parseMirror,
  renderRegistryInfo,
  transferLimits,
} from "./distribution-config.ts";

const specs = directives.map(({ flag }) => flag);

function merge(file: unknown, args: readonly string[] = []): DaemonConfig {
  return mergeConfig(parseConfigFile(JSON.stringify(file)), parseFlags(specs, args), "/x.json");
}

function complaint(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "none";
}

test("mirrors get a slash at their end, and are refused in dockerd's words", () => {
  assert.deepEqual(["https://x/a", "https://x/a/", "http://Y:5000"].map(parseMirror), [
    "https://x/a/",
    "https://x/a/",
    "http://Y:5000/",
  ]);
  assert.deepEqual(
    ["a", "ftp://a", "http://a/?x=1", "http://u:p@a/"].map((text) => complaint(() => parseMirror(text))),
    [
      `invalid mirror: no scheme specified for "a": must use either 'https://' or 'http://'`,
      `invalid mirror: unsupported scheme "ftp" in "ftp://a": must use either 'https://' or 'http://'`,
      `invalid mirror: query or fragment at end of the URI "http://a/?x=1"`,
      `invalid mirror: username/password not allowed in URI "http://xxxxx:xxxxx@a/"`,
    ],
  );
});

test("insecure registries lose their scheme, and are refused in dockerd's words", () => {
  const good = ["http://Foo:5000", "10.1.2.3/8", "index.docker.io", "1.2.3.4", "[::1]:5000", "::1", "::1/128"];
  assert.deepEqual(good.map(parseInsecureRegistry), [
    "Foo:5000",
    "10.1.2.3/8",
    "docker.io",
    "1.2.3.4",
    "[::1]:5000",
    "::1",
    "::1/128",
  ]);
  assert.deepEqual(
    ["ftp://a", "a:b", "a b", "1.2.3.4/99", "a/b", "a:99999999", "", "-a"].map((text) =>
      complaint(() => parseInsecureRegistry(text)),
    ),
    [
      "insecure registry ftp://a should not contain '://'",
      `insecure registry a:b is not valid: invalid host "a"`,
      `insecure registry a b is not valid: invalid host "a b"`,
      `insecure registry 1.2.3.4/99 is not valid: invalid host "1.2.3.4/99"`,
      `insecure registry a/b is not valid: invalid host "a/b"`,
      `insecure registry a:99999999 is not valid: invalid port "99999999"`,
      `insecure registry  is not valid: invalid host ""`,
      "invalid index name (-a). Cannot begin or end with a hyphen",
    ],
  );
});

test("proxies come from the directives, from their group, or from the environment", () => {
  const environment = { HTTP_PROXY: "http://env:1", no_proxy: "x" };
  const read = (file: unknown): readonly string[] => {
    const { httpProxy, httpsProxy, noProxy } = distributionConfig(merge(file), "1", environment);
    return [httpProxy, httpsProxy, noProxy];
  };
  assert.deepEqual(read({}), ["http://env:1", "", "x"]);
  assert.deepEqual(read({ "http-proxy": "http://a", "no-proxy": "b" }), ["http://a", "", "b"]);
  assert.deepEqual(read({ proxies: { "https-proxy": "http://s", "no-proxy": "b" } }), [
    "http://env:1",
    "http://s",
    "b",
  ]);
  assert.equal(
    complaint(() => merge({ proxies: { "http-proxy": "a" }, "http-proxy": "b" })),
    "both in proxies and by themselves: http-proxy",
  );
});

test("no complaint shows a proxy's password", () => {
  const shown = [
    complaint(() => parseConfigFile(`{"http-proxy": ["http://u:secret@p"]}`)),
    complaint(() => parseConfigFile(`{"proxies": {"http-proxy": "http://u:secret@p", "x": 1}}`)),
    complaint(() =>
      refuseConflicts(
        parseConfigFile(`{"http-proxy": "http://u:secret@p"}`),
        parseFlags(specs, ["--http-proxy", "u:secret@p"]),
      ),
    ),
  ];
  for (const text of shown) {
    assert.notEqual(text, "none");
    assert.doesNotMatch(text, /secret/);
  }
});

test("info shows registries as dockerd does, and no proxy's password", () => {
  const config = merge({
    "insecure-registries": ["10.1.2.3/8", "http://Foo:5000", "index.docker.io", "1.2.3.4"],
    "registry-mirrors": ["https://x/a", "https://x/a/", "http://Y:5000"],
    proxies: { "http-proxy": "http://u:p@pr:3128", "https-proxy": "pr2" },
  });
  const mirrors = ["https://x/a/", "http://Y:5000/"];
  assert.deepEqual(renderRegistryInfo(config, { NO_PROXY: "a,b" }), {
    RegistryConfig: {
      IndexConfigs: {
        "1.2.3.4": { Name: "1.2.3.4", Mirrors: [], Secure: false, Official: false },
        "Foo:5000": { Name: "Foo:5000", Mirrors: [], Secure: false, Official: false },
        "docker.io": { Name: "docker.io", Mirrors: mirrors, Secure: true, Official: true },
      },
      InsecureRegistryCIDRs: ["10.0.0.0/8", "::1/128", "127.0.0.0/8"],
      Mirrors: mirrors,
    },
    HttpProxy: "http://xxxxx:xxxxx@pr:3128",
    HttpsProxy: "pr2",
    NoProxy: "a,b",
  });
});

test("limits of transfers: 0 is none, less is refused", () => {
  assert.deepEqual(transferLimits(merge({})), {
    maxConcurrentDownloads: 3,
    maxConcurrentUploads: 5,
    maxDownloadAttempts: 5,
  });
  assert.equal(transferLimits(merge({ "max-download-attempts": 2 })).maxDownloadAttempts, 2);
  assert.ok(transferLimits(merge({ "max-concurrent-downloads": 0 })).maxConcurrentDownloads > 100);
  assert.deepEqual(
    ["max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"].map((key) =>
      complaint(() => merge({ [key]: -1 })),
    ),
    ["invalid max concurrent downloads: -1", "invalid max concurrent uploads: -1", "invalid max download attempts: -1"],
  );
});
