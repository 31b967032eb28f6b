// F11: every local volume's record has its directory, and every directory its record. Data is never deleted: what is found is told.

import { lstatSync } from "node:fs";
import type { Volumes } from "./index.ts";
import { localDriver } from "./record.ts";
import type { VolumeRoom } from "./room.ts";

export async function checkVolumes(room: VolumeRoom): ReturnType<Volumes["check"]> {
  const { layout, records, changing } = room;
  const finding = (
    subject: string,
    detail: string,
  ): { readonly invariant: "F11"; readonly subject: string; readonly detail: string; readonly repaired: false } => ({
    invariant: "F11",
    subject,
    detail,
    repaired: false,
  });
  const directories = (await layout.names()).filter((name) => !records.has(name) && !changing.isLocked(name));
  const missing = [...records.values()]
    .filter(({ name, driver }) => driver === localDriver && !changing.isLocked(name))
    .filter(({ name }) => lstatSync(layout.data(name), { throwIfNoEntry: false })?.isDirectory() !== true);
  return [
    ...missing.map(({ name }) => finding(`volume ${name}`, `${layout.data(name)} is no directory`)),
    ...directories.map((name) =>
      finding(layout.directory(name), "belongs to no volume: look what is in it, then move it away"),
    ),
  ];
}
