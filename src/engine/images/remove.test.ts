import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Digest, parseDigest } from "../../base/digest.ts";
import { type Reference, parseNamed, renderReference } from "../../base/reference.ts";
import { type RemoveWorld, planRemove, renderRemoved } from "./remove.ts";

const digest = (character: string): Digest => parseDigest(`sha256:${character.repeat(64)}`);
const [image, parent, grandparent, other] = ["a", "b", "c", "d"].map(digest) as [Digest, Digest, Digest, Digest];
const pulled = `app@${digest("e")}`;
const container = "0123456789ab".padEnd(64, "f");

interface Facts {
  readonly names?: Readonly<Record<string, readonly string[]>>;
  readonly containers?: Readonly<Record<string, "running" | "stopped">>;
  readonly parents?: Readonly<Record<string, Digest>>;
  readonly held?: readonly Digest[];
}

function worldOf({ names = {}, containers = {}, parents = {}, held = [] }: Facts): RemoveWorld {
  return {
    referencesOf: (id) => (names[id] ?? []).map((name): Reference => renderReference(parseNamed(name))).sort(),
    containersOf: (id) => (id in containers ? [{ id: container, running: containers[id] === "running" }] : []),
    childrenOf: (id) => Object.entries(parents).flatMap(([child, of]) => (of === id ? [parseDigest(child)] : [])),
    parentOf: (id) => parents[id],
    isHeld: (id) => held.includes(id),
  };
}

/** Shown names that go, and images that go; or the complaint. */
function plan(name: string, facts: Facts, options: { force?: boolean; noPrune?: boolean } = {}): unknown {
  try {
    const { untag, images } = planRemove(name, image, { force: false, noPrune: false, ...options }, worldOf(facts));
    return [untag.map(({ shown }) => shown), images];
  } catch (error) {
    return (error as Error).message;
  }
}

const short = "a".repeat(12);
const unable = (force: string, why: string): string => `conflict: unable to delete ${short} (${force}) - ${why}`;
const runs = unable("cannot be forced", "image is being used by running container 0123456789ab");
const stopped = unable("must be forced", "image is being used by stopped container 0123456789ab");
const children = unable("cannot be forced", "image has dependent child images");
const many = unable("must be forced", "image is referenced in multiple repositories");

describe("rmi by name", () => {
  test("takes one of several names", () => {
    assert.deepEqual(plan("app", { names: { [image]: ["app", "app:2"] } }), [["app:latest"], []]);
  });
  test("takes the image with the last name", () => {
    assert.deepEqual(plan("app", { names: { [image]: ["app"] } }), [["app:latest"], [image]]);
  });
  test("takes a repository's digests with its last tag, and those of no other repository", () => {
    const elsewhere = `reg.io/app@${digest("e")}`;
    assert.deepEqual(plan("app:1", { names: { [image]: ["app:1", pulled] } }), [["app:1", pulled], [image]]);
    assert.deepEqual(plan("app:1", { names: { [image]: ["app:1", "app:2", pulled] } }), [["app:1"], []]);
    assert.deepEqual(plan("app:1", { names: { [image]: ["app:1", pulled, elsewhere] } }), [["app:1", pulled], []]);
  });
  test("by digest takes the digest alone", () => {
    assert.deepEqual(plan(pulled, { names: { [image]: ["app:1", pulled] } }), [[pulled], []]);
    assert.deepEqual(plan(pulled, { names: { [image]: [pulled] } }), [[pulled], [image]]);
  });
  test("is refused for the last name of an image that a container uses; force takes the name, and what only stopped ones use", () => {
    const message =
      `conflict: unable to remove repository reference "app" (must force) - container 0123456789ab is using its ` +
      `referenced image ${short}`;
    const used = (how: "running" | "stopped"): Facts => ({ names: { [image]: ["app"] }, containers: { [image]: how } });
    assert.equal(plan("app", used("running")), message);
    assert.equal(plan("app", used("stopped")), message);
    assert.deepEqual(plan("app", used("running"), { force: true }), [["app:latest"], []]);
    assert.deepEqual(plan("app", used("stopped"), { force: true }), [["app:latest"], [image]]);
  });
  test("leaves an image with children, without a name and without a word", () => {
    const facts = { names: { [image]: ["app"] }, parents: { [other]: image } };
    for (const force of [false, true]) assert.deepEqual(plan("app", facts, { force }), [["app:latest"], []]);
  });
});

