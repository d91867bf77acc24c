import type { AttemptContext } from '../../../providers/provider.ts'
import { Ended, SluiceError } from '../../errors.ts'
import type { TokenCountForm } from '../../protocols/protocol.ts'
import { estimateTokens } from '../../usage/estimate-tokens.ts'
import { callProviders, type ProviderCall } from '../../routing/provider-call.ts'
import type { Target } from '../../routing/target.ts'
import { isOver, whenOver } from '../../sse/http2.ts'
import { traceAttempts } from '../../telemetry/observe-routing.ts'
import { admit, planAllowed } from '../admit.ts'
import type { Handler, Services } from '../context.ts'
import { actForUserOf } from '../middleware/authorize.ts'
import { setTargetHeaders } from '../target-headers.ts'

/** Counts the tokens of a request for a chat: by the provider that would answer it, or else as an estimate. */
export function countTokens(services: Services, form: TokenCountForm): Handler {
  const { router, routing, limiter } = services
  return async (context) => {
    const { input, forward: headers } = form.parse(context.request.body, context.headers)
    const { protocol, requestId, trace } = context.state
    const caller = (context.state.caller = actForUserOf(context, protocol))
    const plan = planAllowed(services, caller, (allows) => router.plan(input.model, input, undefined, allows))
    if (limiter.counts(caller)) await admit(context, services, { kind: 'request' })
    const [first, ...others] = plan.targets
    if (!counts(first)) {
      context.set('Sluice-Estimated', 'input_tokens')
      context.body = form.render({ input_tokens: estimateTokens(input) })
      return
    }
    const abort = new AbortController()
    whenOver(context.res, () => abort.abort(GONE))
    const attempt = async (target: Target, call: ProviderCall) => {
      const count = await call.call((given: AttemptContext) => {
        if (!target.provider.countTokens) throw new SluiceError('internal_error', 'The target does not count.')
        return target.provider.countTokens({ ...input, model: target.model }, given)
      })
      call.end()
      return count
    }
    const observer = traceAttempts(routing, { requestId, trace, operation: 'count_tokens', input })
    const calls = { signal: abort.signal, headers, observer }
    try {
      const { target, attempts, result } = await callProviders(
        { ...plan, targets: [first, ...others.filter(counts)] },
        calls,
        attempt,
      )
      setTargetHeaders(context, { provider: target.provider.name, model: target.model, attempts })
      context.body = form.render(result)
    } catch (error) {
      if (!isOver(context.res)) throw error
      context.respond = false
    }
  }
}

function counts({ provider }: Target): boolean {
  return typeof provider.countTokens === 'function'
}

const GONE = new Ended('The client has gone.')
