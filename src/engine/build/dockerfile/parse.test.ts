// The parser against what dockerd 28.5 (BuildKit 0.25) answers, and its promises for any text.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DockerfileError, renderExcerpt } from "./error.ts";
import type { Dockerfile, Instruction, Range } from "./index.ts";
import { expandRunMount, parseDockerfile, parseTrigger } from "./parse.ts";

function parse(text: string): Dockerfile {
  return parseDockerfile(text, "Dockerfile");
}

function one<K extends Instruction["kind"]>(kind: K, text: string): Instruction & { readonly kind: K } {
  const instruction = parse(`FROM scratch\n${text}\n`).stages[0]?.instructions[0];
  assert.equal(instruction?.kind, kind);
  return instruction as Instruction & { readonly kind: K };
}

/** Text behind `FROM scratch`, what BuildKit says of it; each is an error of line 2. */
const lineTwoErrors: Readonly<Record<string, string>> = {
  "FRM x": "unknown instruction: FRM (did you mean FROM?)",
  "XYZZY x": "unknown instruction: XYZZY",
  "rum x": "unknown instruction: rum (did you mean run?)",
  "COPY --form=x a b": "unknown flag: --form (did you mean from?)",
  "RUN --mout=type=bind a b": "unknown flag: --mout (did you mean mount?)",
  "COPY --keep-git-dir a b": "unknown flag: --keep-git-dir",
  "COPY --from a b": "missing a value on flag: --from",
  "COPY --link=maybe a b": "expecting boolean value for flag --link, not: maybe",
  "COPY --link= a b": "missing a value on flag: --link",
  "COPY --from=a --from=b a b": "duplicate flag specified: --from",
  "ENV --x=y a=b": "unknown flag: --x",
  "STOPSIGNAL --x=y 9": "unknown flag: --x",
  "COPY a <<EOF\nabc\nEOF": "COPY cannot accept a heredoc as a destination",
  "ONBUILD ONBUILD RUN x": "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
  "ONBUILD from x": "FROM isn't allowed as an ONBUILD trigger",
  "ONBUILD MAINTAINER x": "MAINTAINER isn't allowed as an ONBUILD trigger",
  ONBUILD: "ONBUILD requires at least one argument",
  FROM: "FROM requires either one or three arguments",
  "FROM a b": "FROM requires either one or three arguments",
  "FROM a xx b": "FROM requires either one or three arguments",
  "FROM a as 1x": `invalid name for build stage: "1x", name can't start with a number or contain symbols`,
  ENV: "ENV requires at least one argument",
  "ENV a": "ENV must have two arguments",
  "ENV a=1 b": `Syntax error - can't find = in "b". Must be of the form: name=value`,
  "ENV =b": "ENV names can not be blank",
  "LABEL a": "LABEL must have two arguments",
  "COPY a": "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
  ADD: "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
  "COPY [1,2]": "when using JSON array syntax, arrays must be comprised of strings only",
  "RUN [1]": "when using JSON array syntax, arrays must be comprised of strings only",
  "COPY --from=foo$x a b":
    "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
  "SHELL x": "SHELL requires the arguments to be in JSON form",
  "SHELL []": "SHELL requires at least one argument",
  USER: "USER requires exactly one argument",
  WORKDIR: "WORKDIR requires exactly one argument",
  VOLUME: "VOLUME requires at least one argument",
  'VOLUME [""]': "VOLUME specified can not be an empty string",
  EXPOSE: "EXPOSE requires at least one argument",
  ARG: "ARG requires at least one argument",
  "ARG =x": "ARG names can not be blank",
  HEALTHCHECK: "HEALTHCHECK requires at least one argument",
  "HEALTHCHECK FOO": 'Unknown type "FOO" in HEALTHCHECK (try CMD)',
  "HEALTHCHECK CMD": "Missing command after HEALTHCHECK CMD",
  "HEALTHCHECK NONE x": "HEALTHCHECK NONE takes no arguments",
  "HEALTHCHECK --interval=abc CMD x": 'time: invalid duration "abc"',
  "HEALTHCHECK --interval=5 CMD x": 'time: missing unit in duration "5"',
  "HEALTHCHECK --interval=5x CMD x": 'time: unknown unit "x" in duration "5x"',
  "HEALTHCHECK --interval=1us CMD x": 'Interval "interval" cannot be less than 1ms',
  "HEALTHCHECK --timeout=-5s CMD x": 'Interval "timeout" cannot be less than 1ms',
  "HEALTHCHECK --retries=-1 CMD x": "--retries cannot be negative (-1)",
  "HEALTHCHECK --retries=x CMD x": 'strconv.ParseInt: parsing "x": invalid syntax',
  "HEALTHCHECK --retries=99999999999 CMD x": 'strconv.ParseInt: parsing "99999999999": value out of range',
  "RUN --mount=type=foo,target=/x a": 'unsupported mount type "foo"',
  "RUN --mount=type=cace,target=/x a": 'unsupported mount type "cace" (did you mean cache?)',
  "RUN --mount=type=cache,taget=/x a": "unexpected key 'taget' in 'taget=/x' (did you mean target?)",
  "RUN --mount=type=cache,target=/x,sharing=foo a": 'unsupported sharing value "foo"',
  "RUN --mount=type=cache,target=/x,mode=abc a": "invalid value abc for mode",
  "RUN --mount=type=cache,target=/x,uid=abc a": "invalid value abc for uid",
  "RUN --mount=type=bind,target=/x,uid=1 a": 'uid not allowed for "bind" type mounts',
  "RUN --mount=type=secret a": "invalid secret mount. one of source, target required",
  "RUN --mount=type=secret,source=a,id=b a": "both source and id can't be set",
  "RUN --mount=type=secret,id=b,from=x a": "secret mount should not have a from",
  "RUN --mount=type=tmpfs,target=/x,size=abc a": "invalid value for size: abc",
  "RUN --mount=type=bind,target=/x,size=1m a": "unexpected key 'size' for mount type 'bind'",
  "RUN --mount=type=bind,target=/x,required a": "unexpected key 'required' for mount type 'bind'",
  "RUN --mount=type=cache,target=/x,env=A a": "unexpected key 'env' for mount type 'cache'",
  "RUN --mount=type=bind,foo a": "invalid field 'foo' must be a key=value pair",
  "RUN --mount=type=bind,target=/x,ro=maybe a": "invalid value for ro: maybe",
  "RUN --mount=type=bind,from=$x,target=/x a": "'from' doesn't support variable expansion, define alias stage instead",
  "RUN --mount=type=bind,sharing=locked,target=/x a": "invalid cache sharing set for bind mount",
  "RUN --mount=type=cache,target=/ a": 'invalid mount target "/"',
  "RUN --mount= a": "failed to parse csv mounts: EOF",
  "RUN --network=foo a": 'invalid network mode "foo"',
  "RUN --security=foo a": 'security "foo" is not valid',
  "RUN --device=foo a": "device feature is only supported in Dockerfile frontend 1.14.0-labs or later",
};

