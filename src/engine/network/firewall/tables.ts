// The constant part of the two tables: sets, maps and base chains. Their length does not depend on how many networks and containers
// there are: networks are reached by verdict maps keyed by interface name, containers and ports are elements of hash sets.
// Sources: nft(8); Netfilter's hooks and priorities. iifname in postrouting needs Linux 5.7.

/** A rule as nft reads it, and why it is there. */
export interface Rule {
  readonly text: string;
  readonly comment: string;
}

export interface Chain {
  readonly name: string;
  /** `type filter hook forward priority filter; policy accept;`; absent for a chain that others jump to. */
  readonly hook?: string;
  readonly rules: readonly Rule[];
}

export interface Table {
  readonly family: "inet" | "bridge";
  /** Name → type, of sets (`ifname`) and maps (`ifname : verdict`). */
  readonly sets: Readonly<Record<string, string>>;
  readonly chains: readonly Chain[];
}

/** Host ends of containers' veth pairs: what the bridge table looks at, and no port of anybody else. */
const containerPort = 'iifname "gveth*"';

function rule(text: string, comment: string): Rule {
  return { text, comment };
}

export const inetTable: Table = {
  family: "inet",
  sets: {
    bridges: "type ifname",
    sources: "typeof fib saddr oifname : verdict",
    same_bridge: "type ifname . ifname",
    into: "type ifname : verdict",
    out_of: "type ifname : verdict",
    leave: "type ifname : verdict",
    to_host: "type ifname : verdict",
    publish4: "type inet_proto . inet_service : ipv4_addr . inet_service",
    publish6: "type inet_proto . inet_service : ipv6_addr . inet_service",
    publish4_address: "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
    publish6_address: "type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service",
    loopback: "type inet_proto . inet_service",
    open4: "type ipv4_addr . inet_proto . inet_service",
    open6: "type ipv6_addr . inet_proto . inet_service",
    own4: "type ipv4_addr . inet_proto . inet_service",
    own6: "type ipv6_addr . inet_proto . inet_service",
    also_on4: "type ipv4_addr . ifname",
    also_on6: "type ipv6_addr . ifname",
  },
  chains: [
    {
      name: "publish",
      rules: [
        rule("ip6 daddr fe80::/10 return", "link-local clients cannot be routed: a process serves them"),
        rule(
          "ip saddr . meta l4proto . th dport @own4 return",
          "a container's own published port: a process serves it, br_netfilter cannot lead a frame back out of its port",
        ),
        rule(
          "ip6 saddr . meta l4proto . th dport @own6 return",
          "a container's own published port: a process serves it, br_netfilter cannot lead a frame back out of its port",
        ),
        rule("dnat ip to ip daddr . meta l4proto . th dport map @publish4_address", "ports of one address"),
        rule("dnat ip to meta l4proto . th dport map @publish4", "ports of all addresses"),
        rule("dnat ip6 to ip6 daddr . meta l4proto . th dport map @publish6_address", "ports of one address"),
        rule("dnat ip6 to meta l4proto . th dport map @publish6", "ports of all addresses"),
      ],
    },
    {
      name: "prerouting",
      hook: "type filter hook prerouting priority mangle; policy accept;",
      rules: [
        rule("ct state established,related accept", "known connections"),
        rule(
          'iifname != "lo" ip daddr 127.0.0.0/8 meta l4proto . th dport @loopback drop',
          "ports of 127.0.0.1 are the host's own, whatever route_localnet says",
        ),
        rule("iifname @bridges ip saddr 127.0.0.0/8 drop", "no loopback addresses from containers"),
        rule("iifname @bridges ip daddr 127.0.0.0/8 drop", "no loopback addresses from containers"),
        rule("fib saddr oifname vmap @sources", "addresses of containers come from their own bridge only"),
      ],
    },
    {
      name: "prerouting_nat",
      hook: "type nat hook prerouting priority dstnat; policy accept;",
      rules: [rule("fib daddr type local jump publish", "to an address of the host: published ports")],
    },
    {
      name: "output_nat",
      hook: "type nat hook output priority -100; policy accept;",
      rules: [
        rule("ip daddr 127.0.0.0/8 accept", "a process serves published ports at 127.0.0.1"),
        rule("ip6 daddr ::1 accept", "a process serves published ports at [::1]"),
        rule("fib daddr type local jump publish", "from the host to its own address: published ports"),
      ],
    },
    {
      name: "input",
      hook: "type filter hook input priority filter; policy accept;",
      rules: [
        rule("ct state established,related accept", "known connections"),
        rule("iifname vmap @to_host", "internal networks: what they may ask of the host"),
      ],
    },
    {
      name: "forward",
      hook: "type filter hook forward priority filter; policy accept;",
      rules: [
        rule("ct state established,related accept", "known connections, and errors that belong to them"),
        rule("iifname vmap @out_of", "what may leave a network"),
        rule("oifname vmap @into", "what may enter a network"),
      ],
    },
    {
      name: "postrouting",
      hook: "type nat hook postrouting priority srcnat; policy accept;",
      rules: [
        rule(
          "iifname . oifname @same_bridge ct status dnat masquerade",
          "published port on the same bridge: the answer must come back through the host",
        ),
        rule(
          "meta iif 0 oifname @bridges ct status dnat fib saddr type != local masquerade",
          "the same where br_netfilter leads it back within the bridge; then there is no iif here",
        ),
        rule(
          "ip daddr . iifname @also_on4 ct status dnat masquerade",
          "published port of a neighbour: the answer must come back through the host",
        ),
        rule(
          "ip6 daddr . iifname @also_on6 ct status dnat masquerade",
          "published port of a neighbour: the answer must come back through the host",
        ),
        rule("iifname @bridges oifname @bridges accept", "between networks: the client keeps its address"),
        rule("iifname vmap @leave", "out by the host's address"),
      ],
    },
  ],
};

