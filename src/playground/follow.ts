import type { ChatEvent, FinalChat } from '../client/index.ts'
import { describeFailure, type AnswerView } from './answer-view.ts'
import { formatCount } from './format.ts'
import type { Reader } from './reader.ts'

export interface Followed {
  /** All that was received; undefined when the stream failed or the reader left. */
  final: FinalChat | undefined
  /** How it ended, in a sentence. */
  ending: string
}

/** Shows what a reader receives, until its end. Never rejects. */
export async function follow(
  reader: Reader,
  view: AnswerView,
  onEvent: (event: ChatEvent) => void = () => {},
): Promise<Followed> {
  try {
    for await (const event of reader.stream) {
      view.append(event)
      onEvent(event)
    }
    const final = await reader.stream.final()
    const ending = describeEnd(final)
    view.finish(ending)
    return { final, ending }
  } catch (error) {
    const ending = reader.left ? 'left' : describeFailure(error)
    view.finish(ending, !reader.left)
    return { final: undefined, ending }
  }
}

function describeEnd({ finish_reason: reason, usage, model }: FinalChat): string {
  const tokens = usage ? `${formatCount(usage.completion_tokens)} tokens` : ''
  return [reason, tokens, model].filter(Boolean).join(' · ')
}
