// Seccomp profiles of users.

/** Complaints. */
export function checkUserProfile(_profile: unknown): readonly string[] {
  return [];
}
