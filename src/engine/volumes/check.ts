// F11: every local volume's record has its directory, and every directory its record; what options mount is mounted while it is used, and
// only then. Data is never deleted: what is found is told. F18: no operation that nobody carries out. Source: docs/durability.md.

import { lstatSync } from "node:fs";
import type { OwnedHistory } from "./history.ts";
import type { Volumes } from "./index.ts";
import { settleVolumeOp } from "./journal.ts";
import { parseOps } from "./ops.ts";
import { localDriver } from "./record.ts";
import type { VolumeRoom } from "./room.ts";

type Finding = Awaited<ReturnType<Volumes["check"]>>[number];

/** What is staged is either of an operation that is under way, or of one whose end failed: no operation changes it for so long. */
const stagedForMs = 3_600_000;

export async function checkVolumes(
  room: VolumeRoom,
  history: Pick<OwnedHistory, "parse" | "settle">,
  repair: boolean,
): Promise<readonly Finding[]> {
  return [
    ...(await checkDirectories(room)),
    ...(await checkMounts(room)),
    ...(await checkOps(room, repair)),
    ...(await checkHistory(room, history, repair)),
  ];
}

function reported(subject: string, detail: string): Finding {
  return { invariant: "F11", subject, detail, repaired: false };
}

async function checkDirectories({ layout, records, changing }: VolumeRoom): Promise<readonly Finding[]> {
  const directories = (await layout.names()).filter((name) => !records.has(name) && !changing.isLocked(name));
  const missing = [...records.values()]
    .filter(({ name, driver }) => driver === localDriver && !changing.isLocked(name))
    .filter(({ name }) => lstatSync(layout.data(name), { throwIfNoEntry: false })?.isDirectory() !== true);
  const staged = (await layout.leftovers()).filter((path) => {
    const changed = lstatSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Infinity;
    return Date.now() - changed > stagedForMs;
  });
  return [
    ...missing.map(({ name }) => reported(`volume ${name}`, `${layout.data(name)} is no directory`)),
    ...directories.map((name) =>
      reported(layout.directory(name), "belongs to no volume: look what is in it, then move it away"),
    ),
    ...staged.map((path) => reported(path, "was left by an operation: the daemon deletes it when it starts again")),
  ];
}

async function checkMounts({ local, records, changing, deps }: VolumeRoom): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { name, driver } of records.values()) {
    if (driver !== localDriver || changing.isLocked(name) || !local.needsMount(name)) continue;
    const isUsed = (await local.isUsed(name)) || deps.users.usersOf(name).some(({ running }) => running);
    if (isUsed === local.isMounted(name)) continue;
    findings.push(
      reported(
        `volume ${name}`,
        isUsed
          ? "is used, and somebody has unmounted it: restart the containers that use it"
          : "is mounted, and nobody uses it",
      ),
    );
  }
  return findings;
}

async function checkOps(room: VolumeRoom, repair: boolean): Promise<readonly Finding[]> {
  const { store } = room.deps;
  const findings: Finding[] = [];
  for (const { id, volume, step } of parseOps(await store.load("ops"))) {
    // An operation is under way.
    if (room.changing.isLocked(volume)) continue;
    using _held = await room.changing.lock(volume);
    // Of removals whose end nobody waits for.
    await Promise.all(room.ending);
    const op = parseOps(await store.load("ops")).find((candidate) => candidate.id === id);
    if (op === undefined) continue;
    findings.push({
      invariant: "F18",
      subject: `volume ${volume}`,
      detail: `its ${step} was begun and never finished`,
      repaired: repair && (await settleVolumeOp(room, op)),
    });
  }
  return findings;
}

async function checkHistory(
  room: VolumeRoom,
  history: Pick<OwnedHistory, "parse" | "settle">,
  repair: boolean,
): Promise<readonly Finding[]> {
  const { store } = room.deps;
  const findings: Finding[] = [];
  const isOpen = async (volume: string, id: string): Promise<boolean> => {
    if (room.changing.isLocked(volume)) return false;
    using _held = await room.changing.lock(volume);
    return history.parse(await store.load("ops")).some((op) => op.id === id);
  };
  for (const { id, volume } of history.parse(await store.load("ops"))) {
    if (!(await isOpen(volume, id))) continue;
    findings.push({
      invariant: "F18",
      subject: `volume ${volume}`,
      detail: "its snapshot or restore was begun and never finished",
      repaired: repair && (await history.settle(id)),
    });
  }
  return findings;
}
