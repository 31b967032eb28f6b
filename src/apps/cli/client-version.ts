// The client's own version; tools/build.ts replaces it by what package.json says when it bundles.

/** Semantic version of this client. */
export const clientVersion = "0.1.0";

/** The commit that the client was built from; "unknown" when it runs unbuilt. */
export const clientCommit = process.env["GANTRY_BUILD_COMMIT"] ?? "unknown";
