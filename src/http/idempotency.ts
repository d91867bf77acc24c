import { createHash } from 'node:crypto'
import { invalidField } from '../errors.ts'
import type { Protocol } from '../protocols/protocol.ts'
import type { Idempotency } from '../store/directory.ts'
import type { RequestContext, Services } from './context.ts'
import { checkSyntax, countInvalid, isBeginning } from './resume-stream.ts'

/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ */
export function readIdempotency(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
): Idempotency | undefined {
  const key = context.get('Idempotency-Key')
  const cursor = protocol.readCursor(context)
  const resuming = !isBeginning(cursor)
  if (key === '') {
    if (!resuming) return undefined
    throw invalidField(
      'invalid_request',
      'Idempotency-Key',
      `is required with ${cursor?.path}: without it this request would start, and pay for, a second answer`,
    )
  }
  if (cursor) countInvalid(services, () => checkSyntax(cursor))
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw invalidField('invalid_request', 'Idempotency-Key', 'must be 1 to 255 printable ASCII characters')
  const fingerprint = createHash('sha256').update(`${context.path}\n`).update(context.request.rawBody).digest('base64')
  return { key, fingerprint, resuming }
}
