import { MalformedResponseError, TruncatedResponseError } from '../transport.ts'

/** undici's errors as the transport's own. @param answered whether the head of the response was complete */
export function toTransportError(error: unknown, answered: boolean): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  // undici reports any fault behind a `content-length` as a wrong length, within the head too.
  const wrongLength = code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  if ((wrongLength && answered) || /\bInvalid EOF state\b/.test(error.message))
    return new TruncatedResponseError('The connection was closed within the response')
  // Not as the cause: the error holds a part of the response, which no log may show.
  if (wrongLength || error.name === 'HTTPParserError') return new MalformedResponseError(error.message)
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return new MalformedResponseError('The head of the response is too long', { cause: error })
  if (code !== 'UND_ERR_SOCKET') return error
  // An interim response that undici does not expect: 100, or 101.
  if (/^bad (response|upgrade)$/.test(error.message))
    return new MalformedResponseError('The server sent a response that was not asked for', { cause: error })
  return new TruncatedResponseError('The connection was closed', { cause: error })
}
