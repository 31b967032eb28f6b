import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkLayers, importsOf, readLayers, roomOf } from "./layers.ts";

const layers = {
  "src/base": { rooms: [], node: ["crypto"], npm: [] },
  "src/engine/api": { rooms: ["src/base"], node: [], npm: ["ws"] },
  "src/engine/api/ports.ts": { rooms: ["src/base"], node: [], npm: [] },
  "src/engine/images": { rooms: ["src/base", "src/engine/api/ports.ts"], node: ["fs"], npm: [] },
};

function check(files: Readonly<Record<string, string>>): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), "layers-"));
  try {
    mkdirSync(join(root, "src"), { recursive: true });
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return checkLayers(root, layers).violations;
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("finds static, type, re-exporting, multi-line, bare and dynamic imports", () => {
  const source = `import a from "./a.ts";\nimport type { B } from "node:fs";\nexport * from "./c.ts";\nimport {\n  d,\n} from "d";\nimport "e";\nconst f = await import("f/x");\n/* import g from "g"; */`;
  assert.deepEqual(importsOf(source).sort(), ["./a.ts", "./c.ts", "d", "e", "f/x", "node:fs"]);
});

test("allows what the table allows", () => {
  assert.deepEqual(
    check({
      "src/base/a.ts": `import { createHash } from "node:crypto";`,
      "src/engine/api/b.ts": `import { a } from "../../base/a.ts";\nimport ws from "ws";`,
      "src/engine/images/c.ts": `import type { P } from "../api/ports.ts";\nimport fs from "node:fs";`,
    }),
    [],
  );
});

test("names every seeded violation", () => {
  assert.deepEqual(
    check({
      "src/base/up.ts": `import { x } from "../engine/api/b.ts";`,
      "src/base/node.ts": `import fs from "node:fs";`,
      "src/engine/images/npm.ts": `import ws from "ws";\nconst x = await import("../api/routes.ts");`,
      "src/lost/a.ts": `import { x } from "../base/a.ts";`,
      "src/engine/api/out.ts": `import { x } from "../../../test/support.ts";`,
    }),
    [
      "src/base/node.ts: room src/base may not import node:fs",
      "src/base/up.ts: room src/base may not import src/engine/api/b.ts",
      "src/engine/api/out.ts: imports test/support.ts, outside of src/",
      "src/engine/images/npm.ts: room src/engine/images may not import src/engine/api/routes.ts",
      "src/engine/images/npm.ts: room src/engine/images may not import the package ws",
      "src/lost/a.ts: in no room of layers.json",
    ],
  );
});

test("fails when it read nothing", () => {
  const [first] = check({});
  assert.match(first ?? "", /^nothing read under/);
});

test("the longest prefix decides the room", () => {
  assert.equal(roomOf("src/engine/api/ports.ts", layers), "src/engine/api/ports.ts");
  assert.equal(roomOf("src/engine/api/server.ts", layers), "src/engine/api");
  assert.equal(roomOf("src/engine/apiary/x.ts", layers), undefined);
});

test("the project's own table lists rooms that exist in its rules only by known names", () => {
  const own = readLayers(join(import.meta.dirname, ".."));
  const known = Object.keys(own);
  for (const room of Object.values(own)) {
    for (const allowed of room.rooms) {
      assert.ok(
        known.some((name) => name === allowed || name.startsWith(`${allowed}/`) || allowed.startsWith(`${name}/`)),
        `${allowed} is no room`,
      );
    }
  }
});
