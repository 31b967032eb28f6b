// What every volume driver must do, the engine's own as well as a plugin's. The cases are data, so that they run wherever a driver's volumes
// can be made. Each says what is wrong; nothing is health. Every case makes volumes of its own and removes them.

import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isEngineError } from "../../base/errors.ts";
import type { VolumeDriver } from "./index.ts";

export interface VolumeDriverCase {
  readonly title: string;
  run(): Promise<readonly string[]>;
}

/** A driver under test. */
export interface VolumeDriverSubject {
  readonly name: string;
  /** A driver over what is there, which has no memory of it, as after a restart of the daemon. */
  create(): Promise<VolumeDriver>;
  /** Options of a volume that can be made; its data outlives an unmount. */
  readonly options: Readonly<Record<string, string>>;
  /** Whether a removal deletes the data; a bind of the host's is not the driver's to delete. */
  readonly deletesData: boolean;
  /** Options that the driver refuses; undefined where it takes all. */
  readonly refused: Readonly<Record<string, string>> | undefined;
}

type Work = (driver: VolumeDriver, volume: string, subject: VolumeDriverSubject) => Promise<readonly string[]>;

function newName(): string {
  return `suite-${randomBytes(6).toString("hex")}`;
}

async function failureOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return "nothing";
  } catch (error) {
    return isEngineError(error) ? error.kind : `no EngineError: ${String(error)}`;
  }
}

function expect(what: string, found: unknown, expected: unknown): readonly string[] {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  return one === other ? [] : [`${what}: ${one} in place of ${other}`];
}

/** A plugin cannot tell kinds: what it says no with is a System error. */
function refusedAs(what: string, kind: string, kinds: readonly string[]): readonly string[] {
  return kinds.includes(kind) ? [] : [`${what}: refused with ${kind}`];
}

async function namesOf(driver: VolumeDriver): Promise<readonly string[]> {
  return (await driver.list()).map(({ name }) => name);
}

/** A volume of the subject while `work` runs; afterwards it is gone, whatever happened. */
async function withVolume(subject: VolumeDriverSubject, work: Work): Promise<readonly string[]> {
  const driver = await subject.create();
  const volume = newName();
  await driver.create(volume, subject.options);
  try {
    return await work(driver, volume, subject);
  } finally {
    await (await subject.create()).remove(volume).catch(() => {});
  }
}

function contentOf(path: string): Promise<string> {
  return readFile(join(path, "file"), "utf8").catch((error: unknown) => String(error));
}

const cases: readonly (readonly [title: string, work: Work])[] = [
  [
    "what was made is listed and got, and once more making it changes nothing",
    async (driver, volume, { options }) => {
      const { name } = await driver.get(volume);
      const path = await driver.mount(volume, "a");
      await writeFile(join(path, "file"), "kept");
      await driver.create(volume, options);
      const content = await contentOf(path);
      await driver.unmount(volume, "a");
      return [
        ...expect("get", name, volume),
        ...expect("times listed", (await namesOf(driver)).filter((each) => each === volume).length, 1),
        ...expect("content", content, "kept"),
      ];
    },
  ],
  [
    "it stays mounted until its last user is gone, at one path for all",
    async (driver, volume) => {
      const first = await driver.mount(volume, "a");
      const second = await driver.mount(volume, "b");
      await writeFile(join(first, "file"), "seen by both");
      await driver.unmount(volume, "a");
      const content = await contentOf(second);
      await driver.unmount(volume, "b");
      return [...expect("path", second, first), ...expect("content", content, "seen by both")];
    },
  ],
  [
    "a second mount for one user needs no second unmount, and an unmount too many does no harm",
    async (driver, volume) => {
      const path = await driver.mount(volume, "a");
      await driver.mount(volume, "b");
      await driver.mount(volume, "a");
      await driver.unmount(volume, "a");
      // A plugin may say that there is nothing to unmount.
      await failureOf(driver.unmount(volume, "a"));
      await writeFile(join(path, "file"), "still here");
      const content = await contentOf(await driver.mount(volume, "c"));
      await driver.unmount(volume, "b");
      await driver.unmount(volume, "c");
      return expect("content", content, "still here");
    },
  ],
];

export function volumeDriverSuite(subject: VolumeDriverSubject): readonly VolumeDriverCase[] {
  const { name, refused } = subject;
  return [
    ...cases.map(([title, work]) => ({ title: `${name}: ${title}`, run: () => withVolume(subject, work) })),
    {
      title: `${name}: a daemon that was restarted finds a volume with its data, and can remove it`,
      run: () =>
        withVolume(subject, async (driver, volume) => {
          const path = await driver.mount(volume, "a");
          await writeFile(join(path, "file"), "from before");
          await driver.unmount(volume, "a");
          const restarted = await subject.create();
          const listed = (await namesOf(restarted)).includes(volume);
          const content = await contentOf(await restarted.mount(volume, "a"));
          await restarted.unmount(volume, "a");
          await restarted.remove(volume);
          return [...expect("listed", listed, true), ...expect("content", content, "from before")];
        }),
    },
    {
      title: `${name}: what was removed is gone, with its data`,
      run: () =>
        withVolume(subject, async (driver, volume) => {
          const path = await driver.mount(volume, "a");
          await writeFile(join(path, "file"), "to be forgotten");
          await driver.unmount(volume, "a");
          await driver.remove(volume);
          const listed = (await namesOf(driver)).includes(volume);
          const got = await failureOf(driver.get(volume));
          await driver.create(volume, subject.options);
          const content = await contentOf(await driver.mount(volume, "a"));
          await driver.unmount(volume, "a");
          return [
            ...expect("listed", listed, false),
            ...expect("get", got, "NotFound"),
            ...(subject.deletesData && content === "to be forgotten"
              ? ["a volume of the same name has the old data"]
              : []),
          ];
        }),
    },
    {
      title: `${name}: what is not there is refused as such`,
      run: async () => {
        const driver = await subject.create();
        const volume = newName();
        return [
          ...expect("get", await failureOf(driver.get(volume)), "NotFound"),
          ...refusedAs("mount", await failureOf(driver.mount(volume, "a")), ["NotFound", "System"]),
          ...refusedAs("remove", await failureOf(driver.remove(volume)), ["NotFound", "System"]),
        ];
      },
    },
    {
      title: `${name}: its scope is local or global`,
      run: async () => {
        const scope: string = await (await subject.create()).scope();
        return ["local", "global"].includes(scope) ? [] : [`scope ${scope}`];
      },
    },
    ...(refused === undefined ? [] : [refusal(subject, refused)]),
  ];
}

function refusal(subject: VolumeDriverSubject, refused: Readonly<Record<string, string>>): VolumeDriverCase {
  return {
    title: `${subject.name}: options that cannot be are refused, and nothing is made`,
    run: async () => {
      const driver = await subject.create();
      const volume = newName();
      const kind = await failureOf(driver.create(volume, refused));
      return [
        ...refusedAs("create", kind, ["InvalidParameter", "System"]),
        ...expect("get", await failureOf(driver.get(volume)), "NotFound"),
        ...expect("listed", (await namesOf(driver)).includes(volume), false),
      ];
    },
  };
}
