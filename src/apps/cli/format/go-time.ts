// Points in time as Go prints them in local time: "2026-11-27 21:40:55 +0000 UTC".

/** @param unixSeconds seconds since 1970; @param fraction digits after the point, with the point, or "" */
export function renderGoTime(unixSeconds: number, fraction = ""): string {
  const date = new Date(unixSeconds * 1000);
  const two = (value: number): string => value.toString().padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${two(Math.trunc(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}${fraction} ${zone} ${offset === 0 ? "UTC" : zoneName(date)}`;
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(date);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}

/** An RFC 3339 text in UTC as Go prints a time in UTC; the text itself when it is none. */
export function renderGoTimeUtc(rfc3339: string): string {
  const m = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z$/.exec(rfc3339);
  if (m === null) return rfc3339;
  return `${m[1]} ${m[2]}${(m[3] ?? "").replace(/\.?0+$/, "")} +0000 UTC`;
}
