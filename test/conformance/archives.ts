// save, load, import, export and commit: texts of refusals, and what an image that was committed is.

import type { Step } from "./client.ts";
import { clientFault, create, del, get, image, type Json, post } from "./steps.ts";

const digest = `sha256:${"a".repeat(64)}`;
const json = (value: unknown): string => encodeURIComponent(JSON.stringify(value));
/** What tar writes for a directory without files. */
const emptyTar = Buffer.alloc(10_240);

/** Of an image's config what a commit decides. */
function committed(value: unknown): unknown {
  const { Author, Comment, Config, Parent, RepoTags, RootFS } = value as Json;
  return {
    Author,
    Comment,
    Config,
    hasParent: Parent !== "",
    RepoTags,
    layers: ((RootFS as Json)["Layers"] as []).length,
  };
}

function steps(value: unknown): unknown {
  return (value as readonly Json[]).map(({ Comment, CreatedBy, Id, Tags, Size }) => ({
    Comment,
    CreatedBy,
    Id,
    Tags,
    Size,
  }));
}

const saves: readonly Step[] = [
  get("/images/nope/get"),
  get(`/images/get?names=${image}&names=nope`),
  get(`/images/${image}:nope/get`),
  get("/images/BAD/get", undefined, { ours: clientFault }),
  get(`/images/${digest}/get`, undefined, {
    ours: { status: 404, message: "No such image: <digest>", why: "dockerd names a file of its own" },
  }),
  get(`/images/${image}@${digest}/get`),
  get("/images/get?names=", undefined, { ours: clientFault }),
  get(`/images/${image}/get?platform=${json({})}`),
  get(`/images/${image}/get?platform=${json({ os: "linux", architecture: "arm64" })}`, undefined, {
    ours: { status: 404, why: "what is not there is not found" },
  }),
  get(`/images/${image}/get?platform=${json({ os: "linux" })}&platform=${json({ os: "linux" })}`),
  get(`/images/${image}/get?platform=x`),
  get(`/v1.47/images/${image}/get?platform=x`),
];

const imports: readonly Step[] = [
  post("/images/create?fromSrc=-&repo=BAD"),
  post(`/images/create?fromSrc=-&repo=a@${digest}`),
  post("/images/create?fromSrc=ftp://127.0.0.1/x", undefined, { ours: clientFault }),
  post("/images/create?fromSrc=http://127.0.0.1:1/x", undefined, {
    ours: { status: 503, why: "a host that does not answer is unavailable" },
  }),
];

const commits: readonly Step[] = [
  post("/commit"),
  post("/commit?container=nope"),
  post(
    `${create}?name=source`,
    { Image: image, Cmd: ["true"], Env: ["A=1"], Labels: { l: "m" } },
    { name: "create source" },
  ),
  post("/commit?container=source&repo=BAD"),
  post("/commit?container=source&repo=a&tag=b:c"),
  post(`/commit?container=source&repo=a@${digest}`),
  post("/commit?container=source&changes=FOO"),
  post("/commit?container=source&changes=CMD%20x&changes=ENV"),
  post("/commit?container=source", { Hostname: 1 }),
  {
    name: "commit of text/plain",
    method: "POST",
    path: "/commit?container=source",
    body: "{}",
    contentType: "text/plain",
  },
  post(
    "/commit?container=source&repo=made&author=me&comment=why&changes=ENTRYPOINT%20x&changes=LABEL%20a=b",
    undefined,
    {
      name: "commit",
      select: (value) => Object.keys(value as Json),
    },
  ),
  get("/images/made/json", committed, { name: "image of a commit" }),
  get("/images/made/history", steps, { name: "history of a commit" }),
  post(
    "/commit?container=source&repo=made2",
    { Env: ["A=2", "B=3"], ExposedPorts: { "80/tcp": {} } },
    { name: "commit of a body" },
  ),
  get("/images/made2/json", committed, { name: "image of a commit of a body" }),
  post("/commit?container=source&repo=made3", {}, { name: "commit of an empty body" }),
  get("/images/made3/json", committed, { name: "image of a commit of an empty body" }),
  get("/containers/nope/export"),
  get("/containers/source/export", undefined, { name: "content type of an export" }),
  get("/images/made/get", undefined, { name: "content type of a save" }),
  del("/images/made?force=1"),
  del("/images/made2?force=1"),
  del("/images/made3?force=1"),
  del("/containers/source"),
];

const loads: readonly Step[] = [
  {
    name: "load of an empty tar",
    method: "POST",
    path: "/images/load",
    body: emptyTar,
    ours: {
      status: 400,
      message: "not an image archive: it has neither manifest.json (docker-archive) nor index.json (OCI layout)",
      why: "dockerd names a temporary file of its own",
    },
  },
];

export const archives: readonly Step[] = [...saves, ...imports, ...commits, ...loads];
