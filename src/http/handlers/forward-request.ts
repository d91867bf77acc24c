import { NOTHING, type Admission } from '../../access/admission.ts'
import { modelName } from '../../chat-request.ts'
import { Ended, invalidField } from '../../errors.ts'
import { isRecord } from '../../json.ts'
import type { ForwardRoute } from '../../protocols/protocol.ts'
import { forward, type Forwardable, type Forwarded } from '../../routing/forward.ts'
import { isOver, refuseBody, whenOver } from '../../sse/http2.ts'
import { traceAttempts } from '../../telemetry/observe-routing.ts'
import { NO_USAGE, spentOn, type Charge } from '../../usage/accounts.ts'
import { CHARACTERS_PER_TOKEN } from '../../usage/estimate-tokens.ts'
import { tailOf } from '../../usage/forwarded-usage.ts'
import { admit, checkOtherModels, overloadOf, planAllowed, withForwardLimit } from '../admit.ts'
import type { Handler, RequestContext, Services } from '../context.ts'
import { actForUserOf } from '../middleware/authorize.ts'
import { shuttingDown } from '../create-within-limits.ts'
import { sendForwarded } from '../send-forwarded.ts'
import { setTargetHeaders } from '../target-headers.ts'
import { Upload } from '../upload.ts'

/** Estimate of a response on its way: request and response, and the buffers of both sockets. */
const RELAY_BYTES = 192 * 1024

/** Passes a request on to a provider that serves its route, and the response back, both while they arrive. */
export function forwardRequest(services: Services, route: ForwardRoute): Handler {
  const { budget, forwards, limiter, router, routing } = services
  return async (context) => {
    const { res, req, state } = context
    state.caller = actForUserOf(context, state.protocol)
    if (services.draining) throw shuttingDown()
    const overload = overloadOf(services, state.caller)
    if (overload) throw overload
    const relay = budget.hold('responses', state.client, RELAY_BYTES)
    const leaveForwards = forwards.enter()
    let admission: Admission | undefined
    const abort = new AbortController()
    whenOver(res, () => {
      abort.abort(GONE)
      relay.release()
    })
    try {
      const { request, model, promptTokens, release } = await receive(context, services, route, abort)
      const plan = planAllowed(services, state.caller, (allows) => router.planForward(model, route.route, allows))
      if (limiter.counts(state.caller)) admission = await admit(context, services, { kind: 'forward' })
      const observer = traceAttempts(routing, {
        requestId: state.requestId,
        trace: state.trace,
        operation: route.operation,
        input: {},
      })
      const answer = await forward(plan, request, { signal: abort.signal, observer }).finally(release)
      const { target, attempts } = answer
      setTargetHeaders(context, { provider: target.provider.name, model: target.model, attempts })
      await sendCharged(
        context,
        services,
        answer,
        { requested: plan.model, promptTokens },
        (charge) => void admission?.settle(spentOn(charge)),
      )
    } catch (error) {
      if (!isOver(res)) {
        // The rest of an upload is not read.
        if (!req.complete && !res.headersSent) refuseBody(res)
        throw error
      }
      context.respond = false
      state.ended = 'disconnected'
    } finally {
      leaveForwards()
      // Nothing was sent.
      void admission?.settle(NOTHING)
    }
  }
}

/** Sends the response, and charges the usage that it reports, or, when it was cut before that, an estimate. */
async function sendCharged(
  context: RequestContext,
  services: Services,
  answer: Forwarded,
  { requested, promptTokens }: { requested: string; promptTokens: number },
  onCharge: (charge: Charge) => void,
): Promise<void> {
  const { caller, protocol } = context.state
  const { provider, model } = answer.target
  const startedAt = performance.now()
  const tail = tailOf(answer.headers)
  let finish_reason = 'error'
  try {
    finish_reason = (await sendForwarded(context, services, answer, tail)) ? 'stop' : 'cancelled'
  } finally {
    if (isOver(context.res) && finish_reason === 'error') finish_reason = 'cancelled'
    const charge = services.accounts.add({
      kind: 'forward',
      caller,
      streamId: undefined,
      protocol: protocol.name,
      provider: provider.name,
      model,
      requested,
      finish_reason,
      usage: tail?.usage() ?? tail?.estimate(promptTokens, finish_reason !== 'stop') ?? NO_USAGE,
      duration_ms: Math.round(performance.now() - startedAt),
    })
    onCharge(charge)
  }
}

/** Shared by all requests: a stack trace for each is expensive, and nobody reads it. */
const GONE = new Ended('The client has gone.')

interface Received {
  request: Forwardable
  /** Undefined when the request names none. */
  model: string | undefined
  /** Estimated; 0 for a form with files. */
  promptTokens: number
  /** Called when the request will not be sent again. */
  release: () => void
}

async function receive(
  context: RequestContext,
  services: Services,
  { route, upload: isUpload, writesText }: ForwardRoute,
  abort: AbortController,
): Promise<Received> {
  const { config, budget, heartbeat } = services
  const accept = context.get('Accept') || '*/*'
  if (!isUpload) {
    checkOtherModels(context, services)
    context.request.body = withForwardLimit(context, services, writesText === true)
    return receiveJson(context, route, accept)
  }
  const options = { limit: config.uploadLimit, slowBodyMs: config.slowReaderMs, budget, heartbeat, abort }
  const upload = new Upload(context, options)
  const release = () => upload.release()
  whenOver(context.res, release)
  const model = readName(await upload.readModel())
  const request: Forwardable = {
    route,
    accept,
    contentType: context.get('Content-Type'),
    bodyFor: (name) => upload.bodyFor(name),
    get spent() {
      return upload.spent
    },
  }
  return { request, model, promptTokens: 0, release }
}

function receiveJson(context: RequestContext, route: string, accept: string): Received {
  const { request, state } = context
  let body = request.body
  const promptTokens = Math.ceil(request.rawBody.length / CHARACTERS_PER_TOKEN)
  request.body = undefined
  request.rawBody = ''
  if (!isRecord(body)) throw invalidField('invalid_request', '(body)', 'must be an object')
  const model = readName(body.model ?? undefined)
  const bodyFor = (name: string) => ({
    body: JSON.stringify(model === undefined ? body : Object.assign({}, body, { model: name })),
  })
  const release = () => {
    // The closures live as long as the response.
    body = undefined
    state.prompt?.release()
  }
  const forwardable = { route, accept, contentType: 'application/json', bodyFor, spent: false }
  return { request: forwardable, model, promptTokens, release }
}

function readName(model: unknown): string | undefined {
  if (model === undefined) return undefined
  const name = modelName.safeParse(model)
  if (name.success) return name.data
  throw invalidField('invalid_request', 'model', 'must be a text of 1 to 256 characters')
}
