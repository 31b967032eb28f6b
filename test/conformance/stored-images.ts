// Images that are here: filters of the list, platforms, tags, removal, prune, disk usage. The scenarios' image is the only one.

import { shapeOf, type Step } from "./client.ts";
import { clientFault, del, get, image, type Json, post, whole } from "./steps.ts";

const foreign = encodeURIComponent('{"os":"linux","architecture":"s390x"}');
const halved = encodeURIComponent('{"os":"linux"}');

function query(filters: Readonly<Record<string, readonly string[] | undefined>>): string {
  return encodeURIComponent(JSON.stringify(filters));
}

const countOfImages = (json: unknown): unknown => (json as readonly unknown[]).length;

const lists: readonly Step[] = [
  { "label!": ["a"] },
  { dangling: [] },
  { dangling: ["true", "false"] },
  { before: ["nope"] },
].map((filters) => get(`/images/json?filters=${query(filters)}`));

const faultyLists: readonly Step[] = [
  { until: ["zzz"] },
  { until: [""] },
  { reference: ["[a"] },
  { reference: ["a\\"] },
].map((filters) => get(`/images/json?filters=${query(filters)}`, undefined, { ours: clientFault }));

const matches: readonly Step[] = [
  { reference: ["conf*"] },
  { reference: ["conformance:[l-m]atest"] },
  { reference: ["conf[z-a]rmance"] },
  { reference: ["*/conformance"] },
  { reference: ["docker.io/library/conformance"] },
  { reference: [""] },
  { label: ["l"] },
  { label: ["l=m"] },
  { label: ["l=n"] },
  { dangling: ["true"] },
  { dangling: ["0"], label: ["l"] },
  { since: [image] },
  { until: ["2020-01-01"] },
  { until: ["0s"], label: ["l"] },
].map((filters) => get(`/images/json?filters=${query(filters)}`, countOfImages));

const platforms: readonly Step[] = [
  get(`/images/${image}/json?platform=${foreign}`),
  get(`/images/${image}/json?platform=x`),
  get(`/images/${image}/json?platform=${halved}`),
  get(`/images/${image}/json?manifests=1&platform=${foreign}`),
  get(`/images/${image}/history?platform=${foreign}`),
  get(`/images/${image}/history?platform=x`),
  get("/images/nope/history"),
  del(`/images/${image}?platforms=${foreign}`),
  del(`/images/${image}?platforms=x`),
  del(`/images/${image}?platforms=${foreign}&platforms=${foreign}`),
];

const names: readonly Step[] = [
  post(`/images/${image}/tag?repo=a&tag=!`),
  post(`/images/${image}/tag?repo=a@sha256:${"a".repeat(64)}`),
  post(`/images/${image}/tag?repo=${"a".repeat(64)}`),
  post(`/images/${image}/tag?repo=sha256&tag=x`),
  post(`/images/${image}/tag?repo=stored:one&tag=two`),
  del("/images/stored:one"),
  del("/images/stored:two", { select: whole }),
  del("/images/sha256:ff"),
  del("/images/Upper"),
  del(`/images/${image}@sha256:${"0".repeat(64)}`),
];

const prunes: readonly Step[] = [
  { foo: ["a"] },
  { reference: ["a"] },
  { dangling: ["x"] },
  { dangling: ["true", "false"] },
].map((filters) => post(`/images/prune?filters=${query(filters)}`));

const faultyPrunes: readonly Step[] = [{ until: ["x"] }, { until: ["1h", "2h"] }].map((filters) =>
  post(`/images/prune?filters=${query(filters)}`, undefined, { ours: clientFault }),
);

const space: readonly Step[] = [
  post("/images/prune?filters=x"),
  post("/images/prune", undefined, { select: whole }),
  post(`/images/prune?filters=${query({ dangling: ["false"], label: ["nobody"] })}`, undefined, { select: whole }),
  post("/networks/prune", undefined, { select: whole }),
  post("/volumes/prune", undefined, { select: whole }),
  post("/build/prune", undefined, { select: whole }),
  post(`/networks/prune?filters=${query({ foo: ["a"] })}`),
  post(`/volumes/prune?filters=${query({ foo: ["a"] })}`),
  get("/system/df?type=foo"),
  get("/system/df?type="),
  get("/system/df?type=container&type=volume", whole),
  get("/system/df?type=build-cache", whole),
  get("/system/df?type=image", imagesAndSizes),
  get("/v1.43/system/df", imagesAndSizes),
];

/** The parts of disk usage that both have; Gantry has one image more, its own. */
function imagesAndSizes(json: unknown): unknown {
  const { LayersSize, Images, Containers, Volumes, BuildCache } = json as Json;
  const own = (Images as readonly Json[]).find(({ RepoTags }) => String(RepoTags) === `${image}:latest`);
  const isWhole = Number(LayersSize) >= Number(own?.["Size"]) && own?.["SharedSize"] === 0;
  return { isWhole, image: shapeOf(own), Containers, Volumes, BuildCache };
}

export const storedImages: readonly Step[] = [
  ...lists,
  ...faultyLists,
  ...matches,
  ...platforms,
  ...names,
  ...prunes,
  ...faultyPrunes,
  ...space,
];