test("what is wrong with an instruction is told in BuildKit's words, with its line", () => {
  for (const [text, message] of Object.entries(lineTwoErrors))
    assert.throws(
      () => parse(`FROM scratch\n${text}\n`),
      (error: unknown) => {
        assert.ok(error instanceof DockerfileError, text);
        assert.equal(error.message, `dockerfile parse error on line 2: ${message}`);
        assert.equal(error.ranges[0]?.start.line, 2);
        return true;
      },
      text,
    );
});

test("what is wrong with the file is told in BuildKit's words", () => {
  for (const [text, message, line] of [
    ["", "the Dockerfile cannot be empty", undefined],
    ["# nothing\n\n", "file with no instructions", 2],
    ["ARG x=1\n", "dockerfile contains no stages to build", undefined],
    ["RUN a\nFROM scratch\n", "no build stage in current context", 1],
    ["FROM scratch\nRUN <<EOF\nabc\n", "unterminated heredoc", 2],
    ["FROM scratch\nCOPY <<A <<B /x\nA\n", "unterminated heredoc", 2],
    ["# escape=x\nFROM scratch\n", "invalid escape token 'x' does not match ` or \\", 1],
    ["# escape=`\n# escape=`\nFROM scratch\n", "only one escape parser directive can be used", 2],
    ["# check=foo\nFROM scratch\n", 'failed to parse check options: invalid check option "foo"', 1],
    ["# check=foo=bar\nFROM scratch\n", 'failed to parse check options: invalid check option "foo"', 1],
    [
      "# check=error=x\nFROM scratch\n",
      'failed to parse check options: failed to parse check option "error=x": strconv.ParseBool: parsing "x": invalid syntax',
      1,
    ],
  ] as const)
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof DockerfileError);
        assert.equal(error.message, message);
        assert.equal(error.ranges[0]?.start.line, line);
        return true;
      },
      text,
    );
});

