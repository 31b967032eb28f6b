// Counters of the server, as OpenMetrics text. No names of repositories or users: whoever reads metrics sees only numbers.
// Source: OpenMetrics 1.0.

import type { Collected, Storage } from "./storage/index.ts";

export interface Metrics {
  /** @param kind of the route: "blob", "manifest", … */
  countRequest(method: string, kind: string, status: number, receivedBytes: number, sentBytes: number): void;
  countCollection(collected: Collected, seconds: number): void;
  render(storage: Storage): Promise<string>;
}

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export const metricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

function family(name: string, type: "counter" | "gauge", help: string, samples: readonly string[]): string {
  return [`# TYPE ${name} ${type}`, `# HELP ${name} ${help}`, ...samples, ""].join("\n");
}

export function createMetrics(): Metrics {
  const requests = new Map<string, number>();
  let received = 0;
  let sent = 0;
  const collections = { runs: 0, seconds: 0, blobs: 0, bytes: 0, manifests: 0, uploads: 0 };

  return {
    countRequest(method, kind, status, receivedBytes, sentBytes) {
      const labels = `method="${methods.has(method) ? method : "other"}",kind="${kind}",code="${status}"`;
      requests.set(labels, (requests.get(labels) ?? 0) + 1);
      received += receivedBytes;
      sent += sentBytes;
    },
    countCollection(collected, seconds) {
      collections.runs += 1;
      collections.seconds += seconds;
      collections.blobs += collected.blobs;
      collections.bytes += collected.bytes;
      collections.manifests += collected.manifests;
      collections.uploads += collected.uploads;
    },
    async render(storage) {
      const totals = storage.records.totals();
      const gauge = (name: string, help: string, value: number): string =>
        family(`gantry_registry_${name}`, "gauge", help, [`gantry_registry_${name} ${value}`]);
      const counter = (name: string, help: string, value: number): string =>
        family(`gantry_registry_${name}`, "counter", help, [`gantry_registry_${name}_total ${value}`]);
      return [
        family(
          "gantry_registry_requests",
          "counter",
          "Requests answered.",
          [...requests].map(([labels, count]) => `gantry_registry_requests_total{${labels}} ${count}`),
        ),
        counter("received_bytes", "Bytes of request bodies.", received),
        counter("sent_bytes", "Bytes sent to clients.", sent),
        gauge("blobs", "Blobs that are stored.", totals.blobs),
        gauge("blob_bytes", "Bytes of all blobs.", totals.bytes),
        gauge("manifests", "Manifests of all repositories.", totals.manifests),
        gauge("repositories", "Repositories.", totals.repositories),
        gauge("uploads", "Uploads that are not finished.", await storage.uploads.count()),
        gauge("uploads_active", "Uploads that a request is working on.", storage.uploads.active),
        gauge("free_bytes", "Free bytes of the file system.", storage.freeBytes()),
        counter("gc_runs", "Garbage collections.", collections.runs),
        counter("gc_seconds", "Time spent in them.", collections.seconds),
        counter("gc_blobs", "Blobs that they deleted.", collections.blobs),
        counter("gc_bytes", "Bytes that they freed.", collections.bytes),
        counter("gc_manifests", "Manifests that they deleted.", collections.manifests),
        counter("gc_uploads", "Uploads that they swept.", collections.uploads),
        "# EOF\n",
      ].join("");
    },
  };
}
