// "user[:group]" and group names as text: taken apart by exact rules before any file is looked at, because a lenient
// number parser turns "0:", "+0" or 2^32 into root (CVE-2026-30892, CVE-2024-40635).

/** Highest id that Docker accepts. */
export const maxId = 2_147_483_647;

/** A number of the file's or the request's own, or a name to look up. */
export type NameOrId = { readonly id: number } | { readonly name: string };

export interface UserText {
  readonly user: NameOrId;
  readonly group: NameOrId | undefined;
}

const rangeText = "uids and gids must be in range 0-2147483647";
const maxLength = 256;

/** A name or an id, or what is wrong with it. */
export function parseNameOrId(text: string): NameOrId | string {
  if (text.length > maxLength) return `invalid user or group name: longer than ${maxLength} characters`;
  if (/^[0-9]+$/.test(text)) {
    const id = Number(text);
    return id > maxId ? rangeText : { id };
  }
  // "-1" and "+0" are numbers to other parsers and names of nobody; digits of other scripts are not digits.
  if (/^-[0-9]+$/.test(text)) return rangeText;
  if (
    text === "" ||
    /[\p{Cc}\s:,/]/u.test(text) ||
    /^[+-]/.test(text) ||
    /\p{Nd}/u.test(text.replaceAll(/[0-9]/g, ""))
  ) {
    return `invalid user or group name: ${JSON.stringify(text)}`;
  }
  return { name: text };
}

/** Takes "user[:group]" apart; "" is root. A text in place of the result is the complaint. */
export function parseUserText(text: string): UserText | string {
  if (text === "") return { user: { id: 0 }, group: undefined };
  if (text.length > 2 * maxLength) return `invalid user: longer than ${2 * maxLength} characters`;
  const colon = text.indexOf(":");
  const user = parseNameOrId(colon < 0 ? text : text.slice(0, colon));
  if (typeof user === "string") return user;
  if (colon < 0) return { user, group: undefined };
  const group = parseNameOrId(text.slice(colon + 1));
  return typeof group === "string" ? group : { user, group };
}

/** Complaints about Config.User or an exec's user; an empty list is consent. */
export function checkUserText(text: string): readonly string[] {
  const parsed = parseUserText(text);
  return typeof parsed === "string" ? [parsed] : [];
}
