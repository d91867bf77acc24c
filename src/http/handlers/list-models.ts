import { invalidField } from '../../errors.ts'
import { anthropicMessages } from '../../protocols/anthropic/messages.ts'
import { openaiChat } from '../../protocols/openai/chat.ts'
import type { Handler, RequestContext } from '../context.ts'
import type { Services } from '../services.ts'

interface Model {
  id: string
  provider: string
}

/** `GET /v1/models`: what can be asked for, in the form of whichever SDK asks. */
export function listModels({ router }: Services): Handler {
  return (context) => {
    const models = router.models()
    context.body = isAnthropic(context)
      ? {
          data: models.map(toAnthropic),
          has_more: false,
          first_id: models[0]?.id ?? null,
          last_id: models.at(-1)?.id ?? null,
        }
      : { object: 'list', data: models.map(toOpenAI) }
  }
}

/** `GET /v1/models/:id`; an id may hold slashes. */
export function getModel({ router }: Services): Handler {
  return (context) => {
    const anthropic = isAnthropic(context)
    context.state.protocol = anthropic ? anthropicMessages : openaiChat
    const id = decode(context.path.slice('/v1/models/'.length))
    const model = router.models().find((each) => each.id === id)
    if (!model) throw invalidField('unknown_model', 'model', `${JSON.stringify(id)} is not listed`)
    context.body = anthropic ? toAnthropic(model) : toOpenAI(model)
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path // Not encoded, or broken: no model has that name.
  }
}

function isAnthropic(context: RequestContext): boolean {
  context.vary('anthropic-version')
  return context.get('anthropic-version') !== ''
}

/** https://platform.openai.com/docs/api-reference/models/object – when a model was created is not known here. */
function toOpenAI({ id, provider }: Model) {
  return { id, object: 'model', created: 0, owned_by: provider }
}

/** https://docs.anthropic.com/en/api/models-list */
function toAnthropic({ id }: Model) {
  return { type: 'model', id, display_name: id, created_at: '1970-01-01T00:00:00Z' }
}
