/** An address of IPv4 on a socket of IPv6. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** The address by which a client is known: of IPv6 the first 64 bits, which is what one customer gets. */
export function clientAddress(ip: string): string {
  if (!ip.includes(':')) return ip
  return MAPPED.exec(ip)?.[1] ?? prefix64(ip)
}

function prefix64(ip: string): string {
  const [before = '', after] = ip.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const gap = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length)
  return [...head, ...Array.from({ length: gap }, () => '0'), ...tail].slice(0, 4).join(':')
}
