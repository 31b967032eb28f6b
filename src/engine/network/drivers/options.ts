// Values of driver options as Go's strconv and net packages read them, because dockerd's complaints quote those. Pure.

import { isIP } from "node:net";

export type Options = Readonly<Record<string, string>>;

/** A value, or what is wrong with it in dockerd's words. */
export type Parsed<T> = { readonly value: T } | { readonly complaint: string };

const truths = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((text) => [text, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((text) => [text, false] as const),
]);

function failed(key: string, text: string, why: string): { readonly complaint: string } {
  return { complaint: `failed to parse ${key} value: ${text} (${why})` };
}

export function parseBoolean(key: string, text: string): Parsed<boolean> {
  const value = truths.get(text);
  if (value !== undefined) return { value };
  return failed(key, text, `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Bytes; 0 stands for the default. The kernel's bounds for an Ethernet device are 68 and 65535. */
export function parseMtu(key: string, text: string): Parsed<number> {
  if (!/^[+-]?\d+$/.test(text))
    return failed(key, text, `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    return failed(key, text, `strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
  if (value !== 0 && (value < 68 || value > 65_535)) return { complaint: `invalid MTU number: ${value}` };
  return { value };
}

/** @param family 0 for either */
export function parseIp(key: string, text: string, family: 0 | 4 | 6): Parsed<string> {
  const found = text.includes("%") ? 0 : isIP(text);
  if (found === 0) return failed(key, text, "nil ip");
  if (family !== 0 && found !== family) return failed(key, text, `not an IPv${family} address`);
  return { value: text };
}

/**
 * Whether a device can be called so, here: the kernel takes more (any 15 bytes without space, / and :), but some of it is a
 * pattern or a comment to `ip`, nft or the kernel itself.
 */
export function isDeviceName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+=~^-]{0,14}$/.test(text);
}
