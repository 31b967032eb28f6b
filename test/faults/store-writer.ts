// The victim of the store's fault tests: commits without end and writes "<caller> <n>" to stdout for each commit that was
// acknowledged. Usage: store-writer.ts KIND DIRECTORY. The kinds other than "store" are negative controls: they are
// known to lose commits, and a test that does not see them do so proves nothing.

import { mkdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../src/base/log.ts";
import { createBallast } from "../../src/engine/store/ballast.ts";
import { openDatabase } from "../../src/engine/store/database.ts";
import { openStore } from "../../src/engine/store/index.ts";
import { createWriter } from "../../src/engine/store/writer.ts";
import { callers, changesOf, loadCounts, type WriterKind } from "./store-model.ts";

const [kind, directory] = process.argv.slice(2) as [WriterKind, string];

const acknowledge = (caller: string, n: number): void => {
  writeSync(1, `${caller} ${n}\n`);
};

switch (kind) {
  case "store": {
    const store = await openStore({ directory, logger: silentLogger, ballastBytes: 1 << 20 });
    const counts = await loadCounts(store);
    await Promise.all(
      callers.map(async (caller) => {
        for (let n = (counts[caller] ?? -1) + 1; ; n++) {
          await store.commit(changesOf(caller, n));
          acknowledge(caller, n);
        }
      }),
    );
    break;
  }
  case "sqlite-normal": {
    // The store itself with one pragma less.
    const path = join(directory, "gantry.db");
    const db = openDatabase(path);
    db.exec("PRAGMA synchronous = NORMAL");
    const writer = createWriter(db, path, createBallast(`${path}.ballast`, 0));
    const [caller] = callers;
    const noted = db.prepare("SELECT value FROM meta WHERE key = ?").get(caller)?.["value"];
    for (let n = Number(noted ?? -1) + 1; ; n++) {
      const [failure] = writer.write([{ changes: changesOf(caller, n), options: {} }]);
      if (failure !== undefined) throw new Error(failure.message);
      acknowledge(caller, n);
    }
  }
  case "json-in-place": {
    // What many programs do with their state: one file, written over in place.
    mkdirSync(directory, { recursive: true });
    const path = join(directory, "state.json");
    const [caller] = callers;
    let n = -1;
    try {
      n = (JSON.parse(readFileSync(path, "utf8")) as { n: number }).n;
    } catch {
      // The first start.
    }
    for (n += 1; ; n++) {
      writeFileSync(path, JSON.stringify({ n, rows: Array.from({ length: 400 }, () => changesOf(caller, n)) }));
      acknowledge(caller, n);
    }
  }
}
