// Addresses of one subnet, given out next-fit: a freed address comes last, so that a stale neighbour entry or a client
// that still knows the old owner does not meet a new one. The store's UNIQUE constraint is what makes double
// allocation impossible; this is only the choice.

import { EngineError } from "../../base/errors.ts";
import { broadcastOf, type Subnet } from "./subnet.ts";

export class AddressPool {
  readonly subnet: Subnet;
  readonly #reserved: ReadonlySet<number>;
  readonly #taken = new Set<number>();
  #last: number;

  /** @param reserved addresses never given out: the gateway's */
  constructor(subnet: Subnet, reserved: readonly number[]) {
    this.subnet = subnet;
    this.#reserved = new Set(reserved);
    this.#last = subnet.base;
  }

  /** Marks an address of a committed endpoint; later ones are looked for after the highest. */
  adopt(address: number): void {
    this.#taken.add(address);
    if (address > this.#last) this.#last = address;
  }

  /** @throws Unavailable every address is taken */
  allocate(): number {
    const first = this.subnet.base + 1;
    const count = broadcastOf(this.subnet) - first;
    for (let i = 1; i <= count; i++) {
      const address = first + ((this.#last - first + i + count) % count);
      if (this.#taken.has(address) || this.#reserved.has(address)) continue;
      this.#taken.add(address);
      this.#last = address;
      return address;
    }
    throw new EngineError("Unavailable", "no available IPv4 addresses on this network's address pools: bridge");
  }

  free(address: number): void {
    this.#taken.delete(address);
  }

  get size(): number {
    return this.#taken.size;
  }
}
