import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf } from "../../../base/digest.ts";
import type { OciImageConfig } from "../../../spec/oci/image.ts";
import { goTime } from "./go-json.ts";
import { renderImageConfig } from "./image-config.ts";

const made = "2023-11-14T22:13:20Z";
const comment = "buildkit.dockerfile.v0";
const empty = (created_by: string) => ({ comment, created_by, empty_layer: true, created: made });

/** What dockerd 28.5 was given as a Dockerfile, with members in no order. */
const config: OciImageConfig = {
  os: "linux",
  architecture: "amd64",
  created: made,
  config: {
    Cmd: ["b"],
    WorkingDir: "/w",
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "Z=a && b", "A=<x>"],
    Labels: { z: "1", a: "2" },
    ExposedPorts: { "80/tcp": {}, "22/udp": {} },
    User: "3",
    Entrypoint: ["/a"],
    Volumes: { "/v": {} },
    ArgsEscaped: true,
    StopSignal: "SIGINT",
    Shell: ["/bin/x"],
    OnBuild: ["RUN x"],
    Healthcheck: { Interval: 5_000_000_000, Test: ["CMD-SHELL", "echo hi"] },
  },
  rootfs: {
    type: "layers",
    diff_ids: [
      "sha256:d9200c0353aa252f058442c7fda98c973f579ca830bc6859e87c6b367d300447",
      "sha256:a74318dac557ad9a43b0bed65553e300d74a239b5eb1d5dc95c04eb36c823046",
    ],
  },
  history: [
    { comment, created_by: "COPY a /a # buildkit", created: made },
    empty("ENV Z=a && b A=<x>"),
    empty("LABEL z=1 a=2"),
    empty("EXPOSE [22/udp 80/tcp]"),
    empty("VOLUME [/v]"),
    empty(`HEALTHCHECK &{["CMD-SHELL" "echo hi"] "5s" "0s" "0s" "0s" '\\x00'}`),
    empty("STOPSIGNAL SIGINT"),
    empty("SHELL [/bin/x]"),
    empty("USER 3"),
    empty(`ENTRYPOINT ["/a"]`),
    empty(`CMD ["b"]`),
    { created: made, created_by: "WORKDIR /w", comment },
  ],
};

describe("the config of a built image", () => {
  it("has the id that dockerd 28.5 gave to the same build", () => {
    assert.equal(
      digestOf(renderImageConfig(config, undefined)),
      "sha256:505cf50f66fa56f30a480acae4de71fd914ce7479cc463fe9c4f91c0305635ff",
    );
  });

  it("leaves out what is empty, and what only classic builds write", () => {
    const bytes = renderImageConfig(
      {
        os: "linux",
        architecture: "arm",
        variant: "v7",
        docker_version: "1",
        comment: "x",
        config: { Env: null, Labels: {}, User: "", ArgsEscaped: false },
        rootfs: { type: "layers", diff_ids: [] },
      },
      undefined,
    );
    assert.equal(
      bytes.toString(),
      '{"architecture":"arm","config":{},"os":"linux","rootfs":{"type":"layers","diff_ids":[]},"variant":"v7"}',
    );
  });

  it("carries an inline cache", () => {
    const bytes = renderImageConfig(config, "aGk=");
    assert.equal((JSON.parse(bytes.toString()) as Record<string, unknown>)["moby.buildkit.cache.v0"], "aGk=");
  });

  it("has times as Go writes them", () => {
    assert.equal(goTime("2026-11-28T07:50:25.748591500Z"), "2026-11-28T07:50:25.7485915Z");
    assert.equal(goTime("2026-11-28T07:50:25.000000000Z"), "2026-11-28T07:50:25Z");
    assert.equal(goTime("2026-11-28T07:50:20Z"), "2026-11-28T07:50:20Z");
    assert.equal(goTime("2026-11-28T07:50:25.100+01:00"), "2026-11-28T07:50:25.1+01:00");
  });
});
