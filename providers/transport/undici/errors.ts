import { MalformedResponseError, TruncatedResponseError } from '../transport.ts'

/** Converts undici's errors to the transport's own. @param answered whether the head of the response was complete */
export function toTransportError(error: unknown, answered: boolean): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  // undici reports any fault after a `content-length` field as a wrong length, even within the head.
  const wrongLength = code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  if ((wrongLength && answered) || /\bInvalid EOF state\b/.test(error.message))
    return new TruncatedResponseError('The connection was closed within the response')
  // The error is not set as the cause: it contains a part of the response, which must not be logged.
  if (wrongLength || error.name === 'HTTPParserError') return new MalformedResponseError(error.message)
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return new MalformedResponseError('The head of the response is too long', { cause: error })
  if (code !== 'UND_ERR_SOCKET') return error
  // An unexpected interim response: 100 or 101.
  if (/^bad (response|upgrade)$/.test(error.message))
    return new MalformedResponseError('The server sent a response that was not asked for', { cause: error })
  return new TruncatedResponseError('The connection was closed', { cause: error })
}
