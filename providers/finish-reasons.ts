import type { FinishReason } from '../src/stream/events.ts'

/**
 * How an answer ended, in the words of every server: those of both wires, and of the APIs that gateways translate from.
 * Without separators and in lower case.
 */
const WORDS: readonly [FinishReason, string][] = [
  ['stop', 'stop stopped stopsequence stopstring eos eostoken endturn endofturn complete completed pauseturn'],
  [
    'length',
    'length maxlength maxtoken maxtokens maxoutputtokens maxnewtokens modellength lengthlimit modelcontextwindowexceeded contextwindowexceeded contextlengthexceeded contextlength',
  ],
  ['tool_calls', 'toolcall toolcalls tooluse functioncall functioncalls'],
  [
    'content_filter',
    'contentfilter contentfiltered contentfiltering refusal safety sensitive recitation language blocklist prohibitedcontent spii guardrailintervened guardrailsintervened guardrail moderation imagesafety imageprohibitedcontent imagerecitation',
  ],
  // The answer broke off.
  [
    'error',
    'error errored failed failure networkerror networkfailure servererror internalerror modelerror timeout timedout abort aborted cancel cancelled canceled insufficientsystemresource malformedfunctioncall malformedtoolcall malformedtooluse malformedmodeloutput malformedresponse unexpectedtoolcall toomanytoolcalls missingthoughtsignature',
  ],
]

const REASONS: ReadonlyMap<string, FinishReason> = new Map(
  WORDS.flatMap(([reason, words]) => words.split(' ').map((word): [string, FinishReason] => [word, reason])),
)

/** Undefined for an unknown word. Of `content_filter: SAFETY`, the last part says most. */
export function finishReasonOf(word: string): FinishReason | undefined {
  return REASONS.get(
    word
      .slice(word.lastIndexOf(':') + 1)
      .replace(/[^a-z]/gi, '')
      .toLowerCase(),
  )
}
