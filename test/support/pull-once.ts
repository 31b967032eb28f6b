// A program to be killed: opens a data root and pulls one image. Arguments: DATA_ROOT IMAGE

import { ImageRoom } from "./image-room.ts";
import { pullLines } from "./pull-lines.ts";

const [dataRoot = "", image = ""] = process.argv.slice(2);
const room = await ImageRoom.open({ dataRoot });
process.stdout.write((await pullLines(room.images, image)).join("\n"));
await room.store.close();
