import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProgressMessage } from "../../api/ports.ts";
import type { BuildEvent, VertexProgress } from "../progress.ts";
import { ClassicRenderer, type ClassicRendering } from "./render.ts";

const a = `sha256:${"a".repeat(64)}`;
const b = `sha256:${"b".repeat(64)}`;

function vertex(digest: string, over: Partial<VertexProgress>): BuildEvent {
  const whole = { digest, name: "", inputs: [], startedAt: 1n, completedAt: undefined, cached: false, error: "" };
  return { kind: "vertex", vertex: { ...whole, ...over } };
}

function log(digest: string, text: string, stream: 1 | 2 = 1): BuildEvent {
  return { kind: "log", vertex: digest, stream, data: Buffer.from(text), at: 2n };
}

const loud = { quiet: false, remove: true, forceRemove: false };

function render(
  events: readonly BuildEvent[],
  end: (renderer: ClassicRenderer) => void,
  options: ClassicRendering = loud,
): readonly ProgressMessage[] {
  const told: ProgressMessage[] = [];
  const renderer = new ClassicRenderer((message) => told.push(message), options);
  renderer.event({
    kind: "plan",
    steps: [
      { instruction: "FROM scratch", vertex: undefined },
      { instruction: "RUN make", vertex: a },
      { instruction: "COPY . /", vertex: b },
    ],
  });
  for (const event of events) renderer.event(event);
  end(renderer);
  return told;
}

const text = (told: readonly ProgressMessage[]): string => told.map(({ stream = "" }) => stream).join("");

test("steps are told in the order of the Dockerfile, whatever ends first", () => {
  const told = render(
    [
      vertex(b, {}),
      vertex(b, { completedAt: 3n }),
      vertex(a, {}),
      log(a, "out\n"),
      log(a, "err\n", 2),
      vertex(a, { completedAt: 4n }),
    ],
    (renderer) => renderer.success(b, ["x:latest"], ["A", "B"]),
  );
  assert.equal(
    text(told),
    [
      "Step 1/3 : FROM scratch\n",
      " ---> \n",
      "Step 2/3 : RUN make\n",
      ` ---> Running in ${"a".repeat(12)}\n`,
      "out\n",
      "\u001B[91merr\n\u001B[0m",
      ` ---> Removed intermediate container ${"a".repeat(12)}\n`,
      ` ---> ${"a".repeat(12)}\n`,
      "Step 3/3 : COPY . /\n",
      ` ---> ${"b".repeat(12)}\n`,
      "[Warning] One or more build-args [A B] were not consumed\n",
      `Successfully built ${"b".repeat(12)}\n`,
      "Successfully tagged x:latest\n",
    ].join(""),
  );
  assert.deepEqual(
    told.filter(({ aux }) => aux !== undefined),
    [{ aux: { ID: b } }],
  );
});

test("a cached step says so", () => {
  const told = render([vertex(a, { cached: true, completedAt: 2n })], () => undefined);
  assert.match(text(told), /Step 2\/3 : RUN make\n ---> Using cache\n ---> a{12}\n$/);
});

test("a step that failed is told although an earlier one still runs", () => {
  const told = render([vertex(a, {}), vertex(b, { completedAt: 2n, error: "no" }), log(b, "why\n")], (renderer) =>
    renderer.fail(),
  );
  assert.match(text(told), /Running in a{12}\nStep 3\/3 : COPY \. \/\nwhy\n$/);
});

test("triggers of a base image are announced and told without numbers", () => {
  const renderer = new ClassicRenderer((message) => told.push(message), loud);
  const told: ProgressMessage[] = [];
  renderer.event({
    kind: "plan",
    steps: [
      { instruction: "FROM x", vertex: b, imageId: b },
      { instruction: "RUN trigger", vertex: a, isTrigger: true },
      { instruction: "CMD x", vertex: undefined },
    ],
  });
  renderer.event(vertex(b, { completedAt: 2n }));
  renderer.event(vertex(a, {}));
  renderer.event(log(a, "out\n"));
  renderer.event(vertex(a, { completedAt: 3n }));
  assert.equal(
    text(told),
    [
      "Step 1/2 : FROM x\n# Executing 1 build trigger\n",
      ` ---> Running in ${"a".repeat(12)}\nout\n ---> Removed intermediate container ${"a".repeat(12)}\n`,
      ` ---> ${"a".repeat(12)}\nStep 2/2 : CMD x\n`,
    ].join(""),
  );
});

test("each heading is a message of its own, its line's end another", () => {
  const told = render([], () => undefined);
  assert.deepEqual(told[0], { stream: "Step 1/3 : FROM scratch" });
  assert.deepEqual(told[1], { stream: "\n" });
});

test("a quiet build says its image's id alone, and everything when it fails", () => {
  const quiet = { ...loud, quiet: true };
  const events = [vertex(a, {}), log(a, "out\n")];
  const done = [...events, vertex(a, { completedAt: 2n }), vertex(b, { completedAt: 3n, startedAt: 2n })];
  assert.deepEqual(
    render(done, (renderer) => renderer.success(b, ["x:latest"], []), quiet),
    [{ stream: `${b}\n` }],
  );
  const failed = render([...events, vertex(a, { completedAt: 2n, error: "no" })], (renderer) => renderer.fail(), quiet);
  assert.match(text(failed), /Step 2\/3 : RUN make\n ---> Running in a{12}\nout\n$/);
});

test("the removal of containers is told as it was asked for", () => {
  const kept = render([vertex(a, {}), vertex(a, { completedAt: 2n })], () => undefined, { ...loud, remove: false });
  assert.doesNotMatch(text(kept), /Removed/);
  const failed = render(
    [vertex(a, {}), vertex(a, { completedAt: 2n, error: "no" })],
    (renderer) => assert.equal(renderer.fail(), "RUN make"),
    { ...loud, forceRemove: true },
  );
  assert.match(text(failed), /Running in a{12}\n ---> Removed intermediate container a{12}\n$/);
});

test("arguments that are declared are known by their names", () => {
  const renderer = new ClassicRenderer(() => undefined, loud);
  renderer.event({
    kind: "plan",
    steps: ["ARG A=1 B", "ENV C=2", "arg D"].map((instruction) => ({ instruction, vertex: undefined })),
  });
  assert.deepEqual([...renderer.declaredArgs()], ["A", "B", "D"]);
});
