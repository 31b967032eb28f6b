// A route and a method → the right that it needs and the handler. Nothing is looked up before the right is there.

import type { Need } from "../auth/index.ts";
import { RegistryError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import type { ContentRoute, Route, UploadRoute } from "../http/routes.ts";
import { metricsType } from "../metrics.ts";
import { parseRepository } from "../names.ts";
import { deleteBlob, getBlob } from "./blobs.ts";
import { listReferrers, listRepositories, listTags } from "./lists.ts";
import { deleteManifest, getManifest, putManifest } from "./manifests.ts";
import type { Service } from "./service.ts";
import { serveToken } from "./token.ts";
import { cancelUpload, getUpload, patchUpload, putUpload, startUpload } from "./uploads.ts";

type Handler = (service: Service, exchange: Exchange) => void | Promise<void>;

interface Operation {
  /** undefined: open to all. */
  readonly needs: readonly Need[] | undefined;
  readonly changes?: "pushes" | "deletes";
  readonly run: Handler;
}

type Operations = Readonly<Record<string, Operation>>;

function reading(needs: readonly Need[] | undefined, run: Handler): Operations {
  return { GET: { needs, run }, HEAD: { needs, run } };
}

async function serveHealth(service: Service, exchange: Exchange): Promise<void> {
  try {
    await service.storage.checkWritable();
  } catch (cause) {
    throw new RegistryError("UNAVAILABLE", "the data directory cannot be written to", { cause });
  }
  exchange.sendJson(200, { status: "ok" });
}

async function serveMetrics(service: Service, exchange: Exchange): Promise<void> {
  exchange.send(200, await service.metrics.render(service.storage), { "Content-Type": metricsType });
}

function operationsOf(route: Route): Operations {
  switch (route.kind) {
    case "base":
      return reading([], (_, exchange) => exchange.sendJson(200, {}));
    case "health":
      return reading(undefined, serveHealth);
    case "metrics":
      return reading([{ server: "catalog" }], serveMetrics);
    case "token":
      return { ...reading(undefined, serveToken), POST: { needs: undefined, run: serveToken } };
    case "catalog":
      return reading([{ server: "catalog" }], listRepositories);
    case "tags":
    case "referrers":
    case "blob":
    case "manifest":
      return readable(route);
    case "uploads":
    case "upload":
      return uploading(route);
  }
}

function readable(route: ContentRoute): Operations {
  const { repository } = route;
  const pull: readonly Need[] = [{ repository, right: "pull" }];
  const remove = { needs: [{ repository, right: "delete" }], changes: "deletes" } as const;
  switch (route.kind) {
    case "tags":
      return reading(pull, (service, exchange) => listTags(service, exchange, repository));
    case "referrers":
      return reading(pull, (service, exchange) => listReferrers(service, exchange, repository, route.digest));
    case "blob":
      return {
        ...reading(pull, (service, exchange) => getBlob(service, exchange, repository, route.digest)),
        DELETE: { ...remove, run: (service, exchange) => deleteBlob(service, exchange, repository, route.digest) },
      };
    case "manifest":
      return {
        ...reading(pull, (service, exchange) => getManifest(service, exchange, repository, route.reference)),
        PUT: {
          needs: [{ repository, right: "push" }],
          changes: "pushes",
          run: (service, exchange) => putManifest(service, exchange, repository, route.reference),
        },
        DELETE: {
          ...remove,
          run: (service, exchange) => deleteManifest(service, exchange, repository, route.reference),
        },
      };
  }
}

function uploading(route: UploadRoute): Operations {
  const { repository } = route;
  const push = { needs: [{ repository, right: "push" }], changes: "pushes" } as const;
  if (route.kind === "uploads")
    return { POST: { ...push, run: (service, exchange) => startUpload(service, exchange, repository) } };
  const { id } = route;
  const status = {
    ...push,
    run: (service: Service, exchange: Exchange) => getUpload(service, exchange, repository, id),
  };
  return {
    GET: status,
    HEAD: status,
    PATCH: { ...push, run: (service, exchange) => patchUpload(service, exchange, repository, id) },
    PUT: { ...push, run: (service, exchange) => putUpload(service, exchange, repository, id) },
    DELETE: { ...push, run: (service, exchange) => cancelUpload(service, exchange, repository, id) },
  };
}

function refuseChange(service: Service, changes: Operation["changes"]): void {
  if (changes === undefined) return;
  if (service.mirror !== undefined)
    throw new RegistryError("UNSUPPORTED", "this registry is a cache of another one: push there");
  if (service.policy.readOnly) throw new RegistryError("UNSUPPORTED", "this registry is read-only");
  if (changes === "deletes" && !service.policy.allowDelete)
    throw new RegistryError("UNSUPPORTED", "deleting is turned off on this registry");
}

/**
 * Answers a request, or throws why not.
 *
 * @param route undefined for a path that there is not
 */
export async function dispatch(service: Service, exchange: Exchange, route: Route | undefined): Promise<void> {
  if (route === undefined || (route.kind === "token" && service.auth.issuer === undefined))
    throw new RegistryError("UNSUPPORTED", "there is nothing at this path", { status: 404 });
  const operations = operationsOf(route);
  const operation = Object.hasOwn(operations, exchange.method) ? operations[exchange.method] : undefined;
  if (operation === undefined)
    throw new RegistryError("UNSUPPORTED", "the operation is unsupported", {
      headers: { Allow: Object.keys(operations).join(", ") },
    });
  if (operation.needs !== undefined) {
    const origin = service.policy.externalUrl ?? exchange.origin;
    const from = route.kind === "uploads" ? exchange.query.get("from") : null;
    // The challenge of a push names the repository to mount from as well; the push itself goes on without it.
    const wanted: readonly Need[] =
      from === null ? operation.needs : [...operation.needs, { repository: parseRepository(from), right: "pull" }];
    exchange.identity = await service.auth.authorize(exchange.header("authorization"), origin, operation.needs, wanted);
  }
  refuseChange(service, operation.changes);
  await operation.run(service, exchange);
}
