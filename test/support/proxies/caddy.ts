import { PREFIX, startProxy } from './start-proxy.ts'

const configuration = (port: number, target: string) => `
  {
    admin off
    auto_https off
  }

  http://127.0.0.1:${port} {
    bind 127.0.0.1
    handle_path ${PREFIX}/* {
      reverse_proxy ${target} {
        header_up X-Forwarded-Prefix ${PREFIX}
      }
    }
  }
`

/** Caddy in front of `target`, with default settings; resolves to its URL. */
export function startCaddy(program: string, target: string): Promise<string> {
  return startProxy(program, (port) => ({
    files: { Caddyfile: configuration(port, target) },
    args: () => ['run', '--adapter', 'caddyfile', '--config', 'Caddyfile'],
  }))
}
