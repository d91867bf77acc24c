import cors from '@koa/cors'
import type { RequestMiddleware } from '../context.ts'

/** Beyond those that every page may read. What SDKs look at is among them: `retry-after`, `x-should-retry`. */
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

/** Seconds for which a browser need not ask again; none remembers longer than a day, and Chromium two hours. */
const PREFLIGHT_SECONDS = 86_400

export interface AllowOriginsOptions {
  /** Lets pages send cookies: the gateway knows none, but a proxy in front may. */
  credentials?: boolean
}

/**
 * Lets pages of these origins use the API; `*` stands for all. They may send any header: an origin is trusted or it is
 * not, and each SDK sends others.
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
    // Errors are answered further in, where these headers are set already.
    keepHeadersOnError: false,
  })
}
