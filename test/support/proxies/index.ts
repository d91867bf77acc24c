import { describeWith } from '../programs.ts'
import { startApache } from './apache.ts'
import { startCaddy } from './caddy.ts'
import { startHaproxy } from './haproxy.ts'
import { startNginx } from './nginx.ts'
import { startVarnish } from './varnish.ts'

/** Starts a proxy in front of a gateway; resolves to the URL at which it serves it. */
export type StartProxy = (target: string) => Promise<string>

const PROXIES = [
  ['nginx', startNginx],
  ['haproxy', startHaproxy],
  ['varnish', startVarnish],
  ['caddy', startCaddy],
  ['apache', startApache],
] as const

/** The same suite behind each proxy, configured as little as its users would. */
export function describeBehindProxies(suite: (start: StartProxy) => void): void {
  for (const [name, start] of PROXIES)
    describeWith(name, `behind ${name}`, (program) => suite((target) => start(program, target)))
}
