// The volume objects of the Docker Engine API 1.51, as on the wire, and Gantry's own of snapshots.

/** Source: Engine API 1.51, Volume. */
export interface Volume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  /** RFC 3339; a plugin may not know it. */
  readonly CreatedAt?: string;
  readonly Status?: Readonly<Record<string, unknown>>;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Scope: "local" | "global";
  readonly Options: Readonly<Record<string, string>> | null;
  /** Only in GET /system/df. Bytes, or -1 where the driver does not tell. */
  readonly UsageData?: { readonly Size: number; readonly RefCount: number };
}

/** Source: Engine API 1.51, VolumeCreateOptions. */
export interface VolumeCreateRequest {
  readonly Name?: string;
  readonly Driver?: string;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly ClusterVolumeSpec?: unknown;
}

/** Source: Engine API 1.51, VolumeListResponse. */
export interface VolumeList {
  readonly Volumes: readonly Volume[];
  readonly Warnings: readonly string[] | null;
}

/** Gantry's own: what a volume held at one moment. */
export interface VolumeSnapshot {
  readonly Name: string;
  readonly Volume: string;
  /** RFC 3339. */
  readonly CreatedAt: string;
  /** Bytes in its regular files, whether they are shared with the volume's or not. */
  readonly Size: number;
  /** Whether its files share their blocks with the volume's (reflink). */
  readonly Shared: boolean;
  readonly Comment: string;
}
