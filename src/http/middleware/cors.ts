import cors from '@koa/cors'
import type { RequestMiddleware } from '../context.ts'

/** Headers that pages may read beside the CORS-safelisted ones. SDKs need `retry-after` and `x-should-retry`. */
const READABLE = [
  'Content-Location',
  'Location',
  'Preference-Applied',
  'Request-Id',
  'Retry-After',
  'Sluice-Attempts',
  'Sluice-Stream-Id',
  'Sluice-Target',
  'X-Request-Id',
  'X-Should-Retry',
]

/** Seconds for which a browser may cache a preflight. No browser caches longer than a day; Chromium two hours. */
const PREFLIGHT_SECONDS = 86_400

export interface AllowOriginsOptions {
  /** Lets pages send cookies: the gateway uses none, but a proxy in front may. */
  credentials?: boolean
}

/**
 * Lets pages of these origins use the API; `*` stands for all. They may send any header: trust depends on the origin
 * alone, and each SDK sends headers of its own.
 */
export function allowOrigins(
  origins: readonly string[],
  { credentials = false }: AllowOriginsOptions = {},
): RequestMiddleware {
  return cors({
    credentials,
    origin: origins.includes('*') ? '*' : ({ request }) => origins.find((each) => each === request.get('Origin')) ?? '',
    allowMethods: ['GET', 'HEAD', 'POST', 'DELETE'],
    exposeHeaders: READABLE,
    maxAge: PREFLIGHT_SECONDS,
    // Inner middleware renders errors; these headers are already set there.
    keepHeadersOnError: false,
  })
}
