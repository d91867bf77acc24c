// Which hosts and which pages may use the gateway from a browser.

import cors from '@koa/cors'
import { isLoopback, nameOf } from '../../access/loopback.ts'
import { invalidField } from '../../errors.ts'
import type { RequestContext, RequestMiddleware } from '../context.ts'

/** How browsers mark the requests of a page of another origin: https://www.w3.org/TR/fetch-metadata/ */
const OTHER_SITES: ReadonlySet<string> = new Set(['same-site', 'cross-site'])

export interface AllowedHostsOptions {
  /** Names beside those of this machine; `*` stands for all. */
  hosts?: readonly string[]
  /** Origins that CORS lets in; `*` stands for all. */
  origins?: readonly string[]
}

/**
 * Rejects requests whose Host or Origin is not this machine. Against DNS rebinding: a page whose name resolves to
 * 127.0.0.1 is same-origin to its browser, but cannot change its Host header.
 */
export function allowedHosts({ hosts = [], origins = [] }: AllowedHostsOptions = {}): RequestMiddleware {
  const isAllowed = (name: string) => isLoopback(name) || hosts.includes('*') || hosts.includes(name)
  // The last allowed values: most requests repeat them.
  let knownHost = ''
  let knownOrigin = ''

  function checkHost(context: RequestContext): void {
    const host = context.get(':authority') || context.get('Host')
    // Browsers always send Host.
    if (host === '' || host === knownHost) return
    if (!isAllowed(nameOf(host))) throw refused('Host', host)
    knownHost = host
  }

  function checkOrigin(context: RequestContext): void {
    const origin = context.get('Origin')
    if (origin === '' || origins.includes('*') || origins.includes(origin)) return
    // Forms and their like need no permission of CORS: a page of another port here could be anybody's.
    if (OTHER_SITES.has(context.get('Sec-Fetch-Site')))
      throw notAllowed('Origin', origin, 'has no access to this gateway; add it to CORS_ORIGIN to let its pages in')
    if (origin === knownOrigin) return
    if (!isAllowed(nameOf(origin.replace(/^https?:\/\//, '')))) throw refused('Origin', origin)
    knownOrigin = origin
  }

  // Not async: its caller catches what it throws, and that saves a promise per request.
  return (context, next) => {
    checkHost(context)
    checkOrigin(context)
    return next()
  }
}

function refused(header: string, value: string) {
  return notAllowed(header, value, 'is not this machine; add its name to ALLOWED_HOSTS to let it in')
}

function notAllowed(header: string, value: string, why: string) {
  return invalidField('host_not_allowed', header, `${JSON.stringify(value.slice(0, 100))} ${why}`)
}

/** Headers that pages may read beside the CORS-safelisted ones. SDKs need `retry-after` and `x-should-retry`. */
const READABLE = [
  'Content-Location',
  'Location',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Policy',
  'Request-Id',
  'Retry-After',
  'Sluice-Attempts',
  'Sluice-Cost',
  'Sluice-Error',
  'Sluice-Estimated',
  'Sluice-Heartbeat',
  'Sluice-Ignored',
  'Sluice-Stream-Id',
  'Sluice-Target',
  'X-Request-Id',
  'X-Should-Retry',
  'X-Workflow-Run-Id',
  'X-Workflow-Stream-Tail-Index',
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
