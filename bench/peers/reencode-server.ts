import { Agent, createServer, request } from 'node:http'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: true })

createServer((incoming, response) => {
  const { method, url: path, headers } = incoming
  const outgoing = request({ host: '127.0.0.1', port: upstreamPort, method, path, headers, agent }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    let unfinished = ''
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => {
      const frames = (unfinished + text).split('\n\n')
      unfinished = frames.pop() ?? ''
      for (const frame of frames) {
        const data = frame.slice('data: '.length)
        response.write(data === '[DONE]' ? `${frame}\n\n` : `data: ${JSON.stringify(JSON.parse(data))}\n\n`)
      }
    })
    answer.on('end', () => response.end())
  })
  outgoing.on('error', () => response.destroy())
  response.on('close', () => outgoing.destroy())
  incoming.pipe(outgoing)
}).listen(port, '127.0.0.1')
