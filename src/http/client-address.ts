import { isIPv6 } from 'node:net'

/** `1.2.3.4:5678` and `[::1]:5678`, which some proxies write in X-Forwarded-For. */
const WITH_PORT = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/

/** An IPv4 address on an IPv6 socket. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** The address that identifies a client: for IPv6 its first 64 bits, since one customer gets a whole /64. */
export function clientAddress(ip: string): string {
  if (!ip.includes(':')) return ip
  const [, v6, v4] = WITH_PORT.exec(ip) ?? []
  const address = v6 ?? v4 ?? ip
  const [, mapped] = MAPPED.exec(address) ?? []
  return mapped ?? (isIPv6(address) ? prefix64(address) : address)
}

function prefix64(ip: string): string {
  const [before = '', after] = ip.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const gap = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length)
  return [...head, ...Array.from({ length: gap }, () => '0'), ...tail].slice(0, 4).join(':')
}
