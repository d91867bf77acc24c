import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { makeFolder } from './process.ts'

/** Nothing is set for streams: what differs from the defaults is the version of HTTP, at most. */
const configuration = (port: number, target: string, httpVersion: string) => `
  daemon off;
  pid nginx.pid;
  error_log stderr notice;
  events {}
  http {
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
      listen 127.0.0.1:${port};
      location / {
        proxy_http_version ${httpVersion};
        proxy_pass ${target};
      }
    }
  }
`

/** nginx in front of `target`, with default settings; resolves to its URL. */
export async function startNginx(program: string, target: string, { httpVersion = '1.1' } = {}): Promise<string> {
  const port = await freePort()
  const folder = await makeFolder({ 'nginx.conf': configuration(port, target, httpVersion) })
  const child = spawn(program, ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()))
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await closed
  })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    // By then it listens.
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('start worker process ')) resolve()
    })
    child.on('close', () => reject(new Error(`nginx did not start: ${log}`)))
  })
  return `http://127.0.0.1:${port}`
}

/** nginx cannot say which port it was given, so it is told one. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
