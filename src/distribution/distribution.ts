// The client put together: connections and tokens are shared by everything that it does; the configuration is read anew for
// every operation.

import { RemoteRepository } from "./repository.ts";
import { download } from "./download.ts";
import { planEndpoints } from "./endpoint.ts";
import type { Distribution, DistributionConfig, DistributionDeps } from "./index.ts";
import { login } from "./login.ts";
import { search } from "./search.ts";
import { TokenCache } from "./token.ts";
import { Transport } from "./transport.ts";

/** Makes the client. Nothing is connected to yet. */
export function createDistribution(deps: DistributionDeps): Distribution {
  const { logger } = deps;
  const config = (): DistributionConfig => deps.config();
  const transport = new Transport();
  const tokens = new TokenCache(transport);
  return {
    async repository(named, access, credentials, signal) {
      const current = config();
      const endpoints = await planEndpoints(named.domain, access, current);
      const deps = { transport, tokens, config: current, logger };
      const repository = new RemoteRepository(deps, named, access, endpoints, credentials);
      await repository.connect(signal);
      return repository;
    },
    login: (credentials, signal) => login({ transport, tokens, config: config() }, credentials, signal),
    search: (term, limit, credentials, signal) =>
      search({ transport, tokens, config: config() }, term, limit, credentials, signal),
    download: (url, signal) => download({ transport, config: config() }, url, signal),
    close: () => transport.close(),
  };
}
