// The words in which dockerd reports a body that is no JSON: Go's. Users search for them.

/** Nothing, or only white space. */
export function isBlank(body: Uint8Array): boolean {
  return body.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

/** Why a text is no JSON, as far as its beginning shows. */
export function jsonComplaint(text: string): string {
  const first = text.trimStart().charAt(0);
  if (first === "") return "unexpected end of JSON input";
  if (/["{[0-9tfn-]/.test(first)) return "invalid JSON";
  return `invalid character '${first === "'" ? "\\'" : first}' looking for beginning of value`;
}
