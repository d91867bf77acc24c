import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../find-program.ts'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'
import { chatRequests } from '../request.ts'
import type { Relay } from './relay.ts'

const configuration = (port: number, upstreamPort: number) => `
  daemon off;
  pid nginx.pid;
  error_log stderr crit;
  worker_processes 1;
  worker_rlimit_nofile 8192;
  events { worker_connections 4096; }
  http {
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream openai { server 127.0.0.1:${upstreamPort}; keepalive 512; }
    server {
      listen 127.0.0.1:${port};
      keepalive_requests 1000000;
      location / {
        proxy_pass http://openai;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering off;
        proxy_read_timeout 600s;
      }
    }
  }
`

/** (a) Bytes in, bytes out, in C. */
export const nginx: Relay = {
  id: 'nginx',
  title: 'nginx `proxy_pass`, buffering off',
  fullOnly: true,
  async start({ upstreamPort }) {
    const program = findProgram('nginx', 'nginx-light')
    const port = await freePort()
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'nginx.conf'), configuration(port, upstreamPort))
    const child = new PinnedProcess(program, ['-p', folder, '-c', join(folder, 'nginx.conf')], { core: GATEWAY_CORE })
    await untilListening(child, port)
    const [version = ''] =
      /\d+\.\d+\.\d+/.exec(execFileSync('sh', ['-c', '"$0" -v 2>&1', program], { encoding: 'utf8' })) ?? []
    return { process: child, port, ...chatRequests({ port }), version }
  },
}
