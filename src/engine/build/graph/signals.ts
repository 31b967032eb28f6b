// Signals that STOPSIGNAL takes, by name or number. Source: signal(7).

const names = new Set(
  (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP " +
    "TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ"
  ).split(" "),
);

export function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) > 0 && Number(text) <= 64;
  const name = text.toUpperCase().replace(/^SIG/, "");
  if (names.has(name)) return true;
  const real = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (real === null) return false;
  const offset = Number(real[3] ?? 0);
  if (real[1] === "MIN") return real[2] !== "-" && offset <= 30;
  return real[2] !== "+" && offset <= 30;
}
