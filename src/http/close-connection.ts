import { type AnyResponse, http2Stream } from '../sse/http2.ts'

/** Closes the connection gracefully: no further requests; those in flight complete. */
export function closeAfterAnswer(response: AnyResponse): void {
  const stream = http2Stream(response)
  if (stream) stream.session?.close()
  else response.setHeader('Connection', 'close')
}

/** The rest of this request's body is not worth reading: to be said before the answer, and done after it. */
export function refuseBody(response: AnyResponse): void {
  const stream = http2Stream(response)
  // While the end is being written, a reset would be put off until more of the body is read.
  if (stream) stream.once('finish', () => setImmediate(() => stream.close()))
  else response.setHeader('Connection', 'close')
}
