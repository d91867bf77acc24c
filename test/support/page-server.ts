import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ROOT } from './process.ts'

/** A web server of its own origin: `page` at `/`, and the built SDK under `/client/` and `/wires/`. */
export async function servePage(page: string): Promise<string> {
  const server = createServer((request, response) => {
    const [, module] = /^\/((?:client|wires)\/[\w-]+\.js)$/.exec(request.url ?? '') ?? []
    if (module === undefined) {
      response.setHeader('content-type', 'text/html').end(page)
      return
    }
    response.setHeader('content-type', 'text/javascript')
    const file = createReadStream(join(ROOT, 'dist/src', module))
    file.on('error', () => response.writeHead(404).end())
    file.pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
