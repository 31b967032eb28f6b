import assert from "node:assert/strict";
import { test } from "node:test";
import type { PublishedPort } from "./index.ts";
import { renderPortMap, renderPortSummaries } from "./render.ts";

function tcp(containerPort: number, hostPort: number, hostIp = "0.0.0.0"): PublishedPort {
  return { protocol: "tcp", hostIp, hostPort, containerPort };
}

const ports: readonly PublishedPort[] = [
  tcp(90, 7000),
  tcp(90, 7000, "::"),
  tcp(90, 7001),
  tcp(90, 7001, "::"),
  { protocol: "udp", hostIp: "127.0.0.1", hostPort: 53, containerPort: 5353 },
];

test("the map has dockerd's shape and order", () => {
  const map = renderPortMap(ports, ["90/tcp", "100/tcp", "90/udp"]);
  assert.deepEqual(map, {
    "100/tcp": null,
    "5353/udp": [{ HostIp: "127.0.0.1", HostPort: "53" }],
    "90/tcp": [
      { HostIp: "0.0.0.0", HostPort: "7000" },
      { HostIp: "::", HostPort: "7000" },
      { HostIp: "0.0.0.0", HostPort: "7001" },
      { HostIp: "::", HostPort: "7001" },
    ],
    "90/udp": null,
  });
  assert.deepEqual(Object.keys(map), ["100/tcp", "5353/udp", "90/tcp", "90/udp"]);
  assert.deepEqual(renderPortMap([], []), {});
});

test("the list has a line per address", () => {
  assert.deepEqual(renderPortSummaries([tcp(80, 8080), tcp(80, 8080, "::")], ["90/udp"]), [
    { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { IP: "::", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { PrivatePort: 90, Type: "udp" },
  ]);
});
