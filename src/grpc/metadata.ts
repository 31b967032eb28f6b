// Headers that a call carries beside its messages. Names are lower-case; a name may come several times; values of names that
// end in "-bin" are bytes, base64 on the wire. Source: gRPC over HTTP2, "Custom-Metadata".

/** Values by name, in order. Those of "-bin" names as they travel: see binaryValues. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** What may be sent: one value or several. */
export type MetadataInit = Readonly<Record<string, string | readonly string[]>>;

const reserved = /^(?::|grpc-|te$|content-type$|user-agent$|connection$)/;

/** @param raw name, value, name, value … as they came */
export function parseMetadata(raw: readonly string[]): Metadata {
  const metadata = new Map<string, string[]>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? "").toLowerCase();
    const value = raw[i + 1] ?? "";
    if (reserved.test(name)) continue;
    const values = metadata.get(name);
    if (values === undefined) metadata.set(name, [value]);
    else values.push(value);
  }
  return metadata;
}

/** The first value; undefined when there is none. */
export function firstValue(metadata: Metadata, name: string): string | undefined {
  return metadata.get(name)?.[0];
}

/** Values of a "-bin" name. */
export function binaryValues(metadata: Metadata, name: string): readonly Uint8Array[] {
  return (metadata.get(name) ?? []).flatMap((value) => value.split(",").map((part) => Buffer.from(part, "base64")));
}

/** A value for a "-bin" name. */
export function binaryValue(value: Uint8Array): string {
  return Buffer.from(value).toString("base64").replaceAll("=", "");
}

/** For node:http2, which takes lists of values. */
export function renderMetadata(metadata: MetadataInit): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === "string" ? value : [...value],
    ]),
  );
}

/** The header as one text, reserved ones included; undefined when it is absent. */
export function rawHeader(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]?.toLowerCase() === name) return raw[i + 1];
  return undefined;
}
