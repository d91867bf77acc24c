import type { ForwardRequest, ForwardResponse } from '../../providers/provider.ts'
import { SluiceError } from '../errors.ts'
import { isRecord } from '../json.ts'
import { callProviders, type CallContext, type ProviderCall } from './provider-call.ts'
import type { Plan, Target } from './target.ts'

/** A request to pass on. */
export interface Forwardable extends Pick<ForwardRequest, 'route' | 'contentType' | 'accept'> {
  /** The body for a target that has this name for the model; once for each attempt. */
  bodyFor(model: string): Pick<ForwardRequest, 'body' | 'contentLength'>
  /** A part of the body is gone with the last attempt: there can be no other. */
  readonly spent: boolean
}

export interface Forwarded {
  target: Target
  attempts: number
  status: number
  headers: ReadonlyMap<string, string>
  /** Ends the attempt when it is left. */
  body: AsyncGenerator<Uint8Array, void>
}

/**
 * Passes a request on to the first target that answers. Until the head of a response has come, failures are retried and
 * other targets tried.
 *
 * @throws SluiceError when no target answers
 * @throws the signal's reason
 */
export async function forward(plan: Plan, request: Forwardable, context: CallContext): Promise<Forwarded> {
  const { route, contentType, accept } = request
  const attempt = async ({ provider, model }: Target, call: ProviderCall) => {
    const { body, contentLength } = request.bodyFor(model)
    const sent = typeof body === 'string' ? body : watch(body, call)
    const response = await call.call((given) => {
      if (!provider.forward) throw new Error(`${provider.name} passes nothing on, although the plan was checked`)
      return provider.forward({ route, contentType, accept, body: sent, contentLength }, given)
    })
    const { status, headers } = checkResponse(response)
    return { status, headers, body: readBody(response, call) }
  }
  const { result, target, attempts } = await callProviders(plan, context, attempt, () => request.spent)
  return { ...result, target, attempts }
}

async function* watch(body: AsyncIterable<Uint8Array>, call: ProviderCall): AsyncGenerator<Uint8Array> {
  for await (const bytes of body) {
    call.asked()
    yield bytes
  }
}

/** A module may return anything. */
function checkResponse(response: ForwardResponse): ForwardResponse {
  const { status, headers, body }: { [name in keyof ForwardResponse]?: unknown } = isRecord(response) ? response : {}
  const isStatus = typeof status === 'number' && Number.isInteger(status) && status >= 200 && status < 600
  if (isStatus && headers instanceof Map && typeof body === 'object' && body !== null && Symbol.asyncIterator in body)
    return response
  throw new SluiceError('provider_failed', 'The provider returned something that is no response.')
}

async function* readBody({ body }: ForwardResponse, call: ProviderCall): AsyncGenerator<Uint8Array, void> {
  const iterator = body[Symbol.asyncIterator]()
  try {
    for (let next = await call.next(iterator); !next.done; next = await call.next(iterator)) yield next.value
    call.end()
  } catch (error) {
    throw call.end({ error }) ?? error
  } finally {
    // Left early. Not awaited: a provider that ignores the signal would never return.
    call.end({ error: LEFT })
    iterator.return?.()?.catch(() => {})
  }
}

const LEFT = new SluiceError('cancelled', 'The client has left.')