describe("rmi by id", () => {
  test("takes all names of one repository with at most one tag", () => {
    assert.deepEqual(plan(image, { names: { [image]: ["app:1", pulled] } }), [["app:1", pulled], [image]]);
    assert.deepEqual(plan(short, {}), [[], [image]]);
  });
  test("is refused for several tags or repositories, unless forced", () => {
    for (const names of [
      ["app:1", "app:2"],
      ["app:1", "b:1"],
    ]) {
      assert.equal(plan(short, { names: { [image]: names } }), many);
      assert.deepEqual(plan(short, { names: { [image]: names } }, { force: true }), [names, [image]]);
    }
  });
  test("is refused for children, running and stopped containers, in this order; only the last can be forced", () => {
    const names = { [image]: ["app:1", "b:1"] };
    const containers = { [image]: "running" } as const;
    for (const force of [false, true]) {
      assert.equal(plan(image, { names, containers, parents: { [other]: image } }, { force }), children);
      assert.equal(plan(image, { names, containers }, { force }), runs);
    }
    assert.equal(plan(image, { names, containers: { [image]: "stopped" } }), many);
    assert.equal(plan(image, { containers: { [image]: "stopped" } }), stopped);
    assert.deepEqual(plan(image, { containers: { [image]: "stopped" } }, { force: true }), [[], [image]]);
  });
});

describe("parents", () => {
  const parents = { [image]: parent, [parent]: grandparent };
  test("without a name go with their last child, unless noprune", () => {
    assert.deepEqual(plan(image, { parents }), [[], [image, parent, grandparent]]);
    assert.deepEqual(plan(image, { parents }, { noPrune: true }), [[], [image]]);
    assert.deepEqual(plan("app", { parents, names: { [image]: ["app"] } }), [
      ["app:latest"],
      [image, parent, grandparent],
    ]);
  });
  test("with a name, another child, a container, or one that is being made, stay, and so do theirs", () => {
    assert.deepEqual(plan(image, { parents, names: { [parent]: ["base"] } }), [[], [image]]);
    assert.deepEqual(plan(image, { parents: { ...parents, [other]: parent } }), [[], [image]]);
    assert.deepEqual(plan(image, { parents, containers: { [grandparent]: "stopped" } }), [[], [image, parent]]);
    assert.deepEqual(plan(image, { parents, held: [parent] }), [[], [image]]);
    assert.deepEqual(plan(image, { parents, containers: { [parent]: "stopped" } }, { force: true }), [[], [image]]);
  });
  test("that are each other's are no endless loop", () => {
    assert.deepEqual(plan("app", { parents: { [image]: image }, names: { [image]: ["app"] } }), [["app:latest"], []]);
  });
});

test("the answer has each layer behind the last image that had it", () => {
  const chains = new Map([
    [image, ["base", "mid", "top"]],
    [parent, ["base", "mid"]],
    [grandparent, ["base"]],
  ]);
  const untag = [{ reference: "x" as Reference, shown: "app:1" }];
  assert.deepEqual(
    renderRemoved({ untag, images: [image, parent, grandparent] }, ["top", "mid"], (id) => chains.get(id) ?? []),
    [
      { Untagged: "app:1" },
      { Deleted: image },
      { Deleted: "top" },
      { Deleted: parent },
      { Deleted: "mid" },
      { Deleted: grandparent },
    ],
  );
});
