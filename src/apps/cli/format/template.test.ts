// The template engine against outputs of the docker CLI and of Go's text/template.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTemplate, noValue, TemplateError } from "./template.ts";

const root = {
  Name: "web",
  N: 3,
  Big: 1795815655437703317n,
  Yes: true,
  Nothing: null,
  List: ["a", "b", "c"],
  Map: { y: 2, x: 1 },
  Deep: { Inner: { Value: "v" } },
  "80/tcp": "p",
  Label: (name: unknown) => `label ${String(name)}`,
};

const good: readonly (readonly [string, string])[] = [
  ["plain", "plain"],
  ["{{.Name}}", "web"],
  ["{{ .Deep.Inner.Value }}", "v"],
  ["{{.List}} {{.Map}} {{.Nothing}} {{.N}} {{.Yes}} {{.Big}}", "[a b c] map[x:1 y:2] <nil> 3 true 1795815655437703317"],
  [
    "{{json .List}} {{json .Map}} {{json .Nothing}} {{json .Name}} {{json .Big}}",
    '["a","b","c"] {"x":1,"y":2} null "web" 1795815655437703317',
  ],
  ["{{json `<a&b>`}}", '"<a&b>"'],
  ["{{if .Yes}}yes{{else}}no{{end}}", "yes"],
  ["{{if not .Yes}}a{{else if eq .N 3}}b{{else}}c{{end}}", "b"],
  ["{{if and .Yes .List}}1{{end}}{{if or .Nothing .Name}}2{{end}}", "12"],
  ["{{if .Nothing}}x{{else}}empty{{end}}", "empty"],
  ["{{range .List}}<{{.}}>{{end}}", "<a><b><c>"],
  ["{{range $i, $e := .List}}{{$i}}={{$e}} {{end}}", "0=a 1=b 2=c "],
  ["{{range $k, $v := .Map}}{{$k}}={{$v}};{{end}}", "x=1;y=2;"],
  ["{{range .Nothing}}x{{else}}none{{end}}", "none"],
  ["{{range .List}}{{if eq . `b`}}{{continue}}{{end}}{{.}}{{end}}", "ac"],
  ["{{range .List}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"],
  ["{{with .Deep}}{{.Inner.Value}} {{$.Name}}{{end}}", "v web"],
  ["{{$x := .Name}}{{$x}}{{$x = `y`}}{{$x}}", "weby"],
  ["{{(index .List 1)}} {{index .Map `x`}} {{index . `80/tcp`}}", "b 1 p"],
  ["{{(index .List 0) | upper}}", "A"],
  ["{{len .List}} {{len .Name}} {{len .Map}}", "3 3 2"],
  ['{{printf "%-5s|%5s|%q|%d|%05d|%v" .Name .Name .Name .N .N .List}}', 'web  |  web|"web"|3|00003|[a b c]'],
  ['{{join .List ","}} {{join (split "a-b" "-") "+"}}', "a,b,c a+b"],
  [
    '{{lower "AbC"}} {{upper "abc"}} {{title "a bc"}} {{truncate .Name 2}} {{pad .Name 1 2}}|',
    "abc ABC A Bc we  web  |",
  ],
  ["{{println .Name .N}}", "web 3\n"],
  ["{{print .Name .N .N}}", "web3 3"],
  ["a  {{- .Name -}}  b", "awebb"],
  ["{{/* nothing */}}x", "x"],
  ['{{"}}"}}', "}}"],
  ["{{slice .Name 1}} {{slice .List 0 1}}", "eb [a]"],
  ["{{.Label `z`}}", "label z"],
  ["{{eq .N 1 2 3}} {{ne .N 3}} {{lt .N 4}} {{ge .N 4}}", "true false true false"],
  ["{{'a'}} {{-3}} {{nil | json}}", "97 -3 null"],
];

for (const [text, expected] of good)
  test(`evaluates ${text}`, () => {
    assert.equal(compileTemplate(text).execute(root), expected);
  });

const bad: readonly (readonly [string, string])[] = [
  ["{{foo .}}", 'template: :1: function "foo" not defined'],
  ["{{range .List}}", "template: :1: unexpected EOF"],
  ["{{.ID", "template: :1: unclosed action"],
  ["{{end}}", "template: :1: unexpected {{end}}"],
  ["{{}}", "template: :1: missing value for command"],
  ['{{"a}}', "template: :1: unterminated quoted string"],
  ["{{(.A}}", "template: :1: unclosed left paren"],
  ["{{template `x`}}", "template: :1: {{template}} is not supported in --format"],
  ["{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'],
  ["{{.Deep.Foo}}", 'template: :1:7: executing "" at <.Deep.Foo>: map has no entry for key "Foo"'],
  ["{{index .List 9}}", 'template: :1:2: executing "" at <index .List 9>: error calling index: index out of range: 9'],
  ["x\n{{.Name.Foo}}", `template: :2:7: executing "" at <.Name.Foo>: can't evaluate field Foo in type string`],
];

for (const [text, message] of bad)
  test(`complains about ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => compileTemplate(text).execute(root),
      (error) => {
        assert.ok(error instanceof TemplateError);
        assert.equal(error.message, message);
        return true;
      },
    );
  });

test("what may be missing has the worth that it is given", () => {
  const missing = (path: string): unknown => ({ "Deep.Gone": null, "Map.z": noValue })[path];
  const text = "{{.Deep.Gone}} {{.Map.z}} {{if .Map.z}}a{{else}}b{{end}} {{with .Deep}}{{.Gone}}{{end}}";
  assert.equal(compileTemplate(text, { missing }).execute(root), "<nil> <no value> b <nil>");
});

test("inherited properties of objects are no fields", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"])
    assert.throws(() => compileTemplate(`{{.${name}}}`).execute(root), TemplateError, name);
});
