import type { ChatBody, ChatMessage } from '../client/index.ts'
import type { Choice } from './composer.ts'
import type { Settings } from './settings.ts'

export interface BodyParts {
  messages: ChatMessage[]
  choice: Choice
  settings: Settings
  /** Each turn of a mock tells another story, and so does each try. */
  seed: number
}

/** The body of a request; further fields of the settings come last, and so replace others. */
export function chatBody({ messages, choice, settings, seed }: BodyParts): ChatBody {
  const { model, mock } = choice
  const { system, parameters } = settings
  return {
    ...(model && { model }),
    messages: system === '' ? messages : [{ role: 'system', content: system }, ...messages],
    ...(mock && { mock: { seed, ...mock } }),
    ...parameters,
  }
}
