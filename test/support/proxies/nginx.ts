import { PREFIX, startProxy } from './start-proxy.ts'

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
      location ${PREFIX}/ {
        proxy_pass ${target}/;
        proxy_http_version ${httpVersion};
        proxy_set_header X-Forwarded-Prefix ${PREFIX};
      }
    }
  }
`

/** nginx in front of `target`, with default settings; resolves to its URL. */
export function startNginx(program: string, target: string, { httpVersion = '1.1' } = {}): Promise<string> {
  return startProxy(program, (port) => ({
    files: { 'nginx.conf': configuration(port, target, httpVersion) },
    args: () => ['-p', '.', '-c', 'nginx.conf'],
  }))
}
