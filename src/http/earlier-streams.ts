import type { EarlierStreams, Protocol } from '../protocols/protocol.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext, Services } from './context.ts'

const NONE: EarlierStreams = new Map()

/**
 * The streams that a request refers to. Their memory is charged to the request: its conversation will have their texts.
 * Streams that are gone are left out; the protocol knows what that means.
 *
 * @throws SluiceError `store_full`
 */
export async function findEarlier(
  context: RequestContext,
  { store }: Services,
  { refersTo, renderSnapshot }: Protocol,
): Promise<EarlierStreams> {
  const ids = refersTo?.(context.request.body) ?? []
  if (ids.length === 0 || !renderSnapshot) return NONE
  const { owner } = context.state.caller
  const earlier = new Map<string, { kept: string | undefined; snapshot: unknown }>()
  const logs: StreamLog[] = []
  for (const id of new Set(ids)) {
    const found = await store.find(id, owner)
    if (found.status === 'found') logs.push(found.log)
  }
  context.state.prompt?.grow(logs.reduce((sum, log) => sum + 2 * log.bytes, 0))
  for (const log of logs) earlier.set(log.info.id, { kept: log.kept, snapshot: await renderSnapshot(log) })
  return earlier
}