test("directives count in front of everything else, behind a byte order mark, with CRLF", () => {
  const file = parse(
    "\ufeff# Syntax = docker/dockerfile:1 \r\n#escape=`\r\n# check=skip=A, B;error=true\r\nFROM scratch\r\nENV a=b `\r\n c=d\r\n",
  );
  assert.equal(file.directives.syntax?.value, "docker/dockerfile:1");
  assert.equal(file.directives.escape, "`");
  assert.deepEqual(file.directives.check, { skip: ["A", "B"], error: true, experimental: [] });
  const env = file.stages[0]?.instructions[0];
  assert.equal(env?.original, "ENV a=b  c=d");
  assert.deepEqual(env?.comments, []);
  assert.equal(parse("# a comment\n# escape=`\nFROM scratch\n").directives.escape, "\\");
  assert.equal(parse("#!/usr/bin/env x\n# syntax=a/b\nFROM scratch\n").directives.syntax?.value, "a/b");
});

test("continuation lines are joined without their comments and blanks", () => {
  const file = parse("FROM scratch\n# why\n#\n# how\n  env a=b \\\n  # no\n\n    c=d \\  \n e=f\\\\\n");
  const env = file.stages[0]?.instructions[0];
  assert.equal(env?.original, "env a=b     c=d  e=f\\\\");
  assert.deepEqual(env?.range, { start: { line: 5, column: 2 }, end: { line: 9, column: 6 } });
  assert.deepEqual(env?.comments, ["how"]);
  assert.deepEqual(
    file.warnings.map(({ rule, range }) => [rule, range.start.line]),
    [["NoEmptyContinuation", 9]],
  );
});

test("stages, their names and platforms, and arguments before the first", () => {
  const file = parse('ARG V=1 W\nFROM --platform=$BUILDPLATFORM a:$V AS Build\nRUN x\nFROM "b"\n');
  assert.deepEqual(file.globalArgs[0]?.args, [
    { key: "V", value: "1" },
    { key: "W", value: undefined },
  ]);
  assert.deepEqual(
    file.stages.map(({ from, index, range }) => [index, from.baseName, from.stageName, from.platform, range.end.line]),
    [
      [0, "a:$V", "build", "$BUILDPLATFORM", 3],
      [1, '"b"', undefined, undefined, 4],
    ],
  );
});

test("commands in shell and exec form", () => {
  assert.deepEqual(one("run", "RUN  echo  a").command, { form: "shell", words: ["echo  a"], heredocs: [] });
  assert.deepEqual(one("cmd", 'CMD [ "a", "b\\u0041" ]').command, { form: "exec", words: ["a", "bA"], heredocs: [] });
  assert.deepEqual(one("cmd", "CMD ['a']").command.form, "shell");
  assert.deepEqual(one("entrypoint", "ENTRYPOINT []").command, { form: "exec", words: [], heredocs: [] });
  assert.deepEqual(one("shell", 'SHELL ["a","-c"]').shell, ["a", "-c"]);
});

test("heredocs: several in a line, tabs, quoted names, file descriptors, and what only looks like one", () => {
  const run = one("run", "RUN <<EOF cat <<-'B' 3<<x\nabc\nEOF\n\tx $y\n\t\tB\nq\nx");
  assert.equal(run.command.words[0], "<<EOF cat <<-'B' 3<<x");
  assert.deepEqual(
    run.command.heredocs.map(({ name, content, expand, chomp, fd }) => [name, content, expand, chomp, fd]),
    [
      ["EOF", "abc\n", true, false, 0],
      ["B", "x $y\n", false, true, 0],
      ["x", "q\n", true, false, 3],
    ],
  );
  assert.deepEqual(run.range.end, { line: 8, column: 1 });
  for (const text of [
    "RUN cat <<< x",
    "RUN echo $((1<<2))",
    "RUN echo '<<EOF'",
    'RUN echo "a <<EOF b"',
    'RUN ["a","<<EOF"]',
    "CMD <<EOF",
  ])
    assert.doesNotThrow(() => parse(`FROM scratch\n${text}\n`), text);
  assert.throws(() => parse("FROM scratch\nRUN expr 1<<2\n"), { message: "unterminated heredoc" });
  const copy = one("copy", 'COPY --chmod=644 <<a x <<"b" /c/\n1\n# no comment\na\n$2\nb');
  assert.deepEqual(
    copy.sources.map((source) =>
      source.kind === "path" ? source.path : [source.heredoc.content, source.heredoc.expand],
    ),
    [["1\n# no comment\n", true], "x", ["$2\n", false]],
  );
  assert.equal(copy.destination, "/c/");
});

