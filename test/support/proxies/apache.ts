import { PREFIX, startProxy } from './start-proxy.ts'

/** Where Debian has them. */
const MODULES = '/usr/lib/apache2/modules'

/** Its user matters only to root, as whom it does not serve. */
const configuration = (port: number, target: string) => `
  ${['mpm_event', 'authz_core', 'headers', 'proxy', 'proxy_http']
    .map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`)
    .join('\n')}
  User "#65534"
  Group "#65534"
  ServerName 127.0.0.1
  Listen 127.0.0.1:${port}
  DefaultRuntimeDir .
  PidFile apache.pid
  ErrorLog /dev/stderr

  <Location ${PREFIX}/>
    ProxyPass ${target}/
    RequestHeader set X-Forwarded-Prefix ${PREFIX}
  </Location>
`

/** Apache in front of `target`, with default settings; resolves to its URL. */
export function startApache(program: string, target: string): Promise<string> {
  return startProxy(program, (port) => ({
    files: { 'apache.conf': configuration(port, target) },
    args: () => ['-d', '.', '-f', 'apache.conf', '-DFOREGROUND'],
  }))
}
