import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDigest } from "../../base/digest.ts";
import { parseContainerId } from "../../base/ids.ts";
import { zeroTime } from "../../base/time.ts";
import { type ContainerRecord, parseContainerRow, renderContainerRow } from "./model.ts";
import { renderStatus } from "./status-text.ts";

export const record: ContainerRecord = {
  id: parseContainerId("a1".repeat(32)),
  name: "web",
  created: "2026-11-27T21:33:19.424371604Z",
  imageId: parseDigest(`sha256:${"0f".repeat(32)}`),
  config: { Image: "busybox", Cmd: ["sleep", "1"], Labels: { tier: "front" }, ExposedPorts: { "80/tcp": {} } },
  hostConfig: { NetworkMode: "bridge" },
  networkingConfig: {},
  mounts: [{ Type: "bind", Source: "/srv", Destination: "/data" }],
  path: "sleep",
  args: ["1"],
  state: {
    status: "exited",
    exitCode: 3,
    error: "",
    oomKilled: false,
    startedAt: "2026-11-27T21:33:20.000000000Z",
    finishedAt: "2026-11-27T21:35:20.000000000Z",
    init: undefined,
  },
  restartCount: 0,
  manuallyStopped: false,
};

test("a record survives the disk", () => {
  const running = { ...record, state: { ...record.state, init: { pid: 7, startTime: "99", bootId: "b" } } };
  assert.deepEqual(parseContainerRow(renderContainerRow(running)), running);
});

test("a damaged row, or one of a newer version, is DataLoss and says whose it is", () => {
  const row = renderContainerRow(record);
  const docs = [
    row.doc.slice(0, 50),
    row.doc.replace('"version":1', '"version":2'),
    row.doc.replace("sha256:", "md5:"),
    row.doc.replace('"status":"exited",', ""),
    "null",
  ];
  for (const doc of docs) {
    assert.throws(() => parseContainerRow({ ...row, doc }), {
      kind: "DataLoss",
      message: /container a1a1a1a1a1a1 \(web\)/,
    });
  }
});

test("the status in Docker's words", () => {
  const now = Date.parse("2026-11-27T21:35:23Z");
  const rows: readonly [Partial<ContainerRecord["state"]>, string][] = [
    [{ status: "created" }, "Created"],
    [{ status: "running" }, "Up 2 minutes"],
    [{ status: "paused" }, "Up 2 minutes (Paused)"],
    [{ status: "restarting" }, "Restarting (3) 3 seconds ago"],
    [{ status: "exited" }, "Exited (3) 3 seconds ago"],
    [{ status: "exited", finishedAt: zeroTime }, ""],
  ];
  for (const [change, text] of rows) assert.equal(renderStatus({ ...record.state, ...change }, now), text);
});
