import { connect, createServer } from 'node:net'

/**
 * As little as a relay in Node can do: no HTTP, TLS, errors or slow readers, only what the benchmark's own upstream
 * and readers say, with one buffer for all reads and one write for each.
 */
const [port, upstreamPort] = process.argv.slice(2).map(Number)
const buffer = Buffer.alloc(64 * 1024)

createServer({ noDelay: true }, (reader) => {
  reader.on('error', () => {})
  reader.on('data', (request) => {
    reader.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
    relay(request)
  })

  function relay(request: Buffer): void {
    let seq = 0
    let unread = ''
    let inHead = true
    const read = (length: number): boolean => {
      let text = unread + buffer.toString('latin1', 0, length)
      if (inHead) {
        const end = text.indexOf('\r\n\r\n')
        if (end !== -1) text = text.slice(end + 4)
        inHead = end === -1
      }
      if (inHead) {
        unread = text
        return true
      }
      let frames = ''
      let at = 0
      for (;;) {
        const line = text.indexOf('\r\n', at)
        const size = parseInt(text.slice(at, line), 16)
        if (line === -1 || text.length < line + 2 + size + 2) break
        at = line + 2 + size + 2
        const data = text.slice(line + 2 + 'data: '.length, at - 4)
        if (size === 0) upstream.destroy()
        else if (data !== '[DONE]') {
          const content: unknown = JSON.parse(data).choices[0]?.delta.content
          frames += `event: delta\ndata: {"content":${JSON.stringify(content)}}\nid: ${++seq}\n\n`
        }
      }
      unread = text.slice(at)
      if (frames) reader.write(`${frames.length.toString(16)}\r\n${frames}\r\n`, 'latin1')
      if (upstream.destroyed) reader.write('0\r\n\r\n')
      return true
    }
    const upstream = connect({
      port: upstreamPort!,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer, callback: read },
    })
    upstream.on('error', () => reader.destroy())
    upstream.write(request)
    reader.on('close', () => upstream.destroy())
  }
}).listen(port, '127.0.0.1')
