import { BlockList, isIPv4 } from 'node:net';

/** What IANA's registries of special addresses keep off the public Internet. */
const SPECIAL_IPV4 = blockList('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
]);
/** Loopback, unspecified, link-local, unique local, multicast, IPv4-mapped and NAT64 addresses all lie outside. */
const GLOBAL_IPV6 = blockList('ipv6', [['2000::', 3]]);
const SPECIAL_IPV6 = blockList('ipv6', [
  // Protocol assignments, with Teredo and benchmarks.
  ['2001::', 23],
  ['2001:db8::', 32],
  // 6to4 wraps any IPv4 address.
  ['2002::', 16],
  ['3fff::', 20],
]);

/**
 * Whether an IP address is anything but a public one: loopback, link-local, private, shared, multicast, unspecified, reserved, for
 * documentation or benchmarks, or an IPv6 address that stands for an IPv4 one.
 */
export function isPrivateAddress(address: string): boolean {
  if (isIPv4(address)) return SPECIAL_IPV4.check(address, 'ipv4');
  // Only local addresses have a zone, which BlockList does not read.
  if (address.includes('%')) return true;
  return !GLOBAL_IPV6.check(address, 'ipv6') || SPECIAL_IPV6.check(address, 'ipv6');
}

function blockList(family: 'ipv4' | 'ipv6', subnets: [string, number][]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of subnets) list.addSubnet(network, prefix, family);
  return list;
}
