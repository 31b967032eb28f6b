// What is refused on the way to a registry, or because none is in reach: push, login, distribution inspect, search.

import type { Step } from "./client.ts";
import { clientFault, get, image, post, whole } from "./steps.ts";

/** Nobody listens there. */
const nobody = "127.0.0.1:1";
const digest = `sha256:${"a".repeat(64)}`;
const foreign = encodeURIComponent('{"os":"linux","architecture":"s390x"}');
const unreached = { status: 503, why: "a registry that is not in reach is no fault of the engine" } as const;

const pushes: readonly Step[] = [
  post("/images/nope/push", undefined, { select: whole }),
  post("/images/nope/push?tag=v1", undefined, { select: whole }),
  post(`/images/${nobody}/nope/push?tag=v1`, undefined, { select: whole }),
  post(`/images/${nobody}/Nope/push`),
  post(`/images/${nobody}/nope/push?tag=a%20b`),
  post(`/images/${nobody}/nope/push?tag=${digest}`),
  post(`/images/${nobody}/nope@sha256:bad/push`),
  post(`/images/${"a".repeat(64)}/push`),
  post(`/images/${image}/push?platform=x`),
  post(`/images/${image}/push?platform={}`),
  post(`/images/${image}/push?platform=${foreign}`),
  post(`/images/nope/push?tag=v1&platform=${foreign}`),
  post(`/images/${image}/tag?repo=${nobody}/x&tag=v1`),
  post(`/images/${nobody}/x/push?tag=v1`, undefined, { select: whole }),
  post(`/v1.45/images/${nobody}/x/push?tag=v1&platform=${foreign}`, undefined, { select: whole }),
  { name: "untag what was to be pushed", method: "DELETE", path: `/images/${nobody}/x:v1`, select: whole },
];

const logins: readonly Step[] = [
  post("/auth", "nope", {
    ours: { ...clientFault, message: "invalid JSON: invalid character 'o' in literal null (expecting 'u')" },
  }),
  post(
    "/auth",
    { username: 1 },
    {
      ours: {
        ...clientFault,
        message: "invalid JSON: json: cannot unmarshal number into Go struct field .username of type string",
      },
    },
  ),
  post("/auth", undefined, { ours: { ...clientFault, message: "invalid JSON: got EOF while reading request body" } }),
  post("/auth", { username: "u", password: "p", serveraddress: nobody }, { ours: unreached }),
  post(
    "/auth",
    { username: "u", password: "p", serveraddress: "http://a b" },
    { ours: { status: 400, message: 'unable to parse server address: "http://a b"', why: "without Go's words" } },
  ),
];

const inspections: readonly Step[] = [
  get(`/distribution/${nobody}/X/json`),
  get(`/distribution/${nobody}/x@sha256:bad/json`),
  get(`/distribution/${"a".repeat(64)}/json`, undefined, { ours: clientFault }),
  get(`/distribution/${nobody}/x/json`, undefined, { ours: unreached }),
];

const searches: readonly Step[] = [
  get("/images/search?term=x&limit=101"),
  get("/images/search?term=x&limit=x"),
  get("/images/search?term=x&limit=-1", undefined, {
    ours: {
      status: 400,
      message: "limit -1 is outside the range of [1, 100]",
      why: "dockerd answers with nothing at all",
    },
  }),
  ...['{"stars":["x"]}', '{"is-official":["x"]}', '{"is-automated":["x"]}', '{"foo":["x"]}', "nope"].map((filters) =>
    get(`/images/search?term=x&filters=${filters}`),
  ),
  get('/images/search?term=x&filters={"is-official":["true","false"]}'),
  get('/images/search?term=x&filters={"is-automated":["true"]}', whole),
  get(`/images/search?term=https://${nobody}/x`),
];

export const registries: readonly Step[] = [...pushes, ...logins, ...inspections, ...searches];
