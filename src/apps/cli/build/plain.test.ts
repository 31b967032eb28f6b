import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainDisplay } from "./plain.ts";
import type { BuildStatus, VertexStatus } from "./status.ts";

const second = 1_000_000_000n;
const nothing: BuildStatus = { vertexes: [], tasks: [], logs: [], warnings: [] };

function vertex(digest: string, over: Partial<VertexStatus>): VertexStatus {
  return {
    digest,
    name: `[${digest}]`,
    cached: false,
    error: "",
    startedNs: undefined,
    completedNs: undefined,
    ...over,
  };
}

function display(): { readonly shown: PlainDisplay; readonly text: () => string; tick: (ns: bigint) => void } {
  let text = "";
  let now = 0n;
  const shown = new PlainDisplay(
    (part) => void (text += part),
    () => now,
  );
  return { shown, text: () => text, tick: (ns) => void (now += ns) };
}

test("a vertex has a number, its lines their time, and an end", () => {
  const { shown, text } = display();
  shown.show({ ...nothing, vertexes: [vertex("a", { startedNs: second })] });
  shown.show({ ...nothing, logs: [{ vertex: "a", atNs: second + 123_000_000n, data: Buffer.from("one\ntw") }] });
  shown.show({ ...nothing, logs: [{ vertex: "a", atNs: second + 200_000_000n, data: Buffer.from("o\n") }] });
  shown.show({ ...nothing, vertexes: [vertex("a", { startedNs: second, completedNs: 2n * second })] });
  shown.show({ ...nothing, vertexes: [vertex("b", { cached: true, startedNs: second, completedNs: second })] });
  shown.end();
  assert.equal(text(), "#1 [a]\n#1 0.123 one\n#1 0.123 two\n#1 DONE 1.0s\n\n#2 [b]\n#2 CACHED\n");
});

test("one vertex speaks until it pauses; then another may", () => {
  const { shown, text, tick } = display();
  const log = (digest: string, line: string): BuildStatus => ({
    ...nothing,
    logs: [{ vertex: digest, atNs: second, data: Buffer.from(`${line}\n`) }],
  });
  shown.show({ ...nothing, vertexes: [vertex("a", { startedNs: second }), vertex("b", { startedNs: second })] });
  shown.show(log("b", "waits"));
  shown.show(log("a", "speaks"));
  assert.equal(text(), "#1 [a]\n#1 0.000 speaks\n");
  tick(2n * second);
  shown.show(nothing);
  assert.equal(text(), "#1 [a]\n#1 0.000 speaks\n\n#2 [b]\n#2 0.000 waits\n");
});

test("controls of the terminal that a step prints are shown, not obeyed", () => {
  const { shown, text } = display();
  shown.show({ ...nothing, vertexes: [vertex("a", { startedNs: second })] });
  shown.show({ ...nothing, logs: [{ vertex: "a", atNs: second, data: Buffer.from("\u001B[2Jx\n") }] });
  shown.end();
  assert.ok(!text().includes("\u001B"));
});
