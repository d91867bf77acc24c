import { execFileSync } from 'node:child_process'
import { accessSync, constants, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { freePort, GATEWAY_CORE, PinnedProcess, temporaryFolder, untilListening } from '../processes.ts'
import { chatBody, requestText } from '../request.ts'
import { Missing, type Relay } from './relay.ts'

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
  async start(upstreamPort) {
    const program = findNginx()
    const port = await freePort()
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'nginx.conf'), configuration(port, upstreamPort))
    const child = new PinnedProcess(program, ['-p', folder, '-c', join(folder, 'nginx.conf')], { core: GATEWAY_CORE })
    await untilListening(child, port)
    const [version = ''] =
      /\d+\.\d+\.\d+/.exec(execFileSync('sh', ['-c', '"$0" -v 2>&1', program], { encoding: 'utf8' })) ?? []
    const request = requestText({ port, path: '/v1/chat/completions', body: chatBody('bench') })
    return { process: child, port, request, version }
  },
}

function findNginx(): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const found = folders.find((folder) => {
    try {
      accessSync(join(folder, 'nginx'), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  if (found === undefined) throw new Missing('it is not installed (Debian: nginx-light)')
  return join(found, 'nginx')
}
