// The check's look at what the daemon itself has: descriptors, children, logs, the journal, and the modes of its files.

import { lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { chmod } from "node:fs/promises";
import type { ContainerId } from "../../base/ids.ts";
import { readProcessStat } from "../kernel/process-identity.ts";
import { parseLogRotation } from "../runtime/index.ts";
import type { Violation } from "./check.ts";
import type { ShimProcess } from "./kernel-state.ts";
import { finishRemoval } from "./remove.ts";
import { restoreNetworks } from "./restore-networks.ts";
import type { Room } from "./room.ts";

/** F15: descriptors of the daemon by what it has to hold: a base, one connection per shim, some per client. */
export function checkDescriptors(room: Room): readonly Violation[] {
  const counts = new Map<string, number>();
  for (const fd of namesIn("/proc/self/fd")) {
    const kind = /^(socket|pipe|anon_inode:\[?[a-z]+)/.exec(linkOf(`/proc/self/fd/${fd}`))?.[1] ?? "file";
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const tasks = [...room.containers.values()].filter(({ task }) => task !== undefined).length;
  const budget = 512 + 16 * tasks;
  if (total <= budget) return [];
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
  return [{ invariant: "F15", subject: "daemon", detail: `more than ${budget} descriptors open: ${kinds}` }];
}

/** F16: the caller looks twice; what is a zombie both times nobody reaps. */
export function checkZombies(shims: readonly ShimProcess[]): readonly Violation[] {
  const parents = new Map<number, string>([[process.pid, "daemon"]]);
  for (const { pid, containerId } of shims) parents.set(pid, `shim of ${containerId.slice(0, 12)}`);
  return namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readProcessStat(Number(name));
      const parent = stat?.state === "Z" ? parents.get(stat.parentPid) : undefined;
      return parent === undefined
        ? []
        : [{ invariant: "F16", subject: `pid ${name}`, detail: `zombie child of the ${parent} (${stat?.comm ?? ""})` }];
    });
}

/** F17: rotated logs keep to their size and number. */
export function checkLogs(room: Room): readonly Violation[] {
  /** One line of 16 KiB, every byte escaped, and what is written around it, may come on top; and one batch in flight. */
  const slackBytes = 1 << 20;
  const violations: Violation[] = [];
  for (const { record } of room.containers.values()) {
    const { maxSizeBytes, maxFiles } = parseLogRotation(record.hostConfig.LogConfig ?? {});
    if (maxSizeBytes === 0) continue;
    const path = room.logPath(record.id);
    for (let n = 0; n <= maxFiles; n++) {
      const name = n === 0 ? path : `${path}.${n}`;
      const size = statSync(name, { throwIfNoEntry: false })?.size;
      if (size === undefined) continue;
      if (n === maxFiles && n > 0)
        violations.push({ invariant: "F17", subject: name, detail: `more than ${maxFiles} log files` });
      else if (size > maxSizeBytes + slackBytes) {
        violations.push({
          invariant: "F17",
          subject: name,
          detail: `${size} bytes; at most ${maxSizeBytes} are right`,
        });
      }
    }
  }
  return violations;
}

/** F18: intents that nobody is carrying out any more: a failure came between, and only the journal knows. */
export async function checkJournal(room: Room): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  for (const { id, kind, subject, payload } of await room.deps.store.load("ops")) {
    const containerId = subject as ContainerId;
    // Those of networks and volumes are their rooms'.
    if (!["start", "remove", "connection"].includes(kind)) continue;
    const container = room.containers.get(containerId);
    if (room.locks.isLocked(subject) || container?.removing === true || room.discarding.has(containerId)) continue;
    violations.push({
      invariant: "F18",
      subject: containerId,
      detail: `its ${kind} was begun and never finished`,
      repair: async () => {
        using _held = await room.locks.lock(subject);
        if (kind === "remove") {
          await finishRemoval(room, containerId, payload);
          return;
        }
        if (kind === "connection" && container !== undefined) await restoreNetworks(room, container, true);
        else if (container?.task !== undefined) return;
        await room.deps.store.commit([{ delete: "ops", key: id }]);
      },
    });
  }
  return violations;
}

/** F20, for what each container has; the rest of the table is in daemon/permissions.ts. */
export function checkModes(room: Room): readonly Violation[] {
  return [...room.containers.keys()].flatMap((id) =>
    [
      { path: room.dataDir(id), mode: 0o710 },
      { path: room.logPath(id), mode: 0o640 },
      { path: room.exitFile(id), mode: 0o644 },
      { path: room.runDir(id), mode: 0o700 },
    ].flatMap(({ path, mode }) => {
      const actual = (lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o7777;
      if ((actual & ~mode) === 0) return [];
      return [
        {
          invariant: "F20",
          subject: path,
          detail: `has mode ${actual.toString(8)}; at most ${mode.toString(8)} is right`,
          repair: () => chmod(path, actual & mode),
        },
      ];
    }),
  );
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