test("flags of COPY and ADD", () => {
  const copy = one("copy", 'COPY --from=a --chown="x y" --chmod=u+x --link --parents --exclude=a --exclude=b s "/d"');
  assert.deepEqual(
    [copy.from, copy.chown, copy.chmod, copy.link, copy.parents, copy.exclude, copy.destination],
    ["a", "x y", "u+x", true, true, ["a", "b"], '"/d"'],
  );
  const add = one("add", 'ADD --keep-git-dir --unpack=FALSE --checksum=sha256:x --link=false ["a b","c"]');
  assert.deepEqual(
    [add.keepGitDir, add.unpack, add.checksum, add.link, add.sources, add.destination],
    [true, false, "sha256:x", false, [{ kind: "path", path: "a b" }], "c"],
  );
});

test("mounts with their keys' other names, csv quotes, variables", () => {
  const run = one(
    "run",
    `RUN --mount=type=cache,dst=/x,ro,sharing=LOCKED,mode=0755,uid=1 --mount='type=bind,"source=a,b",target=/$t,rw' --mount=type=secret,id=k,env=K,required=true --network=none --security=insecure x`,
  );
  const blank = {
    raw: "",
    from: undefined,
    source: undefined,
    target: undefined,
    readonly: undefined,
    id: undefined,
    sharing: undefined,
    required: undefined,
    env: undefined,
    size: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
  };
  assert.deepEqual(
    run.mounts.map((mount) => ({ ...mount, raw: "" })),
    [
      { ...blank, type: "cache", target: "/x", readonly: true, sharing: "locked", mode: "0755", uid: "1" },
      { ...blank, type: "bind", source: "a,b", target: "/$t", readonly: false },
      { ...blank, type: "secret", id: "k", env: "K", required: true },
    ],
  );
  assert.deepEqual([run.network, run.security], ["none", "insecure"]);
  const open = one("run", "RUN --mount=type=cache,target=/$t,sharing=$s,uid=$u x");
  const mount = open.mounts[0];
  assert.ok(mount);
  const values: Readonly<Record<string, string>> = { t: "q", s: "private", u: "7" };
  const expanded = expandRunMount(mount, open, (name) => values[name], "\\");
  assert.deepEqual([expanded.target, expanded.sharing, expanded.uid], ["/q", "private", "7"]);
  assert.throws(() => expandRunMount(mount, open, () => "bad", "\\"), {
    message: 'dockerfile parse error on line 2: unsupported sharing value "bad"',
  });
});

test("key=value pairs, the old form, words, health checks", () => {
  assert.deepEqual(one("env", `ENV a="b c" d=e\\ f g='h=i'`).pairs, [
    { key: "a", value: '"b c"' },
    { key: "d", value: "e\\ f" },
    { key: "g", value: "'h=i'" },
  ]);
  assert.deepEqual(one("env", "ENV a  b=c  d").pairs, [{ key: "a", value: "b=c  d" }]);
  assert.deepEqual(one("label", "LABEL a.b=c").pairs, [{ key: "a.b", value: "c" }]);
  assert.deepEqual(one("expose", "EXPOSE 90/udp 80-82").words, ["80-82", "90/udp"]);
  assert.deepEqual(one("volume", 'VOLUME ["/a b","/c"]').words, ["/a b", "/c"]);
  assert.equal(one("user", "USER a b").word, "a b");
  const check = one(
    "healthcheck",
    "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=1ms --start-interval=0 --retries=3 CMD a b",
  );
  assert.deepEqual(
    [check.test, check.interval, check.timeout, check.startPeriod, check.startInterval, check.retries],
    [["CMD-SHELL", "a b"], 90e9, 1.5e9, 1e6, 0, 3],
  );
  assert.deepEqual(one("healthcheck", 'HEALTHCHECK cmd ["a"]').test, ["CMD", "a"]);
  assert.deepEqual(one("healthcheck", "HEALTHCHECK none").test, ["NONE"]);
});

