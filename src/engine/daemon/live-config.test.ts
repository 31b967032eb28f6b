import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CheckFinding } from "../api/ports.ts";
import { parseFlags } from "../../base/flags.ts";
import { checkSystem } from "./check.ts";
import { parseConfigFile } from "./config-file.ts";
import { type DaemonConfig, mergeConfig } from "./config.ts";
import { directives } from "./directives.ts";
import { planReload, reloadAttributes } from "./live-config.ts";

function config(file: unknown): DaemonConfig {
  const flags = parseFlags(
    directives.map(({ flag }) => flag),
    [],
  );
  return mergeConfig(parseConfigFile(JSON.stringify(file)), flags, "/x.json");
}

test("a reload takes what it may and names what waits", () => {
  const now = config({ mtu: 1500 });
  const read = config({ mtu: 1400, "data-root": "/y", debug: true, labels: ["a=b"], "shutdown-timeout": 3 });
  const plan = planReload(now, read);
  assert.deepEqual(plan.waiting.toSorted(), ["dataRoot", "mtu"]);
  assert.deepEqual(plan.config, { ...now, debug: true, logLevel: "debug", labels: ["a=b"], shutdownTimeoutSeconds: 3 });
});

test("every directive that is said to reload does", () => {
  const reloads = directives.flatMap(({ key, reloads }) => (reloads === true ? [key ?? ""] : []));
  const files: Readonly<Record<string, unknown>> = {
    runtimes: { x: { path: "/x" } },
    debug: true,
    "default-runtime": "runc",
    "insecure-registries": ["a:5000"],
    labels: ["a=b"],
    builder: { gc: { enabled: false } },
    "max-concurrent-downloads": 1,
    "max-concurrent-uploads": 0,
    "max-download-attempts": 2,
    "registry-mirrors": ["http://m/"],
    "log-level": "warn",
    "shutdown-timeout": 1,
  };
  assert.deepEqual(reloads.toSorted(), Object.keys(files).toSorted());
  for (const [key, value] of Object.entries(files)) {
    const read = config({ [key]: value });
    assert.deepEqual(planReload(config({}), read), { config: read, waiting: [] }, key);
  }
});

test("the event of a reload says what is in force", () => {
  assert.deepEqual(reloadAttributes(config({ labels: ["a=b"] }), "host1"), {
    name: "host1",
    debug: "false",
    "default-runtime": "crun",
    "insecure-registries": "[]",
    labels: '["a=b"]',
    "live-restore": "true",
    "max-concurrent-downloads": "3",
    "max-concurrent-uploads": "5",
    "max-download-attempts": "5",
    "registry-mirrors": "[]",
    runtimes: '{"crun":{"path":"crun"},"runc":{"path":"runc"}}',
    "shutdown-timeout": "15",
  });
});

test("a finding counts when it is seen twice, and only then is anything repaired", async () => {
  const finding = (subject: string): CheckFinding => ({ invariant: "F6", subject, detail: "d", repaired: false });
  const looks: boolean[] = [];
  const check = async (repair: boolean): Promise<readonly CheckFinding[]> => {
    looks.push(repair);
    await sleep(0);
    if (repair) return [{ ...finding("lasting"), repaired: true }];
    return looks.length === 1 ? [finding("passing"), finding("lasting")] : [finding("lasting"), finding("new")];
  };
  assert.deepEqual(await checkSystem([check], true), [{ ...finding("lasting"), repaired: true }]);
  assert.deepEqual(looks, [false, false, true]);
});
