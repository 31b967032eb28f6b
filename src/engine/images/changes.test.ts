import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { applyChanges } from "./changes.ts";

describe("applyChanges", () => {
  // Results and refusals as the reference daemon gives them for docker import --change.
  for (const [change, config] of [
    ["CMD", { Cmd: ["/bin/sh", "-c"] }],
    ["CMD a b", { Cmd: ["/bin/sh", "-c", "a b"] }],
    ['CMD ["a", "b"]', { Cmd: ["a", "b"] }],
    ["CMD []", { Cmd: [] }],
    ["cmd x", { Cmd: ["/bin/sh", "-c", "x"] }],
    ['ENTRYPOINT ["a"', { Entrypoint: ["/bin/sh", "-c", '["a"'], Cmd: null }],
    ["CMD y\nENTRYPOINT x", { Cmd: ["/bin/sh", "-c", "y"], Entrypoint: ["/bin/sh", "-c", "x"] }],
    ["ENTRYPOINT x\nCMD y", { Entrypoint: ["/bin/sh", "-c", "x"], Cmd: ["/bin/sh", "-c", "y"] }],
    ["ENV A b c", { Env: ["A=b c"] }],
    ["ENV A=b=c", { Env: ["A=b=c"] }],
    ["ENV A=$B", { Env: ["A="] }],
    ["ENV PATH=/a:$PATH", { Env: ["PATH=/a:"] }],
    ["ENV A=1\nENV A=2 B=$A", { Env: ["A=2", "B=1"] }],
    ["ENV A='x y' B=\"q\\\"z\" C=a\\ b D='$A' E=${A:-d}", { Env: ["A=x y", 'B=q"z', "C=a b", "D=$A", "E=d"] }],
    ['LABEL a="b c" d=e', { Labels: { a: "b c", d: "e" } }],
    ["EXPOSE 80/udp 90-92", { ExposedPorts: { "80/udp": {}, "90/tcp": {}, "91/tcp": {}, "92/tcp": {} } }],
    ["USER a b", { User: "a b" }],
    ["WORKDIR x", { WorkingDir: "/x" }],
    ["WORKDIR /a\nWORKDIR b", { WorkingDir: "/a/b" }],
    ["STOPSIGNAL SIGINT", { StopSignal: "SIGINT" }],
    ["STOPSIGNAL 9", { StopSignal: "9" }],
    ["STOPSIGNAL RTMIN+3", { StopSignal: "RTMIN+3" }],
    ["ONBUILD RUN x", { OnBuild: ["RUN x"] }],
    ['VOLUME ["/a","/b"]', { Volumes: { "/a": {}, "/b": {} } }],
    ["VOLUME /a /b", { Volumes: { "/a": {}, "/b": {} } }],
    ["HEALTHCHECK NONE", { Healthcheck: { Test: ["NONE"] } }],
    ["HEALTHCHECK CMD true", { Healthcheck: { Test: ["CMD-SHELL", "true"] } }],
    [
      'HEALTHCHECK --interval=1m30s --retries=3 CMD ["a","b"]',
      { Healthcheck: { Test: ["CMD", "a", "b"], Interval: 90e9, Retries: 3 } },
    ],
    ["# comment\nUSER \\\n 1", { User: "1" }],
  ] as const)
    it(`applies ${JSON.stringify(change)}`, () => {
      assert.deepEqual(applyChanges({}, [change]), config);
    });

  for (const [change, message] of [
    ["FOO x", "FOO is not a valid change command"],
    ["foo x", "foo is not a valid change command"],
    ["RUN x", "RUN is not a valid change command"],
    ["# c", "file with no instructions"],
    ["ENV A", "ENV must have two arguments"],
    ["ENV =b", "ENV names can not be blank"],
    ["LABEL a", "LABEL must have two arguments"],
    ["EXPOSE x", "Invalid containerPort: x"],
    ["EXPOSE 70000", "Invalid containerPort: 70000"],
    ["EXPOSE 80/foo", "Invalid proto: foo"],
    ["USER", "USER requires exactly one argument"],
    ["STOPSIGNAL FOO", "invalid signal: FOO"],
    ["ONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ["ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"],
    ["VOLUME", "VOLUME requires at least one argument"],
    ['VOLUME [""]', "VOLUME specified can not be an empty string"],
    ["HEALTHCHECK", "HEALTHCHECK requires at least one argument"],
    ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
    ["HEALTHCHECK --bogus=1 CMD a", "unknown flag: --bogus"],
    ["HEALTHCHECK --interval=1us CMD a", 'Interval "interval" cannot be less than 1ms'],
  ] as const)
    it(`refuses ${JSON.stringify(change)}`, () => {
      assert.throws(() => applyChanges({}, [change]), { kind: "InvalidParameter", message });
    });

  it("refuses a quote that is not closed", () => {
    assert.throws(
      () => applyChanges({}, ['ENV A="b']),
      /unexpected end of statement while looking for matching double-quote/,
    );
  });
  it("keeps what the config had", () => {
    assert.deepEqual(applyChanges({ Env: ["A=1"], User: "u" }, ["ENV B=$A"]), { Env: ["A=1", "B=1"], User: "u" });
  });
});
