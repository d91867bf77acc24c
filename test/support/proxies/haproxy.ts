import { PREFIX, startProxy } from './start-proxy.ts'

/** Without the first option, tokens wait for acknowledgements; without the second, readers leave unnoticed for a while. */
const configuration = (port: number, target: string) => `
  defaults
    mode http
    option http-no-delay
    option abortonclose
    timeout connect 5s
    timeout client 60s
    timeout server 60s

  frontend web
    bind 127.0.0.1:${port}
    use_backend sluice if { path_beg ${PREFIX}/ }

  backend sluice
    http-request replace-path ${PREFIX}(/.*) \\1
    http-request set-header X-Forwarded-Prefix ${PREFIX}
    server sluice ${new URL(target).host}
`

/** HAProxy in front of `target`, with the timeouts that it asks for; resolves to its URL. */
export function startHaproxy(program: string, target: string): Promise<string> {
  return startProxy(program, (port) => ({
    files: { 'haproxy.cfg': configuration(port, target) },
    args: () => ['-db', '-f', 'haproxy.cfg'],
  }))
}
