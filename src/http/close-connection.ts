import { type AnyResponse, http2Stream } from '../sse/http2.ts'

/** Closes the connection gracefully: no further requests; those in flight complete. */
export function closeAfterAnswer(response: AnyResponse): void {
  const stream = http2Stream(response)
  if (stream) stream.session?.close()
  else response.setHeader('Connection', 'close')
}

/** Refuses the rest of the request body. Call before the response is sent; takes effect after it. */
export function refuseBody(response: AnyResponse): void {
  const stream = http2Stream(response)
  // Node delays a reset that comes while the end is being written until more of the body is read.
  if (stream) stream.once('finish', () => setImmediate(() => stream.close()))
  else response.setHeader('Connection', 'close')
}