/** Neighbour discovery: an option is one of eight bytes: type, length 1, MAC. */
const ownOption = (type: "01" | "02"): string =>
  `ip6 length 32 @th,192,16 0x${type}01 iifname . @th,208,48 @nd_options`;

export const bridgeTable: Table = {
  family: "bridge",
  sets: {
    macs: "type ifname . ether_addr",
    addresses4: "type ifname . ether_addr . ipv4_addr",
    addresses6: "type ifname . ether_addr . ipv6_addr",
    nd_targets: "typeof iifname . ether saddr . @th,64,128",
    nd_options: "typeof iifname . @th,208,48",
    unguarded: "type ifname",
    apart: "type ifname",
    apart_macs: "type ether_addr",
  },
  chains: [
    {
      name: "guard_other",
      rules: [
        rule("iifname @unguarded accept", "networks with anti_spoofing=false"),
        rule("drop", "not the container's own address, or a protocol that is none of containers"),
      ],
    },
    {
      name: "guard_ip4",
      rules: [
        rule("udp sport 67 goto guard_other", "no DHCP servers in containers"),
        rule("iifname . ether saddr . ip saddr @addresses4 accept", "own address"),
        rule("goto guard_other", "everything else"),
      ],
    },
    {
      name: "guard_arp",
      rules: [
        rule("iifname . ether saddr != @macs goto guard_other", "own MAC only"),
        rule("arp htype != 1 goto guard_other", "Ethernet"),
        rule("arp ptype != ip goto guard_other", "IPv4"),
        rule("iifname . arp saddr ether . arp saddr ip @addresses4 accept", "own address"),
        rule("arp operation request arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept", "probe"),
        rule("goto guard_other", "everything else"),
      ],
    },
    {
      name: "guard_solicit",
      rules: [
        rule("ip6 saddr :: ip6 length 24 iifname . ether saddr @macs accept", "duplicate address detection"),
        rule(
          "ip6 saddr :: ip6 length 32 @th,192,16 0x0e01 iifname . ether saddr @macs accept",
          "duplicate address detection with a nonce",
        ),
        rule("iifname . ether saddr . ip6 saddr != @addresses6 drop", "own address only"),
        rule("ip6 length 24 accept", "without option"),
        rule(`${ownOption("01")} accept`, "own MAC as source"),
        rule("drop", "more or other options"),
      ],
    },
    {
      name: "guard_advert",
      rules: [
        rule("iifname . ether saddr . ip6 saddr != @addresses6 drop", "own address only"),
        rule("iifname . ether saddr . @th,64,128 != @nd_targets drop", "own address as target only"),
        rule("ip6 length 24 accept", "without option"),
        rule(`${ownOption("02")} accept`, "own MAC as target"),
        rule("drop", "more or other options"),
      ],
    },
    {
      name: "guard_icmp6",
      rules: [
        rule("iifname @unguarded accept", "networks with anti_spoofing=false"),
        rule(
          "icmpv6 type vmap { nd-neighbor-solicit : goto guard_solicit, nd-neighbor-advert : goto guard_advert, nd-router-solicit : drop, nd-router-advert : drop, nd-redirect : drop }",
          "neighbours: own addresses only; no routers in containers",
        ),
        rule(
          "ip6 saddr :: icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } iifname . ether saddr @macs accept",
          "groups that are joined before there is an address",
        ),
      ],
    },
    {
      name: "guard_ip6",
      rules: [
        rule("meta l4proto icmpv6 jump guard_icmp6", "neighbour discovery"),
        rule("udp sport 547 goto guard_other", "no DHCP servers in containers"),
        rule("iifname . ether saddr . ip6 saddr @addresses6 accept", "own address"),
        rule("goto guard_other", "everything else"),
      ],
    },
    {
      name: "prerouting",
      hook: "type filter hook prerouting priority filter; policy accept;",
      rules: [
        rule(`${containerPort} ether type ip goto guard_ip4`, "from containers: own addresses only"),
        rule(
          `${containerPort} ether type vmap { ip6 : goto guard_ip6, arp : goto guard_arp }`,
          "from containers: own addresses only",
        ),
        rule(`${containerPort} goto guard_other`, "from containers: no other protocols, no VLAN tags"),
      ],
    },
  ],
};

/**
 * Of the bridge table, while there is a network with icc=false: a frame between other networks' containers does not pay for it. Where
 * br_netfilter leads a published port back within the bridge, the frame is for the host's MAC at first and for the member's in forward:
 * only then does one for a member's MAC get there, and the inet table decides about it.
 */
export const apartChains: readonly Chain[] = [
  {
    name: "apart_in",
    hook: "type filter hook prerouting priority filter - 1; policy accept;",
    rules: [
      rule(
        `${containerPort} iifname @apart ether daddr @apart_macs drop`,
        "icc=false: members only reach published ports",
      ),
    ],
  },
  {
    name: "apart_through",
    hook: "type filter hook forward priority filter; policy accept;",
    rules: [
      rule(
        'oifname "gveth*" iifname @apart ether daddr != @apart_macs drop',
        "icc=false: nothing that is for all members",
      ),
    ],
  },
];
