// The client's own version: tools/build.ts writes it into the bundle; unbuilt it is a development version.

declare const GANTRY_BUILD: { readonly version: string; readonly commit: string; readonly time: string } | undefined;

const build = typeof GANTRY_BUILD === "undefined" ? undefined : GANTRY_BUILD;

/** Semantic version of this client. */
export const clientVersion = build?.version ?? "0.1.0-dev";

/** The commit that the client was built from; "dev" when it runs unbuilt. */
export const clientCommit = build?.commit.slice(0, 7) || "dev";
