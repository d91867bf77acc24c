import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** Where Node keeps the headers of a response; undefined should a version keep them elsewhere. */
const HEADERS = Object.getOwnPropertySymbols(new ServerResponse(new IncomingMessage(new Socket()))).find(
  ({ description }) => description === 'kOutHeaders',
)

// All such requests share them, so nothing may write to them.
const NONE = Object.freeze({})
const NONE_RAW: string[] = []
Object.freeze(NONE_RAW)

/**
 * Forgets the headers of a request, and those of its response once they are sent: about 2 KB for as long as the stream
 * is open. Nothing reads them after that; Node itself only asks whether there was a head.
 */
export function releaseHead(response: object): void {
  // The classes of HTTP/2 are others.
  if (!(response instanceof ServerResponse) || !response.headersSent) return
  if (HEADERS) Reflect.set(response, HEADERS, null)
  response.req.headers = NONE
  response.req.rawHeaders = NONE_RAW
}