test("triggers keep their heredocs, and are parsed when they are used", () => {
  const { trigger } = one("onbuild", "ONBUILD RUN <<EOF\nabc\nEOF");
  assert.equal(trigger, "RUN <<EOF\nabc\nEOF");
  assert.equal(one("onbuild", "ONBUILD run <<-'A b' c\n\tq\n\tA b").trigger, "run <<-'A b' c\n\tq\nA b");
  const run = parseTrigger(trigger);
  assert.equal(run.kind === "run" ? run.command.heredocs[0]?.content : "", "abc\n");
  assert.throws(() => parseTrigger("RUN a\nRUN b"), { message: "onbuild trigger should be a single expression" });
  assert.throws(() => parseTrigger("FROM a"), { message: /FROM isn't allowed as an ONBUILD trigger/ });
  assert.throws(() => parseTrigger("ONBUILD RUN a"), { message: /Chaining ONBUILD/ });
});

test("the excerpt marks the lines, as buildx prints it", () => {
  const at = (start: number, end: number): Range => ({
    start: { line: start, column: 0 },
    end: { line: end, column: 0 },
  });
  const excerpt = (text: string, range: Range) => renderExcerpt(text, "Dockerfile", [range]).split("\n").slice(2, -2);
  const text = "FROM a\n\nRUN false \\\n x\nRUN y\nRUN z\n";
  assert.equal(
    renderExcerpt("FROM scratch\nRUN false\n", "Dockerfile", [at(2, 2)]),
    "Dockerfile:2\n--------------------\n   1 |     FROM scratch\n   2 | >>> RUN false\n   3 |     \n--------------------\n",
  );
  assert.deepEqual(excerpt(text, at(3, 4)), [
    "   2 |     ",
    "   3 | >>> RUN false \\",
    "   4 | >>>  x",
    "   5 |     RUN y",
  ]);
  assert.deepEqual(excerpt(text, at(1, 1)), ["   1 | >>> FROM a", "   2 |     ", "   3 |     RUN false \\"]);
  assert.deepEqual(excerpt("FRM x", at(1, 1)), ["   1 | >>> FRM x"]);
  assert.equal(renderExcerpt("FROM a\n", "Dockerfile", []), "");
  assert.equal(renderExcerpt("FROM a\n", "Dockerfile", [at(9, 9)]), "");
});

const piece = fc.constantFrom(
  "FROM a",
  "RUN",
  "COPY",
  "ADD",
  "ENV",
  "ARG",
  "ONBUILD",
  "HEALTHCHECK",
  "LABEL",
  "VOLUME",
  "--mount=type=cache",
  "--from=",
  "--x",
  "CMD",
  " ",
  "\n",
  "\\\n",
  "# escape=`\n",
  "#",
  "<<EOF",
  "EOF\n",
  "<<-'x'",
  "$a",
  "${a",
  '"',
  "'",
  "[",
  '["a"]',
  "a=b",
  ",",
  "\t",
  "\r\n",
  "\ufeff",
);

test("for any text the parser gives a file or a DockerfileError, with ranges inside of the text", () => {
  const text = fc.oneof(
    fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
    fc.array(piece, { maxLength: 30 }).map((pieces) => `FROM a\n${pieces.join(" ")}`),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (source) => {
      const lines = source.split("\n");
      const inside = ({ start, end }: Range) => {
        assert.ok(start.line >= 1 && start.line <= end.line && end.line <= lines.length);
        assert.ok(
          start.column <= (lines[start.line - 1] ?? "").length && end.column <= (lines[end.line - 1] ?? "").length,
        );
      };
      try {
        const file = parse(source);
        for (const stage of file.stages) {
          inside(stage.range);
          for (const instruction of stage.instructions) {
            inside(instruction.range);
            if (instruction.kind === "run") for (const { range } of instruction.command.heredocs) inside(range);
          }
        }
      } catch (error) {
        assert.ok(error instanceof DockerfileError, String(error));
        for (const range of error.ranges) inside(range);
        renderExcerpt(source, "Dockerfile", error.ranges);
      }
    }),
    { numRuns: 2000 },
  );
});
