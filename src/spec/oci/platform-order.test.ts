import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bestOf, completePlatform, platformOrder } from "./platform-order.ts";
import { parsePlatform } from "./platform.ts";

function choose(wanted: string, ...offered: readonly string[]): string | undefined {
  const candidates = offered.map((name) => {
    if (name === "-") return { name };
    const [os = "", architecture = "", variant] = name.split("/");
    return { name, platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
  });
  return bestOf(candidates, completePlatform(parsePlatform(wanted)))?.name;
}

describe("the best of several platforms", () => {
  it("is the one asked for, however its architecture is spelt", () => {
    assert.equal(choose("linux/amd64", "linux/arm64", "linux/x86_64"), "linux/x86_64");
    assert.equal(choose("linux/arm64/v8", "linux/amd64", "linux/arm64"), "linux/arm64");
    assert.equal(choose("linux/arm64", "linux/amd64", "linux/arm64/v8"), "linux/arm64/v8");
    assert.equal(choose("linux/amd64", "windows/amd64"), undefined);
    assert.equal(choose("linux/amd64", "unknown/unknown"), undefined);
  });

  it("is the next that the processor runs: arm down to v5, amd64 down to 386, arm64 down to arm", () => {
    assert.equal(choose("linux/arm/v7", "linux/arm/v5", "linux/arm/v6", "linux/arm64"), "linux/arm/v6");
    assert.equal(choose("linux/arm/v6", "linux/arm/v7", "linux/arm"), undefined);
    assert.equal(choose("linux/arm", "linux/arm/v6", "linux/arm"), "linux/arm");
    assert.equal(choose("linux/amd64/v3", "linux/amd64", "linux/amd64/v4", "linux/amd64/v2"), "linux/amd64/v2");
    assert.equal(choose("linux/amd64", "linux/amd64/v2", "linux/386"), "linux/386");
    assert.equal(choose("linux/amd64", "linux/386", "linux/amd64/v1"), "linux/amd64/v1");
    assert.equal(choose("linux/arm64", "linux/arm/v6", "linux/arm/v7"), "linux/arm/v7");
    assert.equal(choose("linux/s390x", "linux/amd64", "linux/ppc64le"), undefined);
  });

  it("is the first of equals, and one without a platform only when no other fits", () => {
    assert.equal(choose("linux/amd64", "-", "linux/amd64"), "linux/amd64");
    assert.equal(choose("linux/s390x", "linux/amd64", "-"), "-");
  });

  it("orders v8 of arm64 before all of arm", () => {
    assert.deepEqual(
      platformOrder(completePlatform(parsePlatform("linux/arm64/v9"))).map((p) => p.architecture + p.variant),
      ["arm64v9", "arm64", "armv8", "armv7", "armv6", "armv5"],
    );
  });
});
