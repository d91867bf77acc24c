import type { Socket } from 'node:net'

export interface ReceivedRequest {
  /** The method and the path. */
  line: string
  body: string
}

/** Calls back with each request on a connection. It reads no more of HTTP than relays write, for less CPU than `node:http`. */
export function onRequests(socket: Socket, receive: (request: ReceivedRequest) => void): void {
  let unread = ''
  socket.on('data', (bytes) => {
    unread += bytes.toString('latin1')
    for (;;) {
      const headEnd = unread.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const head = unread.slice(0, headEnd)
      const start = headEnd + 4
      const end = endOfBody(head, start)
      if (end === -1 || unread.length < end) return
      const body = unread.slice(start, end)
      unread = unread.slice(end)
      receive({ line: head.slice(0, head.indexOf(' HTTP/')), body })
    }
  })

  /** -1 as long as it is not known. */
  function endOfBody(head: string, start: number): number {
    const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? []
    if (length !== undefined) return start + Number(length)
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return start
    // From the line break before it, for a body that is empty.
    const last = unread.indexOf('\r\n0\r\n\r\n', start - 2)
    return last === -1 ? -1 : last + 7
  }
}
