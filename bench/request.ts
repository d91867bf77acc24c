/** Once in every token and nowhere else, so that tokens can be counted in any wire format without parsing it. */
export const MARK = '~'

export interface RequestParts {
  port: number
  method?: 'GET' | 'POST'
  path: string
  headers?: Record<string, string>
  body?: unknown
}

/** A request as it goes over the wire. */
export function requestText({ port, method = 'POST', path, headers = {}, body }: RequestParts): string {
  const content = body === undefined ? '' : JSON.stringify(body)
  const all = {
    host: `127.0.0.1:${port}`,
    accept: 'text/event-stream',
    ...(method === 'POST'
      ? { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(content)) }
      : {}),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${content}`
}

/** A small chat, as an SDK would send it. */
export function chatBody(model: string, stream = true): Record<string, unknown> {
  return {
    model,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: 'Tell me about the river.' },
    ],
    temperature: 0.7,
    stream,
  }
}

export interface ChatParts {
  port: number
  path?: string
  headers?: Record<string, string> | undefined
  model?: string
}

/** The same chat, asked for as a stream and as a whole answer. */
export function chatRequests({ port, path = '/v1/chat/completions', headers = {}, model = 'bench' }: ChatParts): {
  request: string
  wholeRequest: string
} {
  return {
    request: requestText({ port, path, headers, body: chatBody(model) }),
    wholeRequest: requestText({
      port,
      path,
      headers: { accept: 'application/json', ...headers },
      body: chatBody(model, false),
    }),
  }
}
