import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerConfig } from "../../spec/docker/container.ts";
import type { ImageConfig } from "../../spec/docker/image.ts";
import { mergeConfig, unsupportedOfImage } from "./merge-config.ts";
import { commandOf } from "./model.ts";

const image: ImageConfig = {
  User: "web",
  ExposedPorts: { "80/tcp": {} },
  Env: ["PATH=/bin", "LANG=C"],
  Cmd: ["serve"],
  Entrypoint: ["/entry"],
  Labels: { a: "image", b: "image" },
  WorkingDir: "/srv",
  StopSignal: "SIGQUIT",
};

test("an empty request takes everything from the image", () => {
  assert.deepEqual(mergeConfig({ Image: "x", Volumes: {} }, image), {
    Image: "x",
    Volumes: null,
    User: "web",
    ExposedPorts: { "80/tcp": {} },
    Env: ["PATH=/bin", "LANG=C"],
    Cmd: ["serve"],
    Entrypoint: ["/entry"],
    Labels: { a: "image", b: "image" },
    WorkingDir: "/srv",
    StopSignal: "SIGQUIT",
  });
});

test("environment, labels and ports are joined; the request wins", () => {
  const merged = mergeConfig({ Env: ["LANG=de", "X"], Labels: { a: "own" }, ExposedPorts: { "81/udp": {} } }, image);
  assert.deepEqual(merged.Env, ["LANG=de", "X", "PATH=/bin"]);
  assert.deepEqual(merged.Labels, { a: "own", b: "image" });
  assert.deepEqual(Object.keys(merged.ExposedPorts ?? {}).sort(), ["80/tcp", "81/udp"]);
});

test("command and entry point follow dockerd's rules", () => {
  const rows: readonly [ContainerConfig, string[]][] = [
    [{}, ["/entry", "serve"]],
    [{ Cmd: ["x"] }, ["/entry", "x"]],
    [{ Cmd: [] }, ["/entry", "serve"]],
    // An entry point of the client's is not given the image's arguments.
    [{ Entrypoint: ["/own"] }, ["/own"]],
    [{ Entrypoint: ["/own"], Cmd: ["x"] }, ["/own", "x"]],
    // [""] and [] both mean: without the image's entry point.
    [{ Entrypoint: [""], Cmd: ["x"] }, ["x"]],
    [{ Entrypoint: [], Cmd: ["x"] }, ["x"]],
    [{ Entrypoint: [] }, ["serve"]],
    [{ Entrypoint: [""] }, [""]],
  ];
  for (const [request, expected] of rows) {
    const { path, args } = commandOf(mergeConfig(request, image));
    assert.deepEqual([path, ...args], expected, JSON.stringify(request));
  }
});

test("volumes of the request and of the image are joined", () => {
  const own = { Image: "x", Volumes: { "/own": {} } };
  assert.deepEqual(mergeConfig(own, { Volumes: { "/data": {} } }).Volumes, { "/data": {}, "/own": {} });
  assert.deepEqual(mergeConfig(own, {}).Volumes, { "/own": {} });
});

test("what the image wants and the engine cannot do is named, unless the request does without", () => {
  const rich: ImageConfig = { Volumes: { "/data": {} }, Healthcheck: { Test: ["CMD", "true"] } };
  assert.deepEqual(unsupportedOfImage({}, rich), ["the image's Config.Healthcheck"]);
  assert.deepEqual(unsupportedOfImage({ Healthcheck: { Test: ["NONE"] } }, rich), []);
  assert.deepEqual(unsupportedOfImage({}, image), []);
});
