// Tables: alignment as Go's tabwriter, headers from templates, JSON rows, control characters.

import assert from "node:assert/strict";
import { test } from "node:test";
import { renderRows, type TableSpec } from "./formatter.ts";
import { layOutTabs } from "./tabwriter.ts";

const spec: TableSpec = {
  headers: { ID: "CONTAINER ID", Names: "NAMES", Size: "SIZE" },
  defaultTable: "{{.ID}}\t{{.Names}}\t{{.Size}}",
  typeName: "*formatter.ContainerContext",
  triedFirst: true,
  methods: ["Label"],
};

const rows = [
  { ID: "0123456789ab", Names: "web", Size: "1B", Label: (name: unknown) => `of ${String(name)}` },
  { ID: "ba9876543210", Names: "a longer name", Size: "<none>", Label: () => "" },
];

test("the default table is aligned with a minimum width of ten and three spaces between columns", () => {
  assert.equal(
    renderRows(spec, rows, "", false),
    "CONTAINER ID   NAMES           SIZE\n0123456789ab   web             1B\nba9876543210   a longer name   <none>\n",
  );
  assert.equal(renderRows(spec, [], "table", false), "CONTAINER ID   NAMES     SIZE\n");
});

test("a table of a template has headers that functions do not change", () => {
  assert.equal(
    renderRows(spec, rows.slice(0, 1), 'table {{lower .Names}}\\t{{json .Size}}\\t{{.Label "x.y-z"}}', false),
    'NAMES     SIZE      y z\nweb       "1B"      of x.y-z\n',
  );
});

test("json gives a row per line, members sorted, methods with arguments left out, markup escaped", () => {
  assert.equal(
    renderRows(spec, rows.slice(1), "json", false),
    '{"ID":"ba9876543210","Names":"a longer name","Size":"\\u003cnone\\u003e"}\n',
  );
});

test("an unknown field names docker's type", () => {
  assert.throws(() => renderRows(spec, rows, "{{.Foo}}", false), {
    message: `failed to execute template: template: :1:2: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext`,
  });
});

test("control characters of a name are shown, not sent, in tables and on terminals", () => {
  const evil = [{ ID: "x", Names: "a\x1b[2Jb\nc\td\u009be\u202ef", Size: "" }];
  assert.equal(renderRows(spec, evil, "table {{.Names}}", false), "NAMES\na\\x1b[2Jb\\nc\\td\\x9be\\u202ef\n");
  assert.equal(renderRows(spec, evil, "{{.ID}} {{.Names}}", true), "x a\\x1b[2Jb\nc\td\\x9be\\u202ef\n");
  assert.equal(renderRows(spec, evil, "{{.Names}}", false), "a\x1b[2Jb\nc\td\u009be\u202ef\n");
});

test("a column ends where a line has no cell for it", () => {
  const options = { minWidth: 0, padding: 1 };
  assert.equal(layOutTabs("a\tb\nccc\td\nx\ne\tf\n", options), "a   b\nccc d\nx\ne f\n");
  assert.equal(layOutTabs("ä\tx\nbb\ty\n", options), "ä  x\nbb y\n");
});
