import { SluiceClientError, type ChatEvent, type FinalChat } from '../client/index.ts'
import type { AnswerView } from './answer-view.ts'
import type { Reader } from './reader.ts'
import { describeEnd, describeFailure } from './wording.ts'

export interface Followed {
  /** All that was received; undefined when the stream failed or the reader left. */
  final: FinalChat | undefined
  /** How it ended, in a sentence. */
  ending: string
  /** Of a failure. */
  code?: string | undefined
}

export interface FollowOptions {
  onEvent?: (event: ChatEvent) => void
  /** The text that this tab has kept of the answer, if the gateway has not. */
  kept?: string
}

/** The gateway has no such stream, or none any more. */
const GONE = new Set(['stream_not_found', 'stream_expired'])

const KEPT_HERE = 'The gateway no longer has this answer. This is what the tab has kept of it.'

/** Shows what a reader receives, until its end. Never rejects. */
export async function follow(
  reader: Reader,
  view: AnswerView,
  { onEvent, kept = '' }: FollowOptions,
): Promise<Followed> {
  try {
    for await (const event of reader.stream) {
      view.append(event)
      onEvent?.(event)
    }
    const final = await reader.stream.final()
    const ending = describeEnd(final)
    view.finish(ending)
    return { final, ending }
  } catch (error) {
    const code = error instanceof SluiceClientError ? error.code : undefined
    const isKept = kept !== '' && GONE.has(code ?? '')
    if (isKept) view.appendText(kept)
    const ending = reader.left ? 'left' : isKept ? KEPT_HERE : describeFailure(error)
    view.finish(ending, !reader.left && !isKept)
    return { final: undefined, ending, code }
  }
}

export function isGone({ code = '' }: Followed): boolean {
  return GONE.has(code)
}
