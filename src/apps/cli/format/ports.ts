// The PORTS column: published and exposed ports, runs of neighbours joined. Source: behaviour of the docker CLI 28.

import type { Port } from "../../../spec/docker/container.ts";

interface Run {
  readonly ip: string;
  readonly type: string;
  first: number;
  last: number;
  readonly publicFirst: number;
}

function address(ip: string): string {
  return ip.includes(":") ? `[${ip}]` : ip;
}

function range(first: number, last: number): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** "0.0.0.0:8000-8002->80-82/tcp, 90/tcp". */
export function renderPorts(ports: readonly Port[]): string {
  const sorted = [...ports].sort(
    (a, b) =>
      (a.PrivatePort ?? 0) - (b.PrivatePort ?? 0) ||
      compareText(a.IP ?? "", b.IP ?? "") ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compareText(a.Type ?? "", b.Type ?? ""),
  );
  const runs: Run[] = [];
  const single: string[] = [];
  for (const { IP: ip = "", PrivatePort: inner = 0, PublicPort: outer = 0, Type: type = "tcp" } of sorted) {
    if (outer !== 0 && outer !== inner) {
      single.push(`${address(ip)}:${outer}->${inner}/${type}`);
      continue;
    }
    const run = runs.find(
      (candidate) =>
        candidate.ip === ip &&
        candidate.type === type &&
        candidate.last + 1 === inner &&
        (candidate.publicFirst !== 0) === (outer !== 0),
    );
    if (run === undefined) runs.push({ ip, type, first: inner, last: inner, publicFirst: outer });
    else run.last = inner;
  }
  const shownRuns = runs.map(({ ip, type, first, last, publicFirst }) => {
    const inner = range(first, last);
    return publicFirst === 0 ? `${inner}/${type}` : `${address(ip)}:${inner}->${inner}/${type}`;
  });
  return [...shownRuns, ...single].join(", ");
}
