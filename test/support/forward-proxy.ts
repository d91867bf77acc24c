import { createServer, request as send } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface ForwardProxy {
  port: number
  /** Everything that clients asked for. */
  asked: { method: string; target: string; authorization: string | undefined }[]
}

export interface ForwardProxyOptions {
  /** The URL of the server that stands for every host; by default each port leads to that port of this machine. */
  to?: string
  /** Refuses everything with this status. */
  refuse?: number
  tls?: ServerOptions
}

/** A proxy as companies have one in front of the internet: tunnels by CONNECT, and forwards whole `http:` URLs. */
export async function startForwardProxy({ to, refuse, tls }: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const asked: ForwardProxy['asked'] = []
  const portOf = (url: string) => Number(new URL(to ?? url).port)
  const sockets = new Set<Socket>()
  const server = tls ? createTlsServer(tls) : createServer()
  server.on('request', (request, response) => {
    const { method = '', url = '', headers } = request
    asked.push({ method, target: url, authorization: headers['proxy-authorization'] })
    if (refuse !== undefined) return void response.writeHead(refuse).end('refused')
    const { pathname, search } = new URL(url)
    const { 'proxy-authorization': _, ...forwarded } = headers
    const upstream = send(
      { host: '127.0.0.1', port: portOf(url), method, path: `${pathname}${search}`, headers: forwarded },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    request.pipe(upstream)
    response.on('close', () => upstream.destroy())
    upstream.on('error', () => response.destroy())
  })
  server.on('connect', ({ method = '', url = '', headers }, socket: Socket) => {
    asked.push({ method, target: url, authorization: headers['proxy-authorization'] })
    socket.on('error', () => {})
    if (refuse !== undefined) return void socket.end(`HTTP/1.1 ${refuse} Refused\r\ncontent-length: 7\r\n\r\nrefused`)
    const upstream = connect(portOf(`http://${url}`), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      socket.pipe(upstream).pipe(socket)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, asked }
}
