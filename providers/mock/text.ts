import type { Random } from './random.ts'

const OPENINGS = [
  'Well,',
  'In short,',
  'Think of it this way:',
  'Good question.',
  'Yes,',
  'Let me explain.',
  'Briefly,',
]

const SUBJECTS = [
  'the river',
  'a lock keeper',
  'the old canal',
  'every boat',
  'the spring flood',
  'a heron by the weir',
  'the miller',
  'this stretch of water',
  'the engineer',
  'whoever waits at the gate',
]

const VERBS = [
  'carries',
  'remembers',
  'slowly raises',
  'lets through',
  'measures',
  'follows',
  'returns to',
  'keeps',
  'watches over',
  'never loses',
]

const OBJECTS = [
  'a single drop',
  'the morning traffic',
  'what the rain has brought',
  'the level between two banks',
  'its own pace',
  'the sound of the sluice',
  'everything upstream',
  'a cargo of grain and letters',
  'the quiet before noon',
  'the long way to the sea',
]

const ENDINGS = [
  'until the gate opens again',
  'even in a dry summer',
  'one token at a time',
  'as it has done for two hundred years',
  'without any hurry',
  'while the town is still asleep',
  'and nobody has to wait twice',
  'whatever the weather – café closed or not',
]

/** An endless story about water, in pieces of about a token's size; joined, they are well-formed prose. */
export function* writeText(random: Random): Generator<string, undefined> {
  const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)] ?? ''
  let separator = ''
  for (let sentence = 0; ; sentence++) {
    const opening = sentence === 0 ? `${pick(OPENINGS)} ` : ''
    const clause = `${pick(SUBJECTS)} ${pick(VERBS)} ${pick(OBJECTS)}`
    const ending = random() < 0.6 ? ` ${pick(ENDINGS)}` : ''
    const start = opening && !opening.startsWith('Good') && !opening.startsWith('Let') ? clause : capitalize(clause)
    yield* pieces(`${separator}${opening}${start}${ending}.`)
    separator = random() < 0.2 ? '\n\n' : ' '
  }
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Splits text into words with the space before them; long words are cut in two, punctuation is separate. */
function* pieces(text: string): Generator<string> {
  for (const [piece] of text.matchAll(/\s*[\p{L}\p{N}–]{1,7}|\s*[^\s\p{L}\p{N}]/gu)) yield piece
}
