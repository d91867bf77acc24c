import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { SluiceError } from '../../errors.ts'
import type { Handler } from '../context.ts'

const HEADERS = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  Vary: 'Accept-Encoding',
  'X-Content-Type-Options': 'nosniff',
}

/** Files to serve; other build output in the same folders is not served. */
const SERVED = /\.(html|css|svg|js)$/

interface File {
  body: Buffer
  compressed: Buffer
  etag: string
  /** The file extension, from which Koa derives the media type. */
  type: string
}

/** Browsers need the compiled files, even when the gateway itself runs from its sources. */
const COMPILED = new URL(import.meta.url.endsWith('.ts') ? '../../../dist/src/' : '../../', import.meta.url)

/** `GET /`, and the files of the playground and its SDK (`/client/`, `/wires/`), read once at the start. */
export function playground(compiled = COMPILED): Handler {
  const files = new Map(['playground', 'client', 'wires'].flatMap((name) => readFolder(compiled, name)))
  const page = files.get('/playground/index.html')
  return (context) => {
    if (!page) throw new SluiceError('not_found', 'The playground has not been built: run `npm run build` first.')
    const file = context.path === '/' ? page : files.get(context.path)
    if (!file) return
    context.state.quiet = true
    context.set(HEADERS)
    context.type = file.type
    const isCompressed = context.acceptsEncodings('gzip', 'identity') === 'gzip'
    // A weak tag is the same for both encodings.
    context.set('ETag', `W/"${file.etag}"`)
    context.status = 200
    if (context.fresh) {
      context.status = 304
      return
    }
    if (isCompressed) context.set('Content-Encoding', 'gzip')
    context.body = isCompressed ? file.compressed : file.body
  }
}

/** Files by URL; empty when the folder does not exist. */
function readFolder(compiled: URL, name: string): [url: string, file: File][] {
  const folder = new URL(`${name}/`, compiled)
  return listFolder(folder)
    .filter((each) => SERVED.test(each))
    .map((each) => [`/${name}/${each}`, readFile(new URL(each, folder))])
}

function listFolder(folder: URL): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function readFile(url: URL): File {
  const body = readFileSync(url)
  const etag = createHash('sha256').update(body).digest('base64url')
  return {
    body,
    compressed: gzipSync(body, { level: 9 }),
    etag,
    type: url.pathname.slice(url.pathname.lastIndexOf('.')),
  }
}
