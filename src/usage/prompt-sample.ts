import type { ChatInput } from '../chat-request.ts'
import { CHARACTERS_PER_TOKEN, readPrompt } from './estimate-tokens.ts'

/** Characters of a sample: at most 16 KiB. */
export const SAMPLE_CHARACTERS = 8192

/** A longer prompt is sampled in so many parts, evenly spaced. */
const PARTS = 16
const PART_CHARACTERS = SAMPLE_CHARACTERS / PARTS

/** Bytes to reserve for the sample of a request whose body has so many characters. */
export function sampleBytes(bodyCharacters: number): number {
  return 2 * Math.min(bodyCharacters, SAMPLE_CHARACTERS)
}

/**
 * Keeps enough of a prompt to estimate its tokens when the conversation is gone: all of a short one, parts of a long one.
 */
export class PromptSample {
  /** A copy: a slice would keep the conversation in memory. */
  readonly text: string
  readonly #characters: number
  readonly #constant: number

  constructor(input: ChatInput) {
    const { texts, characters, constant } = readPrompt(input)
    this.text = copy(characters <= SAMPLE_CHARACTERS ? texts : partsOf(texts, characters))
    this.#characters = characters
    this.#constant = constant
  }

  /** The tokens of the prompt, from the count for `text`; without one, from its length. */
  tokens(counted: number | undefined): number {
    const { length } = this.text
    const perCharacter = counted === undefined || length === 0 ? 1 / CHARACTERS_PER_TOKEN : counted / length
    return Math.ceil(this.#characters * perCharacter) + this.#constant
  }
}

/** Through bytes: joining one text returns it as it is, and it may be a slice of the conversation. */
function copy(texts: readonly string[]): string {
  return Buffer.from(texts.join('\n')).toString()
}

/** Parts of the texts as if they were one. */
function partsOf(texts: readonly string[], characters: number): string[] {
  const parts: string[] = []
  const step = characters / PARTS
  let part = 0
  let start = 0
  for (const text of texts) {
    const end = start + text.length
    while (part < PARTS && Math.floor(part * step) < end) {
      const from = Math.floor(part * step)
      const to = from + PART_CHARACTERS
      parts.push(text.slice(Math.max(0, from - start), to - start))
      // The rest of it is in the next text.
      if (to > end) break
      part += 1
    }
    start = end
  }
  return parts
}
