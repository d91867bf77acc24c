// Checks before anything is spent for a request: models, answer size, limits, load.

import type { Admission } from '../access/admission.ts'
import { allowedModels, type ModelFilter } from '../access/allowed-models.ts'
import { limitAnswer, limitForwarded } from '../access/answer-size.ts'
import type { Caller } from '../access/caller.ts'
import type { Demand } from '../access/limiter.ts'
import type { ChatInput } from '../chat-request.ts'
import { invalidField, SluiceError } from '../errors.ts'
import { recordOrEmpty } from '../json.ts'
import type { Plan } from '../routing/target.ts'
import type { Accounts } from '../usage/accounts.ts'
import type { RequestContext, Services } from './context.ts'

type Limiting = Pick<Services, 'limiter'>

/**
 * Reserves the expected use of a request under the limits of its caller. The response tells what is left, also when it
 * is refused. Ask first whether `limiter.counts` anything for the caller: most have no limits.
 *
 * @throws SluiceError when a limit is exceeded
 */
export async function admit(
  context: RequestContext,
  { limiter }: Limiting,
  demand: Demand,
): Promise<Admission | undefined> {
  const { headers, admission, refusal } = await limiter.admit(context.state.caller, demand)
  context.set(headers)
  if (refusal) throw refusal
  return admission
}

/**
 * Finds the targets of a request among those that its caller may use.
 *
 * @throws SluiceError `model_not_allowed`
 */
export function planAllowed(
  { limiter, accounts }: Limiting & Pick<Services, 'accounts'>,
  caller: Caller,
  planWith: (allows?: ModelFilter) => Plan,
): Plan {
  try {
    const plan = planWith(allowedModels(caller.principal))
    if (limiter.limitsCost(caller)) checkPrices(plan, accounts)
    return plan
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'model_not_allowed') limiter.refused(caller, 'models')
    throw error
  }
}

/** What has no price would never reach a limit of the cost. */
function checkPrices({ model: requested, targets }: Plan, accounts: Accounts): void {
  const free = targets.find(({ provider, model }) => !accounts.hasPrice({ provider: provider.name, model, requested }))
  if (free)
    throw invalidField(
      'model_not_allowed',
      'model',
      `${free.name} has no price, and the cost of this caller is limited`,
    )
}

/** With these fields, upstreams such as OpenRouter choose another model, which nobody has checked. */
const OTHER_MODELS = ['models', 'fallbacks'] as const

/** @throws SluiceError `model_not_allowed` when the upstream would choose among models for a caller that may not use all */
export function checkOtherModels({ state: { caller }, request }: RequestContext, { limiter }: Limiting): void {
  if (!allowedModels(caller.principal)) return
  const body = recordOrEmpty(request.body)
  const name = OTHER_MODELS.find((each) => body[each] !== undefined && body[each] !== null)
  if (name === undefined) return
  limiter.refused(caller, 'models')
  throw invalidField('model_not_allowed', name, 'is not allowed for this caller')
}

/** The request with its caller's limit of the answer. @throws SluiceError `invalid_request` when it asks for more */
export function withAnswerLimit(
  { state: { caller }, request }: RequestContext,
  { limiter }: Limiting,
  input: ChatInput,
): ChatInput {
  const limit = limiter.maxTokens(caller)
  if (limit === Infinity) return input
  const limited = limitAnswer(input, limit, request.body)
  if ('input' in limited) return limited.input
  limiter.refused(caller, 'max_tokens')
  throw limited.refusal
}

/** Like `withAnswerLimit`, for the body of a request that is passed on. */
export function withForwardLimit(
  { state: { caller }, request }: RequestContext,
  { limiter }: Limiting,
  isText: boolean,
): unknown {
  const limit = limiter.maxTokens(caller)
  if (limit === Infinity) return request.body
  const limited = limitForwarded(request.body, limit, isText)
  if ('body' in limited) return limited.body
  limiter.refused(caller, 'max_tokens')
  throw limited.refusal
}

/** The reason to start nothing more at the moment; undefined when there is none. */
export function overloadOf(
  { load, limiter }: Pick<Services, 'load' | 'limiter'>,
  caller: Caller,
): SluiceError | undefined {
  const refusal = load.refusal()
  if (refusal) limiter.refused(caller, refusal.limit)
  return refusal?.error
}
