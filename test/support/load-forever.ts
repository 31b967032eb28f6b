// A program to be killed: opens a data root, loads an archive, deletes the images, and again. "ready" and "loaded" tell how far.
// Arguments: DATA_ROOT ARCHIVE

import { readFileSync } from "node:fs";
import { ImageRoom } from "./image-room.ts";

const [dataRoot = "", archive = ""] = process.argv.slice(2);
const bytes = readFileSync(archive);
const room = await ImageRoom.open({ dataRoot });
process.stdout.write("ready\n");
for (;;) {
  await room.load(bytes);
  process.stdout.write("loaded\n");
  for (const { Id } of await room.images.list({ all: true, filters: new Map(), sharedSize: false }))
    await room.images.remove(Id ?? "", { force: true, noPrune: false });
}
