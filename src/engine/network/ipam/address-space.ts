// The addresses of one subnet: which are taken, and which comes next. Next-fit: a freed address comes last, so that a stale
// neighbour entry, or a client that still knows the old owner, does not meet a new one. What is taken is kept as runs of
// neighbours, so that a choice costs the logarithm of their number, in a /8 or /64 as well.

import { lastOf, type Subnet } from "./address.ts";

/** Neighbouring addresses, both ends included. */
interface Run {
  first: bigint;
  last: bigint;
}

export class AddressSpace {
  readonly subnet: Subnet;
  /** Where addresses are chosen from: the subnet, or the ip-range in it. */
  readonly #from: bigint;
  readonly #to: bigint;
  /** Sorted, never touching one another. */
  readonly #runs: Run[] = [];
  #next: bigint;

  /**
   * Never given out: the network's own address and the broadcast address of an IPv4 subnet that has other addresses (RFC 3021),
   * and the first of an IPv6 subnet, which is every router's (RFC 4291 2.6.1).
   */
  constructor(subnet: Subnet, range: Subnet = subnet) {
    this.subnet = subnet;
    this.#from = range.base;
    this.#to = lastOf(range);
    this.#next = this.#from;
    if (subnet.family === 4 && subnet.prefix > 30) return;
    this.take(subnet.base);
    if (subnet.family === 4) this.take(lastOf(subnet));
  }

  /** Index of the first run that ends at or after `address`. */
  #search(address: bigint): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const run = this.#runs[middle];
      if (run !== undefined && run.last < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #runOf(address: bigint): Run | undefined {
    const run = this.#runs[this.#search(address)];
    return run !== undefined && run.first <= address ? run : undefined;
  }

  /** False when somebody has it already. The address is in the subnet. */
  take(address: bigint): boolean {
    const at = this.#search(address);
    const after = this.#runs[at];
    if (after !== undefined && after.first <= address) return false;
    const before = this.#runs[at - 1];
    const joinsBefore = before !== undefined && before.last + 1n === address;
    const joinsAfter = after !== undefined && after.first - 1n === address;
    if (joinsBefore && joinsAfter) {
      before.last = after.last;
      this.#runs.splice(at, 1);
    } else if (joinsBefore) before.last = address;
    else if (joinsAfter) after.first = address;
    else this.#runs.splice(at, 0, { first: address, last: address });
    return true;
  }

  /** Takes an address that was given out before a restart: later ones are looked for after the highest of those. */
  adopt(address: bigint): void {
    this.take(address);
    if (address >= this.#next && address < this.#to) this.#next = address + 1n;
  }

  /** The next free address of the range, taken; undefined when there is none. */
  takeNext(): bigint | undefined {
    const address = this.#freeFrom(this.#next) ?? this.#freeFrom(this.#from);
    if (address === undefined) return undefined;
    this.take(address);
    this.#next = address === this.#to ? this.#from : address + 1n;
    return address;
  }

  /** The lowest free address of the range, taken; later choices are not moved by it. For gateways. */
  takeLowest(): bigint | undefined {
    const address = this.#freeFrom(this.#from);
    if (address !== undefined) this.take(address);
    return address;
  }

  #freeFrom(address: bigint): bigint | undefined {
    const run = this.#runOf(address);
    const free = run === undefined ? address : run.last + 1n;
    return free > this.#to ? undefined : free;
  }

  /** Idempotent. */
  free(address: bigint): void {
    const at = this.#search(address);
    const run = this.#runs[at];
    if (run === undefined || run.first > address) return;
    const rest = [
      { first: run.first, last: address - 1n },
      { first: address + 1n, last: run.last },
    ].filter(({ first, last }) => first <= last);
    this.#runs.splice(at, 1, ...rest);
  }
}
